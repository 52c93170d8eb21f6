//! When a job fires next: the rules of its schedule, as functions of its progress and the time.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::account::{close, close_down, drop_waiting, miss_due, open, open_paused, planned};
use super::catch_up::{is_too_old, make_up};
use super::fire::earliest_next;
use super::{Event, Missed};
use crate::job::{GoDuration, Instants, Job, JobId, Misfire, Progress, Schedule, Spec, Status, just_before};

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
    // Also of the last one before the end: its fire is no later than it would be otherwise.
    let next = instants(job).and_then(|instants| instants.endless_after(instant));
    let until_next = next.map_or(i128::MAX, |next| next.as_nanosecond() - instant.as_nanosecond());
    let jitter = i128::from(jitter.as_nanos()).min(until_next).unsigned_abs();
    let delay = share_of(jitter, run_id(&job.spec.id, instant));
    instant.checked_add(SignedDuration::from_nanos(delay)).unwrap_or(instant)
}

/// The share of what is no longer than an i64 of nanoseconds that an id draws; less than all of it.
pub(super) fn share_of(nanos: u128, id: Uuid) -> i64 {
    let draw = id.as_u128() & 0xff_ffff_ffff_ffff;
    i64::try_from((nanos * draw) >> 56).expect("less than an i64")
}

/// The instants of a schedule that knows them beforehand; `None` for others and for a distance that is not above zero.
pub(super) fn instants(job: &Job) -> Option<Instants<'_>> {
    job.spec.schedule.instants(job.progress.state.anchor.unwrap_or_default())
}

/// The first instant behind `time` for which a run may still begin.
pub(super) fn next_instant(job: &Job, time: Timestamp) -> Option<Timestamp> {
    if runs_are_used_up(job) { None } else { instants(job)?.after(time) }
}

/// Whether the schedule has begun as many runs as it may.
pub(super) fn runs_are_used_up(job: &Job) -> bool {
    let max_runs = job.spec.schedule.bounds().max_runs;
    max_runs.is_some_and(|max_runs| i64::from(job.progress.state.runs) >= max_runs)
}

/// The next instant of an `after` whose last run ended at `ended`, or which begins then; `None` of another kind.
pub(super) fn delayed(job: &Job, ended: Timestamp) -> Option<Timestamp> {
    let Schedule::After { after, start_at, bounds, .. } = job.spec.schedule else { return None };
    let next = ended.checked_add(SignedDuration::from_nanos(after.as_nanos())).ok()?;
    let next = unfired(job, start_at).map_or(next, |start_at| next.max(start_at));
    let is_named = after > GoDuration::ZERO && bounds.end_at.is_none_or(|end_at| next <= end_at);
    (is_named && !runs_are_used_up(job)).then_some(next)
}

/// The first instant of an `after`, if it was not taken yet.
fn unfired(job: &Job, start_at: Option<Timestamp>) -> Option<Timestamp> {
    start_at.filter(|start_at| job.progress.state.fired.is_none_or(|fired| fired < *start_at))
}

/// The first instant of a schedule that begins, or begins again, at `now`.
pub(super) fn first_instant(job: &Job, now: Timestamp) -> Option<Timestamp> {
    match job.spec.schedule {
        Schedule::Once { .. } => None,
        Schedule::After { start_at, bounds, .. } => match unfired(job, start_at).filter(|start_at| *start_at > now) {
            Some(start_at) => {
                let is_named = bounds.end_at.is_none_or(|end_at| start_at <= end_at);
                (is_named && is_sound(job) && !runs_are_used_up(job)).then_some(start_at)
            }
            None => delayed(job, now),
        },
        Schedule::Every { .. } | Schedule::Cron { .. } => {
            next_instant(job, job.progress.state.fired.map_or(now, |fired| fired.max(now)))
        }
    }
}

