//! What came of one attempt, as the rules of retrying see it.

use crate::job::GoDuration;

/// What came of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the run is through and, if not, whether another attempt may help.
    pub verdict: Verdict,
    /// A short sentence that names the status or the cause; empty on success.
    pub error: Box<str>,
    /// How long the target asked to be left alone; only ever set on a retryable status.
    pub retry_after: Option<GoDuration>,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The target answered 2xx, its whole body included.
    Success,
    /// Another attempt may help: no connection, a broken answer, 408, 429 or 5xx.
    Retryable,
    /// The attempt's timeout ran out; retryable too.
    TimedOut,
    /// Another attempt would bring the same.
    Final,
}

impl Outcome {
    /// The target answered 2xx.
    pub fn success() -> Self {
        Self::new(Verdict::Success, "")
    }

    /// An outcome with its reason and without a wish of the target's.
    pub fn new(verdict: Verdict, error: impl Into<Box<str>>) -> Self {
        Self { verdict, error: error.into(), retry_after: None }
    }
}
