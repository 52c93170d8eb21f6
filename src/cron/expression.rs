//! A cron expression: read once, then asked for the wall-clock times that it names.

use std::ops::{Range, RangeInclusive};

use jiff::civil::{Date, DateTime, Time, date, time};

use super::days::Days;
use super::field::{HOUR, MINUTE, MONTH, SECOND, YEAR};
use crate::limits;

const YEAR_FIRST: i16 = 1970;
const YEAR_LAST: i16 = 2199;

/// A cron expression, as the [module](super) describes it.
///
/// It needs no memory beside its own and is copied as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expression {
    seconds: u64,
    minutes: u64,
    hours: u64,
    months: u64,
    days: Days,
    /// Bit `n` of the whole stands for the year 1970 + `n`.
    years: [u64; 4],
    hour_kind: HourKind,
    is_drawn: bool,
}

/// What the hour field asks for when the clock changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HourKind {
    /// Named hours (`2`, `1,3`, `0-4`, `H`): each time comes once, whatever the clock does.
    Fixed,
    /// A wildcard or a step (`*`, `*/2`, `8-18/2`): a time comes whenever the clock shows it.
    Open,
}

impl Expression {
    /// Reads an expression. `id`, the job's, decides what each `H` stands for.
    ///
    /// One that names no date at all is refused. One whose years have passed is not: whether it still fires
    /// depends on the time, and [`next`](super::next) tells.
    pub fn parse(text: &str, id: &str) -> Result<Self, String> {
        if text.len() > limits::CRON_BYTES_MAX {
            return Err(format!("must be at most {} bytes, not {}", limits::CRON_BYTES_MAX, text.len()));
        }
        let text = text.trim_ascii();
        let fields: Vec<&str> =
            if text.starts_with('@') { named(text)? } else { text }.split_ascii_whitespace().collect();
        let [second, minute, hour, day, month, weekday, year] = match fields[..] {
            [minute, hour, day, month, weekday] => ["0", minute, hour, day, month, weekday, "*"],
            [second, minute, hour, day, month, weekday] => [second, minute, hour, day, month, weekday, "*"],
            [second, minute, hour, day, month, weekday, year] => [second, minute, hour, day, month, weekday, year],
            _ => {
                let fields = fields.len();
                return Err(format!(
                    "accepted are 5 fields (minute, hour, day of month, month, day of week), \
                     6 with seconds first or 7 with years last too, not {fields}"
                ));
            }
        };
        let expression = Self {
            seconds: SECOND.mask(second, id)?,
            minutes: MINUTE.mask(minute, id)?,
            hours: HOUR.mask(hour, id)?,
            months: MONTH.mask(month, id)?,
            days: Days::parse(day, weekday, id)?,
            years: years(year, id)?,
            hour_kind: if hour.contains(['*', '/']) { HourKind::Open } else { HourKind::Fixed },
            // No name of a month or a day begins so.
            is_drawn: fields.iter().any(|field| field.split(',').any(|item| item.starts_with(['H', 'h']))),
        };
        match expression.at_or_after(DateTime::MIN) {
            Some(_) => Ok(expression),
            None => Err(format!("no date from {YEAR_FIRST} to {YEAR_LAST} matches, so it would never fire")),
        }
    }

    /// Whether it has an `H`, and so is another for another id.
    pub fn is_drawn(&self) -> bool {
        self.is_drawn
    }

    pub(super) fn hour_kind(&self) -> HourKind {
        self.hour_kind
    }

    /// The first wall-clock time, in whole seconds, that is named and not before `from`.
    pub(super) fn at_or_after(&self, from: DateTime) -> Option<DateTime> {
        if let Some(today) = self.date_at_or_after(from.date()) {
            let start = if today == from.date() { from.time() } else { Time::MIN };
            if let Some(time) = self.time_at_or_after(start) {
                return Some(today.to_datetime(time));
            }
            let later = self.date_at_or_after(today.tomorrow().ok()?)?;
            return Some(later.to_datetime(self.time_at_or_after(Time::MIN)?));
        }
        None
    }

