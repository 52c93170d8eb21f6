//! The JSON of a [`RunRecord`]: in the journal, in the files of the ledger, on the wire. What does not apply is left out.

use std::time::Duration;

use jiff::Timestamp;
use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use super::field::Field;
use super::json::Text;
use super::record::{Attempt, ErrorClass, Origin, RunRecord, Seen, Stretch, Times};
use super::{Invalid, JobId, Status, Trigger};

impl Serialize for RunRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("seq", &self.seq)?;
        map.serialize_entry("run_id", &Text(self.run_id))?;
        map.serialize_entry("job_id", &self.job_id)?;
        map.serialize_entry("trigger", self.trigger.as_str())?;
        if let Some(key) = &self.origin.key {
            map.serialize_entry("key", key)?;
        }
        if let Some(replay_of) = self.origin.replay_of {
            map.serialize_entry("replay_of", &Text(replay_of))?;
        }
        if self.origin.is_overridden {
            map.serialize_entry("overridden", &true)?;
        }
        map.serialize_entry("scheduled_at", &Text(self.scheduled_at))?;
        if let Some(Stretch { last_scheduled_at, count }) = self.stretch {
            map.serialize_entry("last_scheduled_at", &Text(last_scheduled_at))?;
            map.serialize_entry("count", &count)?;
        }
        if let Some(started_at) = self.started_at {
            map.serialize_entry("started_at", &Text(started_at))?;
        }
        map.serialize_entry("ended_at", &Text(self.ended_at))?;
        if let Some(micros) = self.lateness_us {
            map.serialize_entry("lateness_ms", &millis(micros))?;
        }
        map.serialize_entry("status", self.status.as_str())?;
        if !self.reason.is_empty() {
            map.serialize_entry("reason", &self.reason)?;
        }
        if !self.attempts.is_empty() {
            map.serialize_entry("attempts", &self.attempts)?;
        }
        map.end()
    }
}

impl Serialize for Attempt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { number, started_at, reason, seen: Seen { http_status, error, times, body } } = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("number", number)?;
        map.serialize_entry("started_at", &Text(started_at))?;
        if let Some(status) = http_status {
            map.serialize_entry("http_status", status)?;
        }
        if let Some(class) = error {
            map.serialize_entry("error", class.as_str())?;
        }
        if !reason.is_empty() {
            map.serialize_entry("reason", reason)?;
        }
        if *times != Times::default() {
            map.serialize_entry("times_ms", times)?;
        }
        if !body.is_empty() {
            map.serialize_entry("body", body)?;
        }
        map.end()
    }
}

impl Serialize for Times {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { name_lookup, connect, tls, first_byte, total } = *self;
        let parts = [
            ("name_lookup", name_lookup),
            ("connect", connect),
            ("tls", tls),
            ("first_byte", first_byte),
            ("total", total),
        ];
        let taken = parts.iter().filter_map(|(key, took)| Some((key, micros((*took)?))));
        serializer.collect_map(taken.map(|(key, micros)| (key, millis(micros))))
    }
}

fn micros(took: Duration) -> i64 {
    i64::try_from(took.as_micros()).unwrap_or(i64::MAX)
}

/// Milliseconds to the microsecond.
#[expect(clippy::cast_precision_loss, reason = "a double holds the microseconds of 285 years")]
fn millis(micros: i64) -> f64 {
    micros as f64 / 1_000.0
}

/// Back from the text of [`millis`]. Whatever a hand wrote there, it is no more than thirty years.
#[expect(clippy::cast_possible_truncation, reason = "thirty years fit")]
fn micros_of(millis: f64) -> i64 {
    (millis.clamp(-1e12, 1e12) * 1_000.0).round() as i64
}

/// A record as it is read. Keys that a later version may write are passed over.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct RecordDraft {
    seq: u64,
    run_id: Field<Uuid>,
    job_id: Field<JobId>,
    trigger: Box<str>,
    key: Option<Box<str>>,
    replay_of: Field<Uuid>,
    overridden: bool,
    scheduled_at: Field<Timestamp>,
    last_scheduled_at: Field<Timestamp>,
    count: u64,
    started_at: Field<Timestamp>,
    ended_at: Field<Timestamp>,
    lateness_ms: Option<f64>,
    status: Field<Status>,
    reason: Box<str>,
    attempts: Vec<AttemptDraft>,
}

/// One of `attempts`.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct AttemptDraft {
    number: u32,
    started_at: Field<Timestamp>,
    http_status: Option<u16>,
    error: Option<Box<str>>,
    reason: Box<str>,
    times_ms: TimesDraft,
    body: Box<str>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct TimesDraft {
    name_lookup: Option<f64>,
    connect: Option<f64>,
    tls: Option<f64>,
    first_byte: Option<f64>,
    total: Option<f64>,
}

impl<'de> Deserialize<'de> for RunRecord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let draft = <RecordDraft as Deserialize>::deserialize(deserializer)?;
        draft.into_record().map_err(|invalid| D::Error::custom(format!("{}: {}", invalid.field, invalid.message)))
    }
}

