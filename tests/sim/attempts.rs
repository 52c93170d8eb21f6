//! From a run to the end of its last attempt, written a second time like [`crate::rules`].

use jiff::{SignedDuration, Timestamp};
use ksana::engine::{Outcome, Verdict};
use ksana::job::{Attempt, ErrorClass, GoDuration, Job, Overrides, Phase, Run, Seen, Spec, Status, Trigger};
use uuid::Uuid;

use crate::outcomes::Tracked;
use crate::runs::follow;

/// How much of what the targets of a job have answered is kept while its runs go.
const BODIES_MAX: usize = 128 * 1024;

const INTERRUPTED: &str = "interrupted by a restart";

fn find(job: &mut Tracked, run: Uuid) -> &mut Run {
    job.progress.state.runs_going.iter_mut().find(|going| going.id == run).expect("it goes")
}

/// Whether no attempt of a run may begin any more.
pub(crate) fn is_over(job: &Job, run: &Run, time: Timestamp) -> bool {
    let begin = if run.trigger == Trigger::Manual { run.began_at } else { run.scheduled_at };
    let since = time.duration_since(begin).as_nanos();
    job.spec.policy.retry_for.is_some_and(|most| since > i128::from(most.as_nanos()))
}

/// A worker was free for a run that no attempt may be made for.
pub(crate) fn give_up(job: &mut Tracked, run: Uuid, now: Timestamp) {
    end(job, run, Status::Failed, "retry_for was over before an attempt could begin");
    follow(job, now);
}

/// An attempt goes out; gives what it sends.
pub(crate) fn begin_attempt(job: &mut Tracked, run: Uuid, now: Timestamp) -> Spec {
    let mut sent = Spec::clone(&job.spec);
    let run = find(job, run);
    run.started_at.get_or_insert(now);
    run.attempt_at = Some(now);
    run.attempts += 1;
    run.phase = Phase::InFlight;
    if let Some(Overrides { url, headers, body }) = run.overrides.as_deref().cloned() {
        sent.http.url = url.unwrap_or(sent.http.url);
        sent.http.headers = headers.unwrap_or(sent.http.headers);
        sent.http.body = body.unwrap_or(sent.http.body);
    }
    sent
}

/// An attempt comes back.
pub(crate) fn end_attempt(job: &mut Tracked, run: Uuid, outcome: &Outcome, seen: &Seen, now: Timestamp) {
    note_attempt(job, run, &outcome.error, seen.clone());
    let may_pass = matches!(outcome.verdict, Verdict::Retryable | Verdict::TimedOut);
    if may_pass && retry(job, run, outcome.retry_after.unwrap_or_default(), now) {
        return;
    }
    let status = match outcome.verdict {
        Verdict::Success => Status::Success,
        Verdict::TimedOut => Status::Timeout,
        Verdict::Retryable | Verdict::Final => Status::Failed,
    };
    end(job, run, status, &outcome.error);
    follow(job, now);
}

/// An attempt is over.
fn note_attempt(job: &mut Tracked, run: Uuid, reason: &str, mut seen: Seen) {
    let attempts = job.progress.state.runs_going.iter().flat_map(|run| &run.tried);
    let bytes: usize = attempts.map(|attempt| attempt.seen.body.len()).sum();
    if bytes + seen.body.len() > BODIES_MAX {
        seen.body = "".into();
    }
    let run = find(job, run);
    let started_at = run.attempt_at.expect("it has begun");
    run.tried.push(Attempt { number: run.attempts, started_at, reason: reason.into(), seen });
}

/// Nobody waited for the end of an attempt.
fn cut_short(class: ErrorClass) -> Seen {
    Seen { error: Some(class), ..Seen::default() }
}

/// Has another attempt made, if one may be.
fn retry(job: &mut Tracked, run: Uuid, asked: GoDuration, now: Timestamp) -> bool {
    let going = find(job, run).clone();
    let mut wait = job.spec.retry_backoff.as_nanos();
    if let Some(most) = job.spec.policy.retry_backoff_max {
        for _ in 1..going.attempts {
            wait = most.as_nanos().min(wait * 2);
        }
        let draw = Uuid::new_v5(&run, &going.attempts.to_be_bytes()).as_u128() % (1 << 56);
        let drawn = u128::from(wait.unsigned_abs().min(most.as_nanos().unsigned_abs())) * draw / (1 << 56);
        wait = i64::try_from(drawn).expect("a share");
    }
    let until = now + SignedDuration::from_nanos(wait.max(asked.as_nanos()));
    if i64::from(going.attempts) > job.spec.max_retries || is_over(job, &going, until) {
        return false;
    }
    find(job, run).phase = if until > now { Phase::Waiting { until } } else { Phase::Queued };
    true
}

fn end(job: &mut Tracked, run: Uuid, status: Status, error: &str) {
    let run = find(job, run).clone();
    job.ended(&run, status, error);
    job.progress.last_run_at = Some(run.began_at);
    job.progress.state.runs_going.retain(|going| going.id != run.id);
    job.progress.last_status = status;
    job.progress.last_error = error.into();
}

pub(crate) fn cancel(job: &mut Tracked, error: &str) {
    for run in job.progress.state.runs_going.clone() {
        if run.phase == Phase::InFlight {
            note_attempt(job, run.id, error, cut_short(ErrorClass::Cancelled));
        }
        if run.phase != Phase::Behind {
            end(job, run.id, Status::Failed, error);
        }
    }
}

/// A start of the service finds the runs so.
pub(crate) fn restart(job: &mut Tracked, now: Timestamp) {
    for run in job.progress.state.runs_going.clone() {
        if run.phase != Phase::InFlight {
            continue;
        }
        note_attempt(job, run.id, INTERRUPTED, cut_short(ErrorClass::Interrupted));
        if !retry(job, run.id, GoDuration::ZERO, now) {
            end(job, run.id, Status::Failed, INTERRUPTED);
        }
    }
    follow(job, now);
}
