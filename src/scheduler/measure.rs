//! What the scheduler counts and measures.

use std::io;
use std::time::Duration;

use super::Scheduler;
use crate::engine::{EventKind, Start, Verdict};
use crate::executor::Report;
use crate::job::{Status, Trigger};
use crate::metrics::Metrics;
use crate::store::{DiskEvent, SnapshotDone};

/// Counts a run that ended, or a fire that came to none.
pub(super) fn event(metrics: &Metrics, kind: &EventKind) {
    let runs = &metrics.runs;
    match kind {
        EventKind::Ended { status: Status::Success, .. } => runs.success.add(),
        EventKind::Ended { status: Status::Timeout, .. } => runs.timeout.add(),
        EventKind::Ended { .. } => runs.failed.add(),
        EventKind::Skipped { .. } => runs.skipped.add(),
        EventKind::Missed { stretch, .. } => runs.missed.add_count(stretch.map_or(1, |stretch| stretch.count)),
        // Neither is the end of anything.
        EventKind::Retry { .. } | EventKind::CatchUp { .. } => {}
    }
}

/// Counts an attempt that is back.
pub(super) fn attempt(metrics: &Metrics, report: &Report, was_awaited: bool) {
    let attempts = &metrics.attempts;
    if !was_awaited {
        // How long it took is the doing of whoever cancelled it.
        attempts.cancelled.add();
        return;
    }
    match report.outcome.verdict {
        Verdict::Success => attempts.success.add(),
        Verdict::TimedOut => attempts.timeout.add(),
        Verdict::Retryable | Verdict::Final => attempts.failed.add(),
    }
    metrics.attempt_duration.add(report.took);
}

/// Measures how late a run is that gets its first attempt. What is made up for is late by nature.
pub(super) fn start(metrics: &Metrics, start: &Start) {
    if start.attempt == 1 && start.trigger != Trigger::CatchUp {
        // It is below zero where the clock stepped back meanwhile.
        metrics.lateness.add(Duration::try_from(start.lateness).unwrap_or_default());
    }
}

/// Measures a write; one that took no time wrote nothing.
pub(super) fn write(metrics: &Metrics, took: Duration) {
    if !took.is_zero() {
        metrics.store.write_duration.add(took);
    }
}

/// Measures an fsync.
pub(super) fn disk(metrics: &Metrics, event: &DiskEvent) {
    if let DiskEvent::Synced { took, .. } = event {
        metrics.store.fsync_duration.add(*took);
    }
}

impl Scheduler {
    /// Says how things are now.
    pub(super) fn measure(&self) {
        let (metrics, engine) = (&self.parts.metrics, self.parts.engine.read());
        metrics.jobs.set_count(engine.len());
        metrics.jobs_enabled.set_count(engine.enabled());
        metrics.runs_queued.set_count(engine.queued());
        metrics.attempts_in_flight.set_count(engine.in_flight());
        metrics.next_due.set(engine.next_due());
        drop(engine);
        metrics.store.segment_bytes.set(self.parts.store.segment_bytes());
    }

    pub(super) fn snapshot_done(&mut self, done: &SnapshotDone) {
        let took = self.parts.store.last_snapshot_took();
        self.parts.metrics.store.snapshot_duration.add(took);
        self.parts.metrics.store.snapshot_at.set(Some(self.parts.clock.now().wall));
        self.snapshots.done(done, took);
    }

    pub(super) fn snapshot_failed(&mut self, error: &io::Error) {
        self.parts.metrics.store.snapshots_failed.add();
        self.snapshots.failed(error);
    }
}
