//! From a due time to a run.

use jiff::{SignedDuration, Timestamp};

use super::account::{close_down, close_used_up, miss, miss_before, open};
use super::attempt::cancel;
use super::calendar::{
    self, delayed, due_time, instants, latest_due, next_instant, plan, plan_or_finish, resume, run_id, runs_are_used_up,
};
use super::catch_up::{bound_catch_up, is_too_old, make_up, take_next};
use super::table::Slot;
use super::{Engine, Event, EventKind, Missed, Turn};
use crate::job::{GoDuration, Job, Misfire, Origin, Overlap, Phase, Run, Schedule, Status, Trigger};
use crate::limits::EVERY_MILLIS_MIN;

impl Engine {
    /// Takes at most `bite` jobs that are due, so that of a hundred thousand at one instant
    /// commands and ended attempts get their turn. Says whether more are due.
    pub fn fire_due(&mut self, now: Timestamp, bite: usize, turn: &mut Turn) -> bool {
        for _ in 0..bite {
            match self.due.first() {
                Some((due, slot)) if due <= now => self.take_due(slot, now, turn),
                _ => return false,
            }
        }
        self.due.first().is_some_and(|(due, _)| due <= now)
    }

    fn take_due(&mut self, slot: Slot, now: Timestamp, turn: &mut Turn) {
        self.change_told(slot, now, turn, |job, events| {
            for run in &mut job.progress.state.runs_going {
                if matches!(run.phase, Phase::Waiting { until } if until <= now) {
                    run.phase = Phase::Queued;
                }
            }
            end_pause(job, now, events);
            if let Some(due_at) = job.progress.next_run_at.filter(|due| *due <= now && !job.progress.state.held) {
                fire(job, due_at, now, events);
            }
        });
    }
}

/// The end of a pause that was to last until a time. What is due behind that is no more missed for the pause.
pub(super) fn end_pause(job: &mut Job, now: Timestamp, events: &mut Vec<Event>) {
    if let Some(until) = job.progress.paused_until.filter(|until| *until <= now) {
        resume(job, until, events);
    }
}

/// A fire that is due: it begins a run, or waits, or is skipped, or comes too late.
pub(super) fn fire(job: &mut Job, due_at: Timestamp, now: Timestamp, events: &mut Vec<Event>) {
    match job.spec.schedule {
        Schedule::Once { run_at } if is_too_old(job, run_at, now) => {
            plan(job, None);
            calendar::miss(&mut job.progress, run_at);
            events.push(Event::missed(job, run_at, Missed::TooOld));
        }
        Schedule::Once { run_at } => fire_once(job, run_at, due_at, now, events),
        Schedule::After { .. } => fire_after(job, due_at, now, events),
        Schedule::Every { .. } | Schedule::Cron { .. } => fire_repeated(job, due_at, now, events),
    }
}

/// That of a `once` is skipped by nothing: there is no other.
fn fire_once(job: &mut Job, run_at: Timestamp, due_at: Timestamp, now: Timestamp, events: &mut Vec<Event>) {
    let is_going = is_going(job, run_at);
    if !is_going && !has_room(job) {
        if job.spec.policy.overlap != Overlap::Replace {
            job.progress.state.held = true;
            return;
        }
        cancel(job, &replaced_by(run_at), events);
    }
    plan(job, None);
    job.progress.state.fired = Some(run_at);
    if is_going {
        return;
    }
    begin(job, Trigger::Schedule, run_at, due_at, now, events);
}

/// It meets no run: the end of one plans it.
fn fire_after(job: &mut Job, due_at: Timestamp, now: Timestamp, events: &mut Vec<Event>) {
    let instant = job.progress.state.planned.unwrap_or(due_at);
    plan(job, None);
    job.progress.state.fired = Some(instant);
    if is_too_old(job, instant, now) {
        events.push(Event::missed(job, instant, Missed::TooOld));
        let next = delayed(job, now);
        return plan_or_finish(job, next);
    }
    begin(job, Trigger::Schedule, instant, due_at, now, events);
}

