//! The rules of the text and of the clock, a line a case.

use jiff::Timestamp;
use jiff::tz::TimeZoneDatabase;
use ksana::cron::{self, Expression};

/// What comes after an instant of Zurich's clock, one after the other.
fn check(text: &str, after: &str, expected: &[&str]) {
    check_in("Europe/Zurich", text, after, expected);
}

fn check_in(zone: &str, text: &str, after: &str, expected: &[&str]) {
    let expression = Expression::parse(text, "nightly-backup").expect(text);
    let zone = TimeZoneDatabase::bundled().get(zone).expect(zone);
    let mut after: Timestamp = after.parse().expect(after);
    for instant in expected {
        let found = cron::next(&expression, &zone, after).expect(text);
        assert_eq!(found.to_zoned(zone.clone()).strftime("%FT%T%:z").to_string(), *instant, "{text}");
        after = found;
    }
}

#[test]
fn five_six_or_seven_fields() {
    let after = "2024-06-01T12:00:00+02:00";
    check("30 2 * * *", after, &["2024-06-02T02:30:00+02:00", "2024-06-03T02:30:00+02:00"]);
    check("15 30 2 * * *", after, &["2024-06-02T02:30:15+02:00"]);
    check("15 30 2 1 * ? 2026", after, &["2026-01-01T02:30:15+01:00"]);
}

#[test]
fn lists_ranges_and_steps() {
    let after = "2024-06-01T12:00:00+02:00";
    check(
        "0 9-17/4,20 * * *",
        after,
        &[
            "2024-06-01T13:00:00+02:00",
            "2024-06-01T17:00:00+02:00",
            "2024-06-01T20:00:00+02:00",
            "2024-06-02T09:00:00+02:00",
        ],
    );
    check(
        "0 22-1 * * *",
        after,
        &["2024-06-01T22:00:00+02:00", "2024-06-01T23:00:00+02:00", "2024-06-02T00:00:00+02:00"],
    );
    check(
        "*/25 * * * *",
        after,
        &["2024-06-01T12:25:00+02:00", "2024-06-01T12:50:00+02:00", "2024-06-01T13:00:00+02:00"],
    );
    check(
        "0 0 ? feb fri-MON",
        after,
        &["2025-02-01T00:00:00+01:00", "2025-02-02T00:00:00+01:00", "2025-02-03T00:00:00+01:00"],
    );
}

#[test]
fn h_is_drawn_from_the_id() {
    check("H H * * *", "2024-06-01T12:00:00+02:00", &["2024-06-02T07:05:00+02:00", "2024-06-03T07:05:00+02:00"]);
    check("H/15 * * * *", "2024-06-01T12:00:00+02:00", &["2024-06-01T12:05:00+02:00", "2024-06-01T12:20:00+02:00"]);
}

#[test]
fn last_nearest_and_nth_days() {
    let after = "2024-06-01T12:00:00+02:00";
    check("0 0 L * *", after, &["2024-06-30T00:00:00+02:00", "2024-07-31T00:00:00+02:00"]);
    check("0 0 LW * *", after, &["2024-06-28T00:00:00+02:00", "2024-07-31T00:00:00+02:00"]);
    check("0 0 1W,15W * *", after, &["2024-06-03T00:00:00+02:00", "2024-06-14T00:00:00+02:00"]);
    check("0 0 * * 5L", after, &["2024-06-28T00:00:00+02:00", "2024-07-26T00:00:00+02:00"]);
    check("0 0 * * MON#2", after, &["2024-06-10T00:00:00+02:00", "2024-07-08T00:00:00+02:00"]);
}

#[test]
fn either_day_field_or_both() {
    let after = "2024-06-08T12:00:00+02:00";
    check("0 0 13 * FRI", after, &["2024-06-13T00:00:00+02:00", "2024-06-14T00:00:00+02:00"]);
    check("0 0 */2 * FRI", after, &["2024-06-21T00:00:00+02:00", "2024-07-05T00:00:00+02:00"]);
}

#[test]
fn names_of_whole_expressions() {
    let after = "2024-06-01T12:00:00+02:00";
    check("@hourly", after, &["2024-06-01T13:00:00+02:00"]);
    check("@daily", after, &["2024-06-02T00:00:00+02:00"]);
    check("@midnight", after, &["2024-06-02T00:00:00+02:00"]);
    check("@weekly", after, &["2024-06-02T00:00:00+02:00", "2024-06-09T00:00:00+02:00"]);
    check("@monthly", after, &["2024-07-01T00:00:00+02:00"]);
    check("@yearly", after, &["2025-01-01T00:00:00+01:00"]);
    check("@annually", after, &["2025-01-01T00:00:00+01:00"]);
}

#[test]
fn named_hours_come_once_when_the_clock_goes_forwards() {
    let after = "2024-03-31T01:00:00+01:00";
    check("30 2 * * *", after, &["2024-03-31T03:00:00+02:00", "2024-04-01T02:30:00+02:00"]);
    // All that is jumped past comes at once, together with what comes then anyway.
    check("*/20 2,3 * * *", after, &["2024-03-31T03:00:00+02:00", "2024-03-31T03:20:00+02:00"]);
    check_in(
        "Pacific/Apia",
        "0 6 * * *",
        "2011-12-29T12:00:00-10:00",
        &["2011-12-31T00:00:00+14:00", "2011-12-31T06:00:00+14:00"],
    );
}

#[test]
fn named_hours_come_once_when_the_clock_goes_back() {
    let after = "2024-10-27T01:45:00+02:00";
    check("30 2 * * *", after, &["2024-10-27T02:30:00+02:00", "2024-10-28T02:30:00+01:00"]);
    check(
        "*/30 2,3 * * *",
        after,
        &["2024-10-27T02:00:00+02:00", "2024-10-27T02:30:00+02:00", "2024-10-27T03:00:00+01:00"],
    );
}

#[test]
fn wildcards_and_steps_come_whenever_the_clock_shows_them() {
    check("30 * * * *", "2024-03-31T01:00:00+01:00", &["2024-03-31T01:30:00+01:00", "2024-03-31T03:30:00+02:00"]);
    check("30 */2 * * *", "2024-03-31T01:00:00+01:00", &["2024-03-31T04:30:00+02:00"]);
    check(
        "30 */2 * * *",
        "2024-10-27T01:00:00+02:00",
        &["2024-10-27T02:30:00+02:00", "2024-10-27T02:30:00+01:00", "2024-10-27T04:30:00+01:00"],
    );
}

#[test]
fn the_example_of_the_readme() {
    let (spring, autumn) = ("2026-03-29T00:40:00+01:00", "2026-10-25T01:40:00+02:00");
    check("30 2 * * *", spring, &["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]);
    check("30 * * * *", spring, &["2026-03-29T01:30:00+01:00", "2026-03-29T03:30:00+02:00"]);
    check("30 2 * * *", autumn, &["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]);
    check(
        "30 * * * *",
        autumn,
        &["2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00", "2026-10-25T03:30:00+01:00"],
    );
}
