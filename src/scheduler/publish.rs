//! What those who listen are told, once it is written down.

use std::sync::Arc;

use jiff::Timestamp;

use crate::engine::{Command, Record, Start};
use crate::events::{Began, Events, Happening};
use crate::job::Job;

/// What becomes of a job by this command; nothing where it is about a run, which tells of itself.
pub(super) fn of(command: &Command) -> Option<fn(&Job) -> Happening> {
    match command {
        Command::Create { .. } => Some(|job| Happening::JobCreated(job.clone())),
        Command::Patch { .. } | Command::Pause { .. } | Command::Resume(_) => {
            Some(|job| Happening::JobChanged(job.clone()))
        }
        Command::Delete(_) => Some(|job| Happening::JobDeleted(job.spec.id.clone())),
        Command::RunNow { .. } | Command::Cancel(_) => None,
    }
}

/// Tells of the runs that are over.
pub(super) fn ended(events: &Events, records: &[Record]) {
    for run in records.iter().filter_map(Record::run) {
        events.publish(Happening::RunEnded(Arc::clone(run)));
    }
}

/// Tells of a run that gets its first attempt.
pub(super) fn start(events: &Events, start: &Start, now: Timestamp) {
    if start.attempt == 1 {
        events.publish(Happening::RunBegan(Began {
            run_id: start.run_id,
            job_id: start.spec.id.clone(),
            trigger: start.trigger,
            scheduled_at: start.scheduled_at,
            started_at: now,
            lateness_us: i64::try_from(start.lateness.as_micros()).unwrap_or(i64::MAX),
        }));
    }
}
