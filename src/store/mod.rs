//! What a restart finds: `jobs.json`, and beside it the journal of what happened since.
//!
//! Every change is first a record in the journal. `jobs.json` is a snapshot that is written anew,
//! whole, soon after something changed; then the segments that it covers go. The owner of the
//! store never waits for the disk but for one `write` a turn: fsyncs and snapshots are the
//! helpers' work, and [`DiskEvent`] tells of their ends.

mod checksum;
mod folder;
mod helper;
mod journal;
mod line;
mod recovery;
mod snapshot;
#[cfg(test)]
mod tests;

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

use jiff::Timestamp;

pub use helper::{DiskEvent, SnapshotDone};
pub use recovery::{ReadError, snapshot_path};

use crate::engine::{Engine, Filter, Record};
use crate::job::{Defaults, Job, JobId};
use crate::limits::{
    SNAPSHOT_CHUNK_JOBS, SNAPSHOT_DELAY_MILLIS, SNAPSHOT_JOURNAL_BYTES_MIN, SNAPSHOT_REST_FACTOR,
    SNAPSHOT_RETRY_MILLIS, SYNC_DELAY_MILLIS,
};
use folder::{Folder, HoldError};
use helper::{Helpers, SnapshotRequest, SyncRequest};
use journal::Journal;
use snapshot::Sum;

/// The files of one data folder, held by this process alone.
#[derive(Debug)]
pub struct Store {
    folder: Arc<Folder>,
    /// `None` only after a start on a full disk, until there is room for a segment.
    journal: Option<Journal>,
    /// All segments that are there, the one that is written to included.
    segments: Vec<u64>,
    sync: Syncing,
    snapshot: Snapshots,
    /// Why the disk takes no change at present.
    refusal: Option<String>,
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
    before: Vec<Arc<File>>,
    /// The name of the present segment is not on the disk yet.
    is_new: bool,
    /// Up to where all is on the disk.
    done: Position,
    last_request: Instant,
}

#[derive(Debug)]
struct Snapshots {
    running: Option<Running>,
    /// The content of the present `jobs.json`.
    sum: Option<Sum>,
    /// The note of that content is there, without which no segment may stand on it.
    is_noted: bool,
    /// The present segment was begun for a snapshot that failed, and serves its next try: else
    /// each try would leave a segment behind.
    has_segment: bool,
    /// When the first change came that no snapshot covers.
    uncovered_since: Option<Instant>,
    last_end: Instant,
    last_took: Duration,
    last_failed: bool,
}

