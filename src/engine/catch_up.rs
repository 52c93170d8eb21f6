//! Fires that were missed, and of these the ones that are made up for.

use jiff::{SignedDuration, Timestamp};

use super::calendar::instants;
use super::{Event, EventKind};
use crate::job::{CatchUp, GoDuration, Job, Misfire, Span, just_before};
use crate::limits::CATCH_UP_FIRES_MAX;

/// Whether the fire of an instant comes too late to be made up for.
pub(super) fn is_too_old(job: &Job, instant: Timestamp, now: Timestamp) -> bool {
    let age = now.as_nanosecond() - instant.as_nanosecond();
    let age = i64::try_from(age.max(0)).unwrap_or(i64::MAX);
    job.spec.policy.is_too_old(GoDuration::from_nanos(age))
}

/// The instants from `first` to `last` were missed: notes those that are to be made up for.
pub(super) fn make_up(job: &mut Job, first: Timestamp, last: Timestamp, now: Timestamp, events: &mut Vec<Event>) {
    let Some(span) = worth_it(job, first, last, now) else {
        events.push(Event::new(job, EventKind::Missed { scheduled_at: last }));
        return;
    };
    job.progress.state.catch_up.get_or_insert_default().spans.push(span);
    bound_catch_up(job);
    let Some(catch_up) = &job.progress.state.catch_up else { return };
    let mut too_many = catch_up.spans.iter().map(|span| span.left).sum::<u32>().saturating_sub(CATCH_UP_FIRES_MAX);
    while too_many > 0 && take_next(job).is_some() {
        too_many -= 1;
    }
    events.push(Event::new(job, EventKind::CatchUp { span }));
}

/// Leaves what the job asks for by now: it may have asked for more before, and there may have been other outages.
pub(super) fn bound_catch_up(job: &mut Job) {
    let state = &mut job.progress.state;
    match (job.spec.policy.misfire, state.catch_up.as_deref_mut()) {
        (Misfire::Skip, _) => state.catch_up = None,
        (Misfire::Once, Some(CatchUp { spans })) => {
            let last = spans.last().map(|span| span.last);
            *spans = last.map(|last| Span { next: last, last, left: 1 }).into_iter().collect();
        }
        _ => {}
    }
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
