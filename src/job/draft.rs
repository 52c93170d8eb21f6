//! The JSON of a job on the way in: its shape, before anyone asks whether the values make sense.
//!
//! A request and a file hold the same object. They differ in the read-only keys, which a request
//! passes over and a file means, and in `state`, which only a file has: [`Source`] says which.

use std::fmt;
use std::marker::PhantomData;

use jiff::Timestamp;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use uuid::Uuid;

use super::field::{Field, FieldValue, Headers, Unknown};
use super::policy::PolicyDraft;
use super::record_json::AttemptDraft;
use super::{GoDuration, JobId, Misfire, Overlap, Status};

/// Where the text comes from, and so what its read-only keys are.
pub trait Source {
    /// `paused_until`, `last_run_at` and `next_run_at`.
    type Time: DeserializeOwned + Default;
    /// `last_status`.
    type Status: DeserializeOwned + Default;
    /// `last_error`.
    type Text: DeserializeOwned + Default;
    /// `state`.
    type State: DeserializeOwned + Default;
}

/// A request: read-only keys are passed over, whatever they hold.
pub struct Request;

impl Source for Request {
    type Time = IgnoredAny;
    type Status = IgnoredAny;
    type Text = IgnoredAny;
    type State = Unknown;
}

/// `jobs.json` and the journal: read-only keys mean what they say.
pub struct File;

impl Source for File {
    type Time = Field<Timestamp>;
    type Status = Field<Status>;
    type Text = Field<Box<str>>;
    type State = Field<StateDraft>;
}

/// A job as an object of optional fields.
#[derive(Deserialize)]
#[serde(remote = "Self", default, deny_unknown_fields, bound = "")]
pub struct JobDraft<S: Source> {
    pub(super) id: Field<JobId>,
    pub(super) name: Field<Box<str>>,
    pub(super) enabled: Field<bool>,
    #[serde(rename = "type")]
    pub(super) kind: Field<Box<str>>,
    pub(super) http: Field<HttpDraft>,
    pub(super) schedule: Field<ScheduleDraft>,
    pub(super) timeout: Field<GoDuration>,
    pub(super) max_retries: Field<i64>,
    pub(super) retry_backoff: Field<GoDuration>,
    pub(super) retry_backoff_max: Field<GoDuration>,
    pub(super) retry_for: Field<GoDuration>,
    pub(super) misfire: Field<Misfire>,
    pub(super) misfire_window: Field<GoDuration>,
    pub(super) overlap: Field<Overlap>,
    pub(super) overlap_max: Field<i64>,
    pub(super) paused_until: S::Time,
    pub(super) last_run_at: S::Time,
    pub(super) next_run_at: S::Time,
    pub(super) last_status: S::Status,
    pub(super) last_error: S::Text,
    pub(super) state: S::State,
}

impl<S: Source> Default for JobDraft<S> {
    fn default() -> Self {
        Self {
            id: Field::Absent,
            name: Field::Absent,
            enabled: Field::Absent,
            kind: Field::Absent,
            http: Field::Absent,
            schedule: Field::Absent,
            timeout: Field::Absent,
            max_retries: Field::Absent,
            retry_backoff: Field::Absent,
            retry_backoff_max: Field::Absent,
            retry_for: Field::Absent,
            misfire: Field::Absent,
            misfire_window: Field::Absent,
            overlap: Field::Absent,
            overlap_max: Field::Absent,
            paused_until: S::Time::default(),
            last_run_at: S::Time::default(),
            next_run_at: S::Time::default(),
            last_status: S::Status::default(),
            last_error: S::Text::default(),
            state: S::State::default(),
        }
    }
}

impl<S: Source> JobDraft<S> {
    /// Takes the keys of the policy out.
    pub(super) fn take_policy(&mut self) -> PolicyDraft {
        use std::mem::take;
        PolicyDraft {
            misfire: take(&mut self.misfire),
            misfire_window: take(&mut self.misfire_window),
            overlap: take(&mut self.overlap),
            overlap_max: take(&mut self.overlap_max),
            retry_backoff_max: take(&mut self.retry_backoff_max),
            retry_for: take(&mut self.retry_for),
        }
    }
}

/// Only from an object: what serde derives takes an array as well, field by field.
impl<'de, S: Source> Deserialize<'de> for JobDraft<S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<S>(PhantomData<S>);

