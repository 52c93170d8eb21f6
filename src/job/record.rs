//! What came of a run, for whoever asks later: one [`RunRecord`] for each due time and each manual run.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::{JobId, Status, Trigger};

/// What came of one due time, of a stretch of due times that passed without a run, or of a run that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRecord {
    /// Grows from record to record; 0 until it is written down.
    pub seq: u64,
    /// The run's, or the one that it would have had; of a stretch that of its first due time.
    pub run_id: Uuid,
    /// The job's.
    pub job_id: JobId,
    /// What it was begun by.
    pub trigger: Trigger,
    /// Who asked for it, and of what it is a repetition.
    pub origin: Origin,
    /// The instant of the schedule; of a stretch the first one; of a manual run the moment of the request.
    pub scheduled_at: Timestamp,
    /// The stretch that it stands for; `None` where it stands for one due time.
    pub stretch: Option<Stretch>,
    /// When the first attempt began.
    pub started_at: Option<Timestamp>,
    /// When it was over, or when it was found that it would not run.
    pub ended_at: Timestamp,
    /// From the due time, jitter included, to the first attempt, in microseconds; below zero after a clock stepped back.
    pub lateness_us: Option<i64>,
    /// What came of it: `success`, `failed`, `timeout`, `skipped` or `missed`.
    pub status: Status,
    /// Why it is no success, in a short sentence; empty where it is one.
    pub reason: Box<str>,
    /// What was tried, the first attempt first.
    pub attempts: Vec<Attempt>,
}

/// Many due times that have one outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The last of them.
    pub last_scheduled_at: Timestamp,
    /// How many there are.
    pub count: u64,
}

/// Where a manual run comes from; empty for all others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The fingerprint of the key that asked for it.
    pub key: Option<Box<str>>,
    /// The run that is repeated.
    pub replay_of: Option<Uuid>,
    /// It sent something that its job does not say, and that is not kept.
    pub is_overridden: bool,
}

/// One attempt of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// 1, 2, …
    pub number: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// Why it is no success, in a short sentence; empty where it is one.
    pub reason: Box<str>,
    /// What was seen of the target.
    pub seen: Seen,
}

/// What an attempt saw of its target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The status of the answer, where there was one.
    pub http_status: Option<u16>,
    /// What kind of failure it was; `None` of a success.
    pub error: Option<ErrorClass>,
    /// How long its parts took.
    pub times: Times,
    /// The first bytes of the answer's body, as text.
    pub body: Box<str>,
}

/// How long the parts of an attempt took, each by itself but for `first_byte` and `total`, which count from the
/// attempt's start. What did not come to pass has none: a connection that was kept is not made anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// The name look-up.
    pub name_lookup: Option<Duration>,
    /// The connection.
    pub connect: Option<Duration>,
    /// The TLS handshake.
    pub tls: Option<Duration>,
    /// Up to the answer's first byte.
    pub first_byte: Option<Duration>,
    /// All of it.
    pub total: Option<Duration>,
}

/// What kind of failure an attempt ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// The name could not be looked up.
    Dns,
    /// There was no connection, or none was allowed.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// The attempt's time ran out.
    Timeout,
    /// What came back is no HTTP answer, or not a whole one; or the request cannot be made.
    Protocol,
    /// The answer's status is no success.
    Status,
    /// Nobody waited for it any more.
    Cancelled,
    /// The service ended before it did.
    Interrupted,
}

impl ErrorClass {
    /// Every class with its text.
    pub const ALL: [(Self, &str); 8] = [
        (Self::Dns, "dns"),
        (Self::Connect, "connect"),
        (Self::Tls, "tls"),
        (Self::Timeout, "timeout"),
        (Self::Protocol, "protocol"),
        (Self::Status, "status"),
        (Self::Cancelled, "cancelled"),
        (Self::Interrupted, "interrupted"),
    ];

    /// Its text.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(class, _)| *class == self).expect("ALL holds every class").1
    }

    /// The class with that text.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, name)| *name == text).map(|(class, _)| *class)
    }
}

impl Trigger {
    /// Every trigger with its text.
    pub const ALL: [(Self, &str); 3] =
        [(Self::Schedule, "schedule"), (Self::Manual, "manual"), (Self::CatchUp, "catch-up")];

    /// Its text.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(trigger, _)| *trigger == self).expect("ALL holds every trigger").1
    }

    /// The trigger with that text.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, name)| *name == text).map(|(trigger, _)| *trigger)
    }
}

impl Status {
    /// Those that a run ends with, for people.
    pub const ENDS: &str = "success, failed, timeout, skipped and missed";

    /// The status with that text, where it is one that a run ends with.
    pub fn parse_end(text: &str) -> Option<Self> {
        Self::parse(text).filter(|status| !matches!(status, Self::Unset | Self::Paused))
    }

    /// Whether people look for runs that ended so when something went wrong. Their records are kept longer than those
    /// of what went its way: a success, or a fire that met a run and was skipped, as its job asks for.
    pub fn is_failure(self) -> bool {
        !matches!(self, Self::Success | Self::Skipped)
    }
}

impl RunRecord {
    /// How many due times it stands for; a manual run for one.
    pub fn count(&self) -> u64 {
        self.stretch.map_or(1, |stretch| stretch.count)
    }

    /// Whether it is one of those that people look for when something went wrong.
    pub fn is_failure(&self) -> bool {
        self.status.is_failure()
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