impl RecordDraft {
    fn into_record(self) -> Result<RunRecord, Invalid> {
        let missing = |field: &'static str| move || Invalid::new(field, "is required for a run that has ended");
        let stretch =
            self.last_scheduled_at.set().map(|last_scheduled_at| Stretch { last_scheduled_at, count: self.count });
        let attempts = self.attempts.into_iter().map(AttemptDraft::into_attempt).collect::<Result<_, _>>()?;
        Ok(RunRecord {
            seq: self.seq,
            run_id: self.run_id.set().ok_or_else(missing("/run_id"))?,
            job_id: self.job_id.set().ok_or_else(missing("/job_id"))?,
            trigger: Trigger::parse(&self.trigger).ok_or_else(missing("/trigger"))?,
            origin: Origin { key: self.key, replay_of: self.replay_of.set(), is_overridden: self.overridden },
            scheduled_at: self.scheduled_at.set().ok_or_else(missing("/scheduled_at"))?,
            stretch,
            started_at: self.started_at.set(),
            ended_at: self.ended_at.set().ok_or_else(missing("/ended_at"))?,
            lateness_us: self.lateness_ms.map(micros_of),
            status: self.status.set().ok_or_else(missing("/status"))?,
            reason: self.reason,
            attempts,
        })
    }
}

impl AttemptDraft {
    pub(super) fn into_attempt(self) -> Result<Attempt, Invalid> {
        let unknown = || Invalid::new("/attempts/error", "is no class of errors");
        let error = self.error.map(|text| ErrorClass::parse(&text).ok_or_else(unknown)).transpose()?;
        let started_at = self.started_at.set();
        let started_at = started_at.ok_or_else(|| Invalid::new("/attempts/started_at", "is required of an attempt"))?;
        let took = |millis: Option<f64>| {
            millis.map(|millis| Duration::from_micros(u64::try_from(micros_of(millis)).unwrap_or(0)))
        };
        let TimesDraft { name_lookup, connect, tls, first_byte, total } = self.times_ms;
        let times = Times {
            name_lookup: took(name_lookup),
            connect: took(connect),
            tls: took(tls),
            first_byte: took(first_byte),
            total: took(total),
        };
        let seen = Seen { http_status: self.http_status, error, times, body: self.body };
        Ok(Attempt { number: self.number, started_at, reason: self.reason, seen })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn record() -> RunRecord {
        RunRecord {
            seq: 7,
            run_id: Uuid::from_u128(1),
            job_id: JobId::parse("backup").expect("an id"),
            trigger: Trigger::Schedule,
            origin: Origin::default(),
            scheduled_at: at(0),
            stretch: None,
            started_at: Some(at(1)),
            ended_at: at(2),
            lateness_us: Some(1_000_123),
            status: Status::Failed,
            reason: "503 Service Unavailable".into(),
            attempts: vec![Attempt {
                number: 1,
                started_at: at(1),
                reason: "503 Service Unavailable".into(),
                seen: Seen {
                    http_status: Some(503),
                    error: Some(ErrorClass::Status),
                    times: Times { total: Some(Duration::from_micros(12_345)), ..Times::default() },
                    body: "busy \"now\"\n".into(),
                },
            }],
        }
    }

    #[test]
    fn a_record_is_one_line_and_reads_back() {
        let text = serde_json::to_string(&record()).expect("JSON");
        assert_eq!(
            text,
            r#"{"seq":7,"run_id":"00000000-0000-0000-0000-000000000001","job_id":"backup","trigger":"schedule","scheduled_at":"1970-01-01T00:00:00Z","started_at":"1970-01-01T00:00:01Z","ended_at":"1970-01-01T00:00:02Z","lateness_ms":1000.123,"status":"failed","reason":"503 Service Unavailable","attempts":[{"number":1,"started_at":"1970-01-01T00:00:01Z","http_status":503,"error":"status","reason":"503 Service Unavailable","times_ms":{"total":12.345},"body":"busy \"now\"\n"}]}"#
        );
        assert_eq!(serde_json::from_str::<RunRecord>(&text).expect("a record"), record());
    }

    #[test]
    fn a_stretch_and_a_manual_run_read_back() {
        let stretch = Some(Stretch { last_scheduled_at: at(60), count: 61 });
        let missed = RunRecord { stretch, started_at: None, lateness_us: None, attempts: Vec::new(), ..record() };
        let origin = Origin { key: Some("0011aabb".into()), replay_of: Some(Uuid::from_u128(2)), is_overridden: true };
        let manual = RunRecord { trigger: Trigger::Manual, origin, lateness_us: Some(-5), ..record() };
        for record in [missed, manual] {
            let text = serde_json::to_string(&record).expect("JSON");
            assert_eq!(serde_json::from_str::<RunRecord>(&text).expect(&text), record);
        }
    }

    #[test]
    fn what_no_record_can_lack_is_named() {
        let error = serde_json::from_str::<RunRecord>(r#"{"seq":1}"#).expect_err("no record").to_string();
        assert!(error.contains("is required for a run that has ended"), "{error}");
    }
}
