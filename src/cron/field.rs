//! One field of an expression: which values it has, and how a list of them is written.

/// A field. Every set of values is a bit mask: bit `n` stands for the value `n`.
pub(super) struct Field {
    /// Shown in refusals. What `H` stands for depends on it too, so it stays as it is.
    name: &'static str,
    min: u16,
    /// The largest number that may be written.
    max: u16,
    /// The largest value that is not a second name of a smaller one.
    last: u16,
    /// The largest value that `H` without bounds stands for.
    hash_last: u16,
    /// Whether a range may run past the end and on from the start, and `H` may be used.
    cyclic: bool,
    /// The first one stands for `min`.
    names: &'static [&'static str],
}

pub(super) const SECOND: Field = Field::numbers("second", 0, 59);
pub(super) const MINUTE: Field = Field::numbers("minute", 0, 59);
pub(super) const HOUR: Field = Field::numbers("hour", 0, 23);
/// `H` keeps to the days that every month has.
pub(super) const DAY: Field = Field { hash_last: 28, ..Field::numbers("day of month", 1, 31) };
pub(super) const MONTH: Field = Field {
    names: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    ..Field::numbers("month", 1, 12)
};
/// Sunday is 0 and 7; in a mask it is 0.
pub(super) const WEEKDAY: Field = Field {
    last: 6,
    hash_last: 6,
    names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
    ..Field::numbers("day of week", 0, 7)
};
pub(super) const YEAR: Field = Field { cyclic: false, ..Field::numbers("year", 1970, 2199) };

impl Field {
    const fn numbers(name: &'static str, min: u16, max: u16) -> Self {
        Self { name, min, max, last: max, hash_last: max, cyclic: true, names: &[] }
    }

    /// The values of a whole field, a list of items.
    pub(super) fn mask(&self, list: &str, id: &str) -> Result<u64, String> {
        list.split(',').try_fold(0, |mask, item| Ok(mask | self.item_mask(item, id)?))
    }

    /// The values of one item of a list.
    pub(super) fn item_mask(&self, item: &str, id: &str) -> Result<u64, String> {
        Ok(self.values(item, id)?.fold(0, |mask, value| mask | 1 << value))
    }

    /// The values of one item: `*`, `a`, `a-b`, `H` or `H(a-b)`, all but `a` with or without a step.
    pub(super) fn values(&self, item: &str, id: &str) -> Result<impl Iterator<Item = u16> + use<>, String> {
        let (min, end) = (self.min, self.last);
        let count = end - min + 1;
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => match number(step) {
                Some(step) if (1..=count).contains(&step) => (range, Some(step)),
                _ => return Err(self.error(item, &format!("a step is a number from 1 to {count}"))),
            },
            None => (item, None),
        };
        let (first, last) = if range == "*" {
            (min, end)
        } else if let Some(bounds) = range.strip_prefix(['H', 'h']) {
            self.hashed(bounds, step, item, id)?
        } else if let Some((first, last)) = range.split_once('-') {
            match (self.value(first, item)?, self.value(last, item)?) {
                (first, last) if first <= last => (first, last),
                (first, last) if self.cyclic => (first, last + count),
                _ => return Err(self.error(item, "the range ends before it begins")),
            }
        } else {
            let value = self.value(range, item)?;
            if let Some(step) = step {
                // Vixie's cron takes this for the value alone, Quartz for a range to the end.
                let why = format!("a step needs * or a range before it, such as {range}-{end}/{step}");
                return Err(self.error(item, &why));
            }
            (value, value)
        };
        let values = (first..=last).step_by(usize::from(step.unwrap_or(1)));
        Ok(values.map(move |value| if value > end { (value - min) % count + min } else { value }))
    }

    /// The range that `H` stands for, with its bounds after it or nothing: one value, or with a step the first of
    /// several and the bound.
    fn hashed(&self, bounds: &str, step: Option<u16>, item: &str, id: &str) -> Result<(u16, u16), String> {
        if !self.cyclic {
            return Err(self.error(item, "H cannot stand here"));
        }
        let (min, max) = if bounds.is_empty() {
            (self.min, self.hash_last)
        } else {
            let inner = bounds.strip_prefix('(').and_then(|bounds| bounds.strip_suffix(')'));
            let Some((min, max)) = inner.and_then(|inner| inner.split_once('-')) else {
                let why = format!("after H stand bounds such as H({}-{}), or nothing", self.min, self.hash_last);
                return Err(self.error(item, &why));
            };
            (self.value(min, item)?, self.value(max, item)?)
        };
        if min > max {
            return Err(self.error(item, "the bounds of H end before they begin"));
        }
        let choices = (max - min + 1).min(step.unwrap_or(u16::MAX));
        let choice = hash(id, self.name) % u64::from(choices);
        let first = min + u16::try_from(choice).expect("it is less than a number of this type");
        Ok((first, if step.is_some() { max } else { first }))
    }

    /// One value, by number or by name. `item` is what it is a part of.
    pub(super) fn value(&self, text: &str, item: &str) -> Result<u16, String> {
        let names = (self.min..).zip(self.names);
        if let Some((value, _)) = names.into_iter().find(|(_, name)| name.eq_ignore_ascii_case(text)) {
            return Ok(value);
        }
        match number(text) {
            Some(value) if (self.min..=self.max).contains(&value) => Ok(value),
            _ if text.is_empty() => Err(self.error(item, "a value is missing")),
            _ => {
                let names = match self.names {
                    [first, .., last] => format!(" and {first} to {last}"),
                    _ => String::new(),
                };
                Err(self.error(item, &format!("accepted are {} to {}{names}, not {text:?}", self.min, self.max)))
            }
        }
    }

    pub(super) fn error(&self, item: &str, why: &str) -> String {
        format!("{} {item:?}: {why}", self.name)
    }
}

