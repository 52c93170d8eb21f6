//! The history of runs: a record of each that has ended, in files of JSON lines, bounded in size and age.
//!
//! A record is first in the journal, and waits in memory. Once the journal is on the disk up to it, it is appended to a
//! segment; before segments of the journal go, those of the history are fsynced. So every record that a start finds in
//! the journal is either there already or written then, and each stands in the history once. Nobody who only hands over
//! or asks waits for a disk that somebody else writes to.

mod index;
mod line;
mod open;
mod pending;
mod query;
mod read;
mod segment;
mod tail;
#[cfg(test)]
mod tests;
mod write;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use query::{Page, Query};
pub use read::Reader;

use crate::disk::Disk;
use crate::job::RunRecord;
use open::Known;
use pending::Pending;
use segment::{Both, Segment, Stream};
use write::Files;

/// The folder in a data folder where it lies.
pub const FOLDER: &str = "runs";

/// Where a turn ends in the journal; ordered as they were written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The number of the journal's segment.
    pub segment: u64,
    /// The end of the turn in it.
    pub len: u64,
}

/// How much history is kept.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// All files together.
    pub bytes: u64,
    /// What went its way; failures are kept longer.
    pub age: Duration,
}

/// What there is, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// The size of all files.
    pub bytes: u64,
    /// Records that wait to be written.
    pub pending: usize,
    /// Records that were given up because too many waited, since the start.
    pub lost: u64,
}

/// The history of one data folder.
#[derive(Debug)]
pub struct Ledger {
    disk: Arc<dyn Disk>,
    bounds: Bounds,
    /// Held for moments only, and by nobody who waits for the disk.
    state: Mutex<State>,
    /// Taken before the other where both are.
    files: Mutex<Files>,
}

/// What all see. A record waits here or is in a segment's length, never both.
#[derive(Debug)]
struct State {
    pending: Pending,
    segments: Both<Vec<Segment>>,
    known: Both<Option<Known>>,
    next_seq: u64,
    /// Records are being given up, and it has been told.
    is_losing: bool,
}

impl State {
    fn bytes_of(&self, stream: Stream) -> u64 {
        self.segments[stream as usize].iter().map(|segment| segment.len).sum()
    }

    fn bytes(&self) -> u64 {
        Stream::ALL.into_iter().map(|stream| self.bytes_of(stream)).sum()
    }

    fn add(&mut self, record: Arc<RunRecord>, position: Position) {
        self.next_seq = self.next_seq.max(record.seq + 1);
        let dropped = self.pending.add(record, position);
        if dropped > 0 && !self.is_losing {
            self.is_losing = true;
            tracing::error!("the history cannot be written and too many records wait for it; the oldest are given up");
        }
    }
}

impl Ledger {
    /// At the start, takes a record of the journal. One that is in the files already is passed over.
    pub fn found(&self, record: RunRecord) {
        let mut state = self.state();
        let known = &state.known[Stream::of(record.status) as usize];
        let is_there = known.as_ref().is_some_and(|known| known.holds(record.seq)) || state.pending.holds(record.seq);
        state.next_seq = state.next_seq.max(record.seq + 1);
        if !is_there {
            // Of these there may be many, and the start has them written at once.
            state.pending.add_found(Arc::new(record));
        }
    }

    /// Where it lies, for people.
    pub fn path(&self) -> PathBuf {
        self.disk.path("")
    }

    /// The number of the next record: above all that were ever seen.
    pub fn next_seq(&self) -> u64 {
        self.state().next_seq
    }

    /// Takes the records of a turn that ends there in the journal. Their numbers are above all before.
    pub fn push(&self, records: impl IntoIterator<Item = Arc<RunRecord>>, position: Position) {
        let mut state = self.state();
        records.into_iter().for_each(|record| state.add(record, position));
    }

    /// Whether something waits that stands in the journal up to there.
    pub fn waits(&self, upto: Position) -> bool {
        self.state().pending.first_position().is_some_and(|first| first <= upto)
    }

    /// What there is, in numbers.
    pub fn figures(&self) -> Figures {
        let state = self.state();
        Figures { bytes: state.bytes(), pending: state.pending.count(), lost: state.pending.lost() }
    }

    /// Gives up what stands in segments of the journal before this one, which have to go.
    pub fn give_up(&self, before_segment: u64) {
        self.state().pending.give_up(|position| position.segment < before_segment);
    }

    /// So many found no room in memory before they came here.
    pub fn count_lost(&self, count: u64) {
        self.state().pending.count_lost(count);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
