//! When a job fires, written a second time: plainly, by the contract, without a thought for
//! speed. Where these rules and the engine's differ, one of them is wrong.

use jiff::{SignedDuration, Timestamp};
use ksana::job::{GoDuration, Job, Misfire, Schedule, Span, Status};
use uuid::Uuid;

use crate::outcomes::{DOWN, OTHERS, PAUSED, Passed, TOO_OLD, Tracked};
use crate::{attempts, missed, runs};

/// The id of a planned fire is part of the contract with targets.
const RUN_IDS: Uuid = Uuid::from_u128(0x7c9f_2d61_5b0e_4f0a_9d38_6b5e_0c4a_11d7);

pub(crate) fn run_id(job: &Job, instant: Timestamp) -> Uuid {
    Uuid::new_v5(&RUN_IDS, format!("{}/{instant}", job.spec.id).as_bytes())
}

/// When the fire of an instant is due: the share of the jitter comes from the run id.
pub(crate) fn due(job: &Job, instant: Timestamp) -> Timestamp {
    let mut jitter = u128::from(job.spec.schedule.jitter().as_nanos().unsigned_abs());
    if jitter == 0 {
        return instant;
    }
    // It never passes the next instant.
    if let Some(next) = first_named(job, instant) {
        jitter = jitter.min(next.duration_since(instant).as_nanos().unsigned_abs());
    }
    let share = run_id(job, instant).as_u128() % (1 << 56);
    let delay = jitter * share / (1 << 56);
    instant + SignedDuration::from_nanos_i128(i128::try_from(delay).expect("at most a jitter"))
}

/// The distance in real time of an `every` and of an `@every`, and where that is said to begin.
fn fixed(job: &Job) -> Option<(GoDuration, Option<Timestamp>)> {
    match &job.spec.schedule {
        Schedule::Once { .. } | Schedule::After { .. } => None,
        Schedule::Every { every, start_at, .. } => Some((*every, *start_at)),
        Schedule::Cron { cron, start_at, .. } => {
            Some((cron.text().strip_prefix("@every ")?.parse().expect("a duration"), *start_at))
        }
    }
}

/// The first instant of those, and their distance.
fn grid(job: &Job) -> (Timestamp, SignedDuration) {
    let (every, start_at) = fixed(job).expect("it has a fixed distance");
    let every = SignedDuration::from_nanos(every.as_nanos());
    (start_at.unwrap_or_else(|| job.progress.state.anchor.expect("it was created") + every), every)
}

/// The first instant after a time that the schedule has.
pub(crate) fn first_after(job: &Job, time: Timestamp) -> Option<Timestamp> {
    let end_at = job.spec.schedule.bounds().end_at;
    first_named(job, time).filter(|instant| end_at.is_none_or(|end_at| *instant <= end_at))
}

/// The same without an end.
fn first_named(job: &Job, time: Timestamp) -> Option<Timestamp> {
    match &job.spec.schedule {
        Schedule::Once { .. } | Schedule::After { .. } => None,
        _ if fixed(job).is_some() => Some(first_of_grid(job, time)),
        Schedule::Every { .. } => unreachable!("its distance is fixed"),
        // What an expression names is held against an oracle elsewhere.
        Schedule::Cron { cron, start_at, .. } => {
            let mut next = cron.after(time);
            while next.is_some_and(|next| start_at.is_some_and(|start_at| next < start_at)) {
                next = cron.after(next.expect("it was looked at"));
            }
            next
        }
    }
}

/// The first instant for which a run may begin.
pub(crate) fn next_to_run(job: &Job, time: Timestamp) -> Option<Timestamp> {
    if has_had_all_runs(job) { None } else { first_after(job, time) }
}

pub(crate) fn has_had_all_runs(job: &Job) -> bool {
    job.spec.schedule.bounds().max_runs.is_some_and(|max_runs| i64::from(job.progress.state.runs) >= max_runs)
}

/// Plans the next fire of a grid, or writes down that the last one was.
pub(crate) fn plan_next(job: &mut Tracked, time: Timestamp) {
    let next = next_to_run(job, time);
    plan_or_end(job, next);
}

