//! What has become of a job: all that changes while it lives.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::{Attempt, Origin, Overrides};
use crate::limits::CATCH_UP_FIRES_MAX;

/// Everything about a job that its definition does not hold. A journal record of it is absolute:
/// it replaces what was there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Whether it fires by its schedule; `false` is paused.
    pub enabled: bool,
    /// When it resumes by itself; only ever set while it is paused.
    pub paused_until: Option<Timestamp>,
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
    /// The first instant of the schedule that has passed, or will, without a run and has no record yet: because the job
    /// is paused, or because the service was down. So are all behind it up to the one that is planned.
    pub missed_from: Option<Timestamp>,
    /// How many runs the schedule has begun, where it is bounded by that.
    pub runs: u32,
    /// A `once` is due and waits for the end of a run that was going.
    pub held: bool,
    /// What is to be made up for.
    pub catch_up: Option<Box<CatchUp>>,
    /// The runs that are going, and one that may wait for their end. Several go only where they may overlap.
    pub runs_going: Vec<Run>,
}

/// Fires that were missed and are made up for, the oldest first, one at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CatchUp {
    /// One of each outage, in their order; never empty.
    pub spans: Vec<Span>,
}

/// The instants of a schedule between two of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first that is not made up for yet.
    pub next: Timestamp,
    /// The last.
    pub last: Timestamp,
    /// How many there are.
    pub left: u32,
}

impl CatchUp {
    /// The latest spans of a file, as far as they hold no more than is ever made up for; `None` where there are none.
    pub(super) fn latest_of(mut spans: Vec<Span>) -> Option<Self> {
        let mut room = CATCH_UP_FIRES_MAX;
        for span in spans.iter_mut().rev() {
            span.left = span.left.min(room);
            room -= span.left;
        }
        spans.retain(|span| span.left > 0);
        (!spans.is_empty()).then_some(Self { spans })
    }
}

impl State {
    /// The runs that go, without one that waits behind them.
    pub fn active(&self) -> impl Iterator<Item = &Run> {
        self.runs_going.iter().filter(|run| run.phase != Phase::Behind)
    }

    /// Whether a run goes.
    pub fn is_running(&self) -> bool {
        self.active().next().is_some()
    }
}

/// A run from its due time to the end of its last attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// One id for all attempts: a UUID v5 of job and instant for a planned fire, a v7 else.
    pub id: Uuid,
    /// What it was begun by.
    pub trigger: Trigger,
    /// The instant of the schedule that it is for; the moment of the request for a `run-now`.
    pub scheduled_at: Timestamp,
    /// When it was to begin, jitter included; lateness counts from here.
    pub due_at: Timestamp,
    /// When it began.
    pub began_at: Timestamp,
    /// When its first attempt began.
    pub started_at: Option<Timestamp>,
    /// When its present attempt began, or its last one.
    pub attempt_at: Option<Timestamp>,
    /// How many attempts have begun.
    pub attempts: u32,
    /// What came of those that have ended.
    pub tried: Vec<Attempt>,
    /// What it does now.
    pub phase: Phase,
    /// Who asked for it.
    pub origin: Origin,
    /// What it sends that its job does not say.
    pub overrides: Option<Arc<Overrides>>,
}

/// What a run was begun by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// An instant of the schedule.
    Schedule,
    /// A request.
    Manual,
    /// An instant of the schedule that was missed first.
    CatchUp,
}

/// What a run does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It waits for the end of the runs before it.
    Behind,
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