    /// The first named date that is not before `from`.
    fn date_at_or_after(&self, from: Date) -> Option<Date> {
        let (mut month, mut day) = (from.month().cast_unsigned(), from.day().cast_unsigned());
        for year in from.year().max(YEAR_FIRST)..=YEAR_LAST {
            if year > from.year() {
                (month, day) = (1, 1);
            }
            if !self.has_year(year) {
                continue;
            }
            while let Some(found) = next_bit(self.months, month) {
                if found > month {
                    day = 1;
                }
                let first = date(year, found.cast_signed(), 1);
                if let Some(day) = next_bit(self.days.of_month(first), day) {
                    return Some(date(year, found.cast_signed(), day.cast_signed()));
                }
                (month, day) = (found + 1, 1);
            }
        }
        None
    }

    /// The first named time of a day that is not before `from`.
    fn time_at_or_after(&self, from: Time) -> Option<Time> {
        let [hour, minute, second] = [from.hour(), from.minute(), from.second()].map(i8::cast_unsigned);
        let first = |mask| next_bit(mask, 0);
        let at = |hour: u8, minute: u8, second: u8| {
            Some(time(hour.cast_signed(), minute.cast_signed(), second.cast_signed(), 0))
        };
        if self.hours >> hour & 1 == 1 {
            if self.minutes >> minute & 1 == 1
                && let Some(second) = next_bit(self.seconds, second)
            {
                return at(hour, minute, second);
            }
            if let Some(minute) = next_bit(self.minutes, minute + 1) {
                return at(hour, minute, first(self.seconds)?);
            }
        }
        at(next_bit(self.hours, hour + 1)?, first(self.minutes)?, first(self.seconds)?)
    }

    /// How many wall-clock times, in whole seconds, are named from the start of a range on and before its end.
    pub(super) fn count_within(&self, times: Range<DateTime>) -> u64 {
        let Range { start, end } = times;
        if start >= end {
            return 0;
        }
        let a_day = ones(self.hours) * ones(self.minutes) * ones(self.seconds);
        let names = |date: Date| self.count_dates(date..=date);
        let before_start = names(start.date()) * self.count_before(start.time());
        let from_end_on = names(end.date()) * (a_day - self.count_before(end.time()));
        self.count_dates(start.date()..=end.date()) * a_day - before_start - from_end_on
    }

    /// How many dates of a range are named.
    fn count_dates(&self, dates: RangeInclusive<Date>) -> u64 {
        let (first, last) = (*dates.start(), *dates.end());
        let mut named = 0;
        for year in first.year().max(YEAR_FIRST)..=last.year().min(YEAR_LAST) {
            if !self.has_year(year) {
                continue;
            }
            let mut month = if year == first.year() { first.month() } else { 1 };
            let last_month = if year == last.year() { last.month() } else { 12 };
            while let Some(found) = next_bit(self.months, month.cast_unsigned()).map(u8::cast_signed)
                && found <= last_month
            {
                let begin = date(year, found, 1);
                let mut days = self.days.of_month(begin);
                if begin < first {
                    days &= !below(first.day());
                }
                if begin.last_of_month() > last {
                    days &= below(last.day() + 1);
                }
                named += ones(days);
                month = found + 1;
            }
        }
        named
    }

    /// How many times of a day are named before `time`.
    fn count_before(&self, time: Time) -> u64 {
        let [hour, minute, second] = [time.hour(), time.minute(), time.second()];
        let names = |mask: u64, value: i8| mask >> value & 1;
        let in_minute = names(self.minutes, minute) * ones(self.seconds & below(second));
        let in_hour = ones(self.minutes & below(minute)) * ones(self.seconds) + in_minute;
        ones(self.hours & below(hour)) * ones(self.minutes) * ones(self.seconds) + names(self.hours, hour) * in_hour
    }

