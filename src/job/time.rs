//! Instants as RFC 3339 writes them.

use jiff::Timestamp;

/// Reads a date-time of RFC 3339 §5.6 with any offset. ISO 8601 and jiff allow more (week dates,
/// zone names in brackets, a missing offset); a wire format that promises RFC 3339 takes no more.
pub fn parse_time(text: &str) -> Result<Timestamp, String> {
    let refuse = || {
        format!(
            "{text:?} is not a time; accepted is RFC 3339, such as 2025-09-19T11:05:00Z or 2025-09-19T13:05:00.5+02:00, \
             from 0000-01-01T00:00:00Z to {}",
            Timestamp::MAX
        )
    };
    if !has_the_shape(text.as_bytes()) {
        return Err(refuse());
    }
    let time: Timestamp = text.parse().map_err(|_| refuse())?;
    // With an offset, the first day of the year 0 can lie in a year that RFC 3339 cannot write.
    if time < FIRST {
        return Err(refuse());
    }
    Ok(time)
}

/// 0000-01-01T00:00:00Z.
const FIRST: Timestamp = Timestamp::constant(-62_167_219_200, 0);

/// `2025-09-19T11:05:00`, then perhaps a fraction, then `Z` or `±hh:mm`.
fn has_the_shape(text: &[u8]) -> bool {
    let matches = |text: &[u8], pattern: &[u8]| {
        text.len() == pattern.len()
            && text.iter().zip(pattern).all(|(byte, wanted)| match wanted {
                b'0' => byte.is_ascii_digit(),
                b'T' => matches!(byte, b'T' | b't' | b' '),
                b'+' => matches!(byte, b'+' | b'-'),
                _ => byte == wanted,
            })
    };
    let Some((date_time, rest)) = text.split_at_checked(19) else { return false };
    let offset = match rest.strip_prefix(b".") {
        Some(rest) => {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if !(1..=9).contains(&digits) {
                return false;
            }
            &rest[digits..]
        }
        None => rest,
    };
    let is_zulu = matches(offset, b"Z") || matches(offset, b"z");
    let is_offset =
        || matches(offset, b"+00:00") && offset[1..3] <= *b"23".as_slice() && offset[4..6] <= *b"59".as_slice();
    matches(date_time, b"0000-00-00T00:00:00") && (is_zulu || is_offset())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_offset_in_and_utc_out() {
        let check = |text: &str, shown: &str| assert_eq!(parse_time(text).expect(text).to_string(), shown);
        check("2025-09-19T11:05:00Z", "2025-09-19T11:05:00Z");
        check("2025-09-19T13:05:00+02:00", "2025-09-19T11:05:00Z");
        check("2025-09-19t11:05:00.123456789z", "2025-09-19T11:05:00.123456789Z");
        check("2025-09-19 11:05:00.500-00:00", "2025-09-19T11:05:00.5Z");
    }

    /// Shown in UTC such a time would have a year below zero, which nothing reads back.
    #[test]
    fn what_is_read_can_be_written_and_read_again() {
        for text in ["0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-30T22:00:00.999999999Z"] {
            assert_eq!(parse_time(text).expect(text).to_string(), text);
        }
        for text in ["0000-01-01T00:00:00+00:01", "0000-01-01T23:59:59+23:59:59", "9999-12-31T23:59:59Z"] {
            assert!(parse_time(text).expect_err(text).contains("0000"), "{text}");
        }
    }

    #[test]
    fn what_rfc_3339_does_not_have_is_refused() {
        for text in [
            "",
            "now",
            "2025-09-19",
            "2025-09-19T11:05",
            "2025-09-19T11:05:00",
            "2025-09-19T11:05:00.Z",
            "2025-09-19T11:05:00+0200",
            "2025-09-19T11:05:00Z[UTC]",
            "2025-W38-5T11:05:00Z",
            "2025-02-30T00:00:00Z",
            "2025-09-19T25:05:00Z",
            "+002025-09-19T11:05:00Z",
            "2025-09-19T11:05:00.1234567891Z",
            "1758279900",
            "2025-09-19T11:05:00+24:00",
            "2025-09-19T11:05:00+02:60",
            "-001-09-19T11:05:00Z",
        ] {
            assert!(parse_time(text).expect_err(text).contains("RFC 3339"));
        }
    }
}
