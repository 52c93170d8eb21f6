//! What a client may ask of the engine, and what it may answer.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::{Event, Record};
use crate::job::{Invalid, Job, JobId, Origin, Overrides, Patch, Spec};

/// A change that a client asks for.
#[derive(Debug)]
pub enum Command {
    /// `POST /jobs`.
    Create {
        /// The new job.
        spec: Arc<Spec>,
        /// `false` creates it paused.
        enabled: bool,
    },
    /// `PATCH /jobs/{id}`.
    Patch {
        /// Which job.
        id: JobId,
        /// What is to change.
        patch: Box<Patch>,
    },
    /// `DELETE /jobs/{id}`.
    Delete(JobId),
    /// `POST /jobs/{id}/run-now`.
    RunNow {
        /// Which job.
        id: JobId,
        /// How.
        asked: RunNow,
    },
    /// `POST /jobs/{id}/pause`.
    Pause {
        /// Which job.
        id: JobId,
        /// When it resumes by itself.
        until: Option<Timestamp>,
    },
    /// `POST /jobs/{id}/resume`.
    Resume(JobId),
    /// `POST /jobs/{id}/cancel`.
    Cancel(JobId),
}

/// A run that is asked for.
#[derive(Clone, Debug, Default)]
pub struct RunNow {
    /// The id that the run will bear, a UUID v7; handed in, because it holds the time.
    pub run_id: Uuid,
    /// The instant that it is for, where it is a repetition; else it is for the moment of the request.
    pub scheduled_at: Option<Timestamp>,
    /// What it sends that its job does not say.
    pub overrides: Option<Arc<Overrides>>,
    /// Who asks for it.
    pub origin: Origin,
}

impl Command {
    /// The job that it is about.
    pub fn id(&self) -> &JobId {
        match self {
            Self::Create { spec, .. } => &spec.id,
            Self::Patch { id, .. }
            | Self::RunNow { id, .. }
            | Self::Pause { id, .. }
            | Self::Delete(id)
            | Self::Resume(id)
            | Self::Cancel(id) => id,
        }
    }
}

/// A command that can be done: what to write down, and what to answer once that is on disk.
#[derive(Debug)]
pub struct Planned {
    /// `None` where the command changes nothing.
    pub record: Option<Record>,
    /// The job as it will be; as it was, where it is deleted.
    pub job: Job,
    /// What is to be told of it then.
    pub events: Vec<Event>,
}

impl Planned {
    /// What is to be written down: the change, and behind it the outcomes that it has.
    pub fn take_records(&mut self, now: Timestamp) -> Vec<Record> {
        let change = self.record.take();
        let runs = self.events.iter_mut().filter_map(|event| event.take_record(now));
        change.into_iter().chain(runs.map(|run| Record::Run(Arc::new(run)))).collect()
    }
}

/// Why a command is not done. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such job.
    NotFound,
    /// The id of a new job is taken.
    Taken,
    /// A run of the job is going, or as many as may.
    Running,
    /// No run of the job is going.
    NotRunning,
    /// A value makes no sense, or not now.
    Invalid(Invalid),
    /// The disk takes no change at present; why.
    Disk(String),
    /// The service is about to end.
    ShuttingDown,
}
