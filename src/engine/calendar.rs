//! When a job fires next: the rules of its schedule, as functions of its progress and the time.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use crate::job::{GoDuration, Instants, Job, JobId, Progress, Schedule, Spec, Status, just_before};

/// The namespace of run ids (RFC 9562 §5.5). It is part of the contract with targets: the same
/// job and instant give the same id on every machine.
const RUN_IDS: Uuid = Uuid::from_u128(0x7c9f_2d61_5b0e_4f0a_9d38_6b5e_0c4a_11d7);

/// The id of a planned fire, the same each time that it is sent.
pub(super) fn run_id(job: &JobId, instant: Timestamp) -> Uuid {
    Uuid::new_v5(&RUN_IDS, format!("{job}/{instant}").as_bytes())
}

/// When the fire of `instant` is due: delayed by its share of the jitter. The share is drawn from
/// the id of the fire, so it is the same whenever one asks, never as long as the jitter, and never past the next instant.
pub(super) fn due_time(job: &Job, instant: Timestamp) -> Timestamp {
    let jitter = job.spec.schedule.jitter();
    if jitter <= GoDuration::ZERO {
        return instant;
    }
    let Some(instants) = instants(job) else { return instant };
    // Also of the last one before the end: its fire is no later than it would be otherwise.
    let next = instants.endless_after(instant);
    let until_next = next.map_or(i128::MAX, |next| next.as_nanosecond() - instant.as_nanosecond());
    let jitter = i128::from(jitter.as_nanos()).min(until_next).unsigned_abs();
    let draw = run_id(&job.spec.id, instant).as_u128() & 0xff_ffff_ffff_ffff;
    let delay = i64::try_from((jitter * draw) >> 56).expect("less than the jitter, which is an i64");
    instant.checked_add(jiff::SignedDuration::from_nanos(delay)).unwrap_or(instant)
}

/// The instants of a schedule that fires more than once; `None` for a `once` and for a distance that is not above zero.
pub(super) fn instants(job: &Job) -> Option<Instants<'_>> {
    job.spec.schedule.instants(job.progress.state.anchor.unwrap_or_default())
}

/// The first instant behind `time` for which a run may still begin.
pub(super) fn next_instant(job: &Job, time: Timestamp) -> Option<Timestamp> {
    let max_runs = job.spec.schedule.bounds().max_runs;
    if max_runs.is_some_and(|max_runs| i64::from(job.progress.state.runs) >= max_runs) {
        return None;
    }
    instants(job)?.after(time)
}

/// Plans the fire of `instant`; where there is none, the schedule is over and the job is done.
pub(super) fn plan_or_finish(job: &mut Job, instant: Option<Timestamp>) {
    plan(job, instant);
    // A plan that never had an instant, as a file may hold it, is not over: a hand may mend it.
    let is_sound = instants(job).is_some() && job.spec.schedule.bounds().max_runs.is_none_or(|max_runs| max_runs > 0);
    if instant.is_none() && is_sound && job.spec.schedule.is_finite() {
        job.progress.enabled = false;
    }
}

/// Whether the fire of a `once` was taken. It is then done for good, until it gets a new `run_at`.
pub(super) fn once_is_taken(job: &Job) -> bool {
    matches!(job.spec.schedule, Schedule::Once { run_at } if job.progress.state.fired == Some(run_at))
}

/// Whether the fire of a `once` was taken and has had its outcome.
pub(super) fn once_is_done(job: &Job) -> bool {
    let Schedule::Once { run_at } = job.spec.schedule else { return false };
    let own_run = run_id(&job.spec.id, run_at);
    once_is_taken(job) && job.progress.state.run.as_ref().is_none_or(|run| run.id != own_run)
}

/// Plans the fire of `instant`, or none.
pub(super) fn plan(job: &mut Job, instant: Option<Timestamp>) {
    let due = instant.map(|instant| due_time(job, instant));
    job.progress.next_run_at = due;
    job.progress.state.planned = instant.filter(|_| due != instant);
}

/// Plans anew from `now`: after a creation, a resume, a change of the schedule. Gives the instant
/// of a `once` that has passed and so is missed.
pub(super) fn plan_from(job: &mut Job, now: Timestamp) -> Option<Timestamp> {
    job.progress.state.held = false;
    plan(job, None);
    if !job.progress.enabled {
        return None;
    }
    match job.spec.schedule {
        Schedule::Once { .. } if once_is_taken(job) => None,
        Schedule::Once { run_at } if run_at > now => {
            plan(job, Some(run_at));
            None
        }
        Schedule::Once { run_at } => {
            miss(&mut job.progress, run_at);
            Some(run_at)
        }
        Schedule::Every { .. } | Schedule::Cron { .. } => {
            let from = job.progress.state.fired.map_or(now, |fired| fired.max(now));
            plan_or_finish(job, next_instant(job, from));
            None
        }
    }
}

