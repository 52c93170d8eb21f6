//! Instants around changes of the clock, and zones. `tests/cron/` holds all zones against a second model.

use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};

use super::*;

fn expression(text: &str) -> Expression {
    Expression::parse(text, "id").expect(text)
}

/// The zones that are bundled: the same on every machine.
fn bundled(name: &str) -> TimeZone {
    TimeZoneDatabase::bundled().get(name).expect(name)
}

fn at(text: &str) -> Timestamp {
    text.parse().expect(text)
}

#[test]
fn a_change_of_the_clock_is_told_of_where_it_matters() {
    let check = |text: &str, name: &str, after: &str, instant: &str, told: Option<&str>| {
        let (expression, zone) = (expression(text), bundled(name));
        let found = next(&expression, &zone, at(after)).expect(text);
        assert_eq!(found, at(instant), "{text} in {name}");
        let change = clock_change(&expression, &zone, found).map(|change| change.to_string());
        assert_eq!(change.as_deref(), told, "{text} in {name}");
    };
    let zurich = "Europe/Zurich";
    let spring = "2024-03-30T12:00:00+01:00";
    check("30 2 * * *", zurich, spring, "2024-03-31T03:00:00+02:00", Some("the clock skips 02:30"));
    check("15 30 2 * * *", zurich, spring, "2024-03-31T03:00:00+02:00", Some("the clock skips 02:30:15"));
    check("0 3 * * *", zurich, spring, "2024-03-31T03:00:00+02:00", None);
    check("30 */2 * * *", zurich, "2024-03-31T00:30:00+01:00", "2024-03-31T04:30:00+02:00", None);
    let autumn = "2024-10-26T12:00:00+02:00";
    check("30 2 * * *", zurich, autumn, "2024-10-27T02:30:00+02:00", Some("02:30 comes twice, the first counts"));
    check("0 2 * * *", zurich, autumn, "2024-10-27T02:00:00+02:00", Some("02:00 comes twice, the first counts"));
    check("0 3 * * *", zurich, autumn, "2024-10-27T03:00:00+01:00", None);
    check("30 2 * * *", zurich, "2024-10-27T02:30:00+02:00", "2024-10-28T02:30:00+01:00", None);
    check("30 */2 * * *", zurich, "2024-10-27T02:30:00+02:00", "2024-10-27T02:30:00+01:00", None);
    // Samoa went over the date line, and had no 30th.
    let told = Some("the clock skips 2011-12-30 12:00");
    check("0 12 * * *", "Pacific/Apia", "2011-12-29T12:00:00-10:00", "2011-12-31T00:00:00+14:00", told);
}

#[test]
fn latest_is_the_last_that_next_gives() {
    let zone = bundled("Europe/Zurich");
    let check = |text: &str, since: &str, until: &str, expected: Option<&str>| {
        assert_eq!(latest(&expression(text), &zone, at(since), at(until)), expected.map(at), "{text}");
    };
    let (since, until) = ("2024-01-01T00:00:00+01:00", "2025-01-01T00:00:00+01:00");
    check("* * * * * *", since, until, Some(until));
    check("0 0 1 1 *", since, until, Some(until));
    check("0 0 2 1 *", since, until, Some("2024-01-02T00:00:00+01:00"));
    check("30 2 * * *", since, until, Some("2024-12-31T02:30:00+01:00"));
    check("0 0 0 1 1 * 2026", since, until, None);
    check("* * * * * *", until, until, None);
    check("* * * * * *", until, since, None);
    check("* * * * * *", "2024-01-01T00:00:00.1Z", "2024-01-01T00:00:00.9Z", None);
    check("* * * * * *", "2024-01-01T00:00:00.1Z", "2024-01-01T00:00:03.9Z", Some("2024-01-01T00:00:03Z"));
    check("* * * * * *", "1960-01-01T00:00:00Z", "1969-12-31T22:59:59.5Z", None);
}

#[test]
fn an_instant_is_held_to_the_second() {
    let (nightly, zone) = (expression("30 2 * * *"), bundled("Europe/Zurich"));
    assert!(holds(&nightly, &zone, at("2024-03-31T03:00:00+02:00")));
    assert!(!holds(&nightly, &zone, at("2024-03-31T03:00:00.5+02:00")));
    assert!(!holds(&nightly, &zone, at("2024-03-31T03:30:00+02:00")));
    assert!(!holds(&nightly, &zone, at("2024-10-27T02:30:00+01:00")));
    assert!(!holds(&nightly, &zone, Timestamp::MIN));
}

#[test]
fn what_is_over_never_comes() {
    let zone = bundled("Europe/Zurich");
    let over = expression("0 0 0 1 1 * 2024");
    assert_eq!(next(&over, &zone, at("2024-01-01T00:00:00+01:00")), None);
    for text in ["* * * * * *", "0 0 1 1 *"] {
        assert_eq!(next(&expression(text), &zone, Timestamp::MAX), None);
        assert_eq!(next(&expression(text), &zone, at("2199-12-31T23:59:59+01:00")), None);
    }
    let hour = SignedDuration::from_hours(1);
    let first = next(&expression("* * * * * *"), &zone, Timestamp::MIN).expect("a first second");
    assert_eq!(first, Timestamp::UNIX_EPOCH - hour);
}

