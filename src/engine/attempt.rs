//! From a run that waits for a worker to the outcome of its last attempt.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::calendar::share_of;
use super::fire::follow_up;
use super::table::{Place, Slot};
use super::{Engine, Event, EventKind, Outcome, Start, Token, Turn, Verdict};
use crate::job::{Attempt, ErrorClass, GoDuration, Job, Phase, Run, Seen, Spec, Status, Trigger};
use crate::limits::TRIED_BODY_BYTES_MAX;

impl Engine {
    /// Gives waiting runs to free workers, at most `bite` of them; [`Engine::next_wake`] says whether
    /// there are more.
    pub fn dispatch(&mut self, now: Timestamp, bite: usize, turn: &mut Turn) {
        for _ in 0..bite {
            if !self.can_dispatch() {
                return;
            }
            let Some((place, &(slot, run))) = self.queue.first_key_value() else { return };
            let place = *place;
            let Job { spec, progress } = &self.table.at(slot).job;
            if progress.state.runs_going.iter().any(|going| going.id == run && is_over(spec, going, now)) {
                self.change_told(slot, now, turn, |job, events| {
                    end(job, run, Verdict::Final, "retry_for was over before an attempt could begin", events);
                    follow_up(job, now, events);
                });
                continue;
            }
            self.queue.remove(&place);
            let token = Token(self.token_end);
            self.token_end += 1;
            let places = &mut self.table.at_mut(slot).places;
            if let Some((_, place)) = places.iter_mut().find(|(placed, _)| *placed == run) {
                *place = Place::Flight(token);
            }
            self.flights.insert(token, slot);
            turn.starts.extend(self.change(slot, |job| begin_attempt(job, run, token, now)));
        }
    }

    /// Takes the outcome of an attempt. One whose run is gone only frees its worker; says whether it was another.
    pub fn ended(&mut self, token: Token, outcome: &Outcome, seen: Seen, now: Timestamp, turn: &mut Turn) -> bool {
        let Some((slot, run)) = self.land(token) else { return false };
        self.change_told(slot, now, turn, |job, events| {
            tried(job, run, &outcome.error, seen);
            if let Some(until) = next_attempt(job, run, outcome, now) {
                wait_for_retry(job, run, until, now, &outcome.error, events);
            } else {
                end(job, run, outcome.verdict, &outcome.error, events);
                follow_up(job, now, events);
            }
        });
        true
    }

    /// Frees the worker of an attempt; gives its run and the slot of its job where that still waits for it.
    fn land(&mut self, token: Token) -> Option<(Slot, Uuid)> {
        let slot = self.flights.remove(&token)?;
        let run = self.table.find(slot)?.run_of(token)?;
        self.table.at_mut(slot).places.retain(|(_, place)| *place != Place::Flight(token));
        Some((slot, run))
    }
}

fn run_mut(job: &mut Job, run: Uuid) -> Option<&mut Run> {
    job.progress.state.runs_going.iter_mut().find(|going| going.id == run)
}

fn begin_attempt(job: &mut Job, run: Uuid, token: Token, now: Timestamp) -> Option<Start> {
    let mut spec = Arc::clone(&job.spec);
    let run = run_mut(job, run)?;
    run.started_at.get_or_insert(now);
    run.attempt_at = Some(now);
    run.attempts = run.attempts.saturating_add(1);
    run.phase = Phase::InFlight;
    if let Some(overrides) = &run.overrides {
        spec = Arc::new(Spec { http: spec.http.with(overrides), ..Spec::clone(&spec) });
    }
    Some(Start {
        token,
        spec,
        run_id: run.id,
        trigger: run.trigger,
        attempt: run.attempts,
        scheduled_at: run.scheduled_at,
        replay_of: run.origin.replay_of,
        lateness: now.duration_since(run.due_at),
    })
}

/// Whether an attempt of the run would begin too late at `time`.
fn is_over(spec: &Spec, run: &Run, time: Timestamp) -> bool {
    // What is repeated keeps the instant that it is for.
    let begin = if run.trigger == Trigger::Manual { run.began_at } else { run.scheduled_at };
    let after = time.as_nanosecond() - begin.as_nanosecond();
    spec.policy.retry_for.is_some_and(|retry_for| after > i128::from(retry_for.as_nanos()))
}

