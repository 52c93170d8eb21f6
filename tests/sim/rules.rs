//! The rules of one job, written a second time: plainly, by the contract, without a thought for
//! speed. Where these and the engine's differ, one of them is wrong.

use jiff::{SignedDuration, Timestamp};
use ksana::engine::{Outcome, Verdict};
use ksana::job::{GoDuration, Job, Phase, Run, Schedule, Status};
use uuid::Uuid;

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

/// The first instant of an `every`, and their distance.
fn grid(job: &Job) -> (Timestamp, SignedDuration) {
    let Schedule::Every { every, start_at, .. } = job.spec.schedule else { panic!("a once has one instant") };
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
        Schedule::Once { .. } => None,
        Schedule::Every { .. } => Some(first_of_grid(job, time)),
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
fn next_to_run(job: &Job, time: Timestamp) -> Option<Timestamp> {
    let is_used_up =
        job.spec.schedule.bounds().max_runs.is_some_and(|max_runs| i64::from(job.progress.state.runs) >= max_runs);
    if is_used_up { None } else { first_after(job, time) }
}

/// Plans the next fire, or writes down that the last one was.
fn plan_next(job: &mut Job, time: Timestamp) {
    let next = next_to_run(job, time);
    set_plan(job, next);
    if next.is_none() {
        job.progress.enabled = false;
    }
}

/// The last instant that is due, of those that were not taken.
fn last_due(job: &Job, planned: Timestamp, now: Timestamp) -> Timestamp {
    if let Schedule::Every { .. } = job.spec.schedule
        && job.spec.schedule.bounds().end_at.is_none()
    {
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

fn set_plan(job: &mut Job, instant: Option<Timestamp>) {
    let due = instant.map(|instant| due(job, instant));
    job.progress.next_run_at = due;
    job.progress.state.planned = instant.filter(|_| instant != due);
}

/// Plans the next fire from now on; a `once` whose instant has passed is missed.
pub(crate) fn plan(job: &mut Job, now: Timestamp) {
    job.progress.state.held = false;
    set_plan(job, None);
    if !job.progress.enabled {
        return;
    }
    let fired = job.progress.state.fired;
    match job.spec.schedule {
        Schedule::Once { run_at } if fired == Some(run_at) => {}
        Schedule::Once { run_at } if run_at <= now => {
            job.progress.state.fired = Some(run_at);
            job.progress.last_status = Status::Missed;
            job.progress.last_error = format!("missed: {run_at} passed while it could not run").into();
        }
        Schedule::Once { run_at } => set_plan(job, Some(run_at)),
        Schedule::Every { .. } | Schedule::Cron { .. } => plan_next(job, fired.map_or(now, |fired| now.max(fired))),
    }
}

/// A schedule begins to count.
pub(crate) fn anchor(job: &mut Job, now: Timestamp) {
    job.progress.state.fired = None;
    job.progress.state.runs = 0;
    let counts = matches!(job.spec.schedule, Schedule::Once { .. } | Schedule::Every { start_at: None, .. });
    job.progress.state.anchor = counts.then_some(now);
}

/// When something is to happen to the job next.
pub(crate) fn next_due(job: &Job) -> Option<Timestamp> {
    let fire = if job.progress.state.held { None } else { job.progress.next_run_at };
    let retry = match job.progress.state.run.as_deref() {
        Some(Run { phase: Phase::Waiting { until }, .. }) => Some(*until),
        _ => None,
    };
    [fire, retry].into_iter().flatten().min()
}

/// Does what is due.
pub(crate) fn take_due(job: &mut Job, now: Timestamp) {
    if let Some(run) = job.progress.state.run.as_deref_mut()
        && matches!(run.phase, Phase::Waiting { until } if until <= now)
    {
        run.phase = Phase::Queued;
    }
    if job.progress.next_run_at.is_some_and(|next| next <= now) {
        fire(job, now);
    }
}

fn fire(job: &mut Job, now: Timestamp) {
    let next = job.progress.next_run_at.expect("only what is planned fires");
    let goes = job.progress.state.run.is_some();
    match job.spec.schedule {
        Schedule::Once { .. } if goes => job.progress.state.held = true,
        Schedule::Once { run_at } => {
            set_plan(job, None);
            job.progress.state.fired = Some(run_at);
            job.progress.state.run = Some(Box::new(run(run_id(job, run_at), run_at, next, now)));
        }
        Schedule::Every { .. } | Schedule::Cron { .. } => {
            let planned = job.progress.state.planned.unwrap_or(next);
            let instant = last_due(job, planned, now);
            let due_at = if instant == planned { next } else { due(job, instant) };
            job.progress.state.fired = Some(instant);
            if !goes && job.spec.schedule.bounds().max_runs.is_some() {
                job.progress.state.runs += 1;
            }
            plan_next(job, instant);
            if goes {
                job.progress.last_status = Status::Skipped;
                job.progress.last_error = format!("skipped: a run was still going at {instant}").into();
            } else {
                job.progress.state.run = Some(Box::new(run(run_id(job, instant), instant, due_at, now)));
            }
        }
    }
}

fn run(id: Uuid, scheduled_at: Timestamp, due_at: Timestamp, began_at: Timestamp) -> Run {
    Run { id, scheduled_at, due_at, began_at, started_at: None, attempts: 0, phase: Phase::Queued }
}

/// A run-now, of a job that has no run.
pub(crate) fn run_now(job: &mut Job, id: Uuid, now: Timestamp) {
    job.progress.state.run = Some(Box::new(run(id, now, now, now)));
    job.progress.state.anchor.get_or_insert(now);
}

/// An attempt goes out.
pub(crate) fn begin_attempt(job: &mut Job, now: Timestamp) {
    let run = job.progress.state.run.as_deref_mut().expect("a run waits");
    run.started_at.get_or_insert(now);
    run.attempts += 1;
    run.phase = Phase::InFlight;
}

/// An attempt comes back.
pub(crate) fn end_attempt(job: &mut Job, outcome: &Outcome, now: Timestamp) {
    let attempts = i64::from(job.progress.state.run.as_ref().expect("a run goes").attempts);
    let may_pass = matches!(outcome.verdict, Verdict::Retryable | Verdict::TimedOut);
    if may_pass && attempts <= job.spec.max_retries {
        let backoff = job.spec.retry_backoff.as_nanos();
        let asked = outcome.retry_after.map_or(0, GoDuration::as_nanos);
        wait(job, now + SignedDuration::from_nanos(backoff.max(asked)), now);
        return;
    }
    let status = match outcome.verdict {
        Verdict::Success => Status::Success,
        Verdict::TimedOut => Status::Timeout,
        Verdict::Retryable | Verdict::Final => Status::Failed,
    };
    end(job, status, &outcome.error);
    fire_held(job, now);
}

/// A fire that waited for the end of a run begins; it waits again where its time is ahead again.
fn fire_held(job: &mut Job, now: Timestamp) {
    let is_held = std::mem::take(&mut job.progress.state.held);
    if is_held && job.progress.next_run_at.is_some_and(|next| next <= now) {
        fire(job, now);
    }
}

fn wait(job: &mut Job, until: Timestamp, now: Timestamp) {
    let run = job.progress.state.run.as_deref_mut().expect("a run goes");
    run.phase = if until > now { Phase::Waiting { until } } else { Phase::Queued };
}

fn end(job: &mut Job, status: Status, error: &str) {
    let run = job.progress.state.run.take().expect("a run goes");
    job.progress.last_run_at = Some(run.began_at);
    job.progress.last_status = status;
    job.progress.last_error = error.into();
}

/// Pause or resume.
pub(crate) fn switch(job: &mut Job, enabled: bool, now: Timestamp) {
    if job.progress.enabled == enabled {
        return;
    }
    job.progress.enabled = enabled;
    if enabled {
        plan(job, now);
        return;
    }
    set_plan(job, None);
    job.progress.state.held = false;
    // A `once` that has had its outcome keeps it.
    let is_done = match job.spec.schedule {
        Schedule::Once { run_at } => {
            let own = run_id(job, run_at);
            job.progress.state.fired == Some(run_at) && job.progress.state.run.as_ref().is_none_or(|run| run.id != own)
        }
        Schedule::Every { .. } | Schedule::Cron { .. } => false,
    };
    if !is_done {
        job.progress.last_status = Status::Paused;
        job.progress.last_error = "".into();
    }
}

/// The older service wrote down neither where a grid is nor that a `once` was taken: what it shows tells.
fn read_what_is_shown(job: &mut Job, now: Timestamp) {
    let progress = &mut job.progress;
    if progress.state.anchor.is_some() {
        return;
    }
    match job.spec.schedule {
        // The grid goes through the fire that is shown. One that is ahead is the next to come.
        Schedule::Every { every, start_at: None, .. } => {
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
        Schedule::Every { .. } | Schedule::Cron { .. } => {}
    }
}

/// Whether what the job shows is a fire that it can have: ahead, of an instant that was not taken
/// yet, and delayed by no more than the jitter.
fn shows_a_fire(job: &Job, now: Timestamp) -> bool {
    let jitter = job.spec.schedule.jitter();
    let Some(next) = job.progress.next_run_at.filter(|next| *next > now) else { return false };
    let instant = job.progress.state.planned.unwrap_or(next);
    let latest = instant + SignedDuration::from_nanos(jitter.as_nanos());
    let is_on_grid = next_to_run(job, instant - SignedDuration::from_nanos(1)) == Some(instant);
    is_on_grid && job.progress.state.fired.is_none_or(|fired| fired < instant) && (instant..=latest).contains(&next)
}

/// A start of the service finds the job so.
pub(crate) fn restart(job: &mut Job, now: Timestamp) {
    read_what_is_shown(job, now);
    let is_once = matches!(job.spec.schedule, Schedule::Once { .. });
    let stays = if is_once { job.progress.state.held } else { job.progress.enabled && shows_a_fire(job, now) };
    if !stays {
        plan(job, now);
    }
    let was_cut_off = job.progress.state.run.as_ref().is_some_and(|run| run.phase == Phase::InFlight);
    if was_cut_off {
        let attempts = i64::from(job.progress.state.run.as_ref().expect("it was cut off").attempts);
        if attempts > job.spec.max_retries {
            end(job, Status::Failed, "interrupted by a restart");
        } else {
            wait(job, now + SignedDuration::from_nanos(job.spec.retry_backoff.as_nanos()), now);
        }
    }
    if job.progress.state.run.is_none() {
        fire_held(job, now);
    }
}