fn fire_repeated(job: &mut Job, due_at: Timestamp, now: Timestamp, events: &mut Vec<Event>) {
    close_down(job, now, events);
    let Some(instant) = latest_due(job, now) else { return plan(job, None) };
    let planned = job.progress.state.planned.unwrap_or(due_at);
    job.progress.state.fired = Some(instant);
    if instant > planned && job.spec.policy.misfire == Misfire::All {
        make_up(job, planned, instant, now, events);
        follow_up(job, now, events);
    } else if is_too_old(job, instant, now) {
        miss(job, planned.min(instant), instant, Missed::TooOld, events);
    } else {
        miss_before(job, planned, instant, Missed::Late, events);
        let due_at = if instant == planned { due_at } else { due_time(job, instant) };
        meet(job, instant, due_at, now, events);
    }
    let next = next_instant(job, instant.max(earliest_next(&job.spec.schedule, now)));
    if earliest_next(&job.spec.schedule, now) > instant {
        // Of a grid that only a file can have.
        let first = next_instant(job, instant);
        open(job, first);
    }
    plan_or_finish(job, next);
}

/// What a fire does that may meet a run which is going.
fn meet(job: &mut Job, instant: Timestamp, due_at: Timestamp, now: Timestamp, events: &mut Vec<Event>) {
    let is_going = is_going(job, instant);
    if !is_going && has_room(job) {
        return begin(job, Trigger::Schedule, instant, due_at, now, events);
    }
    match job.spec.policy.overlap {
        Overlap::Queue if !is_going => {
            skip_behind(job, "a newer fire took its place behind the run that was going", events);
            let run = Run { phase: Phase::Behind, ..new_run(job, Trigger::Schedule, instant, due_at, now) };
            push(job, run);
        }
        Overlap::Replace if !is_going => {
            cancel(job, &replaced_by(instant), events);
            begin(job, Trigger::Schedule, instant, due_at, now, events);
        }
        _ => skip(job, instant, "a run was still going", events),
    }
}

/// Whether the run of an instant goes already: a clock that stepped back and a schedule that was set anew may name it
/// once more.
fn is_going(job: &Job, instant: Timestamp) -> bool {
    let runs = &job.progress.state.runs_going;
    // Mostly there is none, and an id costs a hash.
    !runs.is_empty() && {
        let id = run_id(&job.spec.id, instant);
        runs.iter().any(|run| run.id == id)
    }
}

fn replaced_by(instant: Timestamp) -> String {
    format!("cancelled: the fire of {instant} took its place")
}

fn skip(job: &mut Job, instant: Timestamp, why: &'static str, events: &mut Vec<Event>) {
    job.progress.last_status = Status::Skipped;
    job.progress.last_error = format!("skipped: {why} at {instant}").into();
    events.push(Event::new(job, EventKind::Skipped { scheduled_at: instant, why }));
}

/// Whether one more run may begin.
pub(super) fn has_room(job: &Job) -> bool {
    job.progress.state.active().count() < job.spec.policy.overlap.runs_max()
}

/// Skips what waits for the end of the runs that go.
pub(super) fn skip_behind(job: &mut Job, why: &'static str, events: &mut Vec<Event>) {
    if let Some(run) = take_behind(job) {
        skip(job, run.scheduled_at, why, events);
    }
}

fn take_behind(job: &mut Job) -> Option<Run> {
    let runs = &mut job.progress.state.runs_going;
    let index = runs.iter().position(|run| run.phase == Phase::Behind)?;
    Some(runs.remove(index))
}

