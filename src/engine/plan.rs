//! Commands: what each would change, decided before anything does.

use std::sync::Arc;

use jiff::Timestamp;

use super::calendar::{anchor, fresh, instants, next_instant, once_is_done, plan, plan_from};
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
        let job = fresh(spec, enabled, now);
        check_ahead(&job, now)?;
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
        anchor(&mut job, now);
        check_ahead(&job, now)?;
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
    let mut job = present.clone();
    switch(&mut job, enabled, now);
    // It is so already, or its schedule is over.
    if job.progress == present.progress {
        return Planned { record: None, job };
    }
    progressed(job)
}

/// Pause or resume; neither touches a run that is going, nor the outcome of a `once` that is done.
fn switch(job: &mut Job, enabled: bool, now: Timestamp) {
    if job.progress.enabled == enabled {
        return;
    }
    job.progress.enabled = enabled;
    if enabled {
        // It leaves the job as it was where its schedule is over.
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

/// Whether a schedule that a client sets has a fire at all.
fn check_ahead(job: &Job, now: Timestamp) -> Result<(), Refusal> {
    let invalid = |field, message| Err(Refusal::Invalid(Invalid::new(field, message)));
    match &job.spec.schedule {
        Schedule::Once { run_at } if *run_at <= now => {
            let message = format!("{run_at} has passed; accepted is a time after now, which is {now}");
            invalid("/schedule/run_at", message)
        }
        Schedule::Once { .. } => Ok(()),
        schedule if schedule.is_finite() && next_instant(job, now).is_none() => {
            let would_go_on = instants(job).is_some_and(|instants| instants.endless_after(now).is_some());
            if let Some(end_at) = schedule.bounds().end_at.filter(|_| would_go_on) {
                let accepted = format!("a time from the first instant after now ({now}) on");
                return invalid("/schedule/end_at", format!("{end_at} leaves no instant; accepted is {accepted}"));
            }
            invalid("/schedule/cron", format!("names no instant after now ({now}) and from start_at on"))
        }
        Schedule::Every { .. } | Schedule::Cron { .. } => Ok(()),
    }
}
