//! The answers that the HTTP library makes by itself, before any handler: to a head that is too long, malformed or
//! of an unknown method. They have no body and no CORS header, and nothing in the library can be set to change
//! that; so the guard hands each answer's first bytes to this file, and sends what it returns instead.

use trillium::Status;

use super::error::ApiError;

/// The header that every answer of a handler carries and no answer of the library's own does.
const OURS: &[u8] = b"\r\nAccess-Control-Allow-Origin: ";

/// What to send instead of an answer that begins with these bytes; `None` if it is a handler's.
pub(super) fn instead_of(answer: &[u8]) -> Option<Vec<u8>> {
    let end = find(answer, b"\r\n\r\n")?;
    let head = &answer[..end];
    if !answer.starts_with(b"HTTP/1.") || find(head, OURS).is_some() || find(head, b"\r\nConnection: close").is_none() {
        return None;
    }
    let status: u16 = std::str::from_utf8(head.get(9..12)?).ok()?.parse().ok()?;
    let status = Status::try_from(status).ok()?;
    let error = told(status);
    // It never became a request: method and path are not known, or not to be believed.
    tracing::info!(status = status as u16, error = error.error, "request refused unread");
    let body = error.to_json();
    let date = date_of(head).map(|date| format!("\r\nDate: {date}")).unwrap_or_default();
    let head = format!(
        "HTTP/1.1 {} {}{date}\r\nServer: ksana\r\nAccess-Control-Allow-Origin: *\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        status as u16,
        status.canonical_reason(),
        body.len()
    );
    Some([head.into_bytes(), body].concat())
}

fn told(status: Status) -> ApiError {
    let (error, message) = match status {
        Status::RequestHeaderFieldsTooLarge => ("head_too_large", "the request's headers are longer than 16 KiB"),
        Status::UriTooLong => ("uri_too_long", "the request's path and query are longer than 16 KiB"),
        Status::NotImplemented => ("unknown_method", "the request's method is not known here"),
        Status::ExpectationFailed => ("expectation_failed", "the only Expect that is understood is 100-continue"),
        Status::HttpVersionNotSupported => ("version_not_supported", "HTTP/1.0 and HTTP/1.1 are spoken here"),
        _ => ("bad_request", "this is not a well-formed HTTP/1.1 request"),
    };
    ApiError::new(status, error, message)
}

fn date_of(head: &[u8]) -> Option<&str> {
    let start = find(head, b"\r\nDate: ")? + 8;
    let rest = &head[start..];
    std::str::from_utf8(&rest[..find(rest, b"\r\n").unwrap_or(rest.len())]).ok()
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
