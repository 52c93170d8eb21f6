//! Which events a reader wants.

use super::Happening;
use crate::job::{JobId, Status};

/// Passes what is about one of these jobs, and of that, with statuses, only runs that ended with one of them. Where
/// none are named all pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    jobs: Vec<JobId>,
    statuses: Vec<Status>,
}

impl Filter {
    /// A filter for these.
    pub fn new(mut jobs: Vec<JobId>, statuses: Vec<Status>) -> Self {
        jobs.sort_unstable();
        Self { jobs, statuses }
    }

    /// Whether the reader wants to know of it.
    pub(super) fn passes(&self, happening: &Happening) -> bool {
        let is_status = || match happening {
            Happening::RunEnded(record) => self.statuses.contains(&record.status),
            _ => false,
        };
        (self.statuses.is_empty() || is_status())
            && (self.jobs.is_empty() || self.jobs.binary_search(happening.job_id()).is_ok())
    }
}