    fn has_year(&self, year: i16) -> bool {
        let bit = year - YEAR_FIRST;
        usize::try_from(bit / 64)
            .ok()
            .and_then(|word| self.years.get(word))
            .is_some_and(|word| word >> (bit % 64) & 1 == 1)
    }
}

/// The duration of `@every 5m`; `None` where a text is none such. It names no times of a clock, so there is no expression
/// for it.
pub fn every(text: &str) -> Option<&str> {
    let (name, duration) = text.trim_ascii().split_once([' ', '\t']).unwrap_or((text.trim_ascii(), ""));
    name.eq_ignore_ascii_case("@every").then(|| duration.trim_ascii())
}

/// The fields that a name stands for.
fn named(name: &str) -> Result<&'static str, String> {
    const NAMES: [(&str, &str); 7] = [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
    ];
    let found = NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, fields)| *fields).ok_or_else(|| {
        let names = NAMES.map(|(known, _)| known).join(", ");
        format!("{name:?} is no name; accepted are {names}, and @every with a duration, such as @every 5m")
    })
}

fn years(list: &str, id: &str) -> Result<[u64; 4], String> {
    let mut years = [0; 4];
    for item in list.split(',') {
        for year in YEAR.values(item, id)? {
            let bit = year - YEAR_FIRST.cast_unsigned();
            years[usize::from(bit / 64)] |= 1 << (bit % 64);
        }
    }
    Ok(years)
}

/// The bits below one of them.
fn below(bit: i8) -> u64 {
    (1 << bit) - 1
}

/// How many bits a mask has.
fn ones(mask: u64) -> u64 {
    mask.count_ones().into()
}