/// Whether the plan has instants at all. One that never had any, as a file may hold it, is not over: a hand may mend it.
fn is_sound(job: &Job) -> bool {
    let has_any = match job.spec.schedule {
        Schedule::Once { .. } => true,
        Schedule::After { after, .. } => after > GoDuration::ZERO,
        Schedule::Every { .. } | Schedule::Cron { .. } => instants(job).is_some(),
    };
    has_any && job.spec.schedule.bounds().max_runs.is_none_or(|max_runs| max_runs > 0)
}

/// Plans the fire of `instant`; where there is none and none is made up for, the schedule is over and the job is done.
pub(super) fn plan_or_finish(job: &mut Job, instant: Option<Timestamp>) {
    plan(job, instant);
    let is_over = instant.is_none() && job.progress.state.catch_up.is_none();
    if is_over && is_sound(job) && job.spec.schedule.is_finite() {
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
    once_is_taken(job) && job.progress.state.runs_going.iter().all(|run| run.id != own_run)
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
        // Its end plans the next one.
        Schedule::After { .. } if job.progress.state.is_running() => None,
        Schedule::Every { .. } | Schedule::After { .. } | Schedule::Cron { .. } => {
            plan_or_finish(job, first_instant(job, now));
            None
        }
    }
}

/// Takes back what waits to be run: a pause, another schedule and the job's end leave only what goes.
pub(super) fn forget_waiting(job: &mut Job, why: Missed, events: &mut Vec<Event>) {
    job.progress.state.held = false;
    let skipped = match why {
        Missed::Paused => "the job was paused before its turn",
        Missed::Deleted => "the job was deleted before its turn",
        _ => "the schedule was changed before its turn",
    };
    drop_waiting(job, why, skipped, events);
}

/// Stops a job from firing. A run that goes is not touched, nor is the outcome of a `once` that is done. One whose
/// schedule is over has nothing to come back to.
pub(super) fn pause(job: &mut Job, until: Option<Timestamp>, now: Timestamp, events: &mut Vec<Event>) {
    job.progress.paused_until = until.filter(|_| !is_over(job, now));
    forget_waiting(job, Missed::Paused, events);
    if !job.progress.enabled {
        return;
    }
    close_down(job, now, events);
    job.progress.enabled = false;
    let first = instants(job).and(planned(job));
    open(job, first);
    miss_due(job, now, Missed::Paused, events);
    plan(job, None);
    if !once_is_done(job) {
        job.progress.last_status = Status::Paused;
        job.progress.last_error = "".into();
    }
}

/// Whether nothing comes of the schedule any more.
fn is_over(job: &Job, now: Timestamp) -> bool {
    match job.spec.schedule {
        Schedule::Once { .. } => once_is_taken(job),
        ref schedule => schedule.is_finite() && is_sound(job) && first_instant(job, now).is_none(),
    }
}

/// Has a job fire again, unless its schedule is over. Nothing of the pause is made up for.
pub(super) fn resume(job: &mut Job, now: Timestamp, events: &mut Vec<Event>) {
    job.progress.paused_until = None;
    if !std::mem::replace(&mut job.progress.enabled, true) {
        let missed = plan_from(job, now);
        events.extend(missed.map(|run_at| Event::missed(job, run_at, Missed::Paused)));
        close(job, now, Missed::Paused, events);
    }
}

/// Writes down that the instant of a `once` passed without a fire.
pub(super) fn miss(progress: &mut Progress, run_at: Timestamp) {
    progress.state.fired = Some(run_at);
    progress.last_status = Status::Missed;
    progress.last_error = format!("missed: {run_at} passed while it could not run").into();
}

