//! A request's body: its bytes within bounds, and the value that they say.
//!
//! How long a body may take is the guard's affair; a read that it cuts off fails here, and nobody is there any more
//! to be told. The `Content-Type` is not looked at: `curl -d` sends a form's.

use futures_lite::AsyncReadExt;
use serde::de::{Deserialize, DeserializeOwned};
use serde_json::error::Category;
use serde_path_to_error::{Path, Segment};
use trillium::{Conn, KnownHeaderName, Status};

use super::error::ApiError;
use crate::limits;

/// Says that reading has begun: from then on an `Expect: 100-continue` has been answered.
struct Begun;

/// Says that reading has failed: where this body ends, and a next request would begin, is unknown.
struct Broken;

/// The whole body.
pub(super) async fn read(conn: &mut Conn) -> Result<Vec<u8>, ApiError> {
    let declared = conn.request_headers().content_length();
    if declared.is_some_and(|length| length > limits::REQUEST_BODY_BYTES_MAX) {
        return Err(too_large());
    }
    conn.insert_state(Begun);
    let room = declared.unwrap_or(0).min(limits::REQUEST_BODY_BYTES_TRUSTED);
    let mut bytes = Vec::with_capacity(usize::try_from(room).unwrap_or(0));
    let mut body = conn.request_body().take(limits::REQUEST_BODY_BYTES_MAX + 1);
    if let Err(error) = body.read_to_end(&mut bytes).await {
        tracing::debug!(%error, "a request's body did not come");
        conn.insert_state(Broken);
        let message = "the body ended early or is not well-formed";
        return Err(ApiError::new(Status::BadRequest, "body_incomplete", message));
    }
    if bytes.len() as u64 > limits::REQUEST_BODY_BYTES_MAX { Err(too_large()) } else { Ok(bytes) }
}

/// Reads and drops what nobody has read. False if some is left, and the connection has to be closed
/// after the answer.
pub(super) async fn discard(conn: &mut Conn) -> bool {
    if conn.state::<Broken>().is_some() {
        return false;
    }
    let headers = conn.request_headers();
    let declared = headers.content_length();
    if declared.unwrap_or(0) == 0 && !headers.has_header(KnownHeaderName::TransferEncoding) {
        return true;
    }
    let most = limits::REQUEST_DISCARD_BYTES_MAX;
    if conn.state::<Begun>().is_none() {
        // Who waits to be told to continue is told by the answer that it is no use. And of what is
        // too much anyway not a byte is read.
        let waits = headers.has_header(KnownHeaderName::Expect);
        if waits || declared.is_some_and(|length| length > most) {
            return false;
        }
    }
    let mut rest = conn.request_body();
    let mut chunk = vec![0; 8 * 1024];
    let mut dropped = 0;
    while dropped <= most {
        match rest.read(&mut chunk).await {
            Ok(0) => return true,
            Ok(count) => dropped += count as u64,
            Err(_) => return false,
        }
    }
    false
}

fn too_large() -> ApiError {
    ApiError::new(Status::PayloadTooLarge, "too_large", "the body is larger than the 8 MiB that are accepted")
}

/// The value that these bytes say in JSON, strictly: an object, and nothing after it.
///
/// # Errors
///
/// What is wrong and what is accepted, with the field at fault where it is one.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| no_json(format!("the body is not UTF-8 from byte {} on", error.valid_up_to())))?;
    if text.trim_ascii().is_empty() {
        return Err(no_json("the body is empty; JSON is accepted".to_owned()));
    }
    // A derived `Deserialize` would take a list of a struct's fields for the struct.
    if !text.trim_ascii_start().starts_with('{') {
        return Err(ApiError::new(
            Status::BadRequest,
            "invalid",
            "the body is no JSON object, and only those are accepted",
        ));
    }
    from_json(text)
}

fn from_json<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, ApiError> {
    let mut json = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = pointer(error.path());
        told(path, &error.into_inner())
    })?;
    json.end().map_err(|error| told(String::new(), &error))?;
    Ok(value)
}

