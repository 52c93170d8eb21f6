//! A second model of cron: its own reader, its own calendar, and a walk over real time second by second. It is slow,
//! and shares nothing with `src/cron/` but the offsets of the zones.

use std::ops::Range;

use jiff::Timestamp;
use jiff::tz::TimeZone;

const DAY: i64 = 86_400;
const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// An expression without `H`, as its texts say it.
pub(crate) struct Expression {
    seconds: Vec<i64>,
    minutes: Vec<i64>,
    hours: Vec<i64>,
    months: Vec<i64>,
    /// Empty for every year.
    years: Vec<i64>,
    day: String,
    weekday: String,
    /// Whether a time comes whenever the clock shows it.
    open: bool,
}

impl Expression {
    pub(crate) fn read(text: &str) -> Self {
        let text = text.to_uppercase();
        let mut fields: Vec<&str> = text.split_whitespace().collect();
        if fields.len() == 5 {
            fields.insert(0, "0");
        }
        Self {
            seconds: list(fields[0], 0, 59, &[]),
            minutes: list(fields[1], 0, 59, &[]),
            hours: list(fields[2], 0, 23, &[]),
            months: list(fields[4], 1, 12, &MONTHS),
            years: fields
                .get(6)
                .filter(|years| **years != "*")
                .map_or(Vec::new(), |years| list(years, 1970, 2199, &[])),
            day: fields[3].to_owned(),
            weekday: fields[5].to_owned(),
            open: fields[2].contains(['*', '/']),
        }
    }

    fn names_time(&self, second_of_day: i64) -> bool {
        self.seconds.contains(&(second_of_day % 60))
            && self.minutes.contains(&(second_of_day / 60 % 60))
            && self.hours.contains(&(second_of_day / 3_600))
    }

    fn names_date(&self, day: i64) -> bool {
        let (year, month, of_month) = civil(day);
        if !self.months.contains(&month) || !(self.years.is_empty() || self.years.contains(&year)) {
            return false;
        }
        let first = day - of_month + 1;
        let length = (28..=31).find(|length| civil(first + length).1 != month).expect("a month ends");
        let month = Month { first, length };
        let by_day = self.day.split(',').any(|item| month.day_matches(item, of_month));
        let by_weekday = self.weekday.split(',').any(|item| month.weekday_matches(item, of_month));
        if [&self.day, &self.weekday].iter().any(|field| field.starts_with(['*', '?'])) {
            by_day && by_weekday
        } else {
            by_day || by_weekday
        }
    }

    /// Whether the second `shown`, counted from 1970 by the wall clock, is named.
    fn names(&self, shown: i64) -> bool {
        self.names_time(shown.rem_euclid(DAY)) && self.names_date(shown.div_euclid(DAY))
    }
}

struct Month {
    first: i64,
    length: i64,
}

impl Month {
    /// Sunday is 0; the first day of 1970 was a Thursday.
    fn weekday(&self, day: i64) -> i64 {
        (self.first + day - 1 + 4).rem_euclid(7)
    }

    fn workdays(&self) -> impl Iterator<Item = i64> {
        (1..=self.length).filter(|day| (1..=5).contains(&self.weekday(*day)))
    }

    fn day_matches(&self, item: &str, day: i64) -> bool {
        match item {
            "L" => day == self.length,
            "LW" => self.workdays().last() == Some(day),
            _ => match item.strip_suffix('W').map(|near| number(near, 1, &[])) {
                Some(near) => {
                    near <= self.length && self.workdays().min_by_key(|work| (work - near).abs()) == Some(day)
                }
                None => list(item, 1, 31, &[]).contains(&day),
            },
        }
    }

    fn weekday_matches(&self, item: &str, day: i64) -> bool {
        let weekday = self.weekday(day);
        let is = |name| number(name, 0, &WEEKDAYS) % 7 == weekday;
        if let Some((name, nth)) = item.split_once('#') {
            is(name) && (1..=day).filter(|earlier| self.weekday(*earlier) == weekday).count().to_string() == nth
        } else if let Some(name) = item.strip_suffix('L') {
            is(name) && (day + 1..=self.length).all(|later| self.weekday(later) != weekday)
        } else {
            list(item, 0, 6, &WEEKDAYS).contains(&weekday)
        }
    }
}

