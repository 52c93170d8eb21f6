//! What has become of a job: all that changes while it lives.

use std::fmt;

use jiff::Timestamp;
use uuid::Uuid;

/// Everything about a job that its definition does not hold. A journal record of it is absolute:
/// it replaces what was there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Whether it fires by its schedule; `false` is paused.
    pub enabled: bool,
    /// When the last finished run began.
    pub last_run_at: Option<Timestamp>,
    /// When it will fire, jitter included. Unset while it is paused and after a `once` fired.
    pub next_run_at: Option<Timestamp>,
    /// What came of the last fire, or what happened to the job since.
    pub last_status: Status,
    /// The cause where the last status is not a success, else empty.
    pub last_error: Box<str>,
    /// What must outlast a restart and is not shown on the wire.
    pub state: State,
}

/// The part of the progress that stands in files only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The moment of the creation or of the last change of the schedule. From here the grid of an
    /// `every` without `start_at` counts; a `once` without it is the older service's.
    pub anchor: Option<Timestamp>,
    /// The grid's instant behind `next_run_at`, where a jitter sets them apart.
    pub planned: Option<Timestamp>,
    /// The last instant of the schedule that was taken: fired, skipped or missed. Nothing at or
    /// before it is planned again, also after the clock stepped back.
    pub fired: Option<Timestamp>,
    /// How many runs the schedule has begun, where it is bounded by that.
    pub runs: u32,
    /// A `once` is due and waits for the end of a run that was going.
    pub held: bool,
    /// The run that is going.
    pub run: Option<Box<Run>>,
}

/// A run from its due time to the end of its last attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// One id for all attempts: a UUID v5 of job and instant for a planned fire, a v7 else.
    pub id: Uuid,
    /// The instant of the schedule that it is for; the moment of the request for a `run-now`.
    pub scheduled_at: Timestamp,
    /// When it was to begin, jitter included; lateness counts from here.
    pub due_at: Timestamp,
    /// When it began.
    pub began_at: Timestamp,
    /// When its first attempt began.
    pub started_at: Option<Timestamp>,
    /// How many attempts have begun.
    pub attempts: u32,
    /// What it does now.
    pub phase: Phase,
}

/// What a run does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It waits for a worker.
    Queued,
    /// An attempt is on its way to the target.
    InFlight,
    /// It waits for the time of its next attempt and holds no worker.
    Waiting {
        /// That time.
        until: Timestamp,
    },
}

/// What a job's `last_status` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// Nothing has happened yet.
    #[default]
    Unset,
    /// The last run was answered with 2xx.
    Success,
    /// The last run ended without a success.
    Failed,
    /// It failed, and its last attempt timed out.
    Timeout,
    /// A fire was due while a run was going.
    Skipped,
    /// The instant of a `once` passed while it could not run.
    Missed,
    /// The job was paused.
    Paused,
}

impl Status {
    /// Every status with its text on the wire.
    pub const ALL: [(Self, &str); 7] = [
        (Self::Unset, ""),
        (Self::Success, "success"),
        (Self::Failed, "failed"),
        (Self::Timeout, "timeout"),
        (Self::Skipped, "skipped"),
        (Self::Missed, "missed"),
        (Self::Paused, "paused"),
    ];

    /// The text on the wire.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(status, _)| *status == self).expect("ALL holds every status").1
    }

    /// The status with that text.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, name)| *name == text).map(|(status, _)| *status)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
