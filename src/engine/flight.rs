//! Attempts on their way.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::Event;
use crate::job::{Progress, Run, Spec, Status, Trigger};

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
    /// The run that this one repeats.
    pub replay_of: Option<Uuid>,
    /// How much later than the run was due this attempt begins; of the first one, how late the
    /// run is. Below zero after a clock stepped back.
    pub lateness: SignedDuration,
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