/// Starts the plan of a job whose schedule is new or changed.
pub(super) fn anchor(job: &mut Job, now: Timestamp) {
    job.progress.state.fired = None;
    job.progress.state.runs = 0;
    let schedule = &job.spec.schedule;
    let counts = matches!(schedule, Schedule::Once { .. }) || schedule.anchored_distance().is_some();
    job.progress.state.anchor = counts.then_some(now);
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

/// Looks at a job after a start: keeps a plan that lies ahead and still fits the schedule. What passed while the service
/// was down is missed, and made up for as far as the job asks for that. Gives the instant that was missed of a job that has
/// one at a time.
pub(super) fn plan_after_restart(job: &mut Job, now: Timestamp, events: &mut Vec<Event>) -> Option<Timestamp> {
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
            if is_made_up(job, now) && !once_is_taken(job) { None } else { plan_from(job, now) }
        }
        Schedule::After { .. } => {
            job.progress.state.held = false;
            if job.progress.state.is_running() || !(is_made_up(job, now) || delay_still_stands(job, now)) {
                let missed = planned(job).filter(|planned| job.progress.enabled && *planned <= now);
                plan_from(job, now);
                return missed;
            }
            None
        }
        Schedule::Every { .. } | Schedule::Cron { .. } => {
            job.progress.state.held = false;
            if let Some(every) = job.spec.schedule.anchored_distance()
                && job.progress.state.anchor.is_none()
            {
                job.progress.state.anchor = Some(anchor_of_next(job.progress.next_run_at.unwrap_or(now), every, now));
            }
            plan_grid_after_restart(job, now, events);
            None
        }
    }
}

fn plan_grid_after_restart(job: &mut Job, now: Timestamp, events: &mut Vec<Event>) {
    let planned = planned_instant(job);
    if planned.is_some() && job.progress.next_run_at > Some(now) {
        return;
    }
    let Some(first) = planned else {
        plan_from(job, now);
        return open_paused(job, now);
    };
    if job.spec.policy.misfire != Misfire::Skip
        && let Some(last) = latest_due(job, now)
    {
        close_down(job, now, events);
        make_up(job, first, last, now, events);
        job.progress.state.fired = Some(last);
        // The jitter of one that has passed may still lie ahead.
        let next = next_instant(job, last.max(earliest_next(&job.spec.schedule, now)));
        return plan_or_finish(job, next);
    }
    // How many passed is found out bite by bite: it may be so of every job.
    open(job, Some(first));
    plan_from(job, now);
    if !job.progress.enabled {
        close(job, now, Missed::Down, events);
    }
}

/// Whether the fire that was planned last has passed, and is to come now all the same. It is due then, and needs no
/// other plan.
fn is_made_up(job: &Job, now: Timestamp) -> bool {
    let Progress { enabled, next_run_at: Some(next), ref state, .. } = job.progress else { return false };
    let instant = match job.spec.schedule {
        Schedule::Once { run_at } => run_at,
        _ => state.planned.unwrap_or(next),
    };
    let misfire = job.spec.policy.misfire;
    enabled && next <= now && instant <= next && misfire != Misfire::Skip && !is_too_old(job, instant, now)
}

/// Whether the plan of an `after` lies ahead, and no further than it would if it were made now.
fn delay_still_stands(job: &Job, now: Timestamp) -> bool {
    let Progress { enabled, next_run_at: Some(next), ref state, .. } = job.progress else { return false };
    let instant = state.planned.unwrap_or(next);
    let latest = delayed(job, now).max(first_instant(job, now));
    enabled && next > now && latest.is_some_and(|latest| instant <= latest) && due_time(job, instant) == next
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
    next.checked_sub(SignedDuration::from_nanos(every.as_nanos())).unwrap_or(next)
}

/// The instant of the fire that is planned, if the schedule still has it.
fn planned_instant(job: &Job) -> Option<Timestamp> {
    let Progress { enabled: true, next_run_at: Some(next), ref state, .. } = job.progress else { return None };
    let planned = state.planned.unwrap_or(next);
    let delay = next.as_nanosecond() - planned.as_nanosecond();
    let still_stands = state.fired.is_none_or(|fired| planned > fired)
        && next_instant(job, just_before(planned)) == Some(planned)
        && (0..=i128::from(job.spec.schedule.jitter().as_nanos().max(0))).contains(&delay);
    still_stands.then_some(planned)
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
    open_paused(&mut job, now);
    job
}
