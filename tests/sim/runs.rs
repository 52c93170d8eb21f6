//! What becomes of a fire, written a second time like [`crate::rules`]: runs, their attempts, and how they meet.

use std::sync::Arc;

use jiff::Timestamp;
use ksana::job::{Job, Misfire, Origin, Overlap, Overrides, Phase, Run, Schedule, Status, Trigger};
use uuid::Uuid;

use crate::attempts::cancel;
use crate::missed;
use crate::outcomes::{ASKED, DOWN, LATE, PAUSED, Passed, TOO_OLD, Tracked, USED_UP};
use crate::rules::{
    bound_catch_up, drop_catch_up, due, following, forget_waiting, has_had_all_runs, is_too_old, last_due, make_up,
    miss, plan, plan_delayed, plan_next, plan_or_end, run_id, set_plan, take_oldest,
};

/// When something is to happen to the job next.
pub(crate) fn next_due(job: &Job) -> Option<Timestamp> {
    let mut all = vec![job.progress.paused_until];
    if !job.progress.state.held {
        all.push(job.progress.next_run_at);
    }
    for run in &job.progress.state.runs_going {
        if let Phase::Waiting { until } = run.phase {
            all.push(Some(until));
        }
    }
    all.into_iter().flatten().min()
}

/// Does what is due.
pub(crate) fn take_due(job: &mut Tracked, now: Timestamp) {
    for run in &mut job.progress.state.runs_going {
        if matches!(run.phase, Phase::Waiting { until } if until <= now) {
            run.phase = Phase::Queued;
        }
    }
    end_pause(job, now);
    if !job.progress.state.held && job.progress.next_run_at.is_some_and(|next| next <= now) {
        fire(job, now);
    }
}

/// A pause that was to last until a time has lasted until then.
pub(crate) fn end_pause(job: &mut Tracked, now: Timestamp) {
    if let Some(until) = job.progress.paused_until.filter(|until| *until <= now) {
        resume(job, until);
    }
}

/// How many runs go.
fn going(job: &Job) -> usize {
    job.progress.state.runs_going.iter().filter(|run| run.phase != Phase::Behind).count()
}

/// Whether one more may.
pub(crate) fn has_room(job: &Job) -> bool {
    match job.spec.policy.overlap {
        Overlap::Allow { max } => going(job) < usize::try_from(max).expect("a small number"),
        Overlap::Skip | Overlap::Queue | Overlap::Replace => going(job) == 0,
    }
}

fn fire(job: &mut Tracked, now: Timestamp) {
    let next = job.progress.next_run_at.expect("only what is planned fires");
    let planned = job.progress.state.planned.unwrap_or(next);
    let all = job.spec.policy.misfire == Misfire::All;
    match job.spec.schedule {
        Schedule::Once { run_at } if is_too_old(job, run_at, now) => {
            set_plan(job, None);
            miss(job, run_at, TOO_OLD);
        }
        Schedule::Once { .. } => fire_once(job, now),
        Schedule::After { .. } => {
            set_plan(job, None);
            job.progress.state.fired = Some(planned);
            if is_too_old(job, planned, now) {
                job.passed(Passed::all([planned]), TOO_OLD);
                plan_delayed(job, now, false);
            } else {
                begin(job, Trigger::Schedule, planned, next, now);
            }
        }
        Schedule::Every { .. } | Schedule::Cron { .. } => {
            missed::close(job, now, DOWN);
            let instant = last_due(job, planned, now);
            job.progress.state.fired = Some(instant);
            if all && instant != planned {
                make_up(job, planned, instant, now);
                follow(job, now);
            } else if is_too_old(job, instant, now) {
                let passed = Passed::all(missed::from(job, planned).take_while(|passed| *passed <= instant));
                job.passed(passed, TOO_OLD);
            } else {
                let passed = Passed::all(missed::from(job, planned).take_while(|passed| *passed < instant));
                job.passed(passed, LATE);
                meet(job, instant, if instant == planned { next } else { due(job, instant) }, now);
            }
            plan_next(job, instant);
        }
    }
}

