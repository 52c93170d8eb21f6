//! When a job fires next: the rules of its schedule, as functions of its progress and the time.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use crate::job::{GoDuration, Grid, Job, JobId, Progress, Schedule, Spec, Status};

/// The namespace of run ids (RFC 9562 §5.5). It is part of the contract with targets: the same
/// job and instant give the same id on every machine.
const RUN_IDS: Uuid = Uuid::from_u128(0x7c9f_2d61_5b0e_4f0a_9d38_6b5e_0c4a_11d7);

/// The id of a planned fire, the same each time that it is sent.
pub(super) fn run_id(job: &JobId, instant: Timestamp) -> Uuid {
    Uuid::new_v5(&RUN_IDS, format!("{job}/{instant}").as_bytes())
}

/// When the fire of `instant` is due: delayed by its share of the jitter. The share is drawn from
/// the id of the fire, so it is the same whenever one asks, and never as long as the jitter.
pub(super) fn due_time(job: &Job, instant: Timestamp) -> Timestamp {
    let Schedule::Every { every, jitter, .. } = job.spec.schedule else { return instant };
    // A file may hold a longer one; past the next instant the fires would come out of order.
    let jitter = u128::from(jitter.min(every).as_nanos().max(0).unsigned_abs());
    if jitter == 0 {
        return instant;
    }
    let draw = run_id(&job.spec.id, instant).as_u128() & 0xff_ffff_ffff_ffff;
    let delay = i64::try_from((jitter * draw) >> 56).expect("less than the jitter, which is an i64");
    instant.checked_add(jiff::SignedDuration::from_nanos(delay)).unwrap_or(instant)
}

/// The grid of an `every`; `None` for a `once` and for a distance that is not above zero.
pub(super) fn grid(job: &Job) -> Option<Grid> {
    match job.spec.schedule {
        Schedule::Once { .. } => None,
        Schedule::Every { every, start_at, .. } => {
            Grid::new(every, start_at, job.progress.state.anchor.unwrap_or_default())
        }
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
        Schedule::Every { .. } => {
            let from = job.progress.state.fired.map_or(now, |fired| fired.max(now));
            plan(job, grid(job).and_then(|grid| grid.after(from)));
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
    job.progress.state.anchor = match job.spec.schedule {
        Schedule::Every { start_at: Some(_), .. } => None,
        Schedule::Every { .. } | Schedule::Once { .. } => Some(now),
    };
}

/// The instant whose fire an overdue job gets: the latest that is due by `now`. Earlier ones are
/// skipped; nobody wants them one by one after a sleep.
pub(super) fn latest_due(job: &Job, grid: Grid, now: Timestamp) -> Option<Timestamp> {
    let planned = job.progress.state.planned.or(job.progress.next_run_at)?;
    let latest = grid.at_or_before(now)?;
    let latest = if due_time(job, latest) <= now { Some(latest) } else { grid.before(latest) };
    // What the job shows is due whatever its share of the jitter, which the older service drew otherwise.
    Some(latest.map_or(planned, |latest| latest.max(planned)))
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
    let Schedule::Every { jitter, .. } = job.spec.schedule else { return false };
    let planned = state.planned.unwrap_or(next);
    let delay = next.as_nanosecond() - planned.as_nanosecond();
    enabled
        && next > now
        && state.fired.is_none_or(|fired| planned > fired)
        && grid(job).is_some_and(|grid| grid.holds(planned))
        && (0..=i128::from(jitter.as_nanos().max(0))).contains(&delay)
}

/// A job as it begins.
pub(super) fn fresh(spec: &Arc<Spec>, enabled: bool, now: Timestamp) -> Job {
    let mut job = Job { spec: Arc::clone(spec), progress: Progress { enabled, ..Progress::default() } };
    // A `once` without an anchor may be the older service's, and what it shows is looked at to see
    // whether it was taken. A new one shows nothing yet.
    if matches!(spec.schedule, Schedule::Every { .. }) {
        anchor(&mut job, now);
    }
    plan_from(&mut job, now);
    job
}
