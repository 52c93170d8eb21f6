//! Instants that pass without a run, written a second time like [`crate::rules`]: from when they are not taken any more
//! to where that ends.

use std::iter;

use jiff::{SignedDuration, Timestamp};
use ksana::job::{Job, Schedule};

use crate::outcomes::{DOWN, PAUSED, Passed, Tracked, USED_UP};
use crate::rules::{first_after, following, forget_waiting, next_to_run, set_plan};

/// The instants of the schedule from a time on, one by one.
pub(crate) fn from(job: &Job, time: Timestamp) -> impl Iterator<Item = Timestamp> {
    let end_at = job.spec.schedule.bounds().end_at;
    let first = first_after(job, time - SignedDuration::from_nanos(1));
    iter::successors(first, move |instant| following(job, *instant))
        .take_while(move |instant| end_at.is_none_or(|end_at| *instant <= end_at))
}

/// A job that does not fire takes no instant from now on.
pub(crate) fn open_paused(job: &mut Tracked, now: Timestamp) {
    let is_grid = matches!(job.spec.schedule, Schedule::Every { .. } | Schedule::Cron { .. });
    if is_grid && !job.progress.enabled {
        let first = next_to_run(job, job.progress.state.fired.map_or(now, |fired| fired.max(now)));
        open(job, first);
    }
}

/// What is planned is due, and goes without a run.
pub(crate) fn due(job: &mut Tracked, now: Timestamp, why: &str) {
    let planned = job.progress.next_run_at.map(|next| job.progress.state.planned.unwrap_or(next));
    job.passed(Passed::all(planned.filter(|planned| *planned <= now)), why);
}

/// From this instant on none is taken; one that is open already has been for longer.
pub(crate) fn open(job: &mut Tracked, first: Option<Timestamp>) {
    if job.progress.state.missed_from.is_none() {
        job.progress.state.missed_from = first;
    }
}

/// What is open ends: with the next fire or, where there is none, now.
pub(crate) fn close(job: &mut Tracked, now: Timestamp, why: &str) {
    let Some(first) = job.progress.state.missed_from.take() else { return };
    let next = job.progress.state.planned.or(job.progress.next_run_at);
    let has_passed = |instant: &Timestamp| next.map_or(*instant <= now, |next| *instant < next);
    let passed = Passed::all(from(job, first).take_while(has_passed));
    job.passed(passed, why);
    job.progress.state.fired = job.progress.state.fired.max(passed.map(|passed| passed.last));
}

/// Whether something is open of a job that fires: what passed while the service was down.
pub(crate) fn is_down(job: &Job) -> bool {
    job.progress.enabled && job.progress.state.missed_from.is_some()
}

/// That ends.
pub(crate) fn close_down(job: &mut Tracked, now: Timestamp) {
    if is_down(job) {
        close(job, now, DOWN);
    }
}

/// The last run has begun: what was due before, and was not taken, is not any more.
pub(crate) fn close_used_up(job: &mut Tracked, now: Timestamp) {
    close_down(job, now);
    let next = job.progress.next_run_at;
    let planned = job.progress.state.planned.or(next);
    if next.is_some_and(|next| next <= now) && planned > job.progress.state.fired {
        set_plan(job, None);
        open(job, planned);
        close(job, now, USED_UP);
    }
}

/// Nothing more comes of the schedule: what is due or waits is not taken any more.
pub(crate) fn close_all(job: &mut Tracked, now: Timestamp, (skipped, why): (&str, &str)) {
    let was_held = job.progress.state.held;
    forget_waiting(job, skipped, why);
    let planned = job.progress.state.planned.or(job.progress.next_run_at);
    match job.spec.schedule {
        Schedule::Once { run_at } => {
            let is_open = run_at <= now && job.progress.state.fired != Some(run_at);
            let why = if job.progress.enabled { why } else { PAUSED };
            job.passed(Passed::all(is_open.then_some(run_at)), why);
        }
        Schedule::After { .. } => {
            let is_due = |planned: &Timestamp| was_held || *planned <= now;
            job.passed(Passed::all(planned.filter(is_due)), why);
        }
        Schedule::Every { .. } | Schedule::Cron { .. } if !job.progress.enabled => close(job, now, PAUSED),
        Schedule::Every { .. } | Schedule::Cron { .. } => {
            close_down(job, now);
            let due = planned.and_then(|planned| Passed::all(from(job, planned).take_while(|instant| *instant <= now)));
            job.passed(due, why);
        }
    }
}
