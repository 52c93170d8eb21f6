//! All rules of scheduling: a state machine without a clock, without I/O, without logging. Time
//! comes in as an argument, so a seed replays a year in milliseconds.
//!
//! A turn of its owner goes like this:
//!
//! 1. [`Engine::ended`] for every attempt that came back, [`Engine::fire_due`] and
//!    [`Engine::dispatch`]: what happens without anybody's leave. It is done at once, and
//!    [`Engine::take_records`] says how things are now, and what is over.
//! 2. [`Engine::plan`] for every command, at most one for a job: a record of what it would
//!    change, or a refusal. Nothing has changed yet.
//! 3. The owner writes all records down. Where that works, it gives those of the commands to
//!    [`Engine::apply`]; where it does not, the commands are refused and have changed nothing,
//!    and what happened by itself is given to [`Engine::unwritten`].
//!
//! After a crash the same records go through the same [`Engine::apply`].

mod account;
mod attempt;
mod blocks;
mod calendar;
mod catch_up;
mod coming;
mod command;
mod event;
mod fire;
mod flight;
mod heap;
mod held_back;
mod outcome;
mod page;
mod plan;
mod record;
mod record_keeping;
mod recover;
mod table;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

pub use coming::{Coming, coming};
pub use command::{Command, Planned, Refusal, RunNow};
pub use event::{Event, EventKind, Missed};
pub use flight::{Start, Token, Turn};
pub use outcome::{Outcome, Verdict};
pub use page::{Filter, Kind, Page};
pub use plan::new_job;
pub use record::Record;

use crate::job::{Job, JobId, Phase, Progress, RunRecord};
use heap::DueHeap;
use held_back::HeldBack;
use table::{Entry, Place, Slot, Table, Unrecorded};

/// All jobs and what is going on with them.
#[derive(Debug)]
pub struct Engine {
    table: Table,
    /// The next due time of each job: its next fire or its next retry, whichever is earlier.
    due: DueHeap,
    /// Runs that wait for a worker, first come, first served.
    queue: BTreeMap<u64, (Slot, Uuid)>,
    queue_end: u64,
    /// Attempts on their way, those that were let go included: each holds a worker until it is back.
    flights: HashMap<Token, Slot>,
    /// Those that nobody waits for any more, since this was asked for.
    let_go: Vec<Token>,
    token_end: u64,
    workers: usize,
    /// How many jobs are enabled, so that nobody has to count a million of them.
    enabled: usize,
    /// Jobs that changed since the last records were taken, in the order in which they did.
    changed: Vec<Slot>,
    /// Jobs that were paused or resumed by themselves.
    switched: Vec<Slot>,
    /// Jobs whose records come bite by bite. Of these some have changed since, or are gone: their
    /// entries say so.
    late: VecDeque<Slot>,
    /// Jobs whose records could not be written.
    unwritten: BTreeSet<Slot>,
    /// What the recovery found, by job; it goes with the job's next record.
    found: HashMap<Slot, Vec<Event>>,
    found_at: Timestamp,
    /// Jobs of which instants passed while the service was down. What became of these is written down little by little
    /// where nothing else happens to them: it may be so of all.
    open: VecDeque<Slot>,
    open_due: Timestamp,
    /// What is over since the last records were taken, in the order in which it was.
    runs: Vec<Arc<RunRecord>>,
    held_back: HeldBack,
    /// Nothing is due before the recovery, which puts each job in its place once, however many records made it.
    is_loading: bool,
}

impl Engine {
    /// An engine without jobs that keeps at most `workers` attempts on their way.
    pub fn new(workers: usize) -> Self {
        Self {
            table: Table::default(),
            due: DueHeap::default(),
            queue: BTreeMap::new(),
            queue_end: 0,
            flights: HashMap::new(),
            let_go: Vec::new(),
            token_end: 0,
            workers,
            enabled: 0,
            changed: Vec::new(),
            switched: Vec::new(),
            late: VecDeque::new(),
            unwritten: BTreeSet::new(),
            found: HashMap::new(),
            found_at: Timestamp::UNIX_EPOCH,
            open: VecDeque::new(),
            open_due: Timestamp::UNIX_EPOCH,
            runs: Vec::new(),
            held_back: HeldBack::default(),
            is_loading: false,
        }
    }

