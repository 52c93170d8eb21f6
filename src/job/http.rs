//! The call that a job makes, and what makes a call possible.
//!
//! The text is kept as the client gave it. The checks are shared: the API refuses a field by them,
//! and the executor fails a run by them, because a file may hold any text.

use crate::limits::{METHOD_CHARS_MAX, URL_BYTES_MAX};
use isahc::http::{HeaderName, HeaderValue, Method};
use std::fmt;
use url::Url;

/// What is called, as the client wrote it; nothing here is checked yet.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpCall {
    /// In upper case.
    pub method: Box<str>,
    /// Absolute, http or https.
    pub url: Box<str>,
    /// Names and values in the order of the client.
    pub headers: Vec<(Box<str>, Box<str>)>,
    /// Sent with any method; empty means none.
    pub body: Box<str>,
}

/// Shows nothing that may be a secret: no URL (its query or userinfo), no header's value, no body.
impl fmt::Debug for HttpCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpCall")
            .field("method", &self.method)
            .field("header_names", &self.headers.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// What one run sends in the place of what its job says; `None` leaves that.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Absolute, http or https.
    pub url: Option<Box<str>>,
    /// In the place of all headers of the job.
    pub headers: Option<Vec<(Box<str>, Box<str>)>>,
    /// Empty means none.
    pub body: Option<Box<str>>,
}

impl Overrides {
    /// Whether all is left as the job says it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// How long all of it is together.
    pub fn bytes(&self) -> usize {
        let headers = self.headers.iter().flatten().map(|(name, value)| name.len() + value.len());
        let texts = self.url.iter().chain(&self.body).map(|text| text.len());
        headers.chain(texts).sum()
    }
}

impl HttpCall {
    /// The call as one run makes it.
    #[must_use]
    pub fn with(&self, overrides: &Overrides) -> Self {
        Self {
            method: self.method.clone(),
            url: overrides.url.as_ref().unwrap_or(&self.url).clone(),
            headers: overrides.headers.as_ref().unwrap_or(&self.headers).clone(),
            body: overrides.body.as_ref().unwrap_or(&self.body).clone(),
        }
    }
}

/// Shows no more than a call does.
impl fmt::Debug for Overrides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overrides")
            .field("url", &self.url.is_some())
            .field("headers", &self.headers.as_ref().map(Vec::len))
            .field("body_bytes", &self.body.as_ref().map(|body| body.len()))
            .finish()
    }
}

/// The method in upper case, or what is wrong with it.
///
/// Beside the usual seven any token is taken, because targets have methods of their own (`PURGE`,
/// `PROPFIND`). `CONNECT` asks for a tunnel, and `TRACE` echoes headers; neither is a callback.
///
/// # Errors
///
/// A sentence that names the method and says what is accepted.
pub fn check_method(text: &str) -> Result<Method, String> {
    let upper = text.to_ascii_uppercase();
    let callable = text.len() <= METHOD_CHARS_MAX && !matches!(upper.as_str(), "CONNECT" | "TRACE");
    Method::from_bytes(upper.as_bytes()).ok().filter(|_| callable).ok_or_else(|| {
        format!(
            "{:?} is not a method that can be called; accepted are GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS \
             and other HTTP methods of at most {METHOD_CHARS_MAX} characters but CONNECT and TRACE",
            cut(text, METHOD_CHARS_MAX)
        )
    })
}

/// The URL, or what is wrong with it.
///
/// # Errors
///
/// A sentence that says what is accepted and never holds the URL: its query may be a secret.
pub fn check_url(text: &str) -> Result<Url, String> {
    let wrong = |what: &str| Err(format!("the url {what}; accepted are absolute http and https URLs with a host"));
    if text.len() > URL_BYTES_MAX {
        return wrong(&format!("is longer than {URL_BYTES_MAX} bytes"));
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return wrong("holds white space or a control character (write it percent-encoded)");
    }
    let Some(rest) = strip_prefix_any_case(text, "http://").or_else(|| strip_prefix_any_case(text, "https://")) else {
        return wrong("does not begin with http:// or https://");
    };
    // The parser below forgives what browsers forgive: a slash too many, and a backslash as a slash.
    // Another parser on the way would see another host there.
    let path = &rest[..rest.find(['?', '#']).unwrap_or(rest.len())];
    if path.contains('\\') {
        return wrong("holds a backslash (write it %5C)");
    }
    if path.is_empty() || path.starts_with('/') {
        return wrong("names no host");
    }
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        Ok(_) => wrong("names no host"),
        Err(error) => wrong(&format!("is not valid: {error}")),
    }
}

