//! Records of tests, and a journal beside a ledger as the owner of both drives them.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::super::{Bounds, Ledger, Page, Position, Query};
use super::device::Device;
use crate::disk::Failure;
use crate::job::{Attempt, JobId, Origin, RunRecord, Seen, Status, Trigger};
use crate::limits::HISTORY_BYTES_MIN;

pub(super) const BOUNDS: Bounds = Bounds { bytes: 4 * HISTORY_BYTES_MIN, age: Duration::from_hours(1) };

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

pub(super) fn id(text: &str) -> JobId {
    JobId::parse(text).expect("an id of a test is one")
}

pub(super) fn run_id(seq: u64) -> Uuid {
    Uuid::from_u128(u128::from(seq) + 1)
}

/// A run of job `j` that ended in the second of its number, well.
pub(super) fn record(seq: u64) -> RunRecord {
    let ended_at = at(i64::try_from(seq).expect("it is small"));
    RunRecord {
        seq,
        run_id: run_id(seq),
        job_id: id("j"),
        trigger: Trigger::Schedule,
        origin: Origin::default(),
        scheduled_at: ended_at,
        stretch: None,
        started_at: Some(ended_at),
        ended_at,
        lateness_us: Some(123),
        status: Status::Success,
        reason: "".into(),
        attempts: Vec::new(),
    }
}

pub(super) fn with_status(seq: u64, status: Status) -> RunRecord {
    RunRecord { status, ..record(seq) }
}

/// One that takes about so many bytes.
pub(super) fn large(seq: u64, bytes: usize) -> RunRecord {
    let seen = Seen { body: "x".repeat(bytes).into(), ..Seen::default() };
    let attempt = Attempt { number: 1, started_at: at(0), reason: "".into(), seen };
    RunRecord { attempts: vec![attempt], ..record(seq) }
}

pub(super) fn position(segment: u64, len: u64) -> Position {
    Position { segment, len }
}

/// All records, the newest first, in pages of `limit`.
pub(super) fn all(ledger: &Ledger, limit: usize) -> Vec<u64> {
    let mut query = Query { limit, ..Query::default() };
    let mut found = Vec::new();
    loop {
        let page = ledger.page(&query).expect("it can be read");
        found.extend(seqs(&page));
        let Some(next) = page.next else { return found };
        query.after = Some(next);
    }
}

pub(super) fn seqs(page: &Page) -> Vec<u64> {
    page.lines.iter().map(|line| seq(line)).collect()
}

pub(super) fn seq(line: &[u8]) -> u64 {
    serde_json::from_slice::<Value>(line).expect("JSON")["seq"].as_u64().expect("a number")
}

/// Hands records over and writes them, as if the journal were on the disk at once.
pub(super) fn write(ledger: &Ledger, records: impl IntoIterator<Item = RunRecord>, now: Timestamp) {
    ledger.push(records.into_iter().map(Arc::new), position(1, 1));
    ledger.write(position(1, 1), now).expect("there is room");
}

pub(super) fn open(device: &Device) -> Ledger {
    Ledger::open(device.mount(None), BOUNDS).expect("it can be read")
}

/// The journal: turns of records with the positions where they end, and up to where it is on the disk.
#[derive(Debug, Default)]
pub(super) struct Journal {
    turns: Vec<(Position, Vec<RunRecord>)>,
    end: Position,
    synced: Position,
    /// What stood in segments that are gone.
    gone: Vec<u64>,
}

impl Journal {
    /// A turn of the owner.
    pub(super) fn turn(&mut self, ledger: &Ledger, records: Vec<RunRecord>) {
        self.end.len += records.len() as u64;
        ledger.push(records.iter().cloned().map(Arc::new), self.end);
        self.turns.push((self.end, records));
    }

    pub(super) fn sync(&mut self, ledger: &Ledger, now: Timestamp) -> Result<(), Failure> {
        self.synced = self.end;
        ledger.write(self.synced, now)
    }

    /// A snapshot: what is in the segments before a new one goes, if the ledger has it.
    pub(super) fn snapshot(&mut self, ledger: &Ledger, now: Timestamp) -> Result<(), Failure> {
        self.end = position(self.end.segment + 1, 0);
        self.synced = self.end;
        ledger.settle(self.end.segment, now)?;
        self.gone.extend(self.turns.drain(..).flat_map(|(_, records)| records).map(|record| record.seq));
        Ok(())
    }

    /// What a power cut leaves of it.
    pub(super) fn lose_power(&mut self) {
        self.turns.retain(|(position, _)| *position <= self.synced);
    }

    /// Hands over what a start finds, which it puts on the disk.
    pub(super) fn replay(&mut self, ledger: &Ledger) {
        self.synced = self.end;
        self.turns.iter().flat_map(|(_, records)| records).for_each(|record| ledger.found(record.clone()));
    }

    /// What it holds and what was in its segments before, the newest first.
    pub(super) fn seqs(&self) -> Vec<u64> {
        let held = self.turns.iter().flat_map(|(_, records)| records).map(|record| record.seq);
        let mut seqs: Vec<_> = held.chain(self.gone.iter().copied()).collect();
        seqs.sort_unstable_by(|a, b| b.cmp(a));
        seqs
    }
}
