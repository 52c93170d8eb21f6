//! How many instants an expression has: counted by the calendar, because a walk from one to the next takes as long as
//! there are many.
//!
//! Between two changes of a zone's clock local times and instants correspond one to one, so that the named times of
//! each such stretch are counted and not looked for.

use std::ops::Range;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::expression::{Expression, HourKind};
use super::instants::{furthest_reached, whole_second};

const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// The second day of the year 2200 in Greenwich is over, and with it the last year of expressions on any clock.
const YEARS_OVER: Timestamp = Timestamp::constant(7_258_291_200, 0);

/// How many instants an expression has from `first` to `last`, both included; 0 where `first` is later.
///
/// It costs a few microseconds for a year, however many instants the year has.
pub fn count(expression: &Expression, zone: &TimeZone, first: Timestamp, last: Timestamp) -> u64 {
    let Some((mut start, end)) = whole_seconds(first, last.min(YEARS_OVER)) else { return 0 };
    let mut reached = furthest_reached(zone, start.saturating_sub(SECOND).unwrap_or(start));
    let mut count = 0;
    let changes = zone.following(start).map(|change| change.timestamp());
    for change in changes.take_while(|change| *change < end).chain([end]) {
        let offset = zone.to_offset(start);
        let shown = offset.to_datetime(start)..offset.to_datetime(change);
        count += match expression.hour_kind() {
            HourKind::Fixed => count_reached(expression, next_second(reached), &shown),
            HourKind::Open => expression.count_within(shown.clone()),
        };
        reached = reached.max(second_before(shown.end));
        start = change;
    }
    count
}

/// How many instants come in a stretch whose clock shows `shown`, where no time from `unreached` on was reached before.
fn count_reached(expression: &Expression, unreached: DateTime, shown: &Range<DateTime>) -> u64 {
    let second = next_second(shown.start);
    // All that is jumped past comes as one with what is shown then.
    let at_start = expression.count_within(unreached..second).min(1);
    at_start + expression.count_within(unreached.max(second)..shown.end)
}

/// The first second that does not begin before `first`, and the one after that of `last`; `None` where no second begins
/// between these two.
fn whole_seconds(first: Timestamp, last: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let begun = whole_second(first)?;
    let start = if begun < first { begun.checked_add(SECOND).ok()? } else { begun };
    let end = whole_second(last)?.checked_add(SECOND).ok()?;
    (start < end).then_some((start, end))
}

fn next_second(time: DateTime) -> DateTime {
    time.saturating_add(SECOND)
}

fn second_before(time: DateTime) -> DateTime {
    time.saturating_sub(SECOND)
}
