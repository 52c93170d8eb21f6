//! What happened to jobs: the log's material, and what the ledger keeps of it.

use std::sync::Arc;

use jiff::Timestamp;

use super::calendar::run_id;
use crate::job::{Job, Origin, Run, RunRecord, Span, Spec, Status, Stretch, Trigger};

/// What a turn decided that is worth telling people.
#[derive(Clone, Debug)]
pub struct Event {
    /// The job.
    pub spec: Arc<Spec>,
    /// What happened.
    pub kind: EventKind,
}

/// What happened to a job.
#[derive(Clone, Debug)]
pub enum EventKind {
    /// An attempt failed and another will follow.
    Retry {
        /// The run as it was, without what was tried.
        run: Run,
        /// Why.
        error: Box<str>,
        /// When the next attempt is due.
        until: Timestamp,
    },
    /// A run has ended.
    Ended {
        /// The run as it was.
        run: Run,
        /// What came of it.
        status: Status,
        /// Why, where it is no success.
        error: Box<str>,
    },
    /// A fire was due while a run was going, or one that waited for its end was given up.
    Skipped {
        /// The instant of the schedule.
        scheduled_at: Timestamp,
        /// Why, in words that go on with "at" and the instant.
        why: &'static str,
    },
    /// Instants passed without a run.
    Missed {
        /// The first.
        scheduled_at: Timestamp,
        /// All of them, where they are several.
        stretch: Option<Stretch>,
        /// Why.
        why: Missed,
    },
    /// Fires were missed and will be made up for.
    CatchUp {
        /// Their instants.
        span: Span,
    },
}

/// Why instants passed without a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// The job was paused.
    Paused,
    /// The service was not running.
    Down,
    /// The loop came so late that a later one was due as well.
    Late,
    /// They are older than what the job has made up for.
    TooOld,
    /// Others are made up for in their place.
    Others,
    /// The schedule was changed before their turn.
    Changed,
    /// The job was deleted before their turn.
    Deleted,
    /// The last run of `max_runs` began before their turn.
    UsedUp,
    /// A run was asked for in the same moment, and the next one is counted from its end.
    Asked,
}

impl Missed {
    /// The reason, for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Paused => "the job was paused",
            Self::Down => "the service was not running",
            Self::Late => "the service came too late: the machine slept, was overloaded, or its clock stepped",
            Self::TooOld => "it was older than what the job has made up for",
            Self::Others => "the job has only later ones made up for",
            Self::Changed => "the schedule was changed before its turn",
            Self::Deleted => "the job was deleted before its turn",
            Self::UsedUp => "the last run of max_runs began before its turn",
            Self::Asked => "a run was asked for before its turn, and the next fire counts from its end",
        }
    }
}

impl Event {
    pub(super) fn new(job: &Job, kind: EventKind) -> Self {
        Self { spec: Arc::clone(&job.spec), kind }
    }

    /// One instant passed without a run.
    pub(super) fn missed(job: &Job, scheduled_at: Timestamp, why: Missed) -> Self {
        Self::new(job, EventKind::Missed { scheduled_at, stretch: None, why })
    }

    /// What the ledger keeps of it, at `now`; `None` of what is no outcome. What was tried is in the record from then on.
    pub fn take_record(&mut self, now: Timestamp) -> Option<RunRecord> {
        let job = &self.spec.id;
        let none = |scheduled_at: Timestamp, status: Status, reason: String| RunRecord {
            seq: 0,
            run_id: run_id(job, scheduled_at),
            job_id: job.clone(),
            trigger: Trigger::Schedule,
            origin: Origin::default(),
            scheduled_at,
            stretch: None,
            started_at: None,
            ended_at: now,
            lateness_us: None,
            status,
            reason: reason.into(),
            attempts: Vec::new(),
        };
        match &mut self.kind {
            EventKind::Ended { run, status, error } => {
                let lateness = run.started_at.map(|started_at| started_at.duration_since(run.due_at));
                Some(RunRecord {
                    run_id: run.id,
                    trigger: run.trigger,
                    origin: std::mem::take(&mut run.origin),
                    started_at: run.started_at,
                    lateness_us: lateness.map(|late| i64::try_from(late.as_micros()).unwrap_or(i64::MAX)),
                    attempts: std::mem::take(&mut run.tried),
                    ..none(run.scheduled_at, *status, error.to_string())
                })
            }
            EventKind::Skipped { scheduled_at, why } => Some(none(*scheduled_at, Status::Skipped, (*why).to_owned())),
            EventKind::Missed { scheduled_at, stretch, why } => {
                Some(RunRecord { stretch: *stretch, ..none(*scheduled_at, Status::Missed, why.as_str().to_owned()) })
            }
            EventKind::Retry { .. } | EventKind::CatchUp { .. } => None,
        }
    }
}