    /// The same before a start: it takes records, and then [`Engine::recover`] makes it live.
    pub fn loading(workers: usize) -> Self {
        Self { is_loading: true, ..Self::new(workers) }
    }

    /// How many jobs there are.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is no job.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A job as it is now.
    pub fn job(&self, id: &JobId) -> Option<&Job> {
        self.table.get(id).map(|entry| &entry.job)
    }

    /// All jobs, by id.
    pub fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.table.jobs_after(None)
    }

    /// How many attempts are on their way.
    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// How many jobs are enabled. During a load none are.
    pub fn enabled(&self) -> usize {
        self.enabled
    }

    /// When the next thing is due, be that in the past or not; `None` where nothing is.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(due, _)| due)
    }

    /// Whether runs wait because every worker has an attempt.
    pub fn waits_for_worker(&self) -> bool {
        !self.queue.is_empty() && self.flights.len() >= self.workers
    }

    /// Whether something is to go into a record and has not yet. What [`Engine::recover`] only planned never is.
    pub fn has_unrecorded(&self) -> bool {
        !self.changed.is_empty() || !self.late.is_empty() || !self.unwritten.is_empty()
    }

    /// Attempts on their way that nobody waits for any more, since the last call: their runs were cancelled, or their
    /// jobs are gone.
    pub fn take_let_go(&mut self) -> Vec<Token> {
        std::mem::take(&mut self.let_go)
    }

    /// Jobs as they are that were paused or resumed by themselves since the last call: their schedule was over, or their
    /// pause.
    pub fn take_switched(&mut self) -> Vec<Job> {
        let switched = std::mem::take(&mut self.switched);
        switched.into_iter().filter_map(|slot| Some(self.table.find(slot)?.job.clone())).collect()
    }

    /// How many runs wait for a worker.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// When there is something to do next without anybody asking: `now` where there is already,
    /// `None` where there is nothing.
    pub fn next_wake(&self, now: Timestamp) -> Option<Timestamp> {
        if !self.changed.is_empty() || !self.late.is_empty() || self.can_dispatch() {
            return Some(now);
        }
        let open_due = Some(self.open_due).filter(|_| !self.open.is_empty() && self.unwritten.is_empty());
        self.next_due().into_iter().chain(open_due).min().map(|due| due.max(now))
    }

    /// Makes a record true. This is how a command takes effect and how a restart finds its way.
    /// Says whether the job was there before.
    pub fn apply(&mut self, record: Record) -> bool {
        match record {
            Record::Put(job) => {
                let (slot, was_there) = self.table.put(job);
                self.index(slot);
                was_there
            }
            Record::Progress { id, progress } => {
                let Some(slot) = self.table.slot(&id) else { return false };
                self.table.at_mut(slot).job.progress = *progress;
                self.index(slot);
                true
            }
            Record::Delete(id) => {
                let Some(slot) = self.table.slot(&id) else { return false };
                self.due.set(slot, None);
                self.table.at_mut(slot).job.progress.state.runs_going.clear();
                self.place_runs(slot);
                self.enabled -= usize::from(self.table.at(slot).is_counted);
                let unrecorded = self.table.at(slot).unrecorded;
                debug_assert!(unrecorded != Unrecorded::Changed, "records are taken before commands are applied");
                for event in self.found.remove(&slot).iter_mut().flatten() {
                    if let Some(run) = event.take_record(self.found_at) {
                        self.held_back.add_of_none(run.into());
                    }
                }
                self.held_back.let_go(slot);
                self.table.remove(&id);
                true
            }
            Record::Run(_) => false,
        }
    }

    /// Changes what has become of a job, and remembers to write it down.
    fn change<T>(&mut self, slot: Slot, change: impl FnOnce(&mut Job) -> T) -> T {
        let entry = self.table.at_mut(slot);
        let was_enabled = entry.job.progress.enabled;
        let result = change(&mut entry.job);
        if entry.job.progress.enabled != was_enabled {
            self.switched.push(slot);
        }
        if std::mem::replace(&mut entry.unrecorded, Unrecorded::Changed) != Unrecorded::Changed {
            self.changed.push(slot);
        }
        self.index(slot);
        result
    }

    /// The same where it may come to an outcome.
    fn change_told<T>(
        &mut self,
        slot: Slot,
        now: Timestamp,
        turn: &mut Turn,
        change: impl FnOnce(&mut Job, &mut Vec<Event>) -> T,
    ) -> T {
        let from = turn.events.len();
        let result = self.change(slot, |job| change(job, &mut turn.events));
        let ended = turn.events[from..].iter_mut().filter_map(|event| event.take_record(now));
        self.runs.extend(ended.map(Arc::new));
        result
    }

    /// Puts a job where its progress says that it belongs: into the heap, into the queue, among those that are counted
    /// as enabled.
    fn index(&mut self, slot: Slot) {
        if self.is_loading {
            return;
        }
        let entry = self.table.at_mut(slot);
        let is_enabled = entry.job.progress.enabled;
        self.enabled += usize::from(is_enabled);
        self.enabled -= usize::from(std::mem::replace(&mut entry.is_counted, is_enabled));
        let due = next_due(&entry.job.progress);
        let is_quiet = entry.places.is_empty() && entry.job.progress.state.runs_going.is_empty();
        self.due.set(slot, due);
        if !is_quiet {
            self.place_runs(slot);
        }
    }

    /// Puts each run of a job where its phase says that it belongs. An attempt whose run is gone is let go.
    fn place_runs(&mut self, slot: Slot) {
        let Self { table, queue, queue_end, let_go, .. } = self;
        let Entry { job, places, .. } = table.at_mut(slot);
        let runs = &job.progress.state.runs_going;
        // A run that takes the place of one that waited for a worker waits there: else a job that is replaced again and
        // again would never have its turn.
        let mut freed = BTreeSet::new();
        let phase_of = |id: Uuid| runs.iter().find(|run| run.id == id).map(|run| run.phase);
        places.retain(|(run, place)| match (place, phase_of(*run)) {
            (Place::Queue(_), Some(Phase::Queued)) | (Place::Flight(_), Some(Phase::InFlight)) => true,
            (Place::Queue(number), _) => {
                queue.remove(number);
                freed.insert(*number);
                false
            }
            (Place::Flight(token), _) => {
                let_go.push(*token);
                false
            }
        });
        for run in runs.iter().filter(|run| run.phase == Phase::Queued) {
            if places.iter().all(|(placed, _)| *placed != run.id) {
                let number = freed.pop_first().unwrap_or_else(|| {
                    *queue_end += 1;
                    *queue_end - 1
                });
                queue.insert(number, (slot, run.id));
                places.reserve_exact(1);
                places.push((run.id, Place::Queue(number)));
            }
        }
        if places.is_empty() {
            // Most jobs have no run most of the time.
            *places = Vec::new();
        }
    }

    fn can_dispatch(&self) -> bool {
        !self.queue.is_empty() && self.flights.len() < self.workers
    }
}

/// The earliest of a job's next fire, its runs' next attempts and the end of its pause.
fn next_due(progress: &Progress) -> Option<Timestamp> {
    let fire = progress.next_run_at.filter(|_| !progress.state.held);
    let retries = progress.state.runs_going.iter().filter_map(|run| match run.phase {
        Phase::Waiting { until } => Some(until),
        Phase::Behind | Phase::Queued | Phase::InFlight => None,
    });
    retries.chain(fire).chain(progress.paused_until).min()
}
