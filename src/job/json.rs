//! The JSON of a job on the way out: on the wire, in `jobs.json`, in the journal.

use std::fmt::Display;

use jiff::Timestamp;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::{Bounds, GoDuration, HttpCall, Job, Overrides, Phase, Progress, Run, Schedule, Span, Spec, State, Trigger};

/// A job with every key that a client sees, in the order that clients know.
#[derive(Clone, Copy)]
pub struct Shown<'a>(pub &'a Job);

/// A job with what a restart needs besides: the key `state`, last, where there is something to say.
#[derive(Clone, Copy)]
pub struct Stored<'a>(pub &'a Job);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        shown(&mut map, self.0)?;
        map.end()
    }
}

impl Serialize for Stored<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        shown(&mut map, self.0)?;
        state(&mut map, &self.0.progress)?;
        map.end()
    }
}

fn shown<M: SerializeMap>(map: &mut M, job: &Job) -> Result<(), M::Error> {
    let Job { spec, progress } = job;
    let Spec { id, name, http, schedule, timeout, max_retries, retry_backoff, policy } = spec.as_ref();
    map.serialize_entry("id", id)?;
    map.serialize_entry("name", name)?;
    map.serialize_entry("enabled", &progress.enabled)?;
    map.serialize_entry("type", "http")?;
    map.serialize_entry("http", http)?;
    map.serialize_entry("schedule", schedule)?;
    map.serialize_entry("timeout", &Text(timeout))?;
    map.serialize_entry("max_retries", max_retries)?;
    map.serialize_entry("retry_backoff", &Text(retry_backoff))?;
    policy.show(map)?;
    outcome(map, progress)
}

fn outcome<M: SerializeMap>(map: &mut M, progress: &Progress) -> Result<(), M::Error> {
    if let Some(until) = progress.paused_until {
        map.serialize_entry("paused_until", &Text(until))?;
    }
    map.serialize_entry("last_run_at", &TextOrEmpty(progress.last_run_at))?;
    map.serialize_entry("next_run_at", &TextOrEmpty(progress.next_run_at))?;
    map.serialize_entry("last_status", progress.last_status.as_str())?;
    map.serialize_entry("last_error", &progress.last_error)
}

fn state<M: SerializeMap>(map: &mut M, progress: &Progress) -> Result<(), M::Error> {
    if progress.state == State::default() {
        return Ok(());
    }
    map.serialize_entry("state", &progress.state)
}

/// The progress alone, for the journal: the same keys as in a stored job.
impl Serialize for Progress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("enabled", &self.enabled)?;
        outcome(&mut map, self)?;
        state(&mut map, self)?;
        map.end()
    }
}

impl Serialize for HttpCall {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(4))?;
        map.serialize_entry("method", &self.method)?;
        map.serialize_entry("url", &self.url)?;
        map.serialize_entry("headers", &Pairs(&self.headers))?;
        map.serialize_entry("body", &self.body)?;
        map.end()
    }
}

impl Serialize for Schedule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::Once { run_at } => {
                map.serialize_entry("kind", "once")?;
                map.serialize_entry("run_at", &Text(run_at))?;
            }
            Self::Every { every, start_at, jitter, bounds } => {
                map.serialize_entry("kind", "every")?;
                map.serialize_entry("every", &Text(every))?;
                repeated(&mut map, *start_at, *jitter, *bounds)?;
            }
            Self::After { after, start_at, jitter, bounds } => {
                map.serialize_entry("kind", "after")?;
                map.serialize_entry("after", &Text(after))?;
                repeated(&mut map, *start_at, *jitter, *bounds)?;
            }
            Self::Cron { cron, start_at, jitter, bounds } => {
                map.serialize_entry("kind", "cron")?;
                map.serialize_entry("cron", cron.text())?;
                map.serialize_entry("timezone", cron.zone_name())?;
                repeated(&mut map, *start_at, *jitter, *bounds)?;
            }
        }
        map.end()
    }
}

