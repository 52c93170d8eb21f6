//! What happened, as it is written down.

use std::sync::Arc;

use crate::job::{Job, JobId, Progress, RunRecord};

/// One change of one job. Records are absolute: each says how things are from now on and none
/// asks how they were, so that applying one twice, or a list of them again from any earlier
/// state, ends in the same.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "definitions are the large ones, and a turn holds few")]
pub enum Record {
    /// The job is new or its definition changed.
    Put(Job),
    /// What has become of a job changed. A job that is not there stays away.
    Progress {
        /// Which job.
        id: JobId,
        /// All of it; boxed, because a turn holds many records and most are of this kind.
        progress: Box<Progress>,
    },
    /// The job is gone.
    Delete(JobId),
    /// A run has ended, or a due time has passed without one. It says nothing of how a job is.
    Run(Arc<RunRecord>),
}

impl Record {
    /// The run that is over, where it tells of one.
    pub fn run(&self) -> Option<&Arc<RunRecord>> {
        match self {
            Self::Run(run) => Some(run),
            Self::Put(_) | Self::Progress { .. } | Self::Delete(_) => None,
        }
    }

    /// The job that it is about.
    pub fn id(&self) -> &JobId {
        match self {
            Self::Put(job) => &job.spec.id,
            Self::Progress { id, .. } | Self::Delete(id) => id,
            Self::Run(run) => &run.job_id,
        }
    }
}
