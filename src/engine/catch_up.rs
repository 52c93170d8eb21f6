//! Fires that were missed, and of these the ones that are made up for.

use jiff::{SignedDuration, Timestamp};

use super::account::{miss, miss_before};
use super::calendar::instants;
use super::{Event, EventKind, Missed};
use crate::job::{GoDuration, Job, Misfire, Span, just_before};
use crate::limits::CATCH_UP_FIRES_MAX;

/// Whether the fire of an instant comes too late to be made up for.
pub(super) fn is_too_old(job: &Job, instant: Timestamp, now: Timestamp) -> bool {
    let age = now.as_nanosecond() - instant.as_nanosecond();
    let age = i64::try_from(age.max(0)).unwrap_or(i64::MAX);
    job.spec.policy.is_too_old(GoDuration::from_nanos(age))
}

/// The instants from `first` to `last` were missed: notes those that are to be made up for.
pub(super) fn make_up(job: &mut Job, first: Timestamp, last: Timestamp, now: Timestamp, events: &mut Vec<Event>) {
    let why = if job.spec.policy.misfire == Misfire::Once { Missed::Others } else { Missed::TooOld };
    let Some(span) = worth_it(job, first, last, now) else {
        return miss(job, first, last, Missed::TooOld, events);
    };
    miss_before(job, first, span.next, why, events);
    job.progress.state.catch_up.get_or_insert_default().spans.push(span);
    bound_catch_up(job, events);
    let Some(catch_up) = &job.progress.state.catch_up else { return };
    let too_many = catch_up.spans.iter().map(|span| span.left).sum::<u32>().saturating_sub(CATCH_UP_FIRES_MAX);
    drop_oldest(job, too_many, events);
    events.push(Event::new(job, EventKind::CatchUp { span }));
}

/// Leaves what the job asks for by now: it may have asked for more before, and there may have been other outages.
pub(super) fn bound_catch_up(job: &mut Job, events: &mut Vec<Event>) {
    let Some(catch_up) = &job.progress.state.catch_up else { return };
    let left = catch_up.spans.iter().map(|span| span.left).sum::<u32>();
    match job.spec.policy.misfire {
        Misfire::Skip => drop_oldest(job, left, events),
        Misfire::Once => drop_oldest(job, left.saturating_sub(1), events),
        Misfire::All => {}
    }
}

/// So many of those that are made up for are missed after all.
fn drop_oldest(job: &mut Job, mut too_many: u32, events: &mut Vec<Event>) {
    while too_many > 0
        && let Some(span) = job.progress.state.catch_up.as_ref().and_then(|catch_up| catch_up.spans.first().copied())
    {
        let kept = span.left.saturating_sub(too_many);
        too_many = too_many.saturating_sub(span.left);
        let spans = &mut job.progress.state.catch_up.as_mut().expect("it was looked at").spans;
        if kept == 0 {
            spans.remove(0);
            miss(job, span.next, span.last, Missed::Others, events);
        } else if let Some((next, left)) = instants(job).map(|all| all.last_of(span.next, span.last, kept)) {
            let spans = &mut job.progress.state.catch_up.as_mut().expect("it was looked at").spans;
            spans[0] = Span { next, left, ..span };
            miss_before(job, span.next, next, Missed::Others, events);
        }
    }
    job.progress.state.catch_up.take_if(|catch_up| catch_up.spans.is_empty());
}

fn worth_it(job: &Job, first: Timestamp, last: Timestamp, now: Timestamp) -> Option<Span> {
    let instants = instants(job)?;
    let first = match job.spec.policy.misfire {
        Misfire::Skip => return None,
        Misfire::Once => last,
        Misfire::All => first,
    };
    let oldest = job.spec.policy.made_up_within().map_or(Timestamp::MIN, |most| {
        now.checked_sub(SignedDuration::from_nanos(most.as_nanos())).unwrap_or(Timestamp::MIN)
    });
    let first = if first < oldest { instants.after(just_before(oldest))? } else { first };
    (first <= last).then(|| {
        let (next, left) = instants.last_of(first, last, CATCH_UP_FIRES_MAX);
        Span { next, last, left }
    })
}

/// Takes the oldest one out.
pub(super) fn take_next(job: &mut Job) -> Option<Timestamp> {
    let span = *job.progress.state.catch_up.as_ref()?.spans.first()?;
    let next = instants(job).and_then(|instants| instants.after(span.next));
    let next = next.filter(|next| span.left > 1 && *next <= span.last);
    let catch_up = job.progress.state.catch_up.as_mut().expect("it was looked at");
    match next {
        Some(next) => catch_up.spans[0] = Span { next, left: span.left - 1, ..span },
        None => drop(catch_up.spans.remove(0)),
    }
    if catch_up.spans.is_empty() {
        job.progress.state.catch_up = None;
    }
    Some(span.next)
}
