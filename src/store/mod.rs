//! What a restart finds: `jobs.json`, and beside it the journal of what happened since.
//!
//! Every change is first a record in the journal. `jobs.json` is a snapshot that is written anew,
//! whole, soon after something changed; then the segments that it covers go. The owner of the
//! store never waits for the disk while the service runs: writes, fsyncs and snapshots are the
//! work of a thread each. [`Finished`] is the journal back from a write, and nothing new is
//! written before; [`DiskEvent`] tells of the others.

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
pub(crate) mod tests;
mod writer;

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
pub use writer::Finished;

use crate::clock::Now;
use crate::engine::{Engine, Record};
use crate::job::Defaults;
use crate::limits::{Bites, ROOM_LOOK_MILLIS, SNAPSHOT_PIECE_BYTES, SYNC_DELAY_MILLIS};
use folder::{Folder, is_full};
use helper::{Helpers, SyncRequest};
use journal::Journal;
use snapshots::{Segment, Snapshots};
use writer::{Done, Task, WantedFor};

/// The files of one data folder, held by this process alone.
#[derive(Debug)]
pub struct Store {
    folder: Arc<Folder>,
    /// `None` while its thread has it, and after a start on a full disk until there is room for a segment.
    journal: Option<Journal>,
    /// Since when its thread has it.
    writing: Option<Instant>,
    /// Where the last turn ends that was written.
    end: Position,
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

/// What came of something that was to be written.
#[derive(Debug)]
pub enum Written {
    /// The records of a turn.
    Turn {
        /// They are the owner's again.
        records: Vec<Record>,
        /// Why none of them is written, or all are.
        result: Result<(), String>,
        /// How long the write took.
        took: Duration,
    },
    /// A snapshot has begun, or why there is no segment for it to begin with.
    Snapshot(io::Result<()>),
    /// Whether there is room: [`Store::refusal`] says so.
    Room,
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
        let begin = Position { segment: number, len: 0 };
        let store = Self {
            folder,
            writing: None,
            end: begin,
            segments,
            found_len,
            sync: Syncing { is_running: false, before: Vec::new(), is_new: true, done: begin, last_request: now },
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

    /// Has the records of a turn written down, all or none, and then what waits for that: at once,
    /// where nothing can be written; it is known then what came of it.
    pub fn append(
        &mut self,
        records: Vec<Record>,
        now: Instant,
        then: impl FnOnce() + Send + 'static,
    ) -> Option<Written> {
        if !records.is_empty() {
            self.snapshot.uncovered_since.get_or_insert(now);
        }
        let refusal = self.refusal.as_ref().map(|refusal| refusal.reason.clone());
        if records.is_empty() || refusal.is_some() {
            then();
            return Some(Written::Turn { records, result: refusal.map_or(Ok(()), Err), took: Duration::ZERO });
        }
        self.write(Task::Append(records, Box::new(then)), now);
        None
    }

    /// Since when something is being written. Nothing else can be until that is taken back.
    pub fn writing_since(&self) -> Option<Instant> {
        self.writing
    }

    /// Waits for what is being written.
    ///
    /// # Errors
    ///
    /// The journal's thread ended by a bug.
    pub async fn finished(&self) -> io::Result<Finished> {
        self.helpers.writer.finished().recv().await.map_err(|_| io::Error::other("the journal's thread ended by a bug"))
    }

    /// The same without waiting.
    pub fn try_finished(&self) -> Option<Finished> {
        self.helpers.writer.finished().try_recv().ok()
    }

    /// Takes the journal back from its thread. Where nothing was written the store refuses all changes from
    /// then on, until there is room.
    ///
    /// # Errors
    ///
    /// An fsync failed: nobody knows what is on the disk, and the process must end.
    pub fn take_finished(&mut self, finished: Finished, now: Now) -> io::Result<Written> {
        let Finished { journal, done, took } = finished;
        self.writing = None;
        self.journal = journal;
        let written = match done {
            Done::Append(records, result) => {
                let result = result.map_err(|error| self.refuse(&error, End::Room { looked_at: now.steady }));
                Written::Turn { records, result, took }
            }
            Done::Segment { wanted_for, is_noted, result } => {
                self.snapshot.is_noted |= is_noted;
                let result = match result {
                    Err(Failure::Sync(error)) => return Err(error),
                    result => result.map(|old| self.begin_segment(old)).map_err(io::Error::from),
                };
                match wanted_for {
                    WantedFor::Snapshot => Written::Snapshot(self.begin_snapshot_with(result, now)),
                    WantedFor::Room => self.look_at_room(result, now.steady),
                }
            }
            Done::LookForRoom(result) => self.look_at_room(result, now.steady),
        };
        if let Some(journal) = &mut self.journal {
            self.end = Position { segment: journal.number(), len: journal.len() };
            note_synced(journal, self.sync.done);
        }
        Ok(written)
    }

    fn look_at_room(&mut self, result: io::Result<()>, now: Instant) -> Written {
        match result {
            Ok(()) => self.refusal = None,
            Err(error) => drop(self.refuse(&error, End::Room { looked_at: now })),
        }
        Written::Room
    }

    fn write(&mut self, task: Task, now: Instant) {
        self.writing = Some(now);
        self.helpers.writer.order(self.journal.take(), task);
    }

    fn refuse(&mut self, error: &io::Error, ends: End) -> String {
        self.refusal.insert(Refusal::new(error, ends)).reason.clone()
    }

    /// When to look for room again; `None` where that is not what is waited for.
    pub fn room_look_due(&self) -> Option<Instant> {
        match self.refusal.as_ref()?.ends {
            End::Room { looked_at } => Some(looked_at + Duration::from_millis(ROOM_LOOK_MILLIS)),
            End::Snapshot => None,
        }
    }

    /// Has it looked for room; records are taken again if there is some.
    pub fn look_for_room(&mut self, now: Instant) {
        let task = if self.journal.is_some() { Task::LookForRoom } else { self.new_segment(WantedFor::Room) };
        self.write(task, now);
    }

    /// Where the last turn ends that was written.
    pub fn position(&self) -> Position {
        self.end
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
                if let Some(journal) = &mut self.journal {
                    note_synced(journal, self.sync.done);
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

/// It may have been away when it was told.
fn note_synced(journal: &mut Journal, done: Position) {
    if done.segment == journal.number() {
        journal.set_synced(done.len);
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