/// Plans a fire. Where there is none, and nothing is left to be made up for, that was the last one.
pub(crate) fn plan_or_end(job: &mut Tracked, next: Option<Timestamp>) {
    set_plan(job, next);
    let is_endless = match job.spec.schedule {
        Schedule::Once { .. } => true,
        Schedule::Cron { .. } if fixed(job).is_none() => false,
        Schedule::Every { bounds, .. } | Schedule::After { bounds, .. } | Schedule::Cron { bounds, .. } => {
            bounds.end_at.is_none() && bounds.max_runs.is_none()
        }
    };
    if next.is_none() && job.progress.state.catch_up.is_none() && !is_endless {
        job.progress.enabled = false;
    }
}

/// The fire of an `after` that is so long after the end of a run, or the first one.
pub(crate) fn plan_delayed(job: &mut Tracked, ended: Timestamp, is_first: bool) {
    let Schedule::After { after, start_at, bounds, .. } = job.spec.schedule else { panic!("another kind") };
    let next = ended + SignedDuration::from_nanos(after.as_nanos());
    let start_at = start_at.filter(|start_at| job.progress.state.fired.is_none_or(|fired| fired < *start_at));
    let next = match start_at {
        Some(start_at) if is_first && start_at > ended => start_at,
        Some(start_at) => next.max(start_at),
        None => next,
    };
    let is_over = has_had_all_runs(job) || bounds.end_at.is_some_and(|end_at| next > end_at);
    plan_or_end(job, (!is_over).then_some(next));
}

/// The last instant that is due, of those that were not taken.
pub(crate) fn last_due(job: &Job, planned: Timestamp, now: Timestamp) -> Timestamp {
    if fixed(job).is_some() && job.spec.schedule.bounds().end_at.is_none() {
        let every = grid(job).1;
        let last = first_of_grid(job, now) - every;
        return planned.max(if due(job, last) <= now { last } else { last - every });
    }
    let mut last = planned;
    while let Some(later) = first_after(job, last).filter(|later| due(job, *later) <= now) {
        last = later;
    }
    last
}

/// The first instant after a time, counted from the first: in leaps, then one by one.
fn first_of_grid(job: &Job, time: Timestamp) -> Timestamp {
    let (mut instant, every) = grid(job);
    for leap in [1_000_000_000, 1_000_000, 1_000] {
        while let Ok(later) = instant.checked_add(every * leap)
            && later <= time
        {
            instant = later;
        }
    }
    while instant <= time {
        instant += every;
    }
    instant
}

pub(crate) fn set_plan(job: &mut Tracked, instant: Option<Timestamp>) {
    let due = instant.map(|instant| due(job, instant));
    job.progress.next_run_at = due;
    job.progress.state.planned = instant.filter(|_| instant != due);
}

/// Plans the next fire from now on; a `once` whose instant has passed is missed for that reason.
pub(crate) fn plan(job: &mut Tracked, now: Timestamp, why: &str) {
    job.progress.state.held = false;
    set_plan(job, None);
    if !job.progress.enabled {
        return;
    }
    let fired = job.progress.state.fired;
    match job.spec.schedule {
        Schedule::Once { run_at } if fired == Some(run_at) => {}
        Schedule::Once { run_at } if run_at <= now => {
            miss(job, run_at, why);
        }
        Schedule::Once { run_at } => set_plan(job, Some(run_at)),
        // Its end plans the next one.
        Schedule::After { .. } if job.progress.state.is_running() => {}
        Schedule::After { .. } => plan_delayed(job, now, true),
        Schedule::Every { .. } | Schedule::Cron { .. } => plan_next(job, fired.map_or(now, |fired| now.max(fired))),
    }
}

/// The only instant of a `once` has passed.
pub(crate) fn miss(job: &mut Tracked, run_at: Timestamp, why: &str) {
    job.progress.state.fired = Some(run_at);
    job.progress.last_status = Status::Missed;
    job.progress.last_error = format!("missed: {run_at} passed while it could not run").into();
    job.passed(Passed::all([run_at]), why);
}

/// What waits to be run is not any more.
pub(crate) fn forget_waiting(job: &mut Tracked, skipped: &str, why: &str) {
    job.progress.state.held = false;
    drop_catch_up(job, why);
    runs::skip_behind(job, skipped);
}

/// Nothing is made up for any more.
pub(crate) fn drop_catch_up(job: &mut Tracked, why: &str) {
    let left = left(job);
    drop_oldest(job, left, why);
}

