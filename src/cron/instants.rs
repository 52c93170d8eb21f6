//! The instants at which the times of an expression come in a time zone.
//!
//! Which wall-clock times an expression names is the expression's own; here a clock goes forwards and back.

use std::fmt;

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use super::expression::{Expression, HourKind};

const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// No zone has ever turned its clock back by more than a day; two leave room.
const LONGEST_FOLD: SignedDuration = SignedDuration::from_hours(48);

/// The first instant of an expression strictly after `after`; `None` if there is none.
pub fn next(expression: &Expression, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
    let after = whole_second(after)?;
    match expression.hour_kind() {
        HourKind::Fixed => first_reached(zone, first_asked(expression, zone, after)?),
        HourKind::Open => next_shown(expression, zone, after.checked_add(SECOND).ok()?),
    }
}

/// The last instant of an expression after `since` and not after `until`; `None` if there is none.
///
/// It costs some 25 calls of [`next`] for a year, however many instants the year has.
pub fn latest(expression: &Expression, zone: &TimeZone, since: Timestamp, until: Timestamp) -> Option<Timestamp> {
    let next_by_until = |after| next(expression, zone, after).filter(|found| *found <= until);
    let mut latest = next_by_until(since)?;
    // Nothing that counts is after `end`.
    let mut end = whole_second(until)?;
    while latest < end {
        let half = SignedDuration::from_secs(end.duration_since(latest).as_secs() / 2);
        let middle = latest + half;
        match next_by_until(middle) {
            Some(found) => latest = found,
            None => end = middle,
        }
    }
    Some(latest)
}

/// Whether an expression has this instant.
pub fn holds(expression: &Expression, zone: &TimeZone, at: Timestamp) -> bool {
    at.checked_sub(SECOND).ok().and_then(|before| next(expression, zone, before)) == Some(at)
}

/// What a change of the clock makes of an instant: shown to people beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockChange {
    /// The clock jumps past the time that was asked for, to another.
    Skips {
        /// The first time that was asked for and does not come.
        asked: DateTime,
        /// What the clock shows at the instant.
        shown: DateTime,
    },
    /// The clock shows the time that was asked for a second time later, and that does not count.
    Repeats {
        /// That time.
        asked: DateTime,
    },
}

/// What a change of the clock makes of `at`, an instant of the expression; `None` where it comes as asked.
pub fn clock_change(expression: &Expression, zone: &TimeZone, at: Timestamp) -> Option<ClockChange> {
    if expression.hour_kind() == HourKind::Open {
        return None;
    }
    let asked = first_asked(expression, zone, at.checked_sub(SECOND).ok()?)?;
    let shown = zone.to_datetime(at);
    if asked < shown {
        Some(ClockChange::Skips { asked, shown })
    } else if asked == shown && matches!(zone.to_ambiguous_timestamp(asked).offset(), AmbiguousOffset::Fold { .. }) {
        Some(ClockChange::Repeats { asked })
    } else {
        None
    }
}

/// As `the clock skips 02:30` or `02:30 comes twice, the first counts`, with the date where that is skipped too.
impl fmt::Display for ClockChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |asked: DateTime| asked.strftime(if asked.second() == 0 { "%H:%M" } else { "%H:%M:%S" });
        match *self {
            Self::Skips { asked, shown } if asked.date() != shown.date() => {
                write!(f, "the clock skips {} {}", asked.date(), time(asked))
            }
            Self::Skips { asked, .. } => write!(f, "the clock skips {}", time(asked)),
            Self::Repeats { asked } => write!(f, "{} comes twice, the first counts", time(asked)),
        }
    }
}

/// The first time asked for that the clock has not reached by `at`.
fn first_asked(expression: &Expression, zone: &TimeZone, at: Timestamp) -> Option<DateTime> {
    expression.at_or_after(furthest_reached(zone, at).checked_add(SECOND).ok()?)
}

/// The latest time that the clock has shown up to `at`: later than the one at `at` where it was turned back and has
/// not caught up yet.
pub(super) fn furthest_reached(zone: &TimeZone, at: Timestamp) -> DateTime {
    let changes = zone.preceding(at.saturating_add(SECOND).unwrap_or(at)).map(|change| change.timestamp());
    changes
        .take_while(|change| at.duration_since(*change) < LONGEST_FOLD)
        .filter_map(|change| change.checked_sub(SECOND).ok())
        .map(|before| zone.to_datetime(before))
        .fold(zone.to_datetime(at), DateTime::max)
}

/// The instant at which the clock first shows `asked`, or jumps past it.
fn first_reached(zone: &TimeZone, asked: DateTime) -> Option<Timestamp> {
    let at = match zone.to_ambiguous_timestamp(asked).offset() {
        AmbiguousOffset::Unambiguous { offset } => return offset.to_timestamp(asked).ok(),
        AmbiguousOffset::Fold { before, .. } => return before.to_timestamp(asked).ok(),
        // As if the clock had not been changed yet: not before the change.
        AmbiguousOffset::Gap { before, .. } => before.to_timestamp(asked).ok()?,
    };
    let mut changes = zone.preceding(at.checked_add(SECOND).ok()?).map(|change| change.timestamp());
    changes.find(|change| change.checked_sub(SECOND).is_ok_and(|before| zone.to_datetime(before) < asked))
}

/// The first instant, from `from` on, at which the clock shows a time asked for: each stretch between two changes is
/// searched in turn.
fn next_shown(expression: &Expression, zone: &TimeZone, from: Timestamp) -> Option<Timestamp> {
    let mut changes = zone.following(from);
    let mut stretch = from;
    let mut searched_from = zone.to_datetime(from);
    let mut asked = expression.at_or_after(searched_from);
    loop {
        let offset = zone.to_offset(stretch);
        let start = offset.to_datetime(stretch);
        // What was found holds until the clock moves out of what was searched.
        if start < searched_from || asked.is_some_and(|asked| asked < start) {
            searched_from = start;
            asked = expression.at_or_after(start);
        }
        let due = asked.and_then(|asked| offset.to_timestamp(asked).ok());
        let Some(change) = changes.next() else {
            return due;
        };
        let end = change.timestamp();
        match due {
            Some(due) if due < end => return Some(due),
            // Only a clock that is turned back soon can show an earlier time again.
            None if end.duration_since(from) > LONGEST_FOLD => return None,
            _ => stretch = end,
        }
    }
}

/// An instant without its fraction; instants of an expression have none.
pub(super) fn whole_second(at: Timestamp) -> Option<Timestamp> {
    Timestamp::from_second(at.as_nanosecond().div_euclid(1_000_000_000).try_into().ok()?).ok()
}
