//! What can happen, and how it is shown.

use std::sync::Arc;

use jiff::Timestamp;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::job::{Attempt, Job, JobId, RunRecord, Shown, Trigger};

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Happening {
    /// There is a new job.
    JobCreated(Job),
    /// A client changed, paused or resumed a job, which is like this now.
    JobChanged(Job),
    /// A job is gone.
    JobDeleted(JobId),
    /// A run got its first attempt.
    RunBegan(Began),
    /// A run ended, or it is certain that it will never begin.
    RunEnded(Arc<RunRecord>),
}

/// A run that has just begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Began {
    /// The run's.
    pub run_id: Uuid,
    /// The job's.
    pub job_id: JobId,
    /// What it was begun by.
    pub trigger: Trigger,
    /// The instant of the schedule; of a manual run the moment of the request.
    pub scheduled_at: Timestamp,
    /// When the first attempt began.
    pub started_at: Timestamp,
    /// From the due time to the first attempt, in microseconds; below zero after a clock stepped back.
    pub lateness_us: i64,
}

/// What a job takes beside its texts, about.
const JOB_BYTES: usize = 1_024;
/// What a record takes beside its attempts, and an attempt beside its texts, about.
const RECORD_BYTES: usize = 384;

impl Happening {
    /// The job that it is about.
    pub fn job_id(&self) -> &JobId {
        match self {
            Self::JobCreated(job) | Self::JobChanged(job) => &job.spec.id,
            Self::JobDeleted(id) => id,
            Self::RunBegan(began) => &began.job_id,
            Self::RunEnded(record) => &record.job_id,
        }
    }

    /// What kind of event it is, on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Self::JobCreated(_) => "job.created",
            Self::JobChanged(_) => "job.changed",
            Self::JobDeleted(_) => "job.deleted",
            Self::RunBegan(_) => "run.began",
            Self::RunEnded(_) => "run.ended",
        }
    }

    /// How much memory it takes, about. A job shares its definition with its owner, but may be the last that holds it.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::JobCreated(job) | Self::JobChanged(job) => {
                let http = &job.spec.http;
                let headers = http.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
                let going = job.progress.state.runs_going.iter().filter_map(|run| run.overrides.as_ref());
                let overrides = going.map(|overrides| overrides.bytes()).sum::<usize>();
                JOB_BYTES + http.url.len() + http.body.len() + headers + overrides + job.progress.last_error.len()
            }
            Self::JobDeleted(_) | Self::RunBegan(_) => RECORD_BYTES,
            Self::RunEnded(record) => {
                let of_attempt = |attempt: &Attempt| attempt.reason.len() + attempt.seen.body.len();
                let attempts = record.attempts.iter().map(|attempt| RECORD_BYTES + of_attempt(attempt));
                RECORD_BYTES + record.reason.len() + attempts.sum::<usize>()
            }
        }
    }
}

/// Its data, on one line.
impl Serialize for Happening {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::JobCreated(job) | Self::JobChanged(job) => Shown(job).serialize(serializer),
            Self::JobDeleted(id) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("id", id)?;
                map.end()
            }
            Self::RunBegan(began) => began.serialize(serializer),
            Self::RunEnded(record) => record.serialize(serializer),
        }
    }
}

/// The keys are those of a record.
impl Serialize for Began {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { run_id, job_id, trigger, scheduled_at, started_at, lateness_us } = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("run_id", &format_args!("{run_id}"))?;
        map.serialize_entry("job_id", job_id)?;
        map.serialize_entry("trigger", trigger.as_str())?;
        map.serialize_entry("scheduled_at", &format_args!("{scheduled_at}"))?;
        map.serialize_entry("started_at", &format_args!("{started_at}"))?;
        map.serialize_entry("lateness_ms", &millis(*lateness_us))?;
        map.end()
    }
}

#[expect(clippy::cast_precision_loss, reason = "no run is late by 285 years")]
fn millis(micros: i64) -> f64 {
    micros as f64 / 1_000.0
}
