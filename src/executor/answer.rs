//! What a status and its headers mean for the run.

use super::failure::plain;
use super::sight::Ended;
use crate::engine::Verdict;
use crate::job::{ErrorClass, GoDuration};
use crate::limits::RETRY_AFTER_MAX;
use isahc::http::header::{LOCATION, RETRY_AFTER};
use isahc::http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;

/// The end of an attempt whose answer came whole. The clock is asked only where a date needs it.
pub(super) fn ended(status: StatusCode, headers: &HeaderMap, clock: impl FnOnce() -> Timestamp) -> Ended {
    if status.is_success() {
        return Ended::success();
    }
    let verdict = if is_retryable(status) { Verdict::Retryable } else { Verdict::Final };
    let mut ended = Ended::failure(verdict, ErrorClass::Status, sentence(status, headers));
    if verdict == Verdict::Retryable {
        ended.outcome.retry_after = wait_asked_for(headers, clock);
    }
    ended
}

/// How long a `Retry-After` asks to be left alone; `None` where it says nothing or no time at all.
fn wait_asked_for(headers: &HeaderMap, clock: impl FnOnce() -> Timestamp) -> Option<GoDuration> {
    headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| retry_after(value.trim(), clock))
        .filter(|&wait| wait > GoDuration::ZERO)
}

fn is_retryable(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
}

/// `503 Service Unavailable`; of a redirect also where it pointed.
fn sentence(status: StatusCode, headers: &HeaderMap) -> String {
    let name = match status.canonical_reason() {
        Some(reason) => format!("{} {reason}", status.as_str()),
        None => status.as_str().to_owned(),
    };
    let redirects = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
    match headers.get(LOCATION).filter(|_| redirects) {
        Some(target) => {
            let target = without_secrets(&String::from_utf8_lossy(target.as_bytes()));
            format!("{name}: it points to {target}, redirects are not followed")
        }
        None => name,
    }
}

/// A redirect's target without what may be a secret in it: its query, fragment and userinfo.
fn without_secrets(target: &str) -> String {
    let (shown, rest) = target.split_at(target.find(['?', '#']).unwrap_or(target.len()));
    let mut shown = shown.to_owned();
    if let Some(start) = shown.find("//").map(|at| at + 2) {
        let end = shown[start..].find('/').map_or(shown.len(), |at| start + at);
        if let Some(at) = shown[start..end].rfind('@') {
            shown.replace_range(start..=start + at, "");
        }
    }
    if !rest.is_empty() {
        shown.push('…');
    }
    plain(&shown)
}

/// How long a `Retry-After` asks to wait, cut to what is granted; `None` if it is neither seconds
/// nor a date.
fn retry_after(value: &str, clock: impl FnOnce() -> Timestamp) -> Option<GoDuration> {
    let longest = i64::try_from(RETRY_AFTER_MAX.as_secs()).expect("an hour has few seconds");
    let seconds = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // What does not fit the number is longer than what is granted.
        value.parse().unwrap_or(i64::MAX)
    } else {
        let wait = http_date(value)?.duration_since(clock());
        // A part of a second is waited for: earlier than the date is too early.
        wait.as_secs().saturating_add(i64::from(wait.subsec_nanos() > 0))
    };
    Some(GoDuration::from_secs(seconds.min(longest)))
}

/// A date in one of the three forms that RFC 9110, section 5.6.7, has a recipient accept. The day
/// of the week is passed over: it says nothing that the date does not.
fn http_date(value: &str) -> Option<Timestamp> {
    let (day_of_week, rest) = value.split_once(' ')?;
    let is_day = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphabetic());
    let forms: &[&str] = match day_of_week.strip_suffix(',') {
        Some(name) if is_day(name) => &["%d %b %Y %H:%M:%S GMT", "%d-%b-%y %H:%M:%S GMT"],
        None if is_day(day_of_week) => &["%b %e %H:%M:%S %Y"],
        _ => return None,
    };
    let date = forms.iter().find_map(|form| strtime::parse(form, rest).ok()?.to_datetime().ok())?;
    DateTime::to_zoned(date, TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Outcome;
    use isahc::http::HeaderValue;

    fn of(status: u16, headers: &[(&'static str, &'static str)]) -> Outcome {
        let headers = headers.iter().map(|&(name, value)| {
            (name.parse().expect(name), HeaderValue::from_bytes(value.as_bytes()).expect("the value is sound"))
        });
        let now = "1994-11-06T08:49:00.5Z".parse().expect("a time");
        ended(StatusCode::from_u16(status).expect("a status"), &headers.collect(), || now).outcome
    }

    #[test]
    fn the_status_decides() {
        let check = |status: u16, verdict: Verdict, error: &str| {
            assert_eq!(of(status, &[]), Outcome::new(verdict, error), "{status}");
        };
        check(200, Verdict::Success, "");
        check(204, Verdict::Success, "");
        check(299, Verdict::Success, "");
        check(300, Verdict::Final, "300 Multiple Choices");
        check(302, Verdict::Final, "302 Found");
        check(304, Verdict::Final, "304 Not Modified");
        check(400, Verdict::Final, "400 Bad Request");
        check(404, Verdict::Final, "404 Not Found");
        check(408, Verdict::Retryable, "408 Request Timeout");
        check(425, Verdict::Final, "425 Too Early");
        check(429, Verdict::Retryable, "429 Too Many Requests");
        check(500, Verdict::Retryable, "500 Internal Server Error");
        check(503, Verdict::Retryable, "503 Service Unavailable");
        check(599, Verdict::Retryable, "599");
        check(600, Verdict::Final, "600");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_of_an_hour_at_most() {
        let check = |value: &'static str, seconds: Option<i64>| {
            let waited = of(503, &[("retry-after", value)]).retry_after;
            assert_eq!(waited, seconds.map(GoDuration::from_secs), "{value}");
        };
        check("120", Some(120));
        check("3600", Some(3_600));
        check("3601", Some(3_600));
        check("99999999999999999999999", Some(3_600));
        check("0", None);
        check("", None);
        check("-1", None);
        check("+5", None);
        check("1.5", None);
        check("soon", None);
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some(37));
        check("Sunday, 06-Nov-94 08:49:37 GMT", Some(37));
        check("Sun Nov  6 08:49:37 1994", Some(37));
        check("Mon, 06 Nov 1994 08:49:37 GMT", Some(37));
        check("Sun, 06 Nov 1994 08:48:37 GMT", None);
        check("Sun, 06 Nov 2994 08:49:37 GMT", Some(3_600));
        check("Sun, 31 Feb 1994 08:49:37 GMT", None);
        check("06 Nov 1994 08:49:37 GMT", None);
        assert_eq!(of(404, &[("retry-after", "120")]).retry_after, None);
        assert_eq!(of(429, &[("retry-after", "1")]).retry_after, Some(GoDuration::from_secs(1)));
    }

    #[test]
    fn a_redirect_says_where_it_pointed_and_no_secret() {
        let check = |location: &'static str, shown: &str| {
            let error = of(302, &[("location", location)]).error;
            assert_eq!(*error, format!("302 Found: it points to {shown}, redirects are not followed"));
        };
        check("https://example.com/login", "https://example.com/login");
        check("/login", "/login");
        check("https://example.com/a?token=s3cret", "https://example.com/a…");
        check("https://user:s3cret@example.com/a@b#s", "https://example.com/a@b…");
        check("//user@h", "//h");
        check("/é\t", "/é\\t");
        let long: &'static str = Box::leak("x".repeat(10_000).into_boxed_str());
        assert!(of(308, &[("location", long)]).error.len() < 400);
    }
}
