//! Why a call brought no answer, in one short sentence without a URL.

use super::sight::Ended;
use crate::engine::Verdict;
use crate::job::ErrorClass;
use crate::limits::ERROR_DETAIL_CHARS_MAX;
use isahc::error::ErrorKind;
use std::io;

/// What went wrong with one connection of an attempt.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Nothing was sent: another address may do.
    NotConnected(ErrorClass, String),
    /// The time of the connection, or of the attempt, ran out.
    TimedOut,
    /// The request may have arrived; what came back is not an HTTP answer, or not a whole one.
    Broken(String),
    /// The request cannot be made at all.
    Unsendable(String),
}

impl Failure {
    /// As the HTTP client tells it. `target` is the host and port that were called.
    pub(super) fn of_client(error: &isahc::Error, target: &str) -> Self {
        let (code, detail) = curl_words(error);
        let not_connected =
            |class, why: &str| Self::NotConnected(class, format!("could not connect to {target}: {why}"));
        match error.kind() {
            ErrorKind::Timeout => Self::TimedOut,
            // The client calls a TLS handshake that broke off a failed connection too.
            ErrorKind::ConnectionFailed if code == Some(CURLE_SSL_CONNECT_ERROR) => {
                not_connected(ErrorClass::Tls, "TLS: the handshake failed")
            }
            // curl does not tell one from the other.
            ErrorKind::ConnectionFailed => not_connected(ErrorClass::Connect, "connection refused or host unreachable"),
            ErrorKind::BadServerCertificate => {
                not_connected(ErrorClass::Tls, "TLS: the certificate is not valid or not trusted")
            }
            ErrorKind::InvalidTlsConfiguration | ErrorKind::BadClientCertificate | ErrorKind::TlsEngine => {
                not_connected(ErrorClass::Tls, &format!("TLS: {detail}"))
            }
            ErrorKind::NameResolution => not_connected(ErrorClass::Dns, "its name, or its proxy's, has no address"),
            ErrorKind::ClientInitialization => {
                not_connected(ErrorClass::Protocol, &format!("the HTTP client did not start: {detail}"))
            }
            ErrorKind::InvalidRequest => Self::Unsendable(format!("the request cannot be made: {detail}")),
            _ => Self::Broken(detail),
        }
    }

    /// As reading the body tells it.
    pub(super) fn of_body(error: &io::Error, target: &str) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<isahc::Error>()) {
            Some(error) => Self::of_client(error, target),
            None if error.kind() == io::ErrorKind::TimedOut => Self::TimedOut,
            None => Self::Broken(plain(&error.to_string())),
        }
    }

    /// What it means for the run. `timed_out` is the sentence of a timeout.
    pub(super) fn ended(self, timed_out: &str) -> Ended {
        match self {
            Self::NotConnected(class, error) => Ended::failure(Verdict::Retryable, class, error),
            Self::TimedOut => Ended::failure(Verdict::TimedOut, ErrorClass::Timeout, timed_out),
            Self::Broken(detail) => {
                Ended::failure(Verdict::Retryable, ErrorClass::Protocol, format!("broken answer: {detail}"))
            }
            Self::Unsendable(error) => Ended::failure(Verdict::Final, ErrorClass::Protocol, error),
        }
    }
}

/// curl's number for a TLS handshake that failed, as its manual has it.
const CURLE_SSL_CONNECT_ERROR: u32 = 35;

/// curl's number and words for an error: the most exact ones that there are, the same each time,
/// and without a URL. They come as `[7] Could not connect to server`.
fn curl_words(error: &isahc::Error) -> (Option<u32>, String) {
    let text = std::error::Error::source(error).map_or_else(|| error.kind().to_string(), ToString::to_string);
    let numbered = text.strip_prefix('[').and_then(|rest| rest.split_once("] "));
    match numbered.and_then(|(code, words)| Some((code.parse().ok()?, words))) {
        Some((code, words)) => (Some(code), clearer(code).map_or_else(|| plain(words), str::to_owned)),
        None => (None, plain(&text)),
    }
}

/// What curl's number means here, where curl's words say something else.
fn clearer(code: u32) -> Option<&'static str> {
    match code {
        1 => Some("it is not HTTP"),
        8 => Some("its head is not valid HTTP"),
        18 => Some("its body was cut short"),
        // A callback turned data down; the library's callbacks turn down header lines only.
        23 => Some("a status or header line is not valid HTTP"),
        52 => Some("the connection was closed before a status came"),
        56 => Some("the connection broke, or the body is not valid HTTP"),
        _ => None,
    }
}

/// Somebody else's text as part of a sentence: it begins in lower case unless with an abbreviation,
/// has no control characters and is not long.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut chars = text.trim_end_matches('.').chars().peekable();
    if let Some(first) = chars.next() {
        let is_word = chars.peek().is_some_and(|second| second.is_lowercase());
        plain.extend(if is_word { first.to_ascii_lowercase() } else { first }.escape_if_control());
    }
    for (index, c) in chars.enumerate() {
        if index + 1 >= ERROR_DETAIL_CHARS_MAX {
            plain.push('…');
            break;
        }
        plain.extend(c.escape_if_control());
    }
    plain
}

/// A character, or its escape where a terminal or a log would obey it.
trait EscapeIfControl {
    fn escape_if_control(self) -> impl Iterator<Item = char>;
}

impl EscapeIfControl for char {
    fn escape_if_control(self) -> impl Iterator<Item = char> {
        let escaped = self.is_control().then(|| self.escape_default());
        escaped.is_none().then_some(self).into_iter().chain(escaped.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_short_and_harmless() {
        assert_eq!(plain("Empty reply from server."), "empty reply from server");
        assert_eq!(plain("HTTP/0.9 is old"), "HTTP/0.9 is old");
        assert_eq!(plain("a\r\n\u{1b}[31mb"), "a\\r\\n\\u{1b}[31mb");
        assert_eq!(plain(""), "");
        assert_eq!(plain(&"x".repeat(10_000)).chars().count(), ERROR_DETAIL_CHARS_MAX + 1);
    }
}
