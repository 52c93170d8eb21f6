//! What clients ask for, and what it would make of a job.

use std::sync::Arc;

use jiff::Timestamp;
use ksana::engine::Refusal;
use ksana::job::{Invalid, Job, Progress, Schedule, Spec};
use uuid::Uuid;

use crate::rules;

/// What a client asks for, as the model understands it.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    Create {
        spec: Spec,
        enabled: bool,
    },
    /// The definition becomes this one, and the job is switched where that is said.
    Change {
        id: String,
        change: Change,
    },
    Delete(String),
    RunNow {
        id: String,
        run_id: Uuid,
    },
    Switch {
        id: String,
        enabled: bool,
    },
}

/// A PATCH.
#[derive(Clone, Debug, Default)]
pub(crate) struct Change {
    pub(crate) name: Option<String>,
    pub(crate) max_retries: Option<i64>,
    pub(crate) schedule: Option<Schedule>,
    pub(crate) enabled: Option<bool>,
}

impl Ask {
    pub(crate) fn id(&self) -> &str {
        match self {
            Self::Create { spec, .. } => spec.id.as_str(),
            Self::Change { id, .. } | Self::RunNow { id, .. } | Self::Switch { id, .. } | Self::Delete(id) => id,
        }
    }

    /// What a job would be after a command; `None` where it would be gone.
    pub(crate) fn planned(&self, present: Option<&Job>, now: Timestamp) -> Result<Option<Job>, Refusal> {
        if let Self::Create { spec, enabled } = self {
            if present.is_some() {
                return Err(Refusal::Taken);
            }
            let mut job = Job { spec: Arc::new(spec.clone()), progress: Progress::default() };
            job.progress.enabled = *enabled;
            if !matches!(spec.schedule, Schedule::Once { .. }) {
                rules::anchor(&mut job, now);
            }
            check_ahead(&job, now)?;
            rules::plan(&mut job, now);
            return Ok(Some(job));
        }
        let mut job = present.ok_or(Refusal::NotFound)?.clone();
        match self {
            Self::Create { .. } => unreachable!("it was seen to above"),
            Self::Delete(_) => return Ok(None),
            Self::RunNow { run_id, .. } => {
                if job.progress.state.run.is_some() {
                    return Err(Refusal::Running);
                }
                rules::run_now(&mut job, *run_id, now);
            }
            Self::Switch { enabled, .. } => rules::switch(&mut job, *enabled, now),
            Self::Change { change, .. } => {
                let spec = Arc::make_mut(&mut job.spec);
                if let Some(name) = &change.name {
                    spec.name = name.as_str().into();
                }
                spec.max_retries = change.max_retries.unwrap_or(spec.max_retries);
                let schedule = change.schedule.clone().filter(|schedule| *schedule != spec.schedule);
                if let Some(schedule) = schedule {
                    spec.schedule = schedule;
                    rules::anchor(&mut job, now);
                    check_ahead(&job, now)?;
                    rules::plan(&mut job, now);
                }
                if let Some(enabled) = change.enabled {
                    rules::switch(&mut job, enabled, now);
                }
            }
        }
        Ok(Some(job))
    }
}

fn check_ahead(job: &Job, now: Timestamp) -> Result<(), Refusal> {
    let field = match &job.spec.schedule {
        Schedule::Once { run_at } if *run_at <= now => "/schedule/run_at",
        Schedule::Once { .. } => return Ok(()),
        _ if rules::first_after(job, now).is_some() => return Ok(()),
        _ => "/schedule/end_at",
    };
    Err(Refusal::Invalid(Invalid::new(field, "has passed")))
}
