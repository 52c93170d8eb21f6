//! The instants of random expressions, held against a model that walks through real time second by second.

mod count;
mod generate;
mod oracle;
mod rules;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};
use ksana::cron::{self, Expression};

use count::Case;
use generate::Random;
use oracle::Window;

/// Zones whose clocks have done odd things since 1970: skipped a day, changed by half an hour or at midnight, around
/// Ramadan, twice within a few weeks.
const ODD: [&str; 22] = [
    "Africa/Cairo",
    "Africa/Casablanca",
    "Africa/Monrovia",
    "America/Caracas",
    "America/Havana",
    "America/Nuuk",
    "America/Sao_Paulo",
    "America/Scoresbysund",
    "Antarctica/Casey",
    "Antarctica/Troll",
    "Asia/Gaza",
    "Asia/Kathmandu",
    "Asia/Pyongyang",
    "Asia/Singapore",
    "Asia/Tehran",
    "Australia/Lord_Howe",
    "Europe/Dublin",
    "Europe/Moscow",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Pacific/Enderbury",
    "Pacific/Kwajalein",
];
/// Changes by more than two hours, and some that every run shall see.
const ALWAYS: [(&str, &str); 12] = [
    ("Pacific/Apia", "2011-12-30T10:00:00Z"),
    ("Pacific/Kwajalein", "1993-08-21T12:00:00Z"),
    ("Pacific/Enderbury", "1994-12-31T11:00:00Z"),
    ("Antarctica/Troll", "2024-03-31T01:00:00Z"),
    ("Antarctica/Troll", "2024-10-27T01:00:00Z"),
    ("Australia/Lord_Howe", "2024-04-06T15:00:00Z"),
    ("Australia/Lord_Howe", "2024-10-05T15:30:00Z"),
    ("Europe/Dublin", "2024-10-27T01:00:00Z"),
    ("America/Nuuk", "2024-03-31T01:00:00Z"),
    ("Africa/Casablanca", "2024-03-10T02:00:00Z"),
    ("Asia/Singapore", "1981-12-31T16:00:00Z"),
    ("Africa/Monrovia", "1972-01-07T00:44:30Z"),
];
const LAST: Timestamp = Timestamp::constant(4_102_444_800, 0);
const EXPRESSIONS: usize = 12;
const HOUR: i64 = 3_600;

fn zones() -> HashMap<String, TimeZone> {
    let database = TimeZoneDatabase::bundled();
    database.available().map(|name| (name.to_string(), database.get(name.as_str()).expect("a zone"))).collect()
}

/// The instants from 1970 to 2100 at which the clock of a zone changes.
fn changes(zone: &TimeZone) -> Vec<i64> {
    let all = zone.following(Timestamp::UNIX_EPOCH).map(|change| change.timestamp()).take_while(|at| *at < LAST);
    let seconds = all.map(Timestamp::as_second);
    seconds.filter(|at| oracle::shown(zone, *at) != oracle::shown(zone, at - 1) + 1).collect()
}

fn instant(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("an instant")
}

/// Expressions around one change of the clock; gives the number of cases.
fn check_around(random: &mut Random, name: &str, zone: &TimeZone, change: i64) -> usize {
    let start = (change - 12 * HOUR).div_euclid(60) * 60;
    let window = Window::new(zone, start..start + 24 * HOUR);
    (0..EXPRESSIONS).map(|_| check_expression(random, name, zone, change, &window)).sum()
}

fn check_expression(random: &mut Random, name: &str, zone: &TimeZone, change: i64, window: &Window) -> usize {
    let near = zone.to_datetime(instant(change + random.range(-2 * HOUR, 2 * HOUR)));
    let text = generate::expression(random, near);
    let all = window.instants(&oracle::Expression::read(&text));
    let expression = match Expression::parse(&text, "id") {
        Ok(expression) => expression,
        Err(refusal) => {
            assert!(refusal.ends_with("would never fire"), "{text}: {refusal}");
            assert_eq!(all, [0; 0], "{text}");
            return 0;
        }
    };
    let range = &window.range;
    let mut queries: Vec<i64> = [-7_200, -3_600, -1_800, -1, 0, 1, 1_799, 3_599, 3_600].map(|by| change + by).into();
    let close = all.iter().filter(|at| (**at - change).abs() < 3 * HOUR);
    queries.extend(all.iter().take(3).chain(close.take(6)).flat_map(|at| [at - 1, *at, at + 1]));
    queries.extend((0..4).map(|_| random.range(range.start, range.end - 1)));
    queries.retain(|at| range.contains(at));
    Case { text: &text, name, expression: &expression, zone }.check_within(random, &all, &queries);
    for after in &queries {
        let expected = all.get(all.partition_point(|at| at <= after)).map(|at| instant(*at));
        // A fraction of a second makes no difference.
        let precise = instant(*after) + SignedDuration::from_nanos(random.range(0, 999_999_999));
        let found = cron::next(&expression, zone, precise).filter(|at| at.as_second() < range.end);
        assert_eq!(found, expected, "`{text}` in {name} after {precise}");

        let last = all[..all.partition_point(|at| at <= after)].last().map(|at| instant(*at));
        let since = instant(range.start - 1);
        assert_eq!(cron::latest(&expression, zone, since, precise), last, "`{text}` in {name} by {precise}");
        assert_eq!(cron::holds(&expression, zone, instant(*after)), all.binary_search(after).is_ok(), "{text}");
    }
    queries.len()
}

fn check_far(random: &mut Random, name: &str, zone: &TimeZone, at: i64) {
    let near = zone.to_datetime(instant(at + random.range(-400, 400) * 24 * HOUR));
    let text = generate::expression(random, near);
    let Ok(expression) = Expression::parse(&text, "id") else { return };
    let limit = at + 5 * 366 * 24 * HOUR;
    let expected = oracle::next_far(&oracle::Expression::read(&text), zone, at, limit);
    let found = cron::next(&expression, zone, instant(at)).map(Timestamp::as_second).filter(|at| *at < limit);
    assert_eq!(found, expected, "`{text}` in {name} after {}", instant(at));
    Case { text: &text, name, expression: &expression, zone }.check_steps(random, instant(at));
}

/// A sample by a seed: so many changes of odd zones and of any.
fn check_sample(seed: u64, windows: usize) {
    let mut random = Random(seed);
    let zones = zones();
    let mut names: Vec<&str> = zones.keys().map(String::as_str).collect();
    names.sort_unstable();
    let mut cases = 0;
    for n in 0..windows {
        let name = if n % 2 == 0 { *random.pick(&ODD) } else { *random.pick(&names) };
        let (zone, at) = (&zones[name], random.range(0, LAST.as_second()));
        let changes = changes(zone);
        let change = if changes.is_empty() { at } else { *random.pick(&changes) };
        cases += check_around(&mut random, name, zone, change);
        check_far(&mut random, name, zone, at);
    }
    println!("{cases} cases");
}

#[test]
fn the_oddest_changes_are_as_the_model_says() {
    let (mut random, zones) = (Random(1), zones());
    for (name, change) in ALWAYS {
        let change: Timestamp = change.parse().expect(change);
        assert!(changes(&zones[name]).contains(&change.as_second()), "the clock of {name} changes at {change}");
        check_around(&mut random, name, &zones[name], change.as_second());
    }
}

#[test]
fn a_fixed_sample_is_as_the_model_says() {
    check_sample(2, 40);
}

#[test]
fn a_fresh_sample_is_as_the_model_says() {
    let seed = RandomState::new().hash_one("cron");
    println!("the seed is {seed}");
    check_sample(seed, 20);
}