/// The values of a list. A range is walked from value to value, around the end where it wraps.
fn list(text: &str, min: i64, max: i64, names: &[&str]) -> Vec<i64> {
    let mut values = Vec::new();
    for item in text.split(',') {
        let (range, step) = item.split_once('/').map_or((item, 1), |(range, step)| (range, number(step, 0, &[])));
        let (mut value, end) = match range.split_once('-') {
            _ if range == "*" || range == "?" => (min, max),
            Some((first, end)) => (number(first, min, names), number(end, min, names)),
            None => (number(range, min, names), number(range, min, names)),
        };
        let count = max - min + 1;
        let length = if value <= end { end - value } else { end + count - value };
        let until = value + length;
        while value <= until {
            values.push(if value > max { value - count } else { value });
            value += step;
        }
    }
    values
}

fn number(text: &str, min: i64, names: &[&str]) -> i64 {
    let found = (min..).zip(names).find(|(_, name)| **name == text).map(|(value, _)| value);
    found.unwrap_or_else(|| text.parse().unwrap_or_else(|_| panic!("the oracle cannot read {text:?}")))
}

/// Year, month and day of a day that is counted from 1970 on (Howard Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms").
fn civil(day: i64) -> (i64, i64, i64) {
    let shifted = day + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year + era * 400 + i64::from(month <= 2), month, of_year - (153 * from_march + 2) / 5 + 1)
}

/// What the clock of a zone shows at an instant, in seconds from 1970 on.
pub(crate) fn shown(zone: &TimeZone, at: i64) -> i64 {
    at + i64::from(zone.to_offset(Timestamp::from_second(at).expect("an instant")).seconds())
}

/// What the clock of a zone shows in each second of a stretch of real time.
pub(crate) struct Window {
    pub(crate) range: Range<i64>,
    shown: Vec<i64>,
    /// The latest time shown before.
    furthest: i64,
}

impl Window {
    pub(crate) fn new(zone: &TimeZone, range: Range<i64>) -> Self {
        let seconds = |range: Range<i64>| -> Vec<i64> {
            let minute = |start: i64| {
                let (first, last) = (shown(zone, start), shown(zone, start + 59));
                // No clock goes and comes within a minute.
                (0..60).map(move |n| if last - first == 59 { first + n } else { shown(zone, start + n) })
            };
            range.step_by(60).flat_map(minute).collect()
        };
        // No clock was ever turned back by more than a day.
        let before = seconds(range.start - 25 * 3_600..range.start);
        let furthest = before.into_iter().max().expect("a day has seconds");
        Self { shown: seconds(range.clone()), range, furthest }
    }

    /// Every instant of an expression within the window.
    pub(crate) fn instants(&self, expression: &Expression) -> Vec<i64> {
        let mut furthest = self.furthest;
        let mut date = (i64::MIN, false);
        let mut names = |shown: i64| {
            if date.0 != shown.div_euclid(DAY) {
                date = (shown.div_euclid(DAY), expression.names_date(shown.div_euclid(DAY)));
            }
            date.1 && expression.names_time(shown.rem_euclid(DAY))
        };
        let mut instants = Vec::new();
        for (at, shown) in self.range.clone().zip(&self.shown) {
            let comes = if expression.open {
                names(*shown)
            } else {
                // All that the clock reaches for the first time, or jumps past.
                (furthest + 1..=*shown).fold(false, |comes, reached| comes | names(reached))
            };
            furthest = furthest.max(*shown);
            if comes {
                instants.push(at);
            }
        }
        instants
    }
}

/// The first instant after `after` and before `limit`, however far: days of constant offset that do not match are
/// passed over.
pub(crate) fn next_far(expression: &Expression, zone: &TimeZone, after: i64, limit: i64) -> Option<i64> {
    let mut furthest = (after - 25 * 3_600..=after).map(|at| shown(zone, at)).max().expect("a day has seconds");
    let mut at = after + 1;
    while at < limit {
        let now = shown(zone, at);
        let rest = DAY - now.rem_euclid(DAY);
        if furthest + 1 >= now && shown(zone, at + rest) == now + rest && !expression.names_date(now.div_euclid(DAY)) {
            furthest = furthest.max(now + rest - 1);
            at += rest;
            continue;
        }
        let comes = if expression.open {
            expression.names(now)
        } else {
            (furthest + 1..=now).any(|reached| expression.names(reached))
        };
        if comes {
            return Some(at);
        }
        furthest = furthest.max(now);
        at += 1;
    }
    None
}
