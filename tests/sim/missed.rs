//! Instants that pass without a run, written a second time like [`crate::rules`]: from when they are not taken any more
//! to where that ends.

use std::iter;

use jiff::{SignedDuration, Timestamp};
use ksana::job::{Job, Schedule};

use crate::rules::{first_after, following, next_to_run, set_plan};

/// The instants of the schedule from a time on, one by one.
pub(crate) fn from(job: &Job, time: Timestamp) -> impl Iterator<Item = Timestamp> {
    let end_at = job.spec.schedule.bounds().end_at;
    let first = first_after(job, time - SignedDuration::from_nanos(1));
    iter::successors(first, move |instant| following(job, *instant))
        .take_while(move |instant| end_at.is_none_or(|end_at| *instant <= end_at))
}

/// A job that does not fire takes no instant from now on.
pub(crate) fn open_paused(job: &mut Job, now: Timestamp) {
    let is_grid = matches!(job.spec.schedule, Schedule::Every { .. } | Schedule::Cron { .. });
    if is_grid && !job.progress.enabled {
        let first = next_to_run(job, job.progress.state.fired.map_or(now, |fired| fired.max(now)));
        open(job, first);
    }
}

/// From this instant on none is taken; one that is open already has been for longer.
pub(crate) fn open(job: &mut Job, first: Option<Timestamp>) {
    if job.progress.state.missed_from.is_none() {
        job.progress.state.missed_from = first;
    }
}

/// What is open ends: with the next fire or, where there is none, now.
pub(crate) fn close(job: &mut Job, now: Timestamp) {
    let Some(first) = job.progress.state.missed_from.take() else { return };
    let next = job.progress.state.planned.or(job.progress.next_run_at);
    let has_passed = |instant: &Timestamp| next.map_or(*instant <= now, |next| *instant < next);
    let last = from(job, first).take_while(has_passed).last();
    job.progress.state.fired = job.progress.state.fired.max(last);
}

/// Whether something is open of a job that fires: what passed while the service was down.
pub(crate) fn is_down(job: &Job) -> bool {
    job.progress.enabled && job.progress.state.missed_from.is_some()
}

/// That ends.
pub(crate) fn close_down(job: &mut Job, now: Timestamp) {
    if is_down(job) {
        close(job, now);
    }
}

/// The last run has begun: what was due before, and was not taken, is not any more.
pub(crate) fn close_used_up(job: &mut Job, now: Timestamp) {
    close_down(job, now);
    let next = job.progress.next_run_at;
    let planned = job.progress.state.planned.or(next);
    if next.is_some_and(|next| next <= now) && planned > job.progress.state.fired {
        set_plan(job, None);
        open(job, planned);
        close(job, now);
    }
}
