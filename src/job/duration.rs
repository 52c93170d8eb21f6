//! Durations as Go writes them: `300ms`, `1.5h`, `1h2m3.5s`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A signed span of time with nanosecond resolution, in the grammar of Go's `time.ParseDuration`.
///
/// The range is Go's too: about ±292 years. Whether a value makes sense in its place (a timeout
/// below zero does not) is for the limits to say, because a file may hold any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoDuration {
    nanos: i64,
}

const NANOS_PER_MICRO: i64 = 1_000;
const NANOS_PER_MILLI: i64 = 1_000_000;
const NANOS_PER_SECOND: i64 = 1_000_000_000;
const NANOS_PER_MINUTE: i64 = 60 * NANOS_PER_SECOND;
const NANOS_PER_HOUR: i64 = 60 * NANOS_PER_MINUTE;

/// Why a text is no duration, and what is one.
const ACCEPTED: &str =
    "accepted are Go durations such as 300ms, 10s, 1.5h or 1h2m3.5s, with the units ns, us, µs, ms, s, m, h";

impl GoDuration {
    /// Nothing at all: `0s`.
    pub const ZERO: Self = Self { nanos: 0 };

    /// A whole number of nanoseconds.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self { nanos }
    }

    /// A whole number of milliseconds.
    pub const fn from_millis(millis: i64) -> Self {
        Self { nanos: millis * NANOS_PER_MILLI }
    }

    /// A whole number of seconds.
    pub const fn from_secs(secs: i64) -> Self {
        Self { nanos: secs * NANOS_PER_SECOND }
    }

    /// A whole number of hours.
    pub const fn from_hours(hours: i64) -> Self {
        Self { nanos: hours * NANOS_PER_HOUR }
    }

    /// The nanoseconds, below zero for a negative duration.
    pub const fn as_nanos(self) -> i64 {
        self.nanos
    }

    /// As the standard library's duration; a negative one becomes zero.
    pub const fn to_std(self) -> Duration {
        Duration::from_nanos(if self.nanos > 0 { self.nanos.unsigned_abs() } else { 0 })
    }
}

impl FromStr for GoDuration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse(text).ok_or_else(|| format!("{text:?} is not a duration; {ACCEPTED}"))
    }
}

fn parse(text: &str) -> Option<GoDuration> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(GoDuration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (nanos, after) = parse_term(rest)?;
        total = total.checked_add(nanos)?;
        rest = after;
    }
    let nanos = if negative { 0_i64.checked_sub_unsigned(total)? } else { i64::try_from(total).ok()? };
    Some(GoDuration { nanos })
}

/// One number with its unit, as nanoseconds, and what follows it.
fn parse_term(text: &str) -> Option<(u64, &str)> {
    let (whole, rest) = split_digits(text);
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => split_digits(rest),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let end = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
    let (unit, after) = rest.split_at(end);
    let scale = match unit {
        "ns" => 1,
        "us" | "\u{b5}s" | "\u{3bc}s" => NANOS_PER_MICRO,
        "ms" => NANOS_PER_MILLI,
        "s" => NANOS_PER_SECOND,
        "m" => NANOS_PER_MINUTE,
        "h" => NANOS_PER_HOUR,
        _ => return None,
    };
    let scale = scale.unsigned_abs();
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    Some((whole.checked_mul(scale)?.checked_add(fraction_of(fraction, scale))?, after))
}

/// `0.<digits>` of a unit in nanoseconds, rounded down. Digits past the eighteenth are worth
/// less than a nanosecond of an hour.
fn fraction_of(digits: &str, scale: u64) -> u64 {
    let digits = &digits[..digits.len().min(18)];
    let (value, power) = digits
        .bytes()
        .fold((0_u128, 1_u128), |(value, power), digit| (value * 10 + u128::from(digit - b'0'), power * 10));
    u64::try_from(value * u128::from(scale) / power).expect("a part of a unit is smaller than the unit")
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// Largest units first, no empty ones: `5m`, `1m30s`, `1.5s`, `300ms`, `100µs`, `0s`.
impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.nanos.unsigned_abs();
        if self.nanos < 0 {
            f.write_str("-")?;
        }
        let [second, minute, hour] = [NANOS_PER_SECOND, NANOS_PER_MINUTE, NANOS_PER_HOUR].map(i64::unsigned_abs);
        if nanos == 0 {
            return f.write_str("0s");
        }
        if nanos < second {
            let (scale, unit) = match nanos {
                0..1_000 => (1, "ns"),
                1_000..1_000_000 => (1_000, "µs"),
                _ => (1_000_000, "ms"),
            };
            return write_decimal(f, nanos, scale, unit);
        }
        if nanos >= hour {
            write!(f, "{}h", nanos / hour)?;
        }
        if nanos % hour >= minute {
            write!(f, "{}m", nanos % hour / minute)?;
        }
        if !nanos.is_multiple_of(minute) {
            write_decimal(f, nanos % minute, second, "s")?;
        }
        Ok(())
    }
}

/// `nanos / scale` with as many decimals as are needed and none that are not.
fn write_decimal(f: &mut fmt::Formatter<'_>, nanos: u64, scale: u64, unit: &str) -> fmt::Result {
    write!(f, "{}", nanos / scale)?;
    let (mut fraction, mut power) = (nanos % scale, scale);
    if fraction > 0 {
        f.write_str(".")?;
    }
    while fraction > 0 {
        power /= 10;
        write!(f, "{}", fraction / power)?;
        fraction %= power;
    }
    f.write_str(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_compactly_and_read_back() {
        let check = |text: &str, shown: &str| {
            let duration: GoDuration = text.parse().expect(text);
            assert_eq!(duration.to_string(), shown, "{text}");
            assert_eq!(shown.parse(), Ok(duration), "{shown}");
        };
        check("5m0s", "5m");
        check("300ms", "300ms");
        check("1.5h", "1h30m");
        check("1h2m3.5s", "1h2m3.5s");
        check("100us", "100µs");
        check("100\u{b5}s", "100µs");
        check("100\u{3bc}s", "100µs");
        check("+90s", "1m30s");
        check("1500ms", "1.5s");
        check("1h0m0.25s", "1h0.25s");
        check("0", "0s");
        check("-0", "0s");
        check("-1.5s", "-1.5s");
        check(".5s", "500ms");
        check("1.s", "1s");
        check("1ns", "1ns");
        check("1.0000000000000000000000001h", "1h");
        check("2562047h47m16.854775807s", "2562047h47m16.854775807s");
        check("-2562047h47m16.854775808s", "-2562047h47m16.854775808s");
    }

    #[test]
    fn anything_else_is_refused_with_what_is_accepted() {
        for text in [
            "",
            "5",
            "s",
            "5 m",
            " 5m",
            "5m ",
            "5d",
            "1h-2m",
            "--5s",
            "+-5s",
            ".s",
            "1e3s",
            "5M",
            "infinity",
            "9223372036854775808ns",
            "2562047h47m16.854775808s",
            "18446744073709551616s",
            "１s",
        ] {
            let error = text.parse::<GoDuration>().expect_err(text);
            assert!(error.contains("300ms"), "{error}");
        }
    }
}
