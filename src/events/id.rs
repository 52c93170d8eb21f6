//! What names an event, and where a stream goes on behind it.

use std::fmt;

/// The id of an event, as `<seq>-<number>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventId {
    /// The seq of the latest run that had ended by then; 0 if none had.
    pub seq: u64,
    /// Grows by one with each event. A process begins with the microseconds of its start, so that it also grows from
    /// one to the next.
    pub number: u64,
}

impl EventId {
    /// The id with that text.
    pub fn parse(text: &str) -> Option<Self> {
        // A number may begin with a plus, for `parse`.
        let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?;
        let (seq, rest) = text.split_once('-')?;
        Some(Self { seq: number(seq)?, number: number(rest)? })
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.seq, self.number)
    }
}
