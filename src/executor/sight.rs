//! What an attempt sees of its target while it is made, and how it ends.

use crate::engine::{Outcome, Verdict};
use crate::job::{ErrorClass, Seen, Times};
use crate::limits::ANSWER_EXCERPT_BYTES_MAX;
use isahc::{AsyncBody, Metrics, Response, ResponseExt};
use std::time::{Duration, Instant};

/// How an attempt ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ended {
    /// What that means for the run.
    pub(super) outcome: Outcome,
    /// What kind of failure it was; `None` of a success.
    pub(super) error: Option<ErrorClass>,
}

impl Ended {
    pub(super) fn success() -> Self {
        Self { outcome: Outcome::success(), error: None }
    }

    pub(super) fn failure(verdict: Verdict, class: ErrorClass, error: impl Into<Box<str>>) -> Self {
        Self { outcome: Outcome::new(verdict, error), error: Some(class) }
    }
}

/// What has been seen so far. It outlives the call that fills it, so that an attempt whose time runs out tells it too.
pub(super) struct Sight {
    began: Instant,
    name_lookup: Option<Duration>,
    /// From the attempt's start to the last request that was sent.
    sent: Duration,
    http_status: Option<u16>,
    metrics: Option<Metrics>,
    /// The body's begin, and of a character that is cut at the limit the whole.
    excerpt: Vec<u8>,
}

/// As much as an excerpt takes and what may be left of its last character.
const EXCERPT_TAKEN_MAX: usize = ANSWER_EXCERPT_BYTES_MAX + 3;

impl Sight {
    /// Of an attempt that began at this instant.
    pub(super) fn since(began: Instant) -> Self {
        Self { began, name_lookup: None, sent: Duration::ZERO, http_status: None, metrics: None, excerpt: Vec::new() }
    }

    /// A name look-up that began at this instant has ended, with an answer or without.
    pub(super) fn looked_up(&mut self, began: Instant) {
        self.name_lookup = Some(began.elapsed());
    }

    /// A request is sent at this instant.
    pub(super) fn sends(&mut self, now: Instant) {
        self.sent = now.saturating_duration_since(self.began);
    }

    /// The head of an answer. The HTTP client gives it away with the body's first byte, or with the end of an answer
    /// that has none: of one that breaks between the two there is no status.
    pub(super) fn answered(&mut self, response: &Response<AsyncBody>) {
        self.http_status = Some(response.status().as_u16());
        self.metrics = response.metrics().cloned();
    }

    /// A piece of the body.
    pub(super) fn read(&mut self, piece: &[u8]) {
        let room = EXCERPT_TAKEN_MAX - self.excerpt.len();
        self.excerpt.extend_from_slice(&piece[..piece.len().min(room)]);
    }

    /// All of it, at the end.
    pub(super) fn seen(self, error: Option<ErrorClass>) -> Seen {
        let took = |part: Duration| (!part.is_zero()).then(|| whole_micros(part));
        let mut times = Times { name_lookup: self.name_lookup.map(whole_micros), ..Times::default() };
        if let Some(metrics) = &self.metrics {
            times.connect = took(metrics.connect_time());
            times.tls = took(metrics.secure_connect_time());
            times.first_byte = took(metrics.transfer_start_time()).map(|took| whole_micros(self.sent + took));
        }
        Seen { http_status: self.http_status, error, times, body: text(self.excerpt) }
    }
}

/// A time as its JSON holds it.
pub(super) fn whole_micros(time: Duration) -> Duration {
    Duration::from_micros(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}

/// Bytes as text of the most that is kept: U+FFFD stands for what is no UTF-8, and no character is cut.
fn text(bytes: Vec<u8>) -> Box<str> {
    let mut text =
        String::from_utf8(bytes).unwrap_or_else(|invalid| String::from_utf8_lossy(invalid.as_bytes()).into_owned());
    text.truncate(text.floor_char_boundary(ANSWER_EXCERPT_BYTES_MAX));
    text.into_boxed_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excerpt_of(pieces: &[&[u8]]) -> Box<str> {
        let mut sight = Sight::since(Instant::now());
        for piece in pieces {
            sight.read(piece);
        }
        sight.seen(None).body
    }

    #[test]
    fn an_excerpt_ends_where_a_character_does() {
        for before in ANSWER_EXCERPT_BYTES_MAX - 4..=ANSWER_EXCERPT_BYTES_MAX {
            let body = "x".repeat(before) + "🦀é" + &"y".repeat(10_000);
            let fits = before + "🦀".len() <= ANSWER_EXCERPT_BYTES_MAX;
            let whole = &body[..before + if fits { "🦀".len() } else { 0 }];
            assert_eq!(&*excerpt_of(&[body.as_bytes()]), whole, "{before}");
            let bytes: Vec<_> = body.as_bytes().chunks(1).collect();
            assert_eq!(&*excerpt_of(&bytes), whole, "{before}, byte by byte");
        }
    }

    #[test]
    fn what_is_no_text_is_shown_as_well() {
        assert_eq!(&*excerpt_of(&[b"a\0b\x1b[31m\xffc"]), "a\0b\u{1b}[31m\u{fffd}c");
        assert_eq!(&*excerpt_of(&["né".as_bytes().split_at(2).0]), "n\u{fffd}");
        let binary = excerpt_of(&[&[0x80; 10_000]]);
        assert_eq!(&*binary, "\u{fffd}".repeat(ANSWER_EXCERPT_BYTES_MAX / 3));
    }

    #[test]
    fn nothing_seen_is_nothing_told() {
        assert_eq!(Sight::since(Instant::now()).seen(None), Seen::default());
    }
}
