//! What the scheduler says in the log.

use std::io;
use std::time::{Duration, Instant};

use super::measure;
use crate::engine::{Event, EventKind, Start};
use crate::job::{Run, Status, Stretch, Trigger};
use crate::limits::{LATE_WARN_REST_SECS, WORKERS_BUSY_MILLIS};
use crate::metrics::Metrics;
use crate::store::SnapshotDone;

/// Tells what happened to a job, and counts it; `took` is how long the attempt behind it lasted.
pub(super) fn event(event: &Event, took: Option<Duration>, metrics: &Metrics) {
    measure::event(metrics, &event.kind);
    let spec = &event.spec;
    let (job_id, name) = (spec.id.as_str(), spec.name.as_ref());
    let latency_ms = took.map(millis);
    match &event.kind {
        EventKind::Ended { run, status: Status::Success, .. } => tracing::info!(
            job_id,
            name,
            run_id = %run.id,
            attempt = run.attempts,
            status = "success",
            latency_ms,
            scheduled_at = %run.scheduled_at,
            lateness_ms = lateness_ms(run),
            "run succeeded"
        ),
        EventKind::Ended { run, status, error } => tracing::warn!(
            job_id,
            name,
            run_id = %run.id,
            attempt = run.attempts,
            status = status.as_str(),
            latency_ms,
            scheduled_at = %run.scheduled_at,
            lateness_ms = lateness_ms(run),
            error = error.as_ref(),
            "run failed"
        ),
        EventKind::Retry { run, error, until } => tracing::warn!(
            job_id,
            name,
            run_id = %run.id,
            attempt = run.attempts,
            status = "retry",
            latency_ms,
            scheduled_at = %run.scheduled_at,
            retry_at = %until,
            error = error.as_ref(),
            "attempt failed"
        ),
        EventKind::Skipped { scheduled_at, why } => tracing::warn!(
            job_id,
            name,
            status = "skipped",
            scheduled_at = %scheduled_at,
            error = why,
            "fire skipped"
        ),
        EventKind::CatchUp { span } => tracing::warn!(
            job_id,
            name,
            status = "catch-up",
            scheduled_at = %span.next,
            last_scheduled_at = %span.last,
            fires = span.left,
            "fires missed: they are made up for"
        ),
        EventKind::Missed { scheduled_at, stretch: None, why } => tracing::warn!(
            job_id,
            name,
            status = "missed",
            scheduled_at = %scheduled_at,
            error = why.as_str(),
            "fire missed: its time passed while it could not run"
        ),
        EventKind::Missed { scheduled_at, stretch: Some(Stretch { last_scheduled_at, count }), why } => tracing::warn!(
            job_id,
            name,
            status = "missed",
            scheduled_at = %scheduled_at,
            last_scheduled_at = %last_scheduled_at,
            fires = count,
            error = why.as_str(),
            "fires missed: their times passed while it could not run"
        ),
    }
}

fn lateness_ms(run: &Run) -> Option<f64> {
    let lateness = run.started_at?.duration_since(run.due_at);
    Some(lateness.as_secs_f64() * 1_000.0)
}

/// As the log shows durations.
pub(super) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

/// Tells that the disk begins or ceases to refuse changes.
pub(super) fn refusal(refusal: Option<&str>) {
    if let Some(reason) = refusal {
        let consequence = "fires go on unrecorded, and a crash now may show them as missed";
        tracing::error!(reason, consequence, "changes are refused");
    } else {
        tracing::info!("changes are taken again, and what went unrecorded is written down");
    }
}

/// Tells of snapshots: of the first that fails, not of every try after it.
#[derive(Debug, Default)]
pub(super) struct SnapshotWatch {
    fails: bool,
}

impl SnapshotWatch {
    pub(super) fn failed(&mut self, error: &io::Error) {
        if std::mem::replace(&mut self.fails, true) {
            tracing::debug!(%error, "jobs.json could not be written again");
        } else {
            tracing::error!(%error, "jobs.json could not be written; it is tried again and again");
        }
    }

    pub(super) fn done(&mut self, done: &SnapshotDone, took: Duration) {
        if let Some(error) = &done.untidy {
            tracing::warn!(%error, "jobs.json is written, but what it made needless could not be removed");
        }
        if std::mem::take(&mut self.fails) {
            tracing::info!("jobs.json is written again");
        }
        tracing::debug!(took_ms = millis(took), "jobs.json written");
    }
}

/// Notices runs that wait for a worker.
#[derive(Debug, Default)]
pub(super) struct BusyWatch {
    since: Option<Instant>,
    told: bool,
}

impl BusyWatch {
    /// Says whether runs have waited for longer than a moment, and tells it once.
    pub(super) fn look(&mut self, is_waiting: bool, workers: usize, now: Instant) -> bool {
        if !is_waiting {
            *self = Self::default();
            return false;
        }
        self.since.get_or_insert(now);
        let is_busy = self.due().is_some_and(|due| due <= now);
        if is_busy && !self.told {
            self.told = true;
            tracing::warn!(workers, "all workers are busy and runs wait for one; raise WORKERS if that is not meant");
        }
        is_busy
    }

    /// When it is time to look again; `None` while nothing waits.
    pub(super) fn due(&self) -> Option<Instant> {
        self.since.map(|since| since + Duration::from_millis(WORKERS_BUSY_MILLIS))
    }

    /// When it is time to tell.
    pub(super) fn tell_due(&self) -> Option<Instant> {
        self.due().filter(|_| !self.told)
    }
}

/// Notices fires that come late.
#[derive(Debug)]
pub(super) struct LateWatch {
    bound: Duration,
    told_at: Option<Instant>,
    stalled_at: Option<Instant>,
}

impl LateWatch {
    pub(super) fn new(bound: Duration) -> Self {
        Self { bound, told_at: None, stalled_at: None }
    }

    /// The disk held the loop up.
    pub(super) fn disk_stalled(&mut self, now: Instant) {
        self.stalled_at = Some(now);
    }

    /// Looks at a run that gets its first attempt; tells of a late one at most once a minute.
    pub(super) fn started(&mut self, start: &Start, were_busy: bool, now: Instant) {
        let Ok(lateness) = Duration::try_from(start.lateness) else { return };
        let rest = Duration::from_secs(LATE_WARN_REST_SECS);
        // What is made up for is late by nature, and was told of.
        let is_first = start.attempt == 1 && start.trigger != Trigger::CatchUp;
        if !is_first || lateness <= self.bound || self.told_at.is_some_and(|told| now < told + rest) {
            return;
        }
        self.told_at = Some(now);
        let cause = if self.stalled_at.is_some_and(|stalled| now <= stalled + lateness) {
            "a write to the disk stalled"
        } else if were_busy {
            "all workers were busy"
        } else {
            "the scheduler's loop was late: the machine slept, was overloaded, or its clock stepped"
        };
        tracing::warn!(
            job_id = start.spec.id.as_str(),
            name = start.spec.name.as_ref(),
            run_id = %start.run_id,
            scheduled_at = %start.scheduled_at,
            lateness_ms = millis(lateness),
            cause,
            "a fire was late"
        );
    }
}
