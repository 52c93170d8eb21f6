//! What came of each due time, as the model has it: one record each, made where the outcome arises.

use std::ops::{Deref, DerefMut};

use jiff::Timestamp;
use ksana::job::{Job, Origin, Run, RunRecord, Status, Stretch, Trigger};

use crate::rules::run_id;

pub(crate) const PAUSED: &str = "the job was paused";
pub(crate) const ASKED: &str = "a run was asked for before its turn, and the next fire counts from its end";
pub(crate) const DOWN: &str = "the service was not running";
pub(crate) const LATE: &str = "the service came too late: the machine slept, was overloaded, or its clock stepped";
pub(crate) const TOO_OLD: &str = "it was older than what the job has made up for";
pub(crate) const OTHERS: &str = "the job has only later ones made up for";
pub(crate) const CHANGED: &str = "the schedule was changed before its turn";
pub(crate) const DELETED: &str = "the job was deleted before its turn";
pub(crate) const USED_UP: &str = "the last run of max_runs began before its turn";

/// A job, and what came of its due times since somebody asked.
#[derive(Clone, Debug)]
pub(crate) struct Tracked {
    job: Job,
    outcomes: Vec<RunRecord>,
}

impl Tracked {
    pub(crate) fn new(job: Job) -> Self {
        Self { job, outcomes: Vec::new() }
    }

    /// The outcomes since the last call, at `now`.
    pub(crate) fn take_outcomes(&mut self, now: Timestamp) -> Vec<RunRecord> {
        let outcomes = std::mem::take(&mut self.outcomes);
        outcomes.into_iter().map(|outcome| RunRecord { ended_at: now, ..outcome }).collect()
    }

    pub(crate) fn into_parts(mut self, now: Timestamp) -> (Job, Vec<RunRecord>) {
        let outcomes = self.take_outcomes(now);
        (self.job, outcomes)
    }

    /// What `change` comes to stands before the outcomes that are there.
    pub(crate) fn before_others(&mut self, change: impl FnOnce(&mut Self)) {
        let others = std::mem::take(&mut self.outcomes);
        change(self);
        self.outcomes.extend(others);
    }

    /// A run is over.
    pub(crate) fn ended(&mut self, run: &Run, status: Status, reason: &str) {
        let lateness = run.started_at.map(|started_at| started_at.duration_since(run.due_at));
        let none = self.none(run.scheduled_at, status, reason);
        self.outcomes.push(RunRecord {
            run_id: run.id,
            trigger: run.trigger,
            origin: run.origin.clone(),
            started_at: run.started_at,
            lateness_us: lateness.map(|late| i64::try_from(late.as_micros()).expect("a simulation is short")),
            attempts: run.tried.clone(),
            ..none
        });
    }

    /// A fire met a run.
    pub(crate) fn skipped(&mut self, instant: Timestamp, why: &str) {
        let skipped = self.none(instant, Status::Skipped, why);
        self.outcomes.push(skipped);
    }

    /// These passed without a run, all for one reason.
    pub(crate) fn passed(&mut self, instants: Option<Passed>, why: &str) {
        let Some(Passed { first, last, count }) = instants else { return };
        let stretch = (count > 1).then_some(Stretch { last_scheduled_at: last, count });
        let missed = RunRecord { stretch, ..self.none(first, Status::Missed, why) };
        self.outcomes.push(missed);
    }

    fn none(&self, instant: Timestamp, status: Status, reason: &str) -> RunRecord {
        RunRecord {
            seq: 0,
            run_id: run_id(&self.job, instant),
            job_id: self.job.spec.id.clone(),
            trigger: Trigger::Schedule,
            origin: Origin::default(),
            scheduled_at: instant,
            stretch: None,
            started_at: None,
            ended_at: Timestamp::default(),
            lateness_us: None,
            status,
            reason: reason.into(),
            attempts: Vec::new(),
        }
    }
}

impl Deref for Tracked {
    type Target = Job;

    fn deref(&self) -> &Job {
        &self.job
    }
}

impl DerefMut for Tracked {
    fn deref_mut(&mut self) -> &mut Job {
        &mut self.job
    }
}

/// Instants that passed one behind the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passed {
    first: Timestamp,
    pub(crate) last: Timestamp,
    count: u64,
}

impl Passed {
    /// All of them, where there are any.
    pub(crate) fn all(instants: impl IntoIterator<Item = Timestamp>) -> Option<Self> {
        let mut instants = instants.into_iter();
        let first = instants.next()?;
        let one = Self { first, last: first, count: 1 };
        Some(instants.fold(one, |passed, last| Self { last, count: passed.count + 1, ..passed }))
    }
}
