//! What must hold for every cron expression from outside. A line names what else there is: the zone, the instant from
//! which it is looked on, and how many seconds on from there.

use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};
use ksana::cron::{Expression, clock_change, holds, latest, next, zone};

/// How many instants one after the other are looked at.
const STEPS: usize = 8;

/// An expression, and after a newline each a zone, a second and a span: what comes next is later, nothing is between
/// two that follow one another, and the last up to an instant is the one that `next` gave before it.
pub(crate) fn cron(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.split('\n');
    let expression = match Expression::parse(lines.next().unwrap_or_default(), "id") {
        Ok(expression) => expression,
        Err(message) => return assert!(!message.trim().is_empty()),
    };
    let zone = zone_of(lines.next().unwrap_or_default());
    let number = |line: Option<&str>, default: i64| line.and_then(|line| line.parse().ok()).unwrap_or(default);
    let start = number(lines.next(), 1_700_000_000).clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
    let span = number(lines.next(), 86_400).clamp(1, 366 * 86_400);
    let start = Timestamp::from_second(start).expect("it is in the range");
    let end = start.saturating_add(SignedDuration::from_secs(span)).expect("a second is no calendar unit");

    let mut after = start;
    for _ in 0..STEPS {
        let Some(found) = next(&expression, &zone, after) else { break };
        assert!(found > after, "{found} comes after {after}");
        assert_eq!(found.subsec_nanosecond(), 0);
        assert!(holds(&expression, &zone, found), "{found} is an instant of its own");
        assert_eq!(latest(&expression, &zone, after, found), Some(found));
        let before = found - SignedDuration::from_nanos(1);
        assert_eq!(latest(&expression, &zone, after, before), None, "nothing is between {after} and {found}");
        if let Some(change) = clock_change(&expression, &zone, found) {
            assert!(!change.to_string().is_empty());
        }
        after = found;
    }
    match latest(&expression, &zone, start, end) {
        Some(last) => {
            assert!(start < last && last <= end);
            assert!(holds(&expression, &zone, last));
            assert!(next(&expression, &zone, last).is_none_or(|later| later > end));
        }
        None => assert!(next(&expression, &zone, start).is_none_or(|later| later > end)),
    }
}

/// The zone of that name or, since a fuzzer guesses few, one that the text draws.
fn zone_of(name: &str) -> TimeZone {
    const DRAWN: [&str; 8] = [
        "Africa/Casablanca",
        "America/Nuuk",
        "America/Scoresbysund",
        "Antarctica/Troll",
        "Australia/Lord_Howe",
        "Europe/Dublin",
        "Pacific/Apia",
        "Pacific/Kwajalein",
    ];
    // The system's data differs from machine to machine, so of this one only that it does not panic.
    let _ = zone(name);
    let drawn = DRAWN[name.bytes().map(usize::from).sum::<usize>() % DRAWN.len()];
    // Bundled, so that a file means the same on every machine.
    let zones = TimeZoneDatabase::bundled();
    zones.get(name).unwrap_or_else(|_| zones.get(drawn).expect(drawn))
}
