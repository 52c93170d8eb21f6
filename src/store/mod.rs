//! What a restart finds: `jobs.json`, and beside it the journal of what happened since.
//!
//! Every change is first a record in the journal. `jobs.json` is a snapshot that is written anew,
//! whole, soon after something changed; then the segments that it covers go. The owner of the
//! store waits for the disk for one `write` a turn, and where a snapshot begins for the making of
//! a segment, which after a start on a full disk needs its note first: fsyncs and snapshots are
//! the helpers' work else, and [`DiskEvent`] tells of their ends.

mod checksum;
mod cutter;
mod directory;
mod disk;
mod folder;
mod helper;
mod journal;
mod line;
mod load;
mod mistake;
mod recovery;
mod segment;
mod snapshot;
mod snapshots;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use directory::Directory;
pub use disk::{Disk, DiskFile};
pub use folder::Failure;
pub use helper::{DiskEvent, SnapshotDone};
pub use recovery::ReadError;

use crate::engine::{Engine, Record};
use crate::job::Defaults;
use crate::limits::{Bites, ROOM_BYTES, ROOM_LOOK_MILLIS, SNAPSHOT_PIECE_BYTES, SYNC_DELAY_MILLIS};
use folder::{Folder, is_full};
use helper::{Helpers, SyncRequest};
use journal::Journal;
use snapshots::{Segment, Snapshots};

/// The files of one data folder, held by this process alone.
#[derive(Debug)]
pub struct Store {
    folder: Arc<Folder>,
    /// `None` only after a start on a full disk, until there is room for a segment.
    journal: Option<Journal>,
    /// All segments that are there, the one that is written to included.
    segments: Vec<u64>,
    /// How long the last of those is that were found at the start.
    found_len: Option<u64>,
    sync: Syncing,
    snapshot: Snapshots,
    /// Why the disk takes no change at present.
    refusal: Option<Refusal>,
    bites: Bites,
    /// Last, because its threads are joined, and they end when the channels above are gone.
    helpers: Helpers,
}

/// Where a turn ends in the journal; ordered as they were written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    segment: u64,
    len: u64,
}

#[derive(Debug)]
struct Syncing {
    /// The helper is at it.
    is_running: bool,
    /// Older segments whose ends are not on the disk yet.
    before: Vec<Arc<dyn DiskFile>>,
    /// The name of the present segment is not on the disk yet.
    is_new: bool,
    /// Up to where all is on the disk.
    done: Position,
    last_request: Instant,
}

#[derive(Debug)]
struct Refusal {
    reason: String,
    ends: End,
}

/// What ends a refusal.
#[derive(Clone, Copy, Debug)]
enum End {
    /// There is room for the journal, which was last looked for then.
    Room { looked_at: Instant },
    /// A whole snapshot, beside a new segment: the folder may be another one by now.
    Snapshot,
}

/// What a start found in the folder.
#[derive(Debug)]
pub struct Opened {
    /// The store, ready to append.
    pub store: Store,
    /// What its helpers tell.
    pub events: async_channel::Receiver<DiskEvent>,
    /// How many records of an unclean stop were replayed.
    pub replayed: usize,
    /// What was never finished and was cut off, in a sentence.
    pub cut: Option<String>,
}

/// Why a folder cannot be used.
#[derive(Debug)]
pub enum OpenError {
    /// Another process uses it.
    Held(PathBuf),
    /// It cannot be written to.
    Io(PathBuf, io::Error),
    /// What lies there cannot be read.
    Read(ReadError),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held(path) => write!(f, "the data folder {} is in use by another process", path.display()),
            Self::Io(path, error) => write!(f, "cannot write to the data folder: {}: {error}", path.display()),
            Self::Read(error) => error.fmt(f),
        }
    }
}

/// How much of a data folder could be looked at.
#[derive(Debug, PartialEq, Eq)]
pub enum Inspection {
    /// There is none yet.
    Missing,
    /// A process uses it, so only `jobs.json` was read.
    InUse,
    /// All of it, as a start would read it, with this many records in the journal.
    Whole(usize),
}