/// What begins because a run has ended, or may after a start: a `once` that was held up, then the oldest of what is
/// made up for, then the fire that waited behind. Where nothing does, the end of an `after` plans its next one.
pub(super) fn follow_up(job: &mut Job, now: Timestamp, events: &mut Vec<Event>) {
    if job.progress.state.held && has_room(job) {
        job.progress.state.held = false;
        // Where the clock has stepped back meanwhile to before its time, it waits for that again.
        if let (Schedule::Once { run_at }, Some(due_at)) =
            (&job.spec.schedule, job.progress.next_run_at.filter(|due| *due <= now))
        {
            fire_once(job, *run_at, due_at, now, events);
        }
    }
    bound_catch_up(job, events);
    let catches_up = job.progress.state.active().any(|run| run.trigger == Trigger::CatchUp);
    if !catches_up
        && has_room(job)
        && let Some(instant) = take_worth_it(job, now, events)
    {
        let due_at = due_time(job, instant);
        begin(job, Trigger::CatchUp, instant, due_at, now, events);
    }
    if has_room(job) {
        if let Some(run) = take_behind(job) {
            push(job, Run { phase: Phase::Queued, ..run });
            count(job, now, events);
        }
    } else if job.spec.policy.overlap != Overlap::Queue {
        skip_behind(job, "a run was still going, and overlap is queue no more,", events);
    }
    let waits_for_end = matches!(job.spec.schedule, Schedule::After { .. }) && job.progress.state.is_running();
    if job.progress.enabled && job.progress.next_run_at.is_none() && !waits_for_end {
        // Or, of another kind, nothing: then the schedule is over, now that all is made up for.
        let next = delayed(job, now);
        plan_or_finish(job, next);
    }
}

/// The oldest fire that is made up for. What has grown too old while it waited for its turn is missed after all.
fn take_worth_it(job: &mut Job, now: Timestamp, events: &mut Vec<Event>) -> Option<Timestamp> {
    let mut missed: Option<(Timestamp, Timestamp)> = None;
    let taken = loop {
        match take_next(job) {
            Some(instant) if is_going(job, instant) => {}
            Some(instant) if is_too_old(job, instant, now) => {
                let goes_on =
                    missed.filter(|(_, last)| instants(job).and_then(|all| all.after(*last)) == Some(instant));
                if let Some((first, last)) = missed.filter(|_| goes_on.is_none()) {
                    miss(job, first, last, Missed::TooOld, events);
                }
                missed = Some((goes_on.map_or(instant, |(first, _)| first), instant));
            }
            taken => break taken,
        }
    };
    if let Some((first, last)) = missed {
        miss(job, first, last, Missed::TooOld, events);
    }
    taken
}

/// The instant behind which the next fire comes, whatever the grid. A file's grid may be finer than
/// any that a client can make, and must not make the loop do nothing else.
pub(super) fn earliest_next(schedule: &Schedule, now: Timestamp) -> Timestamp {
    let least = GoDuration::from_millis(EVERY_MILLIS_MIN);
    if schedule.distance().is_none_or(|every| every >= least) {
        return Timestamp::MIN;
    }
    now.checked_add(SignedDuration::from_nanos(least.as_nanos() - 1)).unwrap_or(now)
}

fn begin(
    job: &mut Job,
    trigger: Trigger,
    scheduled_at: Timestamp,
    due_at: Timestamp,
    now: Timestamp,
    events: &mut Vec<Event>,
) {
    let run = new_run(job, trigger, scheduled_at, due_at, now);
    push(job, run);
    count(job, now, events);
}

/// Most jobs never have a second run beside one, so there is no room for it before.
pub(super) fn push(job: &mut Job, run: Run) {
    job.progress.state.runs_going.reserve_exact(1);
    job.progress.state.runs_going.push(run);
}

/// Counts a run where that is bounded; the last one ends the schedule.
fn count(job: &mut Job, now: Timestamp, events: &mut Vec<Event>) {
    if job.spec.schedule.bounds().max_runs.is_none() {
        return;
    }
    job.progress.state.runs = job.progress.state.runs.saturating_add(1);
    if runs_are_used_up(job) {
        close_used_up(job, now, events);
        plan_or_finish(job, None);
    }
}

fn new_run(job: &Job, trigger: Trigger, scheduled_at: Timestamp, due_at: Timestamp, now: Timestamp) -> Run {
    Run {
        id: run_id(&job.spec.id, scheduled_at),
        trigger,
        scheduled_at,
        due_at,
        began_at: now,
        started_at: None,
        attempt_at: None,
        attempts: 0,
        tried: Vec::new(),
        phase: Phase::Queued,
        origin: Origin::default(),
        overrides: None,
    }
}
