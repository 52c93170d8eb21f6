//! From a due time to an attempt, and from its end to an outcome.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::calendar::{due_time, latest_due, next_instant, plan, plan_or_finish, run_id};
use super::table::Slot;
use super::{Engine, Event, EventKind, Outcome, Start, Token, Turn, Verdict};
use crate::job::{GoDuration, Job, Phase, Run, Schedule, Spec, Status};
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

    /// Gives waiting runs to free workers, at most `bite` of them; [`Engine::next_wake`] says whether
    /// there are more.
    pub fn dispatch(&mut self, now: Timestamp, bite: usize, turn: &mut Turn) {
        for _ in 0..bite {
            if !self.can_dispatch() {
                return;
            }
            let Some((_, slot)) = self.queue.first_key_value() else { return };
            let (slot, token) = (*slot, Token(self.token_end));
            self.token_end += 1;
            let start = self.change(slot, |job| begin_attempt(job, token, now));
            self.table.at_mut(slot).flight = Some(token);
            self.flights.insert(token, slot);
            turn.starts.push(start);
        }
    }

    /// Takes the outcome of an attempt. One whose job is gone only frees its worker.
    pub fn ended(&mut self, token: Token, outcome: &Outcome, now: Timestamp, turn: &mut Turn) {
        let Some(slot) = self.land(token) else { return };
        let event = self.change(slot, |job| {
            let retry = next_attempt(&job.spec, job.progress.state.run.as_deref(), outcome, now);
            match retry {
                Some(until) => wait_for_retry(job, until, now, &outcome.error),
                None => end(job, outcome.verdict, &outcome.error),
            }
        });
        turn.events.extend(event);
        self.fire_held(slot, now);
    }

    /// Frees the worker of an attempt; gives the slot of its job where that still waits for it.
    fn land(&mut self, token: Token) -> Option<Slot> {
        let slot = self.flights.remove(&token)?;
        let still_waits = self.table.find(slot).is_some_and(|entry| entry.flight == Some(token));
        still_waits.then(|| {
            self.table.at_mut(slot).flight = None;
            slot
        })
    }

    fn take_due(&mut self, slot: Slot, now: Timestamp, turn: &mut Turn) {
        let event = self.change(slot, |job| {
            if let Some(run) = job.progress.state.run.as_deref_mut()
                && let Phase::Waiting { until } = run.phase
                && until <= now
            {
                run.phase = Phase::Queued;
            }
            let fire_is_due = job.progress.next_run_at.is_some_and(|due| due <= now);
            if fire_is_due { fire(job, now) } else { None }
        });
        turn.events.extend(event);
    }

    /// Begins the run of a `once` that waited for the end of another. Where the clock has stepped
    /// back meanwhile to before its time, it waits for that again.
    pub(super) fn fire_held(&mut self, slot: Slot, now: Timestamp) {
        let progress = &self.table.at(slot).job.progress;
        if progress.state.held && progress.state.run.is_none() {
            self.change(slot, |job| {
                job.progress.state.held = false;
                if job.progress.next_run_at.is_some_and(|due| due <= now) {
                    fire(job, now);
                }
            });
        }
    }
}

/// A fire that is due: it begins a run, or waits, or is skipped.
fn fire(job: &mut Job, now: Timestamp) -> Option<Event> {
    let due_at = job.progress.next_run_at?;
    let is_running = job.progress.state.run.is_some();
    match job.spec.schedule {
        Schedule::Once { .. } if is_running => {
            job.progress.state.held = true;
            None
        }
        Schedule::Once { run_at } => {
            plan(job, None);
            job.progress.state.fired = Some(run_at);
            begin(job, run_at, due_at, now);
            None
        }
        Schedule::Every { .. } | Schedule::Cron { .. } => {
            let Some(instant) = latest_due(job, now) else {
                plan(job, None);
                return None;
            };
            let is_planned = instant == job.progress.state.planned.unwrap_or(due_at);
            let due_at = if is_planned { due_at } else { due_time(job, instant) };
            job.progress.state.fired = Some(instant);
            if !is_running && job.spec.schedule.bounds().max_runs.is_some() {
                job.progress.state.runs = job.progress.state.runs.saturating_add(1);
            }
            let next = next_instant(job, instant.max(earliest_next(&job.spec.schedule, now)));
            plan_or_finish(job, next);
            if is_running {
                job.progress.last_status = Status::Skipped;
                job.progress.last_error = format!("skipped: a run was still going at {instant}").into();
                return Some(Event::new(job, EventKind::Skipped { scheduled_at: instant }));
            }
            begin(job, instant, due_at, now);
            None
        }
    }
}