/// Reads what a start would read, and changes nothing but for the lock that it takes meanwhile:
/// for `ksana check`.
///
/// # Errors
///
/// Why a start would be refused.
pub fn inspect(
    data_dir: &Path,
    defaults: &Defaults,
    mut apply: impl FnMut(Record) -> bool,
) -> Result<Inspection, OpenError> {
    if !data_dir.exists() {
        return Ok(Inspection::Missing);
    }
    match Directory::hold(data_dir) {
        Ok(directory) => replayed(Arc::new(directory), defaults, SNAPSHOT_PIECE_BYTES, apply)
            .map(Inspection::Whole)
            .map_err(OpenError::Read),
        Err(OpenError::Held(_)) => {
            let path = data_dir.join(folder::SNAPSHOT);
            match std::fs::read(&path) {
                Ok(text) => recovery::read_snapshot(&text, defaults, &mut apply)
                    .map_err(|reason| OpenError::Read(ReadError::Snapshot(path, reason)))?,
                // The service has not written its first one yet.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(OpenError::Read(ReadError::Io(path, error))),
            }
            Ok(Inspection::InUse)
        }
        Err(error) => Err(error),
    }
}

/// Hands over what a start would find on a disk, and changes nothing there. A `jobs.json` that is no
/// smaller than a piece is read in pieces. Gives how many records of the journal there are.
///
/// # Errors
///
/// What cannot be read.
pub fn replayed(
    disk: Arc<dyn Disk>,
    defaults: &Defaults,
    piece_bytes: usize,
    apply: impl FnMut(Record) -> bool,
) -> Result<usize, ReadError> {
    recovery::read(&Folder::new(disk), defaults, piece_bytes, apply).map(|found| found.replayed)
}

impl Store {
    /// Hands over the records that make the jobs what they were, and gets ready to take more.
    pub fn open(
        disk: Arc<dyn Disk>,
        defaults: &Defaults,
        bites: Bites,
        now: Instant,
        apply: impl FnMut(Record) -> bool,
    ) -> Result<Opened, OpenError> {
        let folder = Folder::new(disk);
        let failed = |error| OpenError::Io(folder.path(), error);
        let mut found = recovery::read(&folder, defaults, bites.piece_bytes, apply).map_err(OpenError::Read)?;
        let cut = found.cut.as_ref().map(|cut| {
            let path = folder.segment_path(cut.segment);
            format!("{} bytes from byte {} of {} on ({})", cut.bytes, cut.from, path.display(), cut.reason)
        });
        recovery::cut(&folder, &mut found).map_err(failed)?;
        sync_found(&folder, &found).map_err(failed)?;
        let number = found.segments.last().map_or(1, |last| last + 1);
        let journal = prepare(&folder, &mut found, number);
        let (journal, refusal) = match journal {
            Ok(journal) => (Some(journal), None),
            Err(error) if is_full(&error) => (None, Some(Refusal::new(&error, End::Room { looked_at: now }))),
            Err(error) => return Err(failed(error)),
        };
        let path = folder.path();
        let folder = Arc::new(folder);
        let (helpers, events) = Helpers::start(&folder, found.sum).map_err(|error| OpenError::Io(path, error))?;
        let is_uncovered = found.sum.is_none() || found.has_records || refusal.is_some();
        let found_len = found.last_len;
        let mut segments = found.segments;
        segments.extend(journal.as_ref().map(Journal::number));
        let store = Self {
            folder,
            segments,
            found_len,
            sync: Syncing {
                is_running: false,
                before: Vec::new(),
                is_new: true,
                done: Position { segment: number, len: 0 },
                last_request: now,
            },
            snapshot: Snapshots {
                running: None,
                sum: found.sum,
                is_noted: journal.is_some(),
                segment: Segment::Covered,
                uncovered_since: is_uncovered.then_some(now),
                last_end: now,
                last_took: Duration::ZERO,
                last_failed: false,
            },
            journal,
            refusal,
            bites,
            helpers,
        };
        Ok(Opened { store, events, replayed: found.replayed, cut })
    }

    /// Why the disk takes no change at present; `None` while all is well.
    pub fn refusal(&self) -> Option<&str> {
        self.refusal.as_ref().map(|refusal| refusal.reason.as_str())
    }

    /// Writes down the records of a turn, all or none.
    ///
    /// # Errors
    ///
    /// Why none is written. From then on the store refuses all of them, until there is room.
    pub fn append(&mut self, records: &[Record], now: Instant) -> Result<(), String> {
        if records.is_empty() {
            return Ok(());
        }
        self.snapshot.uncovered_since.get_or_insert(now);
        if let Some(refusal) = &self.refusal {
            return Err(refusal.reason.clone());
        }
        let journal = self.journal.as_mut().expect("without a segment the store refuses changes");
        journal
            .append(records)
            .map_err(|error| self.refusal.insert(Refusal::new(&error, End::Room { looked_at: now })).reason.clone())
    }