/// When the next attempt is due; `None` where there is none.
fn next_attempt(job: &Job, run: Uuid, outcome: &Outcome, now: Timestamp) -> Option<Timestamp> {
    let may_pass = matches!(outcome.verdict, Verdict::Retryable | Verdict::TimedOut);
    let run = job.progress.state.runs_going.iter().find(|going| going.id == run).filter(|_| may_pass)?;
    retry_at(&job.spec, run, outcome.retry_after.unwrap_or_default(), now)
}

/// The end of the backoff, or of the longer rest that the target asked for; `None` where no attempt may follow.
pub(super) fn retry_at(spec: &Spec, run: &Run, retry_after: GoDuration, now: Timestamp) -> Option<Timestamp> {
    let wait = backoff(spec, run).max(retry_after).max(GoDuration::ZERO);
    let until = now.checked_add(SignedDuration::from_nanos(wait.as_nanos())).unwrap_or(Timestamp::MAX);
    let may_follow = i64::from(run.attempts) <= spec.max_retries && !is_over(spec, run, until);
    may_follow.then_some(until)
}

/// The wait behind the last attempt of a run. One that may double is drawn between nothing and the doubled wait (full
/// jitter, as AWS's "Exponential Backoff And Jitter" has it), so that targets which failed many at once do not meet
/// them again at once. The draw comes from run and attempt: a restart draws the same.
fn backoff(spec: &Spec, run: &Run) -> GoDuration {
    let least = spec.retry_backoff.max(GoDuration::ZERO);
    let Some(most) = spec.policy.retry_backoff_max else { return least };
    let doublings = run.attempts.saturating_sub(1).min(62);
    let doubled = i128::from(least.as_nanos()) << doublings;
    let doubled = doubled.min(i128::from(most.as_nanos())).max(0);
    let draw = Uuid::new_v5(&run.id, &run.attempts.to_be_bytes());
    GoDuration::from_nanos(share_of(doubled.unsigned_abs(), draw))
}

pub(super) fn wait_for_retry(
    job: &mut Job,
    run: Uuid,
    until: Timestamp,
    now: Timestamp,
    error: &str,
    events: &mut Vec<Event>,
) {
    let Some(run) = run_mut(job, run) else { return };
    run.phase = if until > now { Phase::Waiting { until } } else { Phase::Queued };
    let run = Run { tried: Vec::new(), ..run.clone() };
    events.push(Event::new(job, EventKind::Retry { run, error: error.into(), until }));
}

/// Notes what came of a run's attempt.
fn tried(job: &mut Job, run: Uuid, error: &str, mut seen: Seen) {
    let runs = job.progress.state.runs_going.iter();
    let bytes: usize = runs.flat_map(|run| &run.tried).map(|attempt| attempt.seen.body.len()).sum();
    if bytes + seen.body.len() > TRIED_BODY_BYTES_MAX {
        seen.body = "".into();
    }
    let Some(run) = run_mut(job, run) else { return };
    let started_at = run.attempt_at.unwrap_or(run.began_at);
    run.tried.push(Attempt { number: run.attempts, started_at, reason: error.into(), seen });
}

/// Notes that nobody waits for the end of an attempt that is on its way.
pub(super) fn cut_short(job: &mut Job, run: Uuid, class: ErrorClass, error: &str) {
    tried(job, run, error, Seen { error: Some(class), ..Seen::default() });
}

pub(super) fn end(job: &mut Job, run: Uuid, verdict: Verdict, error: &str, events: &mut Vec<Event>) {
    let status = match verdict {
        Verdict::Success => Status::Success,
        Verdict::TimedOut => Status::Timeout,
        Verdict::Retryable | Verdict::Final => Status::Failed,
    };
    let Some(run) = job.progress.end_run(run, status, error) else { return };
    events.push(Event::new(job, EventKind::Ended { run, status, error: error.into() }));
}

/// Ends all runs that go. What their attempts come to is nobody's business any more.
pub(super) fn cancel(job: &mut Job, error: &str, events: &mut Vec<Event>) {
    let runs: Vec<Uuid> = job.progress.state.active().map(|run| run.id).collect();
    for run in runs {
        if run_mut(job, run).is_some_and(|run| run.phase == Phase::InFlight) {
            cut_short(job, run, ErrorClass::Cancelled, error);
        }
        end(job, run, Verdict::Final, error, events);
    }
}
