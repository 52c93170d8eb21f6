//! Commands: what each would change, decided before anything does.

use std::sync::Arc;

use jiff::Timestamp;

use super::calendar::{anchor, fresh, once_is_done, plan, plan_from};
use super::{Command, Engine, Planned, Record, Refusal};
use crate::job::{Invalid, Job, JobId, Patch, Phase, Run, Schedule, Spec, Status};

impl Engine {
    /// What a command would change at `now`.
    ///
    /// # Errors
    ///
    /// The reason why it cannot be done. In no case does this change anything.
    pub fn plan(&self, command: &Command, now: Timestamp) -> Result<Planned, Refusal> {
        match command {
            Command::Create { spec, enabled } => self.create(spec, *enabled, now),
            Command::Patch { id, patch } => patched(self.existing(id)?, patch, now),
            Command::Delete(id) => {
                let job = self.existing(id)?.clone();
                Ok(Planned { record: Some(Record::Delete(id.clone())), job })
            }
            Command::RunNow { id, run_id } => {
                let mut job = self.existing(id)?.clone();
                if job.progress.state.run.is_some() {
                    return Err(Refusal::Running);
                }
                let (scheduled_at, due_at, began_at) = (now, now, now);
                let run = Run {
                    id: *run_id,
                    scheduled_at,
                    due_at,
                    began_at,
                    started_at: None,
                    attempts: 0,
                    phase: Phase::Queued,
                };
                job.progress.state.run = Some(Box::new(run));
                // From now on `last_run_at` alone does not tell whether a `once` was taken.
                job.progress.state.anchor.get_or_insert(now);
                Ok(progressed(job))
            }
            Command::Pause(id) => Ok(switched(self.existing(id)?, false, now)),
            Command::Resume(id) => Ok(switched(self.existing(id)?, true, now)),
        }
    }

    fn existing(&self, id: &JobId) -> Result<&Job, Refusal> {
        self.job(id).ok_or(Refusal::NotFound)
    }

    fn create(&self, spec: &Arc<Spec>, enabled: bool, now: Timestamp) -> Result<Planned, Refusal> {
        if self.job(&spec.id).is_some() {
            return Err(Refusal::Taken);
        }
        check_ahead(&spec.schedule, now)?;
        let job = fresh(spec, enabled, now);
        Ok(Planned { record: Some(Record::Put(job.clone())), job })
    }
}

fn patched(present: &Job, patch: &Patch, now: Timestamp) -> Result<Planned, Refusal> {
    let spec = patch.apply(&present.spec).map_err(Refusal::Invalid)?;
    let mut job = present.clone();
    let new_schedule = spec.schedule != present.spec.schedule;
    let new_spec = spec != *present.spec;
    if new_spec {
        job.spec = Arc::new(spec);
    }
    if new_schedule {
        check_ahead(&job.spec.schedule, now)?;
        anchor(&mut job, now);
        plan_from(&mut job, now);
    }
    if let Some(enabled) = patch.enabled {
        switch(&mut job, enabled, now);
    }
    if new_spec {
        return Ok(Planned { record: Some(Record::Put(job.clone())), job });
    }
    if job.progress == present.progress {
        return Ok(Planned { record: None, job });
    }
    Ok(progressed(job))
}

fn switched(present: &Job, enabled: bool, now: Timestamp) -> Planned {
    if present.progress.enabled == enabled {
        return Planned { record: None, job: present.clone() };
    }
    let mut job = present.clone();
    switch(&mut job, enabled, now);
    progressed(job)
}

/// Pause or resume; neither touches a run that is going, nor the outcome of a `once` that is done.
fn switch(job: &mut Job, enabled: bool, now: Timestamp) {
    if job.progress.enabled == enabled {
        return;
    }
    job.progress.enabled = enabled;
    if enabled {
        plan_from(job, now);
        return;
    }
    job.progress.state.held = false;
    plan(job, None);
    if !once_is_done(job) {
        job.progress.last_status = Status::Paused;
        job.progress.last_error = "".into();
    }
}

fn progressed(job: Job) -> Planned {
    let progress = Box::new(job.progress.clone());
    Planned { record: Some(Record::Progress { id: job.spec.id.clone(), progress }), job }
}

fn check_ahead(schedule: &Schedule, now: Timestamp) -> Result<(), Refusal> {
    match schedule {
        Schedule::Once { run_at } if *run_at <= now => {
            let message = format!("{run_at} has passed; accepted is a time after now, which is {now}");
            Err(Refusal::Invalid(Invalid::new("/schedule/run_at", message)))
        }
        Schedule::Once { .. } | Schedule::Every { .. } => Ok(()),
    }
}