/// A number in plain digits: `u16` alone would take a plus too.
fn number(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// FNV-1a of 64 bits over the id, a zero byte and the name of the field.
///
/// The same for ever, on every machine and in every version: another hash would move the runs of every job whose
/// expression has an `H`. The name comes last, so that ids which differ in their last byte alone are spread as well.
fn hash(id: &str, field: &str) -> u64 {
    let bytes = id.bytes().chain([0]).chain(field.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(values: &[u16]) -> u64 {
        values.iter().fold(0, |mask, value| mask | 1 << value)
    }

    #[test]
    fn values_of_a_list() {
        let check = |field: &Field, list: &str, values: &[u16]| {
            assert_eq!(field.mask(list, "id"), Ok(mask(values)), "{list}");
        };
        check(&HOUR, "7", &[7]);
        check(&HOUR, "007", &[7]);
        check(&HOUR, "7,9,7", &[7, 9]);
        check(&HOUR, "22-1", &[22, 23, 0, 1]);
        check(&HOUR, "20-2/3", &[20, 23, 2]);
        check(&HOUR, "*/9", &[0, 9, 18]);
        check(&HOUR, "*/24", &[0]);
        check(&HOUR, "8-18/5,0-0", &[0, 8, 13, 18]);
        check(&MONTH, "*/5", &[1, 6, 11]);
        check(&MONTH, "nov-Feb", &[11, 12, 1, 2]);
        check(&WEEKDAY, "7", &[0]);
        check(&WEEKDAY, "0-7", &[0, 1, 2, 3, 4, 5, 6]);
        check(&WEEKDAY, "5-7", &[5, 6, 0]);
        check(&WEEKDAY, "7-2", &[0, 1, 2]);
        check(&WEEKDAY, "MON-SUN/2", &[1, 3, 5, 0]);
        check(&WEEKDAY, "SUN-SUN", &[0]);
        check(&WEEKDAY, "*/3", &[0, 3, 6]);
    }

    #[test]
    fn what_h_stands_for_never_changes() {
        let check = |field: &Field, item: &str, values: &[u16]| {
            assert_eq!(field.mask(item, "nightly-backup"), Ok(mask(values)), "{} {item}", field.name);
        };
        check(&SECOND, "H", &[57]);
        check(&MINUTE, "H", &[5]);
        check(&HOUR, "H", &[7]);
        check(&DAY, "H", &[17]);
        check(&MONTH, "H", &[6]);
        check(&WEEKDAY, "H", &[3]);
        check(&MINUTE, "h(10-19)", &[15]);
        check(&MINUTE, "H/15", &[5, 20, 35, 50]);
        check(&HOUR, "H(8-18)/4", &[11, 15]);
        assert_eq!(hash("", ""), 0xaf63_bd4c_8601_b7df);
    }

    #[test]
    fn h_keeps_to_its_bounds_and_spreads() {
        let mut minutes = [0; 60];
        for job in 0..6_000 {
            let id = format!("job-{job}");
            let first = |field: &Field, item| field.values(item, &id).expect(item).next().expect("a value");
            minutes[usize::from(first(&MINUTE, "H"))] += 1;
            assert!((10..=19).contains(&first(&MINUTE, "H(10-19)")));
            assert!((1..=28).contains(&first(&DAY, "H")));
            assert!((5..=7).contains(&first(&WEEKDAY, "H(FRI-7)")) || first(&WEEKDAY, "H(FRI-7)") == 0);
            assert_eq!(HOUR.mask("H/6", &id).expect("a mask").count_ones(), 4);
        }
        assert!(minutes.iter().all(|jobs| (60..=140).contains(jobs)), "{minutes:?}");
    }

    #[test]
    fn refusals_name_the_field_and_what_is_accepted() {
        let check = |field: &Field, list: &str, refusal: &str| {
            assert_eq!(field.values(list, "id").map(Iterator::collect), Err::<Vec<_>, _>(refusal.to_owned()));
        };
        check(&HOUR, "24", r#"hour "24": accepted are 0 to 23, not "24""#);
        check(&HOUR, "9-+17", r#"hour "9-+17": accepted are 0 to 23, not "+17""#);
        check(&HOUR, "fri", r#"hour "fri": accepted are 0 to 23, not "fri""#);
        check(&HOUR, "70000", r#"hour "70000": accepted are 0 to 23, not "70000""#);
        check(&MONTH, "13", r#"month "13": accepted are 1 to 12 and JAN to DEC, not "13""#);
        check(&MINUTE, "", r#"minute "": a value is missing"#);
        check(&MINUTE, "-5", r#"minute "-5": a value is missing"#);
        check(&MINUTE, "*/61", r#"minute "*/61": a step is a number from 1 to 60"#);
        check(&MINUTE, "*/0", r#"minute "*/0": a step is a number from 1 to 60"#);
        check(&MINUTE, "*/", r#"minute "*/": a step is a number from 1 to 60"#);
        check(&MINUTE, "5/10", r#"minute "5/10": a step needs * or a range before it, such as 5-59/10"#);
        check(&MINUTE, "H5", r#"minute "H5": after H stand bounds such as H(0-59), or nothing"#);
        check(&MINUTE, "H(9-5)", r#"minute "H(9-5)": the bounds of H end before they begin"#);
        check(&YEAR, "2030-2029", r#"year "2030-2029": the range ends before it begins"#);
        check(&YEAR, "H", r#"year "H": H cannot stand here"#);
    }
}
