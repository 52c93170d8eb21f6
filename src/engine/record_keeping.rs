//! What is to be written down: what happened by itself since the last turn, and what could not be written before.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::account::close_down;
use super::table::{Entry, Slot, Unrecorded};
use super::{Engine, Event, Record, Turn};
use crate::job::{Job, JobId, RunRecord};
use crate::limits::{OPEN_BITE, OPEN_REST_MILLIS};

impl Engine {
    /// What has changed since the last call by itself, one record a job, in the order of the changes, and what is over
    /// since then; then `bite` of what is late, because that may be all jobs: after a recovery, and when the disk takes
    /// records again.
    pub fn take_records(&mut self, bite: usize, now: Timestamp, turn: &mut Turn) -> Vec<Record> {
        let mut records = self.take_changed(bite, now, turn);
        if self.unwritten.is_empty() {
            records.extend(self.held_back.take_of_none().into_iter().map(Record::Run));
            self.take_open(now, turn, &mut records);
        }
        records
    }

    fn take_changed(&mut self, bite: usize, now: Timestamp, turn: &mut Turn) -> Vec<Record> {
        let mut records = Vec::with_capacity(self.changed.len() + self.runs.len());
        let mut changed = std::mem::take(&mut self.changed);
        for slot in changed.drain(..) {
            self.take_record(slot, now, turn, &mut records);
        }
        self.changed = changed;
        records.extend(self.runs.drain(..).map(Record::Run));
        for _ in 0..bite {
            let Some(slot) = self.late.pop_front() else { break };
            if self.table.find(slot).is_some_and(|entry| entry.unrecorded == Unrecorded::Late) {
                self.take_record(slot, now, turn, &mut records);
            }
        }
        if self.late.is_empty() {
            // It may have held all jobs.
            self.late = VecDeque::new();
        }
        records
    }

    /// A few of those that are open, and no more for some milliseconds.
    fn take_open(&mut self, now: Timestamp, turn: &mut Turn, records: &mut Vec<Record>) {
        let rest = SignedDuration::from_millis(OPEN_REST_MILLIS);
        // The clock may have stepped back.
        if self.open.is_empty() || (now < self.open_due && self.open_due.duration_since(now) <= rest) {
            return;
        }
        self.open_due = now.saturating_add(rest).unwrap_or(now);
        for _ in 0..OPEN_BITE {
            let Some(slot) = self.open.pop_front() else { break };
            let is_open = |entry: &Entry| entry.job.progress.enabled && entry.job.progress.state.missed_from.is_some();
            if self.table.find(slot).is_some_and(is_open) {
                self.take_record(slot, now, turn, records);
            }
        }
    }

    /// The same of what is over alone, each beside its job: at the end, when a snapshot shows all else. Empty where
    /// there is nothing.
    pub fn take_outcomes(&mut self, bite: usize, now: Timestamp, turn: &mut Turn) -> Vec<Record> {
        let mut records = self.take_changed(0, now, turn);
        records.extend(self.held_back.take_of_none().into_iter().map(Record::Run));
        let found: Vec<Slot> = self.found.keys().copied().take(bite).collect();
        for slot in found.into_iter().chain(self.held_back.jobs(bite)) {
            self.take_record(slot, now, turn, &mut records);
        }
        records
    }

    /// Whether outcomes wait for the next record of their job, which shows already that they are over.
    pub fn owes_outcomes(&self) -> bool {
        !self.found.is_empty() || !self.held_back.is_empty()
    }

    /// What is over and finds no room in the journal.
    pub fn take_held_back(&mut self) -> Vec<Arc<RunRecord>> {
        let mut found: Vec<Event> = std::mem::take(&mut self.found).into_values().flatten().collect();
        let found = found.iter_mut().filter_map(|event| event.take_record(self.found_at)).map(Arc::new);
        self.runs.drain(..).chain(self.held_back.take_all()).chain(found).collect()
    }

    /// Has the record of a job go with the next ones, where it was to come bite by bite: a change that follows would be
    /// found without what is over before it.
    pub fn hasten(&mut self, id: &JobId) {
        let Some(slot) = self.table.slot(id) else { return };
        let unrecorded = &mut self.table.at_mut(slot).unrecorded;
        if *unrecorded == Unrecorded::Late {
            *unrecorded = Unrecorded::Changed;
            self.changed.push(slot);
            self.unwritten.remove(&slot);
        }
    }

    /// Takes back records of [`Engine::take_records`] that could not be written. Of each job the
    /// record is made anew after [`Engine::write_again`], as the job is then.
    pub fn unwritten(&mut self, records: Vec<Record>) {
        for record in records {
            let slot = self.table.slot(record.id());
            match (record, slot) {
                (Record::Run(run), Some(slot)) => self.held_back.add(slot, [run]),
                (Record::Run(run), None) => self.held_back.add_of_none(run),
                (_, Some(slot)) => {
                    self.table.at_mut(slot).unrecorded = Unrecorded::Late;
                    self.unwritten.insert(slot);
                }
                (_, None) => {}
            }
        }
    }

    /// Whether there is something that could not be written.
    pub fn has_unwritten(&self) -> bool {
        !self.unwritten.is_empty() || self.held_back.has_any_of_none()
    }

    /// How many records of runs found no room in memory while the disk took none, since the last call.
    pub fn take_lost_runs(&mut self) -> u64 {
        self.held_back.take_lost()
    }

    /// Has everything written down that could not be before.
    pub fn write_again(&mut self) {
        self.late.extend(std::mem::take(&mut self.unwritten));
    }

    fn take_record(&mut self, slot: Slot, now: Timestamp, turn: &mut Turn, records: &mut Vec<Record>) {
        let entry = self.table.at_mut(slot);
        entry.unrecorded = Unrecorded::No;
        let mut found = if self.found.is_empty() { None } else { self.found.remove(&slot) }.unwrap_or_default();
        let mut closed = Vec::new();
        close_down(&mut entry.job, now, &mut closed);
        let Job { spec, progress } = &entry.job;
        records.push(Record::Progress { id: spec.id.clone(), progress: Box::new(progress.clone()) });
        records.extend(self.held_back.take(slot).into_iter().map(Record::Run));
        let found_at = self.found_at;
        let found_runs = found.iter_mut().filter_map(|event| event.take_record(found_at));
        let runs = found_runs.chain(closed.iter_mut().filter_map(|event| event.take_record(now)));
        records.extend(runs.map(|run| Record::Run(Arc::new(run))));
        turn.events.extend(found.into_iter().chain(closed));
    }
}
