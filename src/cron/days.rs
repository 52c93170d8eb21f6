//! The two day fields: which days of a month they name together.

use jiff::civil::Date;

use super::field::{DAY, WEEKDAY};

/// The days that day of month and day of week name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Days {
    /// Bit `n` stands for day `n`, in this mask and in the next.
    numbers: u64,
    /// The days whose nearest working day is named.
    nearest_workdays: u64,
    /// Bit `7 * (n - 1) + weekday` stands for the `n`-th such weekday of the month: a weekday alone is all five.
    weekdays: u64,
    /// Bit `weekday` stands for the last such weekday of the month.
    last_weekdays: u64,
    last_day: bool,
    last_workday: bool,
    /// Whether a day must match both fields, or either.
    both: bool,
}

impl Days {
    /// Reads both fields. `id` decides what each `H` stands for.
    pub(super) fn parse(day: &str, weekday: &str, id: &str) -> Result<Self, String> {
        let mut days = Self {
            numbers: 0,
            nearest_workdays: 0,
            weekdays: 0,
            last_weekdays: 0,
            last_day: false,
            last_workday: false,
            both: [day, weekday].iter().any(|field| field.starts_with(['*', '?'])),
        };
        for item in any(day).split(',') {
            days.add_day(item, id)?;
        }
        for item in any(weekday).split(',') {
            days.add_weekday(item, id)?;
        }
        Ok(days)
    }

    fn add_day(&mut self, item: &str, id: &str) -> Result<(), String> {
        if item.eq_ignore_ascii_case("L") {
            self.last_day = true;
        } else if item.eq_ignore_ascii_case("LW") {
            self.last_workday = true;
        } else if let Some(day) = item.strip_suffix(['W', 'w']) {
            self.nearest_workdays |= 1 << DAY.value(day, item)?;
        } else {
            self.numbers |= DAY.item_mask(item, id)?;
        }
        Ok(())
    }

    fn add_weekday(&mut self, item: &str, id: &str) -> Result<(), String> {
        if let Some((weekday, nth)) = item.split_once('#') {
            let weekday = WEEKDAY.value(weekday, item)? % 7;
            let nth = match nth.as_bytes() {
                [nth @ b'1'..=b'5'] => nth - b'0',
                _ => return Err(WEEKDAY.error(item, "after # stands a number from 1 to 5")),
            };
            self.weekdays |= 1 << (7 * (nth - 1)) << weekday;
        } else if let Some(weekday) = item.strip_suffix(['L', 'l']) {
            if weekday.is_empty() {
                return Err(WEEKDAY.error(item, "L needs a day before it, such as 5L for the last Friday"));
            }
            self.last_weekdays |= 1 << (WEEKDAY.value(weekday, item)? % 7);
        } else {
            let each = WEEKDAY.item_mask(item, id)?;
            self.weekdays |= (0..5).fold(0, |mask, nth| mask | each << (7 * nth));
        }
        Ok(())
    }

    /// The named days of the month of `first`, its first day.
    pub(super) fn of_month(&self, first: Date) -> u64 {
        let length = first.days_in_month().cast_unsigned();
        let before_first = first.weekday().to_sunday_zero_offset().cast_unsigned() + 6;
        let weekday = |day: u8| (before_first + day) % 7;

        let mut by_day = self.numbers;
        if self.last_day {
            by_day |= 1 << length;
        }
        if self.last_workday {
            by_day |= 1 << nearest_workday(length, length, weekday(length));
        }
        let mut by_weekday = 0;
        for day in 1..=length {
            if self.nearest_workdays >> day & 1 == 1 {
                by_day |= 1 << nearest_workday(day, length, weekday(day));
            }
            let nth = self.weekdays >> (7 * ((day - 1) / 7));
            let last = if day + 7 > length { self.last_weekdays } else { 0 };
            by_weekday |= ((nth | last) >> weekday(day) & 1) << day;
        }
        let named = if self.both { by_day & by_weekday } else { by_day | by_weekday };
        // The days that the month does not have, and no day 0.
        named & ((2 << length) - 2)
    }
}

/// `?` stands for any day, and only alone.
fn any(field: &str) -> &str {
    if field == "?" { "*" } else { field }
}

/// The working day, Monday to Friday, of the same month that is nearest to `day`.
fn nearest_workday(day: u8, length: u8, weekday: u8) -> u8 {
    match weekday {
        6 if day == 1 => 3,
        6 => day - 1,
        0 if day == length => day - 2,
        0 => day + 1,
        _ => day,
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    /// The days of June 2024, which begins on a Saturday and ends on a Sunday.
    fn days(day: &str, weekday: &str) -> Vec<u32> {
        let mask = Days::parse(day, weekday, "id").expect("two fields").of_month(date(2024, 6, 1));
        (0..64).filter(|day| mask >> day & 1 == 1).collect()
    }

    #[test]
    fn days_of_the_month() {
        assert_eq!(days("1,30,31", "*"), [1, 30]);
        assert_eq!(days("L", "*"), [30]);
        assert_eq!(days("LW", "?"), [28]);
        assert_eq!(days("1W,l", "*"), [3, 30]);
        assert_eq!(days("15w,16W,30W,31W", "*"), [14, 17, 28]);
        assert_eq!(days("*", "*").len(), 30);
        assert_eq!(days("?", "?").len(), 30);
    }

    #[test]
    fn days_of_the_week() {
        assert_eq!(days("*", "7"), [2, 9, 16, 23, 30]);
        assert_eq!(days("*", "SAT#1,sun#5,6#5,7#2"), [1, 9, 29, 30]);
        assert_eq!(days("*", "MON#5"), [0; 0]);
        assert_eq!(days("*", "5L,0l"), [28, 30]);
        assert_eq!(days("?", "THU-MON/2"), [1, 3, 6, 8, 10, 13, 15, 17, 20, 22, 24, 27, 29]);
    }

    #[test]
    fn either_field_counts_unless_one_begins_with_a_star() {
        assert_eq!(days("13", "FRI"), [7, 13, 14, 21, 28]);
        assert_eq!(days("13,14", "*/5"), [14]);
        assert_eq!(days("*/7", "SAT"), [1, 8, 15, 22, 29]);
        assert_eq!(days("*,1", "SAT#3"), [15]);
        assert_eq!(days("1-31/7", "SAT"), [1, 8, 15, 22, 29]);
        assert_eq!(days("2-31/7", "SAT"), [1, 2, 8, 9, 15, 16, 22, 23, 29, 30]);
    }

    #[test]
    fn refusals_name_the_field_and_what_is_accepted() {
        let check = |day: &str, weekday: &str, refusal: &str| {
            assert_eq!(Days::parse(day, weekday, "id"), Err(refusal.to_owned()));
        };
        check("15W3", "*", r#"day of month "15W3": accepted are 1 to 31, not "15W3""#);
        check("W", "*", r#"day of month "W": a value is missing"#);
        check("?,5", "*", r#"day of month "?": accepted are 1 to 31, not "?""#);
        check("L-3", "*", r#"day of month "L-3": accepted are 1 to 31, not "L""#);
        check("*", "8", r#"day of week "8": accepted are 0 to 7 and SUN to SAT, not "8""#);
        check("*", "1#6", r#"day of week "1#6": after # stands a number from 1 to 5"#);
        check("*", "L", r#"day of week "L": L needs a day before it, such as 5L for the last Friday"#);
        check("*", "1-5L", r#"day of week "1-5L": accepted are 0 to 7 and SUN to SAT, not "1-5""#);
    }
}
