//! Random expressions that tend to come around a given time.

use jiff::civil::DateTime;

/// A `SplitMix64` generator (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators").
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % end as u64).expect("it is below a usize")
    }

    pub(crate) fn range(&mut self, least: i64, most: i64) -> i64 {
        let count = usize::try_from(most - least + 1).expect("a range of values");
        least + i64::try_from(self.below(count)).expect("it is in the range")
    }

    pub(crate) fn pick<'a, T>(&mut self, values: &'a [T]) -> &'a T {
        &values[self.below(values.len())]
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

/// A field: its least and last value, the one to come near, its names.
struct Field {
    min: i64,
    max: i64,
    near: i64,
    names: &'static [&'static str],
}

impl Field {
    fn new(min: i64, max: i64, near: i8) -> Self {
        Self { min, max, near: near.into(), names: &[] }
    }

    fn value(&self, random: &mut Random) -> i64 {
        match random.below(3) {
            0 => random.range(self.min, self.max),
            _ => (self.near + random.range(-2, 2)).clamp(self.min, self.max),
        }
    }

    fn shown(&self, random: &mut Random, value: i64) -> String {
        let index = usize::try_from(value - self.min).expect("a value of the field");
        match self.names.get(index) {
            Some(name) if random.one_in(2) => (*name).to_owned(),
            _ => value.to_string(),
        }
    }

    fn one(&self, random: &mut Random) -> String {
        let value = self.value(random);
        self.shown(random, value)
    }

    fn range(&self, random: &mut Random) -> String {
        let (mut first, mut last) = (self.value(random), self.value(random));
        // One in five runs past the end and on from the start.
        if first > last && !random.one_in(5) {
            (first, last) = (last, first);
        }
        format!("{}-{}", self.shown(random, first), self.shown(random, last))
    }

    fn item(&self, random: &mut Random) -> String {
        let steps = (self.max - self.min).min(13);
        match random.below(8) {
            0..=3 => self.one(random),
            4 | 5 => self.range(random),
            6 => format!("{}/{}", self.range(random), random.range(1, steps)),
            _ => format!("*/{}", random.range(1, steps)),
        }
    }

    fn list(&self, random: &mut Random) -> String {
        let count = if random.one_in(3) { random.range(1, 3) } else { 1 };
        (0..count).map(|_| self.item(random)).collect::<Vec<_>>().join(",")
    }

    fn list_or_star(&self, random: &mut Random, one_in: usize) -> String {
        if random.one_in(one_in) { "*".to_owned() } else { self.list(random) }
    }
}

/// An expression of five, six or seven fields.
pub(crate) fn expression(random: &mut Random, near: DateTime) -> String {
    let minute = *random.pick(&[0, 0, 15, 30, 45, near.minute()]);
    let mut fields = vec![
        Field::new(0, 59, minute).list_or_star(random, 10),
        Field::new(0, 23, near.hour()).list_or_star(random, 7),
        day(random, &Field::new(1, 31, near.day())),
        month(random, near.month()),
        weekday(random, near.weekday().to_sunday_zero_offset()),
    ];
    if random.one_in(2) {
        fields.insert(0, Field::new(0, 59, near.second()).list_or_star(random, 20));
        if random.one_in(3) {
            fields.push(years(random, near.year().into()));
        }
    }
    fields.join(" ")
}

fn day(random: &mut Random, field: &Field) -> String {
    match random.below(20) {
        0..=7 => "*".to_owned(),
        8 => "?".to_owned(),
        9 => "L".to_owned(),
        10 => "LW".to_owned(),
        11 => format!("{}W", field.value(random)),
        12 => format!("{},l", field.value(random)),
        13 => format!("{}w,{}", field.value(random), field.value(random)),
        _ => field.list(random),
    }
}

fn month(random: &mut Random, near: i8) -> String {
    let names = &["Jan", "feb", "MAR", "apr", "May", "jun", "JUL", "aug", "Sep", "oct", "NOV", "dec"];
    let field = Field { names, ..Field::new(1, 12, near) };
    if random.one_in(3) { field.list(random) } else { "*".to_owned() }
}

fn weekday(random: &mut Random, near: i8) -> String {
    let field = Field { names: &["Sun", "mon", "TUE", "wed", "Thu", "fri", "SAT", "sun"], ..Field::new(0, 7, near) };
    match random.below(20) {
        0..=8 => "*".to_owned(),
        9 => "?".to_owned(),
        10 => format!("{}#{}", field.one(random), random.range(1, 5)),
        11 => format!("{}L", field.one(random)),
        12 => format!("{},{}#{}", field.one(random), field.one(random), random.range(1, 5)),
        _ => field.list(random),
    }
}

fn years(random: &mut Random, near: i64) -> String {
    let (first, last) = ((near - random.range(0, 3)).max(1970), near + random.range(0, 9));
    match random.below(4) {
        0 => "*".to_owned(),
        1 => near.to_string(),
        2 => format!("{first}-{last}"),
        _ => format!("{first}-{last}/{}", random.range(1, 4)),
    }
}