/// Writes down that the instant of a `once` passed without a fire.
fn miss(progress: &mut Progress, run_at: Timestamp) {
    progress.state.fired = Some(run_at);
    progress.last_status = Status::Missed;
    progress.last_error = format!("missed: {run_at} passed while it could not run").into();
}

/// Starts the plan of a job whose schedule is new or changed.
pub(super) fn anchor(job: &mut Job, now: Timestamp) {
    job.progress.state.fired = None;
    job.progress.state.runs = 0;
    job.progress.state.anchor = match job.spec.schedule {
        Schedule::Every { start_at: Some(_), .. } | Schedule::Cron { .. } => None,
        Schedule::Every { .. } | Schedule::Once { .. } => Some(now),
    };
}

/// The instant whose fire an overdue job gets: the latest that is due by `now`. Earlier ones are
/// skipped; nobody wants them one by one after a sleep.
pub(super) fn latest_due(job: &Job, now: Timestamp) -> Option<Timestamp> {
    let instants = instants(job)?;
    // What the job shows is due whatever its share of the jitter, which the older service drew otherwise.
    let planned = job.progress.state.planned.or(job.progress.next_run_at)?;
    let Some(latest) = instants.latest(planned, now) else { return Some(planned) };
    if due_time(job, latest) <= now {
        return Some(latest);
    }
    // No jitter is longer than the distance to the next instant, so the one before has passed.
    Some(instants.latest(planned, just_before(latest)).unwrap_or(planned))
}

/// Looks at a job after a start: keeps a plan that lies ahead and still fits the schedule, skips
/// what passed while the service was down. Gives the instant of a `once` that was missed so.
pub(super) fn plan_after_restart(job: &mut Job, now: Timestamp) -> Option<Timestamp> {
    match job.spec.schedule {
        Schedule::Once { .. } if once_waits(job) => None,
        Schedule::Once { run_at } => {
            // The older service writes down no more than that the job ran after its instant. A
            // run-now of a job of ours, paused at its instant, looks the same but for the anchor.
            let ran = job.progress.last_run_at.is_some_and(|last| last >= run_at);
            // A person may have put a later one in the place of an instant that was missed.
            let was_missed = job.progress.last_status == Status::Missed && run_at <= now;
            if job.progress.state.anchor.is_none() && (ran || was_missed) {
                job.progress.state.fired = Some(run_at);
            }
            plan_from(job, now)
        }
        Schedule::Every { every, start_at, .. } => {
            job.progress.state.held = false;
            if start_at.is_none() && job.progress.state.anchor.is_none() {
                job.progress.state.anchor = Some(anchor_of_next(job.progress.next_run_at.unwrap_or(now), every, now));
            }
            if !still_stands(job, now) {
                plan_from(job, now);
            }
            None
        }
        Schedule::Cron { .. } => {
            job.progress.state.held = false;
            if !still_stands(job, now) {
                plan_from(job, now);
            }
            None
        }
    }
}

/// Whether the fire of a `once` was due while a run was going, and waits for its end.
fn once_waits(job: &Job) -> bool {
    let Progress { enabled, next_run_at, ref state, .. } = job.progress;
    state.held && enabled && next_run_at.is_some() && !once_is_taken(job)
}

/// The older service kept no anchor; its next instant has the phase that people know. One that
/// has passed is an anchor itself, and nothing is counted back from it into the years before
/// zero, which RFC 3339 does not have: Go's zero time lies close to them.
fn anchor_of_next(next: Timestamp, every: GoDuration, now: Timestamp) -> Timestamp {
    if next <= now {
        return next;
    }
    next.checked_sub(jiff::SignedDuration::from_nanos(every.as_nanos())).unwrap_or(next)
}

fn still_stands(job: &Job, now: Timestamp) -> bool {
    let Progress { enabled, next_run_at: Some(next), ref state, .. } = job.progress else { return false };
    let planned = state.planned.unwrap_or(next);
    let delay = next.as_nanosecond() - planned.as_nanosecond();
    enabled
        && next > now
        && state.fired.is_none_or(|fired| planned > fired)
        && next_instant(job, just_before(planned)) == Some(planned)
        && (0..=i128::from(job.spec.schedule.jitter().as_nanos().max(0))).contains(&delay)
}

/// A job as it begins.
pub(super) fn fresh(spec: &Arc<Spec>, enabled: bool, now: Timestamp) -> Job {
    let mut job = Job { spec: Arc::clone(spec), progress: Progress { enabled, ..Progress::default() } };
    // A `once` without an anchor may be the older service's, and what it shows is looked at to see
    // whether it was taken. A new one shows nothing yet.
    if !matches!(spec.schedule, Schedule::Once { .. }) {
        anchor(&mut job, now);
    }
    plan_from(&mut job, now);
    job
}