/// The instant behind which the next fire comes, whatever the grid. A file's grid may be finer than
/// any that a client can make, and must not make the loop do nothing else.
fn earliest_next(schedule: &Schedule, now: Timestamp) -> Timestamp {
    let least = GoDuration::from_millis(EVERY_MILLIS_MIN);
    if !matches!(schedule, Schedule::Every { every, .. } if *every < least) {
        return Timestamp::MIN;
    }
    now.checked_add(SignedDuration::from_nanos(least.as_nanos() - 1)).unwrap_or(now)
}

fn begin(job: &mut Job, scheduled_at: Timestamp, due_at: Timestamp, now: Timestamp) {
    let id = run_id(&job.spec.id, scheduled_at);
    let run = Run { id, scheduled_at, due_at, began_at: now, started_at: None, attempts: 0, phase: Phase::Queued };
    job.progress.state.run = Some(Box::new(run));
}

fn begin_attempt(job: &mut Job, token: Token, now: Timestamp) -> Start {
    let run = job.progress.state.run.as_deref_mut().expect("a queued job has a run");
    run.started_at.get_or_insert(now);
    run.attempts = run.attempts.saturating_add(1);
    run.phase = Phase::InFlight;
    Start {
        token,
        spec: Arc::clone(&job.spec),
        run_id: run.id,
        attempt: run.attempts,
        scheduled_at: run.scheduled_at,
        lateness: now.duration_since(run.due_at),
    }
}

/// When the next attempt is due; `None` where there is none.
fn next_attempt(spec: &Spec, run: Option<&Run>, outcome: &Outcome, now: Timestamp) -> Option<Timestamp> {
    let may_pass = matches!(outcome.verdict, Verdict::Retryable | Verdict::TimedOut);
    if !may_pass || i64::from(run?.attempts) > spec.max_retries {
        return None;
    }
    Some(retry_at(spec, outcome.retry_after.unwrap_or_default(), now))
}

/// The end of the backoff, or of the longer rest that the target asked for.
pub(super) fn retry_at(spec: &Spec, retry_after: GoDuration, now: Timestamp) -> Timestamp {
    let wait = spec.retry_backoff.max(retry_after).max(GoDuration::ZERO);
    now.checked_add(SignedDuration::from_nanos(wait.as_nanos())).unwrap_or(Timestamp::MAX)
}

pub(super) fn wait_for_retry(job: &mut Job, until: Timestamp, now: Timestamp, error: &str) -> Option<Event> {
    let run = job.progress.state.run.as_deref_mut()?;
    run.phase = if until > now { Phase::Waiting { until } } else { Phase::Queued };
    let run = run.clone();
    Some(Event::new(job, EventKind::Retry { run, error: error.into(), until }))
}

pub(super) fn end(job: &mut Job, verdict: Verdict, error: &str) -> Option<Event> {
    let status = match verdict {
        Verdict::Success => Status::Success,
        Verdict::TimedOut => Status::Timeout,
        Verdict::Retryable | Verdict::Final => Status::Failed,
    };
    let run = job.progress.end_run(status, error)?;
    Some(Event::new(job, EventKind::Ended { run, status, error: error.into() }))
}