/// Whether an instant is too long past to be made up for.
pub(crate) fn is_too_old(job: &Job, instant: Timestamp, now: Timestamp) -> bool {
    let age = now.duration_since(instant).as_nanos();
    let bounds = [job.spec.policy.misfire_window, job.spec.policy.retry_for];
    let is_past = bounds.into_iter().flatten().any(|bound| age > i128::from(bound.as_nanos()));
    is_past && job.spec.policy.misfire != Misfire::Skip
}

/// The instants from the first to the last were missed: all are listed, and what is to be made up for is kept.
pub(crate) fn make_up(job: &mut Tracked, first: Timestamp, last: Timestamp, now: Timestamp) {
    let mut missed = vec![first];
    while let Some(next) = following(job, *missed.last().expect("there is one")).filter(|next| *next <= last) {
        missed.push(next);
    }
    let (mut worth_it, why) = match job.spec.policy.misfire {
        Misfire::Skip => (Vec::new(), TOO_OLD),
        Misfire::Once => (vec![last], OTHERS),
        Misfire::All => (missed.clone(), TOO_OLD),
    };
    worth_it.retain(|instant| !is_too_old(job, *instant, now));
    let worth_it = &worth_it[worth_it.len().saturating_sub(1_000)..];
    let (Some(first), Some(last)) = (worth_it.first(), worth_it.last()) else {
        return job.passed(Passed::all(missed), TOO_OLD);
    };
    job.passed(Passed::all(missed.into_iter().take_while(|instant| instant < first)), why);
    let count = u32::try_from(worth_it.len()).expect("at most a thousand");
    job.progress.state.catch_up.get_or_insert_default().spans.push(Span { next: *first, last: *last, left: count });
    bound_catch_up(job);
    let too_many = left(job).saturating_sub(1_000);
    drop_oldest(job, too_many, OTHERS);
}

/// How many are to be made up for.
fn left(job: &Job) -> u32 {
    job.progress.state.catch_up.iter().flat_map(|all| &all.spans).map(|span| span.left).sum()
}

/// So many of them are not. Those of one outage have one outcome.
fn drop_oldest(job: &mut Tracked, mut too_many: u32, why: &str) {
    while too_many > 0 {
        let of_outage = job.progress.state.catch_up.as_ref().expect("there are more").spans[0].left.min(too_many);
        too_many -= of_outage;
        let dropped: Vec<Timestamp> = (0..of_outage).filter_map(|_| take_oldest(job)).collect();
        job.passed(Passed::all(dropped), why);
    }
}

/// Keeps of what is to be made up for what the job asks for now.
pub(crate) fn bound_catch_up(job: &mut Tracked) {
    let left = left(job);
    match job.spec.policy.misfire {
        Misfire::Skip => drop_oldest(job, left, OTHERS),
        Misfire::Once => drop_oldest(job, left.saturating_sub(1), OTHERS),
        Misfire::All => {}
    }
}

/// The instant behind another.
pub(crate) fn following(job: &Job, instant: Timestamp) -> Option<Timestamp> {
    if fixed(job).is_some() { Some(instant + grid(job).1) } else { first_named(job, instant) }
}

/// The oldest fire that is to be made up for.
pub(crate) fn take_oldest(job: &mut Tracked) -> Option<Timestamp> {
    let mut catch_up = job.progress.state.catch_up.take()?;
    let oldest = catch_up.spans[0].next;
    catch_up.spans[0].left -= 1;
    if catch_up.spans[0].left == 0 {
        catch_up.spans.remove(0);
    } else {
        catch_up.spans[0].next = following(job, oldest).expect("there are more");
    }
    job.progress.state.catch_up = Some(catch_up).filter(|catch_up| !catch_up.spans.is_empty());
    Some(oldest)
}

/// A schedule begins to count.
pub(crate) fn anchor(job: &mut Tracked, now: Timestamp) {
    job.progress.state.fired = None;
    job.progress.state.runs = 0;
    let counts = matches!(job.spec.schedule, Schedule::Once { .. }) || matches!(fixed(job), Some((_, None)));
    job.progress.state.anchor = counts.then_some(now);
}

