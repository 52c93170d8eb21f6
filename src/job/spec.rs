//! The definition of a job: what its client asked for.

use std::borrow::Cow;
use std::sync::Arc;

use super::{GoDuration, HttpCall, JobId, OwnPolicy, Progress, Schedule};

/// What is to be called, when and how patiently. It changes only by a PATCH, as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The name in paths and files.
    pub id: JobId,
    /// The name for people.
    pub name: Box<str>,
    /// The request that each attempt makes.
    pub http: HttpCall,
    /// When.
    pub schedule: Schedule,
    /// The bound of one attempt, from the name look-up to the end of the answer's body.
    pub timeout: GoDuration,
    /// How many attempts may follow the first. Below zero, as a file may hold it, means none.
    pub max_retries: i64,
    /// How long after the end of an attempt the next one begins.
    pub retry_backoff: GoDuration,
    /// What it asks for beyond the usual.
    pub policy: OwnPolicy,
}

/// A job as its owner holds it. The definition is shared with whoever reads it, because a body
/// may be a mebibyte and a list of jobs long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// What its client asked for.
    pub spec: Arc<Spec>,
    /// What has become of it.
    pub progress: Progress,
}

/// The values of a job that names none, from the environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// `DEFAULT_TIMEOUT`.
    pub timeout: GoDuration,
    /// `MAX_RETRIES`.
    pub max_retries: i64,
    /// `RETRY_BACKOFF`.
    pub retry_backoff: GoDuration,
}

/// What of a job is refused, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The field at fault, as a JSON pointer (RFC 6901).
    pub field: Cow<'static, str>,
    /// What is wrong and what is accepted.
    pub message: String,
}

impl Invalid {
    /// A refusal of one field.
    pub fn new(field: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}
