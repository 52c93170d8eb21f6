//! Which due times have an outcome: each gets one, also where no run comes of it.
//!
//! A job that fires takes its due times one by one. Where it does not, because it is paused or because the service was
//! down, what passes is open from [`State::missed_from`](crate::job::State) on: however long that is, it is closed as
//! one stretch, once it is known where it ends.

use jiff::Timestamp;

use super::calendar::{first_instant, forget_waiting, instants, once_is_taken};
use super::fire::skip_behind;
use super::{Event, EventKind, Missed};
use crate::job::{Job, Schedule, Stretch, just_before};

/// The instants from `first` to `last`, which both are some, passed without a run.
pub(super) fn miss(job: &Job, first: Timestamp, last: Timestamp, why: Missed, events: &mut Vec<Event>) {
    let count = if first < last { instants(job).map_or(1, |instants| instants.count(first, last)) } else { 1 };
    let stretch = (count > 1).then_some(Stretch { last_scheduled_at: last, count });
    events.push(Event::new(job, EventKind::Missed { scheduled_at: first, stretch, why }));
}

/// The same of those from `first` on that come before `end`, which may be none.
pub(super) fn miss_before(job: &Job, first: Timestamp, end: Timestamp, why: Missed, events: &mut Vec<Event>) {
    if let Some(last) = instants(job).and_then(|instants| instants.latest(first, just_before(end))) {
        miss(job, first, last, why, events);
    }
}

/// From this instant on nothing of the job's is taken. Where something is open already, that stays open.
pub(super) fn open(job: &mut Job, first: Option<Timestamp>) {
    let missed_from = &mut job.progress.state.missed_from;
    *missed_from = missed_from.or(first);
}

/// A job that is paused takes none of the instants behind `now`.
pub(super) fn open_paused(job: &mut Job, now: Timestamp) {
    if !job.progress.enabled && repeats(job) {
        let first = first_instant(job, now);
        open(job, first);
    }
}

/// What is open ends before the instant that is planned, or at `now` where none is.
pub(super) fn close(job: &mut Job, now: Timestamp, why: Missed, events: &mut Vec<Event>) {
    let Some(open) = job.progress.state.missed_from.take() else { return };
    let end = planned(job).map_or(now, just_before);
    let Some(instants) = instants(job) else { return };
    // A hand may have changed the schedule in the file.
    let Some(first) = instants.after(just_before(open)) else { return };
    let Some(last) = instants.latest(first, end) else { return };
    miss(job, first, last, why, events);
    let fired = &mut job.progress.state.fired;
    *fired = (*fired).max(Some(last));
}

/// The same of a job that fires, whose open instants passed while the service was down.
pub(super) fn close_down(job: &mut Job, now: Timestamp, events: &mut Vec<Event>) {
    if job.progress.enabled {
        close(job, now, Missed::Down, events);
    }
}

/// Nothing more comes of the schedule as it is: what is due by `now` or waits gets its outcome.
pub(super) fn close_all(job: &mut Job, now: Timestamp, why: Missed, events: &mut Vec<Event>) {
    let held = job.progress.state.held;
    forget_waiting(job, why, events);
    let is_due = held || planned(job).is_some_and(|planned| planned <= now);
    match job.spec.schedule {
        Schedule::Once { run_at } => {
            let why = if job.progress.enabled { why } else { Missed::Paused };
            if !once_is_taken(job) && run_at <= now {
                events.push(Event::missed(job, run_at, why));
            }
        }
        Schedule::After { .. } => miss_due(job, now, why, events),
        Schedule::Every { .. } | Schedule::Cron { .. } => {
            if !job.progress.enabled {
                return close(job, now, Missed::Paused, events);
            }
            close(job, now, Missed::Down, events);
            if is_due {
                close_planned(job, now, why, events);
            }
        }
    }
}

/// The fire that is planned is missed, and all behind it that are due by `now`.
fn close_planned(job: &mut Job, now: Timestamp, why: Missed, events: &mut Vec<Event>) {
    if let Some(first) = planned(job) {
        job.progress.next_run_at = None;
        open(job, Some(first));
        close(job, now, why, events);
    }
}

/// The last run of `max_runs` has begun. What waits behind it, or was due by `now` and not taken, is not any more.
pub(super) fn close_used_up(job: &mut Job, now: Timestamp, events: &mut Vec<Event>) {
    drop_waiting(job, Missed::UsedUp, "the last run of max_runs began before it", events);
    close_down(job, now, events);
    let is_due = job.progress.next_run_at.is_some_and(|due| due <= now);
    if is_due && job.progress.state.fired < planned(job) {
        close_planned(job, now, Missed::UsedUp, events);
    }
}

/// The plan of an `after` goes, and its fire is due already.
pub(super) fn miss_due(job: &Job, now: Timestamp, why: Missed, events: &mut Vec<Event>) {
    if let Schedule::After { .. } = job.spec.schedule {
        events.extend(planned(job).filter(|planned| *planned <= now).map(|planned| Event::missed(job, planned, why)));
    }
}

/// What waits for the end of the runs that go is skipped, and what was to be made up for is missed.
pub(super) fn drop_waiting(job: &mut Job, why: Missed, skipped: &'static str, events: &mut Vec<Event>) {
    drop_catch_up(job, why, events);
    skip_behind(job, skipped, events);
}

/// What was to be made up for is missed.
pub(super) fn drop_catch_up(job: &mut Job, why: Missed, events: &mut Vec<Event>) {
    for span in job.progress.state.catch_up.take().map(|catch_up| catch_up.spans).unwrap_or_default() {
        miss(job, span.next, span.last, why, events);
    }
}

/// The instant of the fire that is planned.
pub(super) fn planned(job: &Job) -> Option<Timestamp> {
    job.progress.next_run_at.map(|next| job.progress.state.planned.unwrap_or(next))
}

fn repeats(job: &Job) -> bool {
    matches!(job.spec.schedule, Schedule::Every { .. } | Schedule::Cron { .. })
}