impl<'de, S: Source> Visitor<'de> for ObjectVisitor<S> {
    type Value = JobDraft<S>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(<JobDraft<S> as FieldValue>::ACCEPTED)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<JobDraft<S>, A::Error> {
        JobDraft::deserialize(MapAccessDeserializer::new(map))
    }
}

/// The progress of a job in the journal: the keys that change while a job lives.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ProgressDraft {
    pub(super) enabled: Field<bool>,
    pub(super) paused_until: Field<Timestamp>,
    pub(super) last_run_at: Field<Timestamp>,
    pub(super) next_run_at: Field<Timestamp>,
    pub(super) last_status: Field<Status>,
    pub(super) last_error: Field<Box<str>>,
    pub(super) state: Field<StateDraft>,
}

/// The key `http`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct HttpDraft {
    pub(super) method: Field<Box<str>>,
    pub(super) url: Field<Box<str>>,
    pub(super) headers: Field<Headers>,
    pub(super) body: Field<Box<str>>,
}

/// The key `schedule`, of every kind.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduleDraft {
    pub(super) kind: Field<Box<str>>,
    pub(super) run_at: Field<Timestamp>,
    pub(super) every: Field<GoDuration>,
    pub(super) after: Field<GoDuration>,
    pub(super) start_at: Field<Timestamp>,
    pub(super) jitter: Field<GoDuration>,
    pub(super) cron: Field<Box<str>>,
    pub(super) timezone: Field<Box<str>>,
    pub(super) end_at: Field<Timestamp>,
    pub(super) max_runs: Field<i64>,
}

/// The key `state` of a file.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StateDraft {
    pub(super) anchor: Field<Timestamp>,
    pub(super) planned: Field<Timestamp>,
    pub(super) fired: Field<Timestamp>,
    pub(super) missed_from: Field<Timestamp>,
    pub(super) runs: Field<i64>,
    pub(super) held: Field<bool>,
    pub(super) catch_up: Option<Vec<SpanDraft>>,
    pub(super) run: Field<RunDraft>,
    pub(super) beside: Option<Vec<RunDraft>>,
}

/// One of `state.catch_up`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SpanDraft {
    pub(super) next: Field<Timestamp>,
    pub(super) last: Field<Timestamp>,
    pub(super) left: Field<i64>,
}

/// The key `state.run`, and each of `state.beside`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RunDraft {
    pub(super) id: Field<Uuid>,
    pub(super) trigger: Field<Box<str>>,
    pub(super) scheduled_at: Field<Timestamp>,
    pub(super) due_at: Field<Timestamp>,
    pub(super) began_at: Field<Timestamp>,
    pub(super) started_at: Field<Timestamp>,
    pub(super) attempt_at: Field<Timestamp>,
    pub(super) attempts: Field<i64>,
    pub(super) tried: Option<Vec<AttemptDraft>>,
    pub(super) phase: Field<Box<str>>,
    pub(super) retry_at: Field<Timestamp>,
    pub(super) key: Field<Box<str>>,
    pub(super) replay_of: Field<Uuid>,
    pub(super) overrides: Field<OverridesDraft>,
}

/// What a run-now may send in the place of what its job says.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OverridesDraft {
    pub(super) url: Field<Box<str>>,
    pub(super) headers: Field<Headers>,
    pub(super) body: Field<Box<str>>,
}

/// How long a pause is to last.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PauseDraft {
    pub(super) until: Field<Timestamp>,
}

/// Makes an object of optional fields a value of a field.
macro_rules! object_field {
    ($($draft:ty: $accepted:literal),+ $(,)?) => {$(
        impl FieldValue for $draft {
            const ACCEPTED: &'static str = $accepted;

            fn from_map<'de, A: MapAccess<'de>>(map: A) -> Option<Result<Self, A::Error>> {
                Some(Self::deserialize(MapAccessDeserializer::new(map)))
            }
        }
    )+};
}

object_field! {
    HttpDraft: "an object with method, url, headers, body",
    ScheduleDraft: "an object with kind and what belongs to that: run_at; every; after; cron and timezone",
    StateDraft: "an object",
    RunDraft: "an object",
    OverridesDraft: "an object with url, headers, body",
    PauseDraft: "an object with until",
}

impl<S: Source> FieldValue for JobDraft<S> {
    const ACCEPTED: &'static str = "a job as an object";

    fn from_map<'de, A: MapAccess<'de>>(map: A) -> Option<Result<Self, A::Error>> {
        Some(Self::deserialize(MapAccessDeserializer::new(map)))
    }
}
