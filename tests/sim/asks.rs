//! What clients ask for, and what it would make of a job.

use std::sync::Arc;

use jiff::Timestamp;
use ksana::engine::Refusal;
use ksana::job::{Invalid, Job, Overrides, Policy, Progress, RunRecord, Schedule, Spec};
use uuid::Uuid;

use crate::outcomes::{CHANGED, DELETED, PAUSED, Tracked};
use crate::{attempts, missed, rules, runs};

/// What a job would be, or that it would be gone, and the outcomes that this has.
pub(crate) type Planned = (Option<Job>, Vec<RunRecord>);

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
        overrides: Option<Overrides>,
    },
    Pause {
        id: String,
        until: Option<Timestamp>,
    },
    Resume(String),
    Cancel(String),
}

/// A PATCH.
#[derive(Clone, Debug, Default)]
pub(crate) struct Change {
    pub(crate) name: Option<String>,
    pub(crate) max_retries: Option<i64>,
    pub(crate) schedule: Option<Schedule>,
    pub(crate) policy: Option<Policy>,
    pub(crate) enabled: Option<bool>,
}

impl Ask {
    pub(crate) fn id(&self) -> &str {
        match self {
            Self::Create { spec, .. } => spec.id.as_str(),
            Self::Change { id, .. }
            | Self::RunNow { id, .. }
            | Self::Pause { id, .. }
            | Self::Delete(id)
            | Self::Resume(id)
            | Self::Cancel(id) => id,
        }
    }

    /// What a command would make of a job.
    pub(crate) fn planned(&self, present: Option<&Job>, now: Timestamp) -> Result<Planned, Refusal> {
        if let Self::Create { spec, enabled } = self {
            if present.is_some() {
                return Err(Refusal::Taken);
            }
            let mut job = Tracked::new(Job { spec: Arc::new(spec.clone()), progress: Progress::default() });
            job.progress.enabled = *enabled;
            if !matches!(spec.schedule, Schedule::Once { .. }) {
                rules::anchor(&mut job, now);
            }
            check_ahead(&job, now)?;
            rules::plan(&mut job, now, PAUSED);
            missed::open_paused(&mut job, now);
            return Ok(present_as(job, now));
        }
        let mut job = Tracked::new(present.ok_or(Refusal::NotFound)?.clone());
        match self {
            Self::Create { .. } => unreachable!("it was seen to above"),
            Self::Delete(_) => {
                missed::close_all(&mut job, now, ("the job was deleted before its turn", DELETED));
                attempts::cancel(&mut job, "cancelled: the job was deleted");
                return Ok((None, job.take_outcomes(now)));
            }
            Self::RunNow { run_id, overrides, .. } => {
                if !runs::has_room(&job) {
                    return Err(Refusal::Running);
                }
                runs::run_now(&mut job, *run_id, overrides.as_ref(), now);
            }
            Self::Pause { until: Some(until), .. } if *until <= now => return invalid("/until"),
            Self::Pause { until, .. } => runs::pause(&mut job, *until, now),
            Self::Resume(_) => runs::resume(&mut job, now),
            Self::Cancel(_) => {
                if !job.progress.state.is_running() {
                    return Err(Refusal::NotRunning);
                }
                runs::cancel_by_request(&mut job, now);
            }
            Self::Change { change, .. } => {
                let schedule = change.schedule.clone().filter(|schedule| *schedule != job.spec.schedule);
                if schedule.is_some() {
                    missed::close_all(&mut job, now, ("the schedule was changed before its turn", CHANGED));
                }
                let spec = Arc::make_mut(&mut job.spec);
                if let Some(name) = &change.name {
                    spec.name = name.as_str().into();
                }
                spec.max_retries = change.max_retries.unwrap_or(spec.max_retries);
                let had = *spec.policy;
                spec.policy = change.policy.unwrap_or(had).into();
                let is_new = schedule.is_some();
                if let Some(schedule) = schedule {
                    spec.schedule = schedule;
                }
                let Policy { retry_for, retry_backoff_max, misfire_window, .. } = *spec.policy;
                let jitter = spec.schedule.jitter();
                let is_too_short = [retry_for, misfire_window].into_iter().flatten().any(|most| most <= jitter);
                if is_too_short || retry_backoff_max.is_some_and(|most| most < spec.retry_backoff) {
                    return invalid("/retry_for");
                }
                if is_new {
                    rules::anchor(&mut job, now);
                    check_ahead(&job, now)?;
                    rules::plan(&mut job, now, PAUSED);
                    missed::open_paused(&mut job, now);
                }
                if change.policy.is_some_and(|policy| policy != had) {
                    runs::follow(&mut job, now);
                }
                match change.enabled {
                    Some(true) => runs::resume(&mut job, now),
                    Some(false) => {
                        let until = job.progress.paused_until;
                        runs::pause(&mut job, until, now);
                    }
                    None => {}
                }
            }
        }
        Ok(present_as(job, now))
    }
}

fn present_as(job: Tracked, now: Timestamp) -> Planned {
    let (job, outcomes) = job.into_parts(now);
    (Some(job), outcomes)
}

fn check_ahead(job: &Tracked, now: Timestamp) -> Result<(), Refusal> {
    let field = match &job.spec.schedule {
        Schedule::Once { run_at } if *run_at <= now => "/schedule/run_at",
        Schedule::Once { .. } => return Ok(()),
        Schedule::After { .. } => {
            let mut planned = job.clone();
            rules::plan_delayed(&mut planned, now, true);
            if planned.progress.next_run_at.is_some() {
                return Ok(());
            }
            "/schedule/end_at"
        }
        _ if rules::first_after(job, now).is_some() => return Ok(()),
        _ => "/schedule/end_at",
    };
    invalid(field)
}

fn invalid<T>(field: &'static str) -> Result<T, Refusal> {
    Err(Refusal::Invalid(Invalid::new(field, "makes no sense")))
}
