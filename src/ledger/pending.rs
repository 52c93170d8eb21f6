//! Records that no segment holds yet: the journal does, and its fsync is not through.

use std::collections::BTreeMap;
use std::mem;
use std::ops::Bound;
use std::sync::Arc;

use super::Position;
use crate::job::{Attempt, RunRecord};
use crate::limits::LEDGER_PENDING_BYTES_MAX;

/// What waits, by number. Positions grow with the numbers.
#[derive(Debug, Default)]
pub(super) struct Pending {
    records: BTreeMap<u64, Waiting>,
    bytes: usize,
    /// Those up to this number are being written, and stay until that is over.
    writing: Option<u64>,
    lost: u64,
}

#[derive(Debug)]
struct Waiting {
    record: Arc<RunRecord>,
    position: Position,
    bytes: usize,
}

impl Pending {
    /// Adds one that a start has found, however many there are.
    pub(super) fn add_found(&mut self, record: Arc<RunRecord>) {
        self.insert(record, Position::default());
    }

    fn insert(&mut self, record: Arc<RunRecord>, position: Position) {
        let bytes = memory_bytes(&record);
        self.bytes += bytes;
        if let Some(before) = self.records.insert(record.seq, Waiting { record, position, bytes }) {
            self.bytes -= before.bytes;
        }
    }

    /// Gives up those that stand there in the journal.
    pub(super) fn give_up(&mut self, stands_there: impl Fn(Position) -> bool) {
        let gone = self.records.extract_if(.., |_, waiting| stands_there(waiting.position));
        let (count, bytes) = gone.fold((0, 0), |(count, bytes), (_, waiting)| (count + 1, bytes + waiting.bytes));
        self.lost += count;
        self.bytes -= bytes;
    }

    /// Adds one; gives how many had to go for it.
    pub(super) fn add(&mut self, record: Arc<RunRecord>, position: Position) -> u64 {
        self.insert(record, position);
        let mut dropped = 0;
        while self.bytes > LEDGER_PENDING_BYTES_MAX && self.drop_oldest() {
            dropped += 1;
        }
        self.lost += dropped;
        dropped
    }

    fn drop_oldest(&mut self) -> bool {
        let from = self.writing.map_or(Bound::Unbounded, Bound::Excluded);
        let oldest = self.records.range((from, Bound::Unbounded)).next().map(|(seq, _)| *seq);
        oldest.is_some_and(|seq| self.remove(seq))
    }

    /// The oldest of those that `is_due` says may be written, about so many bytes of them. They stay until they
    /// are removed.
    pub(super) fn begin(&mut self, is_due: impl Fn(Position) -> bool, bytes_max: usize) -> Vec<Arc<RunRecord>> {
        let mut bytes = 0;
        let due = self.records.values().take_while(|waiting| {
            let is_taken = bytes < bytes_max && is_due(waiting.position);
            bytes += waiting.bytes;
            is_taken
        });
        let records: Vec<_> = due.map(|waiting| Arc::clone(&waiting.record)).collect();
        self.writing = records.last().map(|record| record.seq);
        records
    }

    /// Nothing is being written any more.
    pub(super) fn end(&mut self) {
        self.writing = None;
    }

    pub(super) fn remove(&mut self, seq: u64) -> bool {
        let removed = self.records.remove(&seq);
        self.bytes -= removed.as_ref().map_or(0, |waiting| waiting.bytes);
        removed.is_some()
    }

    pub(super) fn holds(&self, seq: u64) -> bool {
        self.records.contains_key(&seq)
    }

    /// Where the oldest stands in the journal.
    pub(super) fn first_position(&self) -> Option<Position> {
        self.records.values().next().map(|waiting| waiting.position)
    }

    /// All of them, the oldest first.
    pub(super) fn records(&self) -> impl DoubleEndedIterator<Item = &Arc<RunRecord>> {
        self.records.values().map(|waiting| &waiting.record)
    }

    pub(super) fn count(&self) -> usize {
        self.records.len()
    }

    pub(super) fn count_lost(&mut self, count: u64) {
        self.lost += count;
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost
    }
}

/// About what a record takes in memory.
fn memory_bytes(record: &RunRecord) -> usize {
    let texts = record.attempts.iter().map(|attempt| attempt.reason.len() + attempt.seen.body.len()).sum::<usize>();
    let key = record.origin.key.as_ref().map_or(0, |key| key.len());
    mem::size_of::<RunRecord>()
        + mem::size_of::<Waiting>()
        + record.job_id.as_str().len()
        + record.reason.len()
        + key
        + record.attempts.capacity() * mem::size_of::<Attempt>()
        + texts
}