#[derive(Debug)]
struct Running {
    chunks: SyncSender<Vec<Job>>,
    /// The last job that was handed over.
    after: Option<JobId>,
    covers: Vec<u64>,
    /// Nothing went unrecorded since it began, so when it is done the disk knows all again.
    mends: bool,
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

/// The jobs of a data folder, read without touching it: for `ksana check`.
pub fn inspect(data_dir: &Path, defaults: &Defaults, mut take: impl FnMut(Job)) -> Result<(), ReadError> {
    let path = snapshot_path(data_dir);
    match fs::read(&path) {
        Ok(text) => {
            let mut apply = |record| {
                if let Record::Put(job) = record {
                    take(job);
                }
            };
            recovery::read_snapshot(&text, defaults, &mut apply).map_err(|reason| ReadError::Snapshot(path, reason))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(ReadError::Io(path, error)),
    }
}

impl Store {
    /// Takes the folder, and hands over the records that make the jobs what they were.
    pub fn open(path: &Path, defaults: &Defaults, apply: impl FnMut(Record)) -> Result<Opened, OpenError> {
        let folder = Folder::hold(path).map_err(|error| match error {
            HoldError::Held => OpenError::Held(path.to_path_buf()),
            HoldError::Io(path, error) => OpenError::Io(path, error),
        })?;
        let failed = |error| OpenError::Io(path.to_path_buf(), error);
        let mut found = recovery::read(&folder, defaults, apply).map_err(OpenError::Read)?;
        let cut = found.cut.as_ref().map(|cut| {
            let path = folder.segment(cut.segment);
            format!("{} bytes from byte {} of {} on ({})", cut.bytes, cut.from, path.display(), cut.reason)
        });
        recovery::cut(&folder, &mut found).map_err(failed)?;
        let number = found.segments.last().map_or(1, |last| last + 1);
        let journal = prepare(&folder, &found, number);
        let (journal, refusal) = match journal {
            Ok(journal) => (Some(journal), None),
            Err(error) if is_full(&error) => (None, Some(refusal(&error))),
            Err(error) => return Err(failed(error)),
        };
        let folder = Arc::new(folder);
        let (helpers, events) = Helpers::start(&folder, found.sum).map_err(failed)?;
        let now = Instant::now();
        let is_uncovered = found.sum.is_none() || found.has_records || refusal.is_some();
        let mut segments = found.segments;
        segments.extend(journal.as_ref().map(Journal::number));
        let store = Self {
            folder,
            segments,
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
                has_segment: false,
                uncovered_since: is_uncovered.then_some(now),
                last_end: now,
                last_took: Duration::ZERO,
                last_failed: false,
            },
            journal,
            refusal,
            helpers,
        };
        Ok(Opened { store, events, replayed: found.replayed, cut })
    }

    /// Why the disk takes no change at present; `None` while all is well.
    pub fn refusal(&self) -> Option<&str> {
        self.refusal.as_deref()
    }

    /// Writes down the records of a turn, all or none.
    ///
    /// # Errors
    ///
    /// Why none is written. From then on the store refuses changes, until a snapshot has taken
    /// what went unrecorded.
    pub fn append(&mut self, records: &[Record]) -> Result<(), String> {
        if records.is_empty() {
            return Ok(());
        }
        self.snapshot.uncovered_since.get_or_insert_with(Instant::now);
        let mends = self.snapshot.running.as_ref().is_some_and(|running| running.mends);
        if let Some(refusal) = self.refusal.as_ref().filter(|_| !mends) {
            return Err(refusal.clone());
        }
        let journal = self.journal.as_mut().expect("without a segment the store refuses changes");
        journal.append(records).map_err(|error| {
            let refusal = refusal(&error);
            self.refusal = Some(refusal.clone());
            if let Some(running) = &mut self.snapshot.running {
                running.mends = false;
            }
            refusal
        })
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

    /// Has the helper fsync what was written, at once where somebody waits for it, else soon.
    pub fn sync(&mut self, somebody_waits: bool) {
        let Some(journal) = self.journal.as_ref() else { return };
        let is_due = somebody_waits || self.sync.last_request.elapsed() >= Duration::from_millis(SYNC_DELAY_MILLIS);
        let is_done = journal.is_synced() && self.sync.before.is_empty();
        if is_done || self.sync.is_running || !is_due {
            return;
        }
        self.sync.is_running = true;
        self.sync.last_request = Instant::now();
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
    pub fn take_event(&mut self, event: DiskEvent, engine: &Engine) -> io::Result<Option<io::Result<SnapshotDone>>> {
        match event {
            DiskEvent::SyncFailed(error) => Err(error),
            DiskEvent::Synced { segment, len } => {
                self.sync.is_running = false;
                self.sync.done = self.sync.done.max(Position { segment, len });
                if let Some(journal) = self.journal.as_mut().filter(|journal| journal.number() == segment) {
                    journal.set_synced(len);
                }
                Ok(None)
            }
            DiskEvent::ChunkWanted => {
                if let Some(running) = &mut self.snapshot.running {
                    let page = engine.page(
                        running.after.as_ref().map(JobId::as_str),
                        &Filter::default(),
                        SNAPSHOT_CHUNK_JOBS,
                        SNAPSHOT_CHUNK_JOBS,
                    );
                    running.after = page.jobs.last().map(|job| job.spec.id.clone()).or(running.after.take());
                    // The helper asks for one at a time; if it is gone, its result says why.
                    let _ = running.chunks.try_send(page.jobs);
                }
                Ok(None)
            }
            DiskEvent::Snapshot(result) => {
                self.end_snapshot(&result);
                Ok(Some(result))
            }
        }
    }

    /// When the next snapshot is due: a moment after the first change that none covers, but so
    /// that writing takes no more than its share of the time, unless the journal outgrows it.
    pub fn snapshot_due(&self) -> Option<Instant> {
        let since = self.snapshot.uncovered_since.filter(|_| self.snapshot.running.is_none())?;
        let retry = Duration::from_millis(SNAPSHOT_RETRY_MILLIS);
        if self.refusal.is_some() || self.snapshot.last_failed {
            return Some(self.snapshot.last_end + retry);
        }
        let rested = self.snapshot.last_end + self.snapshot.last_took * SNAPSHOT_REST_FACTOR;
        let grown = self.snapshot.sum.map_or(0, |sum| sum.len).max(SNAPSHOT_JOURNAL_BYTES_MIN);
        let outgrown = self.journal.as_ref().is_some_and(|journal| journal.len() > grown);
        let soon = since + Duration::from_millis(SNAPSHOT_DELAY_MILLIS);
        Some(if outgrown { soon } else { soon.max(rested) })
    }

    /// Begins a snapshot: turns to a new segment, and has the helper write all jobs.
    ///
    /// # Errors
    ///
    /// There is no new segment. It is tried again; where the folder itself is the cause, changes
    /// are refused until then, because what is appended now may be nowhere after a restart.
    pub fn begin_snapshot(&mut self, now: Timestamp) -> io::Result<()> {
        if let Err(error) = self.turn_to_new_segment() {
            self.snapshot.last_end = Instant::now();
            self.snapshot.last_failed = true;
            if is_unusable(&error) {
                self.refusal.get_or_insert_with(|| refusal(&error));
            }
            return Err(error);
        }
        let present = self.journal.as_ref().map(Journal::number);
        let covers = self.segments.iter().copied().filter(|segment| Some(*segment) != present).collect();
        self.start_snapshot(now, covers, false);
        if self.journal.as_ref().is_some_and(|journal| journal.len() > 0) {
            // Its segment is older than this try, and goes only with the next one.
            self.snapshot.uncovered_since = Some(Instant::now());
        }
        Ok(())
    }

    /// One that nothing was written to serves as the new one.
    fn turn_to_new_segment(&mut self) -> io::Result<()> {
        if let Some(journal) = &mut self.journal {
            if self.snapshot.has_segment || journal.len() == 0 {
                return Ok(());
            }
            // A segment that others follow must not end in half a line: that is what damage looks like.
            journal.cut_back()?;
        }
        if !self.snapshot.is_noted {
            self.folder.write_sums(&[self.snapshot.sum])?;
            self.snapshot.is_noted = true;
        }
        let number = self.segments.last().map_or(1, |last| last + 1);
        let journal = Journal::create(&self.folder.segment(number), number)?;
        self.segments.push(number);
        self.snapshot.has_segment = true;
        self.sync.is_new = true;
        match self.journal.replace(journal).filter(Journal::is_loose) {
            Some(old) => self.sync.before.push(Arc::clone(old.file())),
            // Up to the start of the new segment there is nothing left to wait for.
            None if self.sync.before.is_empty() => self.sync.done = Position { segment: number, len: 0 },
            None => {}
        }
        Ok(())
    }

    /// Ends the journal: where `jobs.json` does not show the present yet, begins the last snapshot
    /// of this process; no segment is left. Nothing may be appended after it.
    ///
    /// # Errors
    ///
    /// A segment cannot be removed. It does no harm where it is.
    pub fn begin_last_snapshot(&mut self, now: Timestamp) -> io::Result<()> {
        if self.snapshot.uncovered_since.is_some() {
            let covers = self.segments.clone();
            self.start_snapshot(now, covers, true);
            return Ok(());
        }
        for segment in self.segments.drain(..) {
            self.folder.remove_segment(segment)?;
        }
        self.folder.sync()?;
        self.folder.remove_sums()?;
        self.folder.sync()
    }

    /// Whether a snapshot is being written.
    pub fn is_snapshotting(&self) -> bool {
        self.snapshot.running.is_some()
    }

    fn start_snapshot(&mut self, updated_at: Timestamp, covers: Vec<u64>, is_last: bool) {
        let (chunks, received) = sync_channel(1);
        self.helpers.snapshot(SnapshotRequest { chunks: received, updated_at, covers: covers.clone(), is_last });
        self.snapshot.uncovered_since = None;
        self.snapshot.running = Some(Running { chunks, after: None, covers, mends: true });
    }

    fn end_snapshot(&mut self, result: &io::Result<SnapshotDone>) {
        let running = self.snapshot.running.take().expect("a result comes from a snapshot that was begun");
        self.snapshot.last_end = Instant::now();
        self.snapshot.last_failed = result.is_err();
        match result {
            Ok(done) => {
                self.snapshot.sum = Some(done.sum);
                self.snapshot.last_took = done.took;
                self.snapshot.is_noted = true;
                self.snapshot.has_segment = false;
                self.segments.retain(|segment| !running.covers.contains(segment) || done.left.contains(segment));
                if running.mends {
                    self.refusal = None;
                }
            }
            Err(error) => {
                self.snapshot.uncovered_since.get_or_insert_with(Instant::now);
                if error.kind() == io::ErrorKind::NotFound {
                    // The folder is gone, and the journal with it.
                    self.refusal.get_or_insert_with(|| refusal(error));
                }
            }
        }
    }
}

/// Gets the folder ready to be written to: the note of what the journal stands on, then its segment.
fn prepare(folder: &Folder, found: &recovery::Found, number: u64) -> io::Result<Journal> {
    folder.remove_unfinished()?;
    if !found.has_records {
        folder.write_sums(&[found.sum])?;
    }
    Journal::create(&folder.segment(number), number)
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Whether nothing can be made in the folder, be there room or not.
fn is_unusable(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem};
    matches!(error.kind(), NotFound | NotADirectory | PermissionDenied | ReadOnlyFilesystem)
}

fn refusal(error: &io::Error) -> String {
    format!("the data folder cannot be written to: {error}")
}