/// The first bit of a mask from one on.
fn next_bit(mask: u64, from: u8) -> Option<u8> {
    let rest = mask.checked_shr(u32::from(from))?;
    let skipped = u8::try_from(rest.trailing_zeros()).expect("it is at most 64");
    (rest != 0).then(|| from + skipped)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        Expression::parse(text, "id").expect_err(text)
    }

    #[test]
    fn it_is_small() {
        assert_eq!(size_of::<Expression>(), 112);
    }

    #[test]
    fn times_follow_one_another() {
        let check = |text: &str, from: &str, times: &[&str]| {
            let expression = Expression::parse(text, "id").expect(text);
            let mut from: DateTime = from.parse().expect(from);
            for expected in times {
                let found = expression.at_or_after(from).expect(text);
                assert_eq!(found.to_string(), *expected, "{text}");
                from = found.saturating_add(jiff::SignedDuration::from_secs(1));
            }
        };
        check("30 2 * * *", "2024-02-28T02:30:01", &["2024-02-29T02:30:00", "2024-03-01T02:30:00"]);
        check("0 22-1 31 12 *", "2024-12-31T22:00:01", &["2024-12-31T23:00:00", "2025-12-31T00:00:00"]);
        check(
            "58,59 59 23 * * *",
            "2024-12-31T23:59:58",
            &["2024-12-31T23:59:58", "2024-12-31T23:59:59", "2025-01-01T23:59:58"],
        );
        check("0 0 29 2 MON#5", "2024-02-28T00:00:00", &["2024-02-29T00:00:00", "2028-02-29T00:00:00"]);
        check("0 0 ? 2 MON#5", "2024-03-01T00:00:00", &["2044-02-29T00:00:00", "2072-02-29T00:00:00"]);
        check("0 0 0 1 1 ? 2030,2199", "1914-06-28T11:00:00", &["2030-01-01T00:00:00", "2199-01-01T00:00:00"]);
        check("* * * * * *", "1969-12-31T23:59:59", &["1970-01-01T00:00:00", "1970-01-01T00:00:01"]);
        check("@yearly", "2024-01-01T00:00:01", &["2025-01-01T00:00:00"]);
        check(" @Weekly ", "2024-06-01T12:00:00", &["2024-06-02T00:00:00", "2024-06-09T00:00:00"]);
        check("\t0\t12  * * mon-FRI", "2024-06-01T12:00:00", &["2024-06-03T12:00:00"]);
    }

    #[test]
    fn named_times_are_counted() {
        let check = |text: &str, from: &str, to: &str, times: u64| {
            let expression = Expression::parse(text, "id").expect(text);
            let range = from.parse().expect(from)..to.parse().expect(to);
            assert_eq!(expression.count_within(range), times, "{text} from {from} to {to}");
        };
        let (year, next) = ("2024-01-01T00:00:00", "2025-01-01T00:00:00");
        check("* * * * * *", year, next, 366 * 86_400);
        check("* * * * * *", year, year, 0);
        check("* * * * * *", next, year, 0);
        check("* * * * * *", "2024-02-28T23:59:58", "2024-03-01T00:00:01", 86_400 + 3);
        check("* * * * * *", "0001-01-01T00:00:00", "9999-12-31T23:59:59", 84_006 * 86_400);
        check("0 0 29 2 *", year, "2028-02-29T00:00:00", 1);
        check("0 0 29 2 *", year, "2028-02-29T00:00:01", 2);
        check("0 0 ? 2,8 FRI#5", year, "2030-01-01T00:00:00", 3);
        check("30,45 10,20 9,17 * * *", "2024-06-01T09:20:30", "2024-06-01T17:10:45", 3);
        check("30,45 10,20 9,17 * * *", "2024-06-01T09:20:31", "2024-06-01T17:10:46", 3);
        check("30,45 10,20 9,17 * * *", "2024-06-01T12:00:00", "2024-06-03T12:00:00", 16);
        check("30,45 10,20 9,17 2 * *", "2024-06-01T12:00:00", "2024-06-03T12:00:00", 8);
        check("0 0 12 * * * 2023,2025-2027/2", year, "2026-06-01T00:00:00", 365);
    }

    #[test]
    fn an_h_is_told_of() {
        let is_drawn = |text: &str| Expression::parse(text, "id").expect(text).is_drawn();
        for text in ["H * * * *", "0 1,h(2-3) * * *", "0 0 * * 1,H", "H/2 0 0 * * *"] {
            assert!(is_drawn(text), "{text}");
        }
        for text in ["0 0 * MAR THU,1", "@hourly", "@monthly"] {
            assert!(!is_drawn(text), "{text}");
        }
    }

    #[test]
    fn the_years_end() {
        let last = Expression::parse("59 59 23 31 12 * *", "id").expect("an expression");
        let at = |text: &str| last.at_or_after(text.parse().expect(text)).map(|found| found.to_string());
        assert_eq!(at("2199-12-31T23:59:59"), Some("2199-12-31T23:59:59".to_owned()));
        assert_eq!(at("2200-01-01T00:00:00"), None);
        assert_eq!(last.at_or_after(DateTime::MAX), None);
    }

    #[test]
    fn what_names_no_date_is_refused() {
        for text in ["0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 0 29 2 * 2023", "0 0 30W 2 *"] {
            assert_eq!(refusal(text), "no date from 1970 to 2199 matches, so it would never fire", "{text}");
        }
        assert!(Expression::parse("0 0 0 1 1 * 1999", "id").is_ok());
    }

    #[test]
    fn refusals_say_what_is_accepted() {
        let of_fields = "accepted are 5 fields (minute, hour, day of month, month, day of week), \
                         6 with seconds first or 7 with years last too, not ";
        assert_eq!(refusal(""), format!("{of_fields}0"));
        assert_eq!(refusal("* * * *"), format!("{of_fields}4"));
        assert_eq!(refusal("* * * * * * * *"), format!("{of_fields}8"));
        assert_eq!(
            refusal("@hour"),
            "\"@hour\" is no name; accepted are @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually, \
             and @every with a duration, such as @every 5m"
        );
        assert_eq!(refusal("MAR * * * *"), r#"minute "MAR": accepted are 0 to 59, not "MAR""#);
        assert_eq!(refusal("0,,5 * * * *"), r#"minute "": a value is missing"#);
        assert_eq!(refusal(&"*".repeat(257)), "must be at most 256 bytes, not 257");
    }
}