fn fire_once(job: &mut Tracked, now: Timestamp) {
    let Schedule::Once { run_at } = job.spec.schedule else { panic!("another kind") };
    let next = job.progress.next_run_at.expect("it is planned");
    if goes(job, run_at) {
        set_plan(job, None);
        job.progress.state.fired = Some(run_at);
        return;
    }
    job.progress.state.held = !has_room(job) && job.spec.policy.overlap != Overlap::Replace;
    if job.progress.state.held {
        return;
    }
    if !has_room(job) {
        cancel(job, &format!("cancelled: the fire of {run_at} took its place"));
    }
    set_plan(job, None);
    job.progress.state.fired = Some(run_at);
    begin(job, Trigger::Schedule, run_at, next, now);
}

/// Whether the run of that instant goes.
fn goes(job: &Job, instant: Timestamp) -> bool {
    job.progress.state.runs_going.iter().any(|run| run.id == run_id(job, instant))
}

/// A fire meets the runs that go.
fn meet(job: &mut Tracked, instant: Timestamp, due_at: Timestamp, now: Timestamp) {
    let goes_itself = goes(job, instant);
    match job.spec.policy.overlap {
        _ if !goes_itself && has_room(job) => begin(job, Trigger::Schedule, instant, due_at, now),
        Overlap::Queue if !goes_itself => {
            skip_behind(job, "a newer fire took its place behind the run that was going");
            let run = run(run_id(job, instant), Trigger::Schedule, instant, due_at, now);
            job.progress.state.runs_going.push(Run { phase: Phase::Behind, ..run });
        }
        Overlap::Replace if !goes_itself => {
            cancel(job, &format!("cancelled: the fire of {instant} took its place"));
            begin(job, Trigger::Schedule, instant, due_at, now);
        }
        _ => skip(job, instant, "a run was still going"),
    }
}

/// What waits behind a run never comes.
pub(crate) fn skip_behind(job: &mut Tracked, why: &str) {
    let behind = job.progress.state.runs_going.iter().find(|run| run.phase == Phase::Behind).cloned();
    if let Some(behind) = behind {
        job.progress.state.runs_going.retain(|run| run.id != behind.id);
        skip(job, behind.scheduled_at, why);
    }
}

fn skip(job: &mut Tracked, instant: Timestamp, why: &str) {
    job.progress.last_status = Status::Skipped;
    job.progress.last_error = format!("skipped: {why} at {instant}").into();
    job.skipped(instant, why);
}

fn begin(job: &mut Tracked, trigger: Trigger, scheduled_at: Timestamp, due_at: Timestamp, now: Timestamp) {
    let run = run(run_id(job, scheduled_at), trigger, scheduled_at, due_at, now);
    job.progress.state.runs_going.push(run);
    count(job, now);
}

/// A run of the schedule has begun; it may be the last one.
fn count(job: &mut Tracked, now: Timestamp) {
    if job.spec.schedule.bounds().max_runs.is_some() {
        job.progress.state.runs += 1;
    }
    if has_had_all_runs(job) {
        drop_catch_up(job, USED_UP);
        skip_behind(job, "the last run of max_runs began before it");
        missed::close_used_up(job, now);
        plan_or_end(job, None);
    }
}

fn run(id: Uuid, trigger: Trigger, scheduled_at: Timestamp, due_at: Timestamp, began_at: Timestamp) -> Run {
    Run {
        id,
        trigger,
        scheduled_at,
        due_at,
        began_at,
        started_at: None,
        attempt_at: None,
        attempts: 0,
        tried: Vec::new(),
        phase: Phase::Queued,
        origin: Origin::default(),
        overrides: None,
    }
}