/// The older service wrote down neither where a grid is nor that a `once` was taken: what it shows tells.
fn read_what_is_shown(job: &mut Tracked, now: Timestamp) {
    let fixed = fixed(job);
    let Job { spec, progress } = &mut **job;
    if progress.state.anchor.is_some() {
        return;
    }
    match spec.schedule {
        // The grid goes through the fire that is shown. One that is ahead is the next to come.
        Schedule::Every { .. } | Schedule::Cron { .. } => {
            let Some((every, None)) = fixed else { return };
            let shown = progress.next_run_at.unwrap_or(now);
            let before = shown - SignedDuration::from_nanos(if shown > now { every.as_nanos() } else { 0 });
            progress.state.anchor = Some(before);
        }
        Schedule::Once { run_at } => {
            let ran = progress.last_run_at.is_some_and(|last| last >= run_at);
            let was_missed = progress.last_status == Status::Missed && run_at <= now;
            if ran || was_missed {
                progress.state.fired = Some(run_at);
            }
        }
        Schedule::After { .. } => {}
    }
}

/// The instant of the fire that a job shows, if it is one that it can have: it was not taken yet, and is delayed by no
/// more than the jitter.
fn shown_instant(job: &Job) -> Option<Timestamp> {
    let jitter = job.spec.schedule.jitter();
    let next = job.progress.next_run_at.filter(|_| job.progress.enabled)?;
    let instant = job.progress.state.planned.unwrap_or(next);
    let latest = instant + SignedDuration::from_nanos(jitter.as_nanos());
    let is_on_grid = next_to_run(job, instant - SignedDuration::from_nanos(1)) == Some(instant);
    let is_new = job.progress.state.fired.is_none_or(|fired| fired < instant);
    (is_on_grid && is_new && (instant..=latest).contains(&next)).then_some(instant)
}

/// Whether the only planned fire of a job has passed, and still comes.
fn still_comes(job: &Job, instant: Timestamp, now: Timestamp) -> bool {
    let is_past = job.progress.next_run_at.is_some_and(|next| next <= now && instant <= next);
    is_past && job.progress.enabled && job.spec.policy.misfire != Misfire::Skip && !is_too_old(job, instant, now)
}

/// A start of the service finds the job so.
pub(crate) fn restart(job: &mut Tracked, now: Timestamp) {
    read_what_is_shown(job, now);
    if !job.progress.enabled {
        drop_catch_up(job, PAUSED);
    }
    runs::end_pause(job, now);
    let next = job.progress.next_run_at;
    let planned = job.progress.state.planned.or(next);
    let lies_ahead = job.progress.enabled && next.is_some_and(|next| next > now);
    match job.spec.schedule {
        Schedule::Once { run_at } => {
            let is_taken = job.progress.state.fired == Some(run_at);
            if !job.progress.state.held && (is_taken || !still_comes(job, run_at, now)) {
                plan(job, now, DOWN);
            }
        }
        Schedule::After { .. } => {
            // A plan that is further away than a new one would be is of a clock that was set back.
            let new = |is_first| {
                let mut new = job.clone();
                plan_delayed(&mut new, now, is_first);
                new.progress.state.planned.or(new.progress.next_run_at)
            };
            let is_near = planned.is_some_and(|planned| Some(planned) <= new(false).max(new(true)));
            let stands = lies_ahead && is_near && planned.map(|planned| due(job, planned)) == next;
            let comes = planned.is_some_and(|planned| still_comes(job, planned, now));
            if job.progress.state.is_running() || !(stands || comes) {
                let is_enabled = job.progress.enabled;
                plan(job, now, DOWN);
                job.passed(Passed::all(planned.filter(|planned| is_enabled && *planned <= now)), DOWN);
            }
        }
        Schedule::Every { .. } | Schedule::Cron { .. } => match shown_instant(job) {
            Some(_) if lies_ahead => {}
            Some(first) if job.spec.policy.misfire != Misfire::Skip => {
                missed::close_down(job, now);
                let last = last_due(job, first, now);
                make_up(job, first, last, now);
                job.progress.state.fired = Some(last);
                plan_next(job, last);
            }
            passed => {
                missed::open(job, passed);
                plan(job, now, DOWN);
                if passed.is_some() && !job.progress.enabled {
                    missed::close(job, now, DOWN);
                }
                missed::open_paused(job, now);
            }
        },
    }
    attempts::restart(job, now);
}