fn told(mut path: String, error: &serde_json::Error) -> ApiError {
    let message = error.to_string();
    if error.classify() != Category::Data {
        return no_json(format!("the body is not JSON: {message}"));
    }
    // The field that is missing, unknown or doubled is named in the message only; the path ends at
    // the object that should, or should not, have it.
    let named = ["missing field `", "unknown field `", "duplicate field `"]
        .iter()
        .find_map(|kind| message.strip_prefix(kind))
        .and_then(|rest| rest.split('`').next());
    if let Some(name) = named {
        let last = format!("/{}", escaped(name));
        if !path.ends_with(&last) {
            path.push_str(&last);
        }
    }
    let error = ApiError::invalid(path, message);
    ApiError { field: error.field.filter(|path| !path.is_empty()), ..error }
}

fn no_json(message: String) -> ApiError {
    ApiError::new(Status::BadRequest, "invalid_json", message)
}

/// The place as a JSON pointer (RFC 6901); `""` is the whole.
fn pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        pointer.push('/');
        match segment {
            Segment::Seq { index } => pointer.push_str(&index.to_string()),
            Segment::Map { key } => pointer.push_str(&escaped(key)),
            Segment::Enum { variant } => pointer.push_str(&escaped(variant)),
            Segment::Unknown => {
                pointer.pop();
                break;
            }
        }
    }
    pointer
}

fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only whether it can be read counts")]
    struct Job {
        name: String,
        http: Option<Http>,
        steps: Option<Vec<u8>>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only whether it can be read counts")]
    struct Http {
        headers: BTreeMap<String, String>,
    }

    fn check(bytes: impl AsRef<[u8]>, error: &str, field: Option<&str>, part: &str) {
        let bytes = bytes.as_ref();
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(100)]);
        let told = parse::<Job>(bytes).expect_err(&shown);
        assert_eq!((told.status, told.error), (Status::BadRequest, error), "{shown}: {}", told.message);
        assert_eq!(told.field.as_deref(), field, "{shown}: {}", told.message);
        assert!(told.message.contains(part), "{shown}: {}", told.message);
    }

    #[test]
    fn json_is_read() {
        parse::<Job>(br#" {"name":"a","http":{"headers":{"x":"y"}},"steps":[1,2]} "#).expect("it is a job");
    }

    #[test]
    fn what_is_not_json_is_named_by_its_place() {
        check("", "invalid_json", None, "empty");
        check(" \n", "invalid_json", None, "empty");
        check("{\n \"name\": }", "invalid_json", None, "line 2 column 10");
        check("{\"name\":\"a\"", "invalid_json", None, "line 1 column 11");
        check("{\"name\":\"a\"} x", "invalid_json", None, "trailing");
        check("{\"name\":\"a\"}{\"name\":\"b\"}", "invalid_json", None, "trailing");
        check(b"{\"name\":\"\xff\"}", "invalid_json", None, "UTF-8 from byte 9");
        check("{\"name\":\"a\",}", "invalid_json", None, "line 1");
        check("{\"a\":".repeat(100_000), "invalid", Some("/a"), "unknown field");
        check("[".repeat(100_000), "invalid", None, "no JSON object");
    }

    #[test]
    fn what_is_not_valid_is_named_by_a_pointer() {
        check("[]", "invalid", None, "no JSON object");
        check("[\"a\",null,null]", "invalid", None, "no JSON object");
        check("7", "invalid", None, "no JSON object");
        check("{}", "invalid", Some("/name"), "missing field");
        check("{\"name\":7}", "invalid", Some("/name"), "line 1 column 9");
        check("{\"nane\":7}", "invalid", Some("/nane"), "unknown field");
        check("{\"name\":\"a\",\"http\":{}}", "invalid", Some("/http/headers"), "missing field");
        check("{\"name\":\"a\",\"http\":{\"x\":1}}", "invalid", Some("/http/x"), "unknown field");
        check("{\"name\":\"a\",\"steps\":[1,\"b\"]}", "invalid", Some("/steps/1"), "invalid type");
        check(
            "{\"name\":\"a\",\"http\":{\"headers\":{\"~a/b\":1}}}",
            "invalid",
            Some("/http/headers/~0a~1b"),
            "string",
        );
    }

    #[test]
    fn no_key_stands_twice() {
        check("{\"name\":\"a\",\"name\":\"a\"}", "invalid", Some("/name"), "duplicate field");
        check("{\"name\":\"a\",\"n\\u0061me\":\"a\"}", "invalid", Some("/name"), "duplicate field");
        let inner = "{\"name\":\"a\",\"http\":{\"headers\":{},\"headers\":{}}}";
        check(inner, "invalid", Some("/http/headers"), "duplicate field");
    }
}