/// The header as it can be sent, or what is wrong with it.
///
/// A value is ASCII because the HTTP client can send nothing else: it panics on the rest.
///
/// # Errors
///
/// A sentence that names the header, says what is accepted and never holds the value.
pub fn check_header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), String> {
    let shown = cut(name, 64);
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
        format!("{shown:?} is not a header name; accepted are ASCII letters, digits and any of !#$%&'*+-.^_`|~")
    })?;
    let sendable = value.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
    let value = HeaderValue::from_str(value).ok().filter(|_| sendable).ok_or_else(|| {
        format!(
            "the value of the header {shown:?} holds a control or a non-ASCII character; \
             accepted are visible ASCII characters, space and tab"
        )
    })?;
    Ok((name, value))
}

/// Whether a header says how a message is framed or how its connection is used. Those are the
/// HTTP client's to write: a job's would break the request apart.
pub fn is_framing(name: &HeaderName) -> bool {
    const FRAMING: [&str; 8] = [
        "content-length",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "proxy-connection",
        "upgrade",
        "te",
        "trailer",
    ];
    FRAMING.contains(&name.as_str())
}

fn strip_prefix_any_case<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// The first characters of a text that somebody else chose.
fn cut(text: &str, chars: usize) -> &str {
    text.char_indices().nth(chars).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_upper_cased_and_tunnels_refused() {
        for text in ["GET", "post", "Put", "PATCH", "DELETE", "HEAD", "OPTIONS", "purge", "VERSION-CONTROL"] {
            assert_eq!(check_method(text).expect(text).as_str(), text.to_uppercase());
        }
        let long = "A".repeat(33);
        for text in ["", "CONNECT", "connect", "TRACE", "GE T", "GET\r\n", "ГЕТ", "GET:", &long] {
            let error = check_method(text).expect_err(text);
            assert!(error.contains("accepted are GET, POST"), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn urls_are_absolute_http_with_a_host() {
        for text in [
            "http://example.com",
            "HTTPS://Example.com:8443/a?b=c#d",
            "http://user:pass@host/",
            "http://[::1]:80/",
            "http://127.1/",
            "http://0x7f000001/",
            "http://bücher.example/ä?ö",
            "http://h/?a=b\\c",
            "http://h?q",
        ] {
            check_url(text).expect(text);
        }
        let long = format!("http://h/{}", "a".repeat(URL_BYTES_MAX));
        for text in [
            "",
            "example.com",
            "/path",
            "//example.com/",
            "file://localhost/etc/passwd",
            "ftp://h/",
            "mqtt://h/",
            "javascript:alert(1)",
            "http:example.com",
            "http:/example.com",
            "http://",
            "http:///example.com/",
            "http://?q",
            "http://#f",
            "http://:80/",
            "http://user@/",
            "http://a\\@b/",
            "http://h\\x",
            " http://h/",
            "http://h/\n",
            "http://h/a b",
            "http://h/\u{a0}",
            "http://h/\u{85}",
            "http://h:99999/",
            "http://[::1/",
            "http://256.256.256.256/",
            &long,
        ] {
            let error = check_url(text).expect_err(text);
            assert!(error.contains("accepted are absolute http and https URLs"), "{error}");
        }
    }

    #[test]
    fn headers_hold_no_second_line() {
        for (name, value) in [("X-A", "b"), ("x", ""), ("X-Tab", "a\tb"), ("a!#$%&'*+-.^_`|~1", "~")] {
            check_header(name, value).expect(name);
        }
        for (name, value) in [
            ("", "a"),
            ("a b", "c"),
            ("a:", "c"),
            ("ä", "c"),
            ("X", "s3cret\r\nY: 1"),
            ("X", "s3cret\n"),
            ("X", "s3cret\0"),
            ("X", "s3cret\u{7f}"),
            ("X", "s3cret é"),
        ] {
            let error = check_header(name, value).expect_err(name);
            assert!(error.contains("accepted are"), "{error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let call = HttpCall {
            method: "GET".into(),
            url: "http://user:s3cret@h/?k=s3cret".into(),
            headers: vec![("X-Token".into(), "s3cret".into())],
            body: "s3cret".into(),
        };
        let shown = format!("{call:?}");
        assert!(shown.contains("X-Token"), "{shown}");
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}