/// What all kinds have in common that fire more than once. A bound that is not set is not shown: older readers know none.
fn repeated<M: SerializeMap>(
    map: &mut M,
    start_at: Option<Timestamp>,
    jitter: GoDuration,
    bounds: Bounds,
) -> Result<(), M::Error> {
    map.serialize_entry("start_at", &TextOrEmpty(start_at))?;
    map.serialize_entry("jitter", &TextOrEmpty(Some(jitter).filter(|jitter| *jitter != GoDuration::ZERO)))?;
    if let Some(end_at) = bounds.end_at {
        map.serialize_entry("end_at", &Text(end_at))?;
    }
    if let Some(max_runs) = bounds.max_runs {
        map.serialize_entry("max_runs", &max_runs)?;
    }
    Ok(())
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let times: [(&str, Option<Timestamp>); 4] = [
            ("anchor", self.anchor),
            ("planned", self.planned),
            ("fired", self.fired),
            ("missed_from", self.missed_from),
        ];
        for (key, time) in times {
            if let Some(time) = time {
                map.serialize_entry(key, &Text(time))?;
            }
        }
        if self.runs > 0 {
            map.serialize_entry("runs", &self.runs)?;
        }
        if self.held {
            map.serialize_entry("held", &true)?;
        }
        if let Some(catch_up) = &self.catch_up {
            map.serialize_entry("catch_up", &catch_up.spans)?;
        }
        if let Some((first, others)) = self.runs_going.split_first() {
            map.serialize_entry("run", first)?;
            if !others.is_empty() {
                map.serialize_entry("beside", others)?;
            }
        }
        map.end()
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("next", &Text(self.next))?;
        map.serialize_entry("last", &Text(self.last))?;
        map.serialize_entry("left", &self.left)?;
        map.end()
    }
}

impl Serialize for Run {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &Text(self.id))?;
        // The id tells the others apart.
        if self.trigger == Trigger::CatchUp {
            map.serialize_entry("trigger", "catch_up")?;
        }
        map.serialize_entry("scheduled_at", &Text(self.scheduled_at))?;
        map.serialize_entry("due_at", &Text(self.due_at))?;
        map.serialize_entry("began_at", &Text(self.began_at))?;
        if let Some(started_at) = self.started_at {
            map.serialize_entry("started_at", &Text(started_at))?;
        }
        if let Some(attempt_at) = self.attempt_at.filter(|at| Some(*at) != self.started_at) {
            map.serialize_entry("attempt_at", &Text(attempt_at))?;
        }
        map.serialize_entry("attempts", &self.attempts)?;
        if !self.tried.is_empty() {
            map.serialize_entry("tried", &self.tried)?;
        }
        let phase = match self.phase {
            Phase::Behind => "behind",
            Phase::Queued => "queued",
            Phase::InFlight => "in_flight",
            Phase::Waiting { .. } => "waiting",
        };
        map.serialize_entry("phase", phase)?;
        if let Phase::Waiting { until } = self.phase {
            map.serialize_entry("retry_at", &Text(until))?;
        }
        if let Some(key) = &self.origin.key {
            map.serialize_entry("key", key)?;
        }
        if let Some(replay_of) = self.origin.replay_of {
            map.serialize_entry("replay_of", &Text(replay_of))?;
        }
        if let Some(overrides) = &self.overrides {
            map.serialize_entry("overrides", &**overrides)?;
        }
        map.end()
    }
}

impl Serialize for Overrides {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(url) = &self.url {
            map.serialize_entry("url", url)?;
        }
        if let Some(headers) = &self.headers {
            map.serialize_entry("headers", &Pairs(headers))?;
        }
        if let Some(body) = &self.body {
            map.serialize_entry("body", body)?;
        }
        map.end()
    }
}

/// A value as the string that it is shown as.
pub(super) struct Text<T>(pub(super) T);

impl<T: Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// The same, with `""` for unset.
struct TextOrEmpty<T>(Option<T>);

impl<T: Display> Serialize for TextOrEmpty<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Some(value) => serializer.collect_str(value),
            None => serializer.serialize_str(""),
        }
    }
}

/// Headers as an object, in the order that they were given in.
struct Pairs<'a>(&'a [(Box<str>, Box<str>)]);

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}
