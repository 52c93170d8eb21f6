//! A start: from a folder to a store that is ready, and looking at a folder without one.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::folder::{self, Folder};
use super::helper::{DiskEvent, Helpers};
use super::history::History;
use super::journal::Journal;
use super::recovery::{self, ReadError};
use super::snapshots::{Segment, Snapshots};
use super::{Directory, End, Position, Refusal, Store, Syncing};
use crate::clock::Now;
use crate::disk::{Disk, Failure, is_full};
use crate::engine::Record;
use crate::job::Defaults;
use crate::ledger::Ledger;
use crate::limits::{Bites, SNAPSHOT_PIECE_BYTES};

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
    ///
    /// # Errors
    ///
    /// Why the folder cannot be used.
    pub fn open(
        disk: Arc<dyn Disk>,
        ledger: Arc<Ledger>,
        defaults: &Defaults,
        bites: Bites,
        now: Now,
        mut apply: impl FnMut(Record) -> bool,
    ) -> Result<Opened, OpenError> {
        let folder = Folder::new(disk);
        let failed = |error| OpenError::Io(folder.path(), error);
        let take = |record: Record| match record {
            Record::Run(run) => {
                ledger.found(Arc::unwrap_or_clone(run));
                true
            }
            record => apply(record),
        };
        let mut found = recovery::read(&folder, defaults, bites.piece_bytes, take).map_err(OpenError::Read)?;
        let cut = found.cut.as_ref().map(|cut| {
            let path = folder.segment_path(cut.segment);
            format!("{} bytes from byte {} of {} on ({})", cut.bytes, cut.from, path.display(), cut.reason)
        });
        recovery::cut(&folder, &mut found).map_err(failed)?;
        recovery::sync(&folder, &found).map_err(failed)?;
        let number = found.segments.last().map_or(1, |last| last + 1);
        // Segments that only the history needs go once it has what they hold.
        let is_settled = settle(&ledger, now)?;
        let journal = prepare(&folder, &mut found, number, is_settled);
        let (journal, refusal) = match journal {
            Ok(journal) => (Some(journal), None),
            Err(error) if is_full(&error) => (None, Some(Refusal::new(&error, End::Room { looked_at: now.steady }))),
            Err(error) => return Err(failed(error)),
        };
        let path = folder.path();
        let folder = Arc::new(folder);
        let (helpers, events) =
            Helpers::start(&folder, &ledger, found.basis).map_err(|error| OpenError::Io(path, error))?;
        let is_uncovered = found.basis.sum.is_none() || found.has_records || refusal.is_some();
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
            sync: Syncing {
                is_running: false,
                before: Vec::new(),
                is_new: true,
                done: begin,
                last_request: now.steady,
            },
            snapshot: Snapshots {
                running: None,
                is_beginning: false,
                basis: found.basis,
                is_noted: journal.is_some(),
                segment: Segment::Covered,
                uncovered_since: is_uncovered.then_some(now.steady),
                last_end: now.steady,
                last_took: Duration::ZERO,
                last_failed: false,
            },
            next_seq: ledger.next_seq(),
            ledger,
            history: History::new(now.steady),
            journal,
            refusal,
            bites,
            helpers,
        };
        Ok(Opened { store, events, replayed: found.replayed, cut })
    }
}

/// Has the history take over what it lacks. Where there is no room for that now, it waits in memory.
fn settle(ledger: &Ledger, now: Now) -> Result<bool, OpenError> {
    match ledger.settle(u64::MAX, now.wall) {
        Ok(()) => Ok(true),
        Err(Failure::Other(error)) => {
            tracing::error!(%error, "the history of runs cannot be written; it is tried again");
            Ok(false)
        }
        Err(Failure::Sync(error)) => Err(OpenError::Io(ledger.path(), error)),
    }
}

/// Gets the folder ready to be written to: the note of what the journal stands on, then its
/// segment. Segments in which nothing stands go, or a service that is started again and again
/// would fill the folder with them.
fn prepare(folder: &Folder, found: &mut recovery::Found, number: u64, is_settled: bool) -> io::Result<Journal> {
    folder.remove_unfinished()?;
    if !found.has_records {
        // The note must not name a content before its file has its name for sure.
        folder.sync()?;
        found.basis.from = number;
        folder.write_note(&[found.basis])?;
        if is_settled {
            for segment in found.segments.drain(..) {
                folder.remove_segment(segment)?;
            }
            found.last_len = None;
        }
    }
    Ok(Journal::new(folder.create_segment(number)?, number, found.last_len))
}