/// Something has ended, so something may begin.
pub(crate) fn follow(job: &mut Tracked, now: Timestamp) {
    if job.progress.state.held && has_room(job) {
        job.progress.state.held = false;
        if job.progress.next_run_at.is_some_and(|next| next <= now) {
            fire_once(job, now);
        }
    }
    bound_catch_up(job);
    let makes_up = job.progress.state.runs_going.iter().any(|run| run.trigger == Trigger::CatchUp);
    if !makes_up
        && has_room(job)
        && let Some(oldest) = take_worth_it(job, now)
    {
        begin(job, Trigger::CatchUp, oldest, due(job, oldest), now);
    }
    if !has_room(job) && job.spec.policy.overlap != Overlap::Queue {
        skip_behind(job, "a run was still going, and overlap is queue no more,");
    }
    let behind = job.progress.state.runs_going.iter().find(|run| run.phase == Phase::Behind).cloned();
    if let Some(mut run) = behind.filter(|_| has_room(job)) {
        job.progress.state.runs_going.retain(|going| going.id != run.id);
        run.phase = Phase::Queued;
        job.progress.state.runs_going.push(run);
        count(job, now);
    }
    if job.progress.enabled && job.progress.next_run_at.is_none() {
        match job.spec.schedule {
            Schedule::After { .. } if going(job) > 0 => {}
            Schedule::After { .. } => plan_delayed(job, now, false),
            _ => plan_or_end(job, None),
        }
    }
}

/// The oldest that is still to be made up for. Those that follow one another and are too old are missed together.
fn take_worth_it(job: &mut Tracked, now: Timestamp) -> Option<Timestamp> {
    let mut too_old: Vec<Vec<Timestamp>> = Vec::new();
    let mut taken = None;
    while let Some(oldest) = take_oldest(job) {
        if goes(job, oldest) {
            continue;
        }
        if !is_too_old(job, oldest, now) {
            taken = Some(oldest);
            break;
        }
        match too_old.last_mut().filter(|others| following(job, others[others.len() - 1]) == Some(oldest)) {
            Some(others) => others.push(oldest),
            None => too_old.push(vec![oldest]),
        }
    }
    for instants in too_old {
        job.passed(Passed::all(instants), TOO_OLD);
    }
    taken
}

/// A run-now, of a job that has room.
pub(crate) fn run_now(job: &mut Tracked, id: Uuid, overrides: Option<&Overrides>, now: Timestamp) {
    if let Schedule::After { .. } = job.spec.schedule {
        missed::due(job, now, ASKED);
        set_plan(job, None);
    }
    let run = run(id, Trigger::Manual, now, now, now);
    let origin = Origin { is_overridden: overrides.is_some(), ..Origin::default() };
    job.progress.state.runs_going.push(Run { overrides: overrides.cloned().map(Arc::new), origin, ..run });
    job.progress.state.anchor.get_or_insert(now);
}

/// A client cancels what goes.
pub(crate) fn cancel_by_request(job: &mut Tracked, now: Timestamp) {
    cancel(job, "cancelled by request");
    follow(job, now);
}

pub(crate) fn pause(job: &mut Tracked, until: Option<Timestamp>, now: Timestamp) {
    // A schedule that is over does not begin again.
    let mut resumed = job.clone();
    resumed.progress.enabled = true;
    resumed.progress.state.catch_up = None;
    resumed.progress.state.runs_going.clear();
    plan(&mut resumed, now, PAUSED);
    let is_over = match job.spec.schedule {
        Schedule::Once { run_at } => job.progress.state.fired == Some(run_at),
        _ => !resumed.progress.enabled,
    };
    job.progress.paused_until = until.filter(|_| !is_over);
    forget_waiting(job, "the job was paused before its turn", PAUSED);
    if !job.progress.enabled {
        return;
    }
    missed::close(job, now, DOWN);
    job.progress.enabled = false;
    if let Schedule::Every { .. } | Schedule::Cron { .. } = job.spec.schedule {
        missed::open(job, job.progress.state.planned.or(job.progress.next_run_at));
    }
    if let Schedule::After { .. } = job.spec.schedule {
        missed::due(job, now, PAUSED);
    }
    set_plan(job, None);
    // A `once` that has had its outcome keeps it.
    let is_done = match job.spec.schedule {
        Schedule::Once { run_at } => {
            let own = run_id(job, run_at);
            job.progress.state.fired == Some(run_at) && job.progress.state.runs_going.iter().all(|run| run.id != own)
        }
        _ => false,
    };
    if !is_done {
        job.progress.last_status = Status::Paused;
        job.progress.last_error = "".into();
    }
}

pub(crate) fn resume(job: &mut Tracked, now: Timestamp) {
    job.progress.paused_until = None;
    if !job.progress.enabled {
        job.progress.enabled = true;
        plan(job, now, PAUSED);
        missed::close(job, now, PAUSED);
    }
}
