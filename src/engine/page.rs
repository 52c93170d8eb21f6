//! Reading many jobs, a bounded piece at a time.

use super::Engine;
use crate::job::{Job, JobId, Schedule, Status};

/// Which jobs are wanted; an empty filter wants all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// A part of the name.
    pub name: Option<Box<str>>,
    /// Paused or not.
    pub enabled: Option<bool>,
    /// The last status.
    pub status: Option<Status>,
    /// `once`, `every`, `after` or `cron`.
    pub kind: Option<Kind>,
}

/// The kind of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `once`.
    Once,
    /// `every`.
    Every,
    /// `after`.
    After,
    /// `cron`.
    Cron,
}

/// A piece of the list of all jobs.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The jobs that were wanted, by id, as they were at one moment.
    pub jobs: Vec<Job>,
    /// Behind which id the next piece begins; `None` at the end of the list.
    pub next: Option<JobId>,
    /// How many jobs were looked at.
    pub scanned: usize,
}

impl Engine {
    /// The jobs behind `after` that the filter wants: at most `jobs_max`, found among at most
    /// `scan_max`, so that a filter that nothing passes stalls no fire.
    pub fn page(&self, after: Option<&str>, filter: &Filter, jobs_max: usize, scan_max: usize) -> Page {
        let mut page = Page::default();
        let mut last: Option<&JobId> = None;
        for job in self.table.jobs_after(after) {
            if page.jobs.len() == jobs_max || page.scanned == scan_max {
                page.next = last.cloned();
                return page;
            }
            page.scanned += 1;
            last = Some(&job.spec.id);
            if filter.wants(job) {
                page.jobs.push(job.clone());
            }
        }
        page
    }
}

impl Filter {
    fn wants(&self, job: &Job) -> bool {
        let kind = match job.spec.schedule {
            Schedule::Once { .. } => Kind::Once,
            Schedule::Every { .. } => Kind::Every,
            Schedule::After { .. } => Kind::After,
            Schedule::Cron { .. } => Kind::Cron,
        };
        self.name.as_ref().is_none_or(|part| job.spec.name.contains(part.as_ref()))
            && self.enabled.is_none_or(|enabled| job.progress.enabled == enabled)
            && self.status.is_none_or(|status| job.progress.last_status == status)
            && self.kind.is_none_or(|wanted| kind == wanted)
    }
}
