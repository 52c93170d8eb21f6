//! Commands: what each would change, decided before anything does.

use std::sync::Arc;

use jiff::Timestamp;

use super::account::{close_all, miss_due, open_paused};
use super::attempt::cancel;
use super::calendar::{anchor, first_instant, fresh, instants, pause, plan, plan_from, resume};
use super::fire::{follow_up, has_room, push};
use super::{Command, Engine, Missed, Planned, Record, Refusal, RunNow};
use crate::job::{Invalid, Job, JobId, Origin, Overrides, Patch, Phase, Run, Schedule, Spec, Trigger};
use crate::limits::OVERRIDES_BYTES_MAX;

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
                let (present, mut job) = self.begun(id)?;
                let mut events = Vec::new();
                close_all(&mut job, now, Missed::Deleted, &mut events);
                cancel(&mut job, "cancelled: the job was deleted", &mut events);
                Ok(Planned { record: Some(Record::Delete(id.clone())), job: present.clone(), events })
            }
            Command::RunNow { id, asked } => run_now(self.existing(id)?, asked, now),
            Command::Pause { id, until } => paused(self.existing(id)?, *until, now),
            Command::Resume(id) => {
                let (present, mut job) = self.begun(id)?;
                let mut events = Vec::new();
                resume(&mut job, now, &mut events);
                Ok(Planned { events, ..progressed(present, job) })
            }
            Command::Cancel(id) => {
                let (present, mut job) = self.begun(id)?;
                if !job.progress.state.is_running() {
                    return Err(Refusal::NotRunning);
                }
                let mut events = Vec::new();
                cancel(&mut job, "cancelled by request", &mut events);
                follow_up(&mut job, now, &mut events);
                Ok(Planned { events, ..progressed(present, job) })
            }
        }
    }

    fn existing(&self, id: &JobId) -> Result<&Job, Refusal> {
        self.job(id).ok_or(Refusal::NotFound)
    }

    /// A job as it is, and one to change.
    fn begun(&self, id: &JobId) -> Result<(&Job, Job), Refusal> {
        self.existing(id).map(|present| (present, present.clone()))
    }

    fn create(&self, spec: &Arc<Spec>, enabled: bool, now: Timestamp) -> Result<Planned, Refusal> {
        if self.job(&spec.id).is_some() {
            return Err(Refusal::Taken);
        }
        Ok(put(new_job(spec, enabled, now)?))
    }
}

/// A job as it is made at `now`.
///
/// # Errors
///
/// Its schedule has no fire.
pub fn new_job(spec: &Arc<Spec>, enabled: bool, now: Timestamp) -> Result<Job, Refusal> {
    let job = fresh(spec, enabled, now);
    check_ahead(&job, now)?;
    Ok(job)
}

fn patched(present: &Job, patch: &Patch, now: Timestamp) -> Result<Planned, Refusal> {
    let spec = patch.apply(&present.spec).map_err(Refusal::Invalid)?;
    let mut job = present.clone();
    let mut events = Vec::new();
    let new_schedule = spec.schedule != present.spec.schedule;
    let new_spec = spec != *present.spec;
    if new_schedule {
        close_all(&mut job, now, Missed::Changed, &mut events);
    }
    if new_spec {
        job.spec = Arc::new(spec);
    }
    if new_schedule {
        anchor(&mut job, now);
        check_ahead(&job, now)?;
        plan_from(&mut job, now);
        open_paused(&mut job, now);
    }
    if job.spec.policy != present.spec.policy {
        // What waits for the end of a run may have room now.
        follow_up(&mut job, now, &mut events);
    }
    match patch.enabled {
        Some(true) => resume(&mut job, now, &mut events),
        Some(false) => {
            let until = job.progress.paused_until;
            pause(&mut job, until, now, &mut events);
        }
        None => {}
    }
    let planned = if new_spec { put(job) } else { progressed(present, job) };
    Ok(Planned { events, ..planned })
}

fn run_now(present: &Job, asked: &RunNow, now: Timestamp) -> Result<Planned, Refusal> {
    let RunNow { run_id, scheduled_at, ref overrides, ref origin } = *asked;
    let mut job = present.clone();
    if !has_room(&job) {
        return Err(Refusal::Running);
    }
    if let Some(overrides) = overrides {
        overrides.check_for(&job.spec.http).map_err(Refusal::Invalid)?;
        check_room(&job, overrides)?;
    }
    let mut events = Vec::new();
    if matches!(job.spec.schedule, Schedule::After { .. }) {
        // Its end plans the next one.
        miss_due(&job, now, Missed::Asked, &mut events);
        plan(&mut job, None);
    }
    let run = Run {
        id: run_id,
        trigger: Trigger::Manual,
        scheduled_at: scheduled_at.unwrap_or(now),
        due_at: now,
        began_at: now,
        started_at: None,
        attempt_at: None,
        attempts: 0,
        tried: Vec::new(),
        phase: Phase::Queued,
        origin: Origin { is_overridden: overrides.is_some(), ..origin.clone() },
        overrides: overrides.clone(),
    };
    push(&mut job, run);
    // From now on `last_run_at` alone does not tell whether a `once` was taken.
    job.progress.state.anchor.get_or_insert(now);
    Ok(Planned { events, ..progressed(present, job) })
}

/// All that is written down of a job holds what its runs send.
fn check_room(job: &Job, overrides: &Overrides) -> Result<(), Refusal> {
    let going = job.progress.state.runs_going.iter().filter_map(|run| run.overrides.as_deref());
    let bytes: usize = going.chain([overrides]).map(Overrides::bytes).sum();
    if bytes <= OVERRIDES_BYTES_MAX {
        return Ok(());
    }
    let message = format!(
        "{bytes} bytes are too many; accepted are {OVERRIDES_BYTES_MAX} in url, headers and body of all runs of the job that are going"
    );
    Err(Refusal::Invalid(Invalid::new("/body", message)))
}

fn paused(present: &Job, until: Option<Timestamp>, now: Timestamp) -> Result<Planned, Refusal> {
    if let Some(until) = until.filter(|until| *until <= now) {
        let message = format!("{until} has passed; accepted is a time after now, which is {now}");
        return Err(Refusal::Invalid(Invalid::new("/until", message)));
    }
    let mut job = present.clone();
    let mut events = Vec::new();
    pause(&mut job, until, now, &mut events);
    Ok(Planned { events, ..progressed(present, job) })
}

fn put(job: Job) -> Planned {
    Planned { record: Some(Record::Put(job.clone())), job, events: Vec::new() }
}

/// What has become of a job; nothing where it is so already, or its schedule is over.
fn progressed(present: &Job, job: Job) -> Planned {
    let progress = || Box::new(job.progress.clone());
    let record =
        (job.progress != present.progress).then(|| Record::Progress { id: job.spec.id.clone(), progress: progress() });
    Planned { record, job, events: Vec::new() }
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
        schedule if schedule.is_finite() && first_instant(job, now).is_none() => {
            let would_go_on = instants(job).is_none_or(|instants| instants.endless_after(now).is_some());
            if let Some(end_at) = schedule.bounds().end_at.filter(|_| would_go_on) {
                let accepted = format!("a time from the first instant after now ({now}) on");
                return invalid("/schedule/end_at", format!("{end_at} leaves no instant; accepted is {accepted}"));
            }
            let field = if schedule.distance().is_some() { "/schedule" } else { "/schedule/cron" };
            invalid(field, format!("names no instant after now ({now}) and from start_at on"))
        }
        Schedule::Every { .. } | Schedule::After { .. } | Schedule::Cron { .. } => Ok(()),
    }
}
