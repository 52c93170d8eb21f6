//! Attempts on their way.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::job::{Job, Progress, Run, Span, Spec, Status, Trigger};

/// Names one attempt of this process, so that its end is never taken for another's: a deleted
/// job may come back under its id, and its planned runs under theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// One attempt that is to be made now.
#[derive(Clone, Debug)]
pub struct Start {
    /// Comes back with the outcome.
    pub token: Token,
    /// The definition as it is now; a PATCH during the run reaches the next attempt.
    pub spec: Arc<Spec>,
    /// The run's id, the same for all its attempts.
    pub run_id: Uuid,
    /// What the run was begun by.
    pub trigger: Trigger,
    /// 1, 2, …
    pub attempt: u32,
    /// The instant of the schedule that the run is for.
    pub scheduled_at: Timestamp,
    /// How much later than the run was due this attempt begins; of the first one, how late the
    /// run is. Below zero after a clock stepped back.
    pub lateness: SignedDuration,
}

/// What a turn decided that is worth telling people: the log's material.
#[derive(Clone, Debug)]
pub struct Event {
    /// The job.
    pub spec: Arc<Spec>,
    /// What happened.
    pub kind: EventKind,
}

/// What happened to a job without its client's doing.
#[derive(Clone, Debug)]
pub enum EventKind {
    /// An attempt failed and another will follow.
    Retry {
        /// The run as it was.
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
    /// An instant passed while the job could not run.
    Missed {
        /// The instant.
        scheduled_at: Timestamp,
    },
    /// Fires were missed and will be made up for.
    CatchUp {
        /// Their instants.
        span: Span,
    },
}

impl Event {
    pub(super) fn new(job: &Job, kind: EventKind) -> Self {
        Self { spec: Arc::clone(&job.spec), kind }
    }
}

/// What the engine decided in one turn.
#[derive(Debug, Default)]
pub struct Turn {
    /// Attempts to be made, once the records are written.
    pub starts: Vec<Start>,
    /// What is to be told.
    pub events: Vec<Event>,
}

impl Progress {
    /// The end of a run that is going, as its outcome says.
    pub(super) fn end_run(&mut self, id: Uuid, status: Status, error: &str) -> Option<Run> {
        let index = self.state.runs_going.iter().position(|run| run.id == id)?;
        let run = self.state.runs_going.remove(index);
        if self.state.runs_going.is_empty() {
            self.state.runs_going = Vec::new();
        }
        self.last_run_at = Some(run.began_at);
        self.last_status = status;
        self.last_error = error.into();
        Some(run)
    }
}
