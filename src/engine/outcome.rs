//! What comes back from an attempt.

use crate::job::GoDuration;

/// What came of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended, and so what follows.
    pub verdict: Verdict,
    /// A short sentence that names the status or the cause; empty on success.
    pub error: Box<str>,
    /// How long the target asks to be left alone, at most an hour.
    pub retry_after: Option<GoDuration>,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The target answered with 2xx.
    Success,
    /// It failed in a way that may pass: a retry follows while retries remain.
    Retryable,
    /// The same, by a timeout: if it was the last attempt, the run's status says so.
    TimedOut,
    /// It failed in a way that another attempt would not mend.
    Final,
}
