//! What a restart finds: `jobs.json`, and beside it the journal of what happened since.
//!
//! Every change is first a record in the journal. `jobs.json` is a snapshot that is written anew,
//! whole, soon after something changed; then the segments that it covers go. The owner of the
//! store never waits for the disk while the service runs: writes, fsyncs and snapshots are the
//! work of a thread each. [`Finished`] is the journal back from a write, and nothing new is
//! written before; [`DiskEvent`] tells of the others.

mod cutter;
mod directory;
mod folder;
mod helper;
mod history;
mod journal;
mod line;
mod load;
mod mistake;
mod open;
mod readers;
mod recovery;
mod replay;
mod segment;
mod snapshot;
mod snapshots;
#[cfg(test)]
pub(crate) mod tests;
mod writer;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use directory::Directory;
pub use helper::{DiskEvent, SnapshotDone};
pub use open::{Inspection, OpenError, Opened, inspect, replayed};
pub use recovery::ReadError;
pub use writer::Finished;

use crate::clock::Now;
use crate::disk::{DiskFile, Failure};
use crate::engine::{Engine, Record};
use crate::job::RunRecord;
use crate::ledger::Ledger;
pub use crate::ledger::Position;
use crate::limits::{Bites, ROOM_LOOK_MILLIS, SYNC_DELAY_MILLIS};
use folder::Folder;
use helper::{Helpers, SyncRequest};
use history::History;
use journal::Journal;
use snapshots::Snapshots;
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
    ledger: Arc<Ledger>,
    history: History,
    /// What the next record of a run is numbered with.
    next_seq: u64,
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

impl Store {
    /// Why the disk takes no change at present; `None` while all is well.
    pub fn refusal(&self) -> Option<&str> {
        self.refusal.as_ref().map(|refusal| refusal.reason.as_str())
    }

    /// Has the records of a turn written down, all or none, and then what waits for that: at once,
    /// where nothing can be written; it is known then what came of it.
    pub fn append(
        &mut self,
        mut records: Vec<Record>,
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
        for record in &mut records {
            if let Record::Run(run) = record {
                self.number(run);
            }
        }
        self.write(Task::Append(records, Box::new(then)), now);
        None
    }

    /// Hands runs that are over straight to the history, which takes them behind the last snapshot: that shows their
    /// jobs, and no fsync of the journal comes as far.
    pub fn push_runs(&mut self, mut runs: Vec<Arc<RunRecord>>) {
        for run in &mut runs {
            self.number(run);
        }
        // Behind a start on a full disk the present segment is not there.
        self.ledger.push(runs, Position { segment: self.end.segment, len: u64::MAX });
    }

    fn number(&mut self, run: &mut Arc<RunRecord>) {
        Arc::make_mut(run).seq = self.next_seq;
        self.next_seq += 1;
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
        self.hand_over_end();
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
        if let Written::Turn { records, result: Ok(()), .. } = &written {
            self.ledger.push(records.iter().filter_map(Record::run).cloned(), self.end);
        }
        Ok(written)
    }

    fn look_at_room(&mut self, result: io::Result<()>, now: Instant) -> Written {
        match result {
            Ok(()) => drop(self.refusal.take_if(|refusal| matches!(refusal.ends, End::Room { .. }))),
            Err(error) => drop(self.refuse(&error, End::Room { looked_at: now })),
        }
        Written::Room
    }

    fn write(&mut self, task: Task, now: Instant) {
        self.writing = Some(now);
        self.helpers.writer.order(self.journal.take(), task);
    }

    /// Room alone does not end the refusal of a folder that was gone meanwhile.
    fn refuse(&mut self, error: &io::Error, ends: End) -> String {
        let stays = self.refusal.take().filter(|refusal| matches!(refusal.ends, End::Snapshot));
        self.refusal.insert(stays.unwrap_or_else(|| Refusal::new(error, ends))).reason.clone()
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

    /// How long the present segment is.
    pub fn segment_bytes(&self) -> u64 {
        self.end.len
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
        now: Now,
    ) -> io::Result<Option<io::Result<SnapshotDone>>> {
        match event {
            DiskEvent::SyncFailed(error)
            | DiskEvent::Snapshot(Err(Failure::Sync(error)))
            | DiskEvent::History(Err(Failure::Sync(error))) => Err(error),
            DiskEvent::Synced { segment, len, .. } => {
                self.sync.is_running = false;
                self.sync.done = self.sync.done.max(Position { segment, len });
                if let Some(journal) = &mut self.journal {
                    note_synced(journal, self.sync.done);
                }
                self.write_history(now);
                Ok(None)
            }
            DiskEvent::History(result) => {
                self.history.ended(result);
                Ok(None)
            }
            DiskEvent::ChunkWanted => {
                self.hand_over_chunk(engine);
                Ok(None)
            }
            DiskEvent::Snapshot(result) => {
                let result = result.map_err(io::Error::from);
                self.end_snapshot(&result, now.steady);
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

impl Refusal {
    fn new(error: &io::Error, ends: End) -> Self {
        Self { reason: format!("the data folder cannot be written to: {error}"), ends }
    }
}