#[test]
fn a_zone_is_known_by_its_name_alone() {
    let name = |text: &str| zone(text).and_then(|zone| zone.iana_name().map(str::to_owned));
    assert_eq!(name("Europe/Zurich").as_deref(), Some("Europe/Zurich"));
    assert_eq!(name("europe/zurich").as_deref(), Some("Europe/Zurich"));
    assert_eq!(name("utc").as_deref(), Some("UTC"));
    assert_eq!(name("Etc/GMT+5").as_deref(), Some("Etc/GMT+5"));
    // Distributions leave names such as this one out.
    assert_eq!(name("US/Pacific").as_deref(), Some("US/Pacific"));
    for text in [
        "",
        " Europe/Zurich",
        "Europe",
        "Europe/",
        "Europe/../Europe/Zurich",
        "/usr/share/zoneinfo/Europe/Zurich",
        "posix/Europe/Zurich",
        "right/Europe/Zurich",
        "local",
        "localtime",
        "posixrules",
        "Factory",
        "etc/unknown",
        "UTC+2",
        "CET-1CEST",
        "+02:00",
        "zone.tab",
    ] {
        assert!(zone(text).is_none(), "{text:?}");
    }
}

#[test]
fn instants_are_counted_through_changes_of_the_clock() {
    let zone = bundled("Europe/Zurich");
    let check = |text: &str, first: &str, last: &str, expected: u64| {
        assert_eq!(count(&expression(text), &zone, at(first), at(last)), expected, "{text} from {first} to {last}");
    };
    let (spring, night_over) = ("2024-03-31T00:00:00+01:00", "2024-03-31T04:00:00+02:00");
    check("* * * * * *", spring, night_over, 3 * 3_600 + 1);
    check("*/10 * * * *", spring, night_over, 19);
    // What is jumped past is one with what comes at three.
    check("*/10 0-4 * * *", spring, night_over, 19);
    check("*/10 2 * * *", spring, night_over, 1);
    check("*/10 2 * * *", spring, "2024-03-31T03:00:00+02:00", 1);
    check("*/10 2 * * *", spring, "2024-03-31T01:59:59+01:00", 0);
    check("*/10 2 * * *", "2024-03-31T03:00:01+02:00", night_over, 0);
    let (autumn, night_over) = ("2024-10-27T02:00:00+02:00", "2024-10-27T03:00:00+01:00");
    check("* * * * * *", autumn, night_over, 2 * 3_600 + 1);
    check("*/10 * * * *", autumn, night_over, 13);
    check("*/10 2,3 * * *", autumn, night_over, 7);
    check("*/10 2,3 * * *", "2024-10-27T02:55:00+02:00", night_over, 1);
    check("*/10 2,3 * * *", autumn, "2024-10-27T02:30:00+01:00", 6);
    check("*/10 2,3 * * *", autumn, "2024-10-27T02:30:00+02:00", 4);
}

#[test]
fn what_is_counted_lies_from_the_first_to_the_last() {
    let (second, zone) = (expression("* * * * * *"), bundled("Europe/Zurich"));
    let check = |first: &str, last: &str, expected: u64| {
        assert_eq!(count(&second, &zone, at(first), at(last)), expected, "from {first} to {last}");
    };
    check("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z", 1);
    check("2024-01-01T00:00:01Z", "2024-01-01T00:00:00Z", 0);
    check("2024-01-01T00:00:00.1Z", "2024-01-01T00:00:00.9Z", 0);
    check("2024-01-01T00:00:00.1Z", "2024-01-01T00:00:02.9Z", 2);
    check("1960-01-01T00:00:00.5Z", "1969-12-31T23:00:00.5Z", 1);
    // What each of 219 springs leaves out comes twice in the autumn, but not for named hours.
    let all = 84_006 * 86_400;
    for (text, expected) in [("* * * * * *", all), ("* * 0-23 * * *", all - 219 * 3_600)] {
        assert_eq!(count(&expression(text), &zone, Timestamp::MIN, Timestamp::MAX), expected, "{text}");
    }
}

#[test]
fn what_is_reached_stays_so_when_the_clock_is_put_forward_before_it_has_caught_up() {
    // On 10 April the clock is turned back by a day, and twelve hours later forward by a day again.
    let zone = TimeZone::posix("AAA0BBB24,J100/0,J100/-12").expect("a zone");
    let check = |text: &str, expected: u64| {
        let (first, last) = (at("2023-04-09T00:00:00Z"), at("2023-04-10T23:59:59Z"));
        assert_eq!(count(&expression(text), &zone, first, last), expected, "{text}");
    };
    check("0 6 * * *", 2);
    check("0 18 * * *", 2);
    check("0 */6 * * *", 8);
}