    /// When to look for room again; `None` where that is not what is waited for.
    pub fn room_look_due(&self) -> Option<Instant> {
        match self.refusal.as_ref()?.ends {
            End::Room { looked_at } => Some(looked_at + Duration::from_millis(ROOM_LOOK_MILLIS)),
            End::Snapshot => None,
        }
    }

    /// Takes records again if there is room for some.
    pub fn look_for_room(&mut self, now: Instant) {
        let found = match &mut self.journal {
            Some(journal) => journal.try_room(ROOM_BYTES),
            None => self.turn_to_new_segment(),
        };
        match found {
            Ok(()) => self.refusal = None,
            Err(error) => self.refusal = Some(Refusal::new(&error, End::Room { looked_at: now })),
        }
    }

    /// Where the journal ends now.
    pub fn position(&self) -> Position {
        self.journal
            .as_ref()
            .map_or(self.sync.done, |journal| Position { segment: journal.number(), len: journal.len() })
    }

    /// Up to where all is on the disk.
    pub fn synced(&self) -> Position {
        self.sync.done
    }

    /// Whether the helper is at an fsync.
    pub fn is_syncing(&self) -> bool {
        self.sync.is_running
    }

    /// Has the helper fsync what was written, at once where somebody waits for it, else soon.
    pub fn sync(&mut self, somebody_waits: bool, now: Instant) {
        let Some(journal) = self.journal.as_ref() else { return };
        let is_due = somebody_waits
            || now.saturating_duration_since(self.sync.last_request) >= Duration::from_millis(SYNC_DELAY_MILLIS);
        let is_done = journal.is_synced() && self.sync.before.is_empty();
        if is_done || self.sync.is_running || !is_due {
            return;
        }
        self.sync.is_running = true;
        self.sync.last_request = now;
        self.helpers.sync(SyncRequest {
            before: std::mem::take(&mut self.sync.before),
            is_new: std::mem::take(&mut self.sync.is_new),
            file: Arc::clone(journal.file()),
            segment: journal.number(),
            len: journal.len(),
        });
    }

    /// Takes what a helper tells; hands a snapshot its next chunk.
    ///
    /// # Errors
    ///
    /// An fsync failed: nobody knows what is on the disk, and the process must end.
    pub fn take_event(
        &mut self,
        event: DiskEvent,
        engine: &Engine,
        now: Instant,
    ) -> io::Result<Option<io::Result<SnapshotDone>>> {
        match event {
            DiskEvent::SyncFailed(error) | DiskEvent::Snapshot(Err(Failure::Sync(error))) => Err(error),
            DiskEvent::Synced { segment, len } => {
                self.sync.is_running = false;
                self.sync.done = self.sync.done.max(Position { segment, len });
                if let Some(journal) = self.journal.as_mut().filter(|journal| journal.number() == segment) {
                    journal.set_synced(len);
                }
                Ok(None)
            }
            DiskEvent::ChunkWanted => {
                self.hand_over_chunk(engine);
                Ok(None)
            }
            DiskEvent::Snapshot(result) => {
                let result = result.map_err(io::Error::from);
                self.end_snapshot(&result, now);
                Ok(Some(result))
            }
        }
    }
}

/// Puts on the disk what was found: a killed process may not have, and from now on everybody sees
/// it, and what is written next stands on it.
fn sync_found(folder: &Folder, found: &recovery::Found) -> io::Result<()> {
    if !found.has_records {
        return Ok(());
    }
    for (segment, synced) in &found.synced {
        folder.write_segment_again(*segment, *synced)?;
    }
    Ok(folder.sync()?)
}

/// Gets the folder ready to be written to: the note of what the journal stands on, then its
/// segment. Segments in which nothing stands go, or a service that is started again and again
/// would fill the folder with them.
fn prepare(folder: &Folder, found: &mut recovery::Found, number: u64) -> io::Result<Journal> {
    folder.remove_unfinished()?;
    if !found.has_records {
        folder.write_sums(&[found.sum])?;
        for segment in found.segments.drain(..) {
            folder.remove_segment(segment)?;
        }
        found.last_len = None;
    }
    Ok(Journal::new(folder.create_segment(number)?, number, found.last_len))
}

impl Refusal {
    fn new(error: &io::Error, ends: End) -> Self {
        Self { reason: format!("the data folder cannot be written to: {error}"), ends }
    }
}
