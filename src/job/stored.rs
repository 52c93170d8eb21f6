//! From the JSON of a file to a job and what has become of it.

use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error};

use super::draft::{File, JobDraft, ProgressDraft, RunDraft, SpanDraft, StateDraft};
use super::input::{REQUIRED_SCHEDULE, Strictness, check_kind, new_policy};
use super::record_json::AttemptDraft;
use super::{CatchUp, Defaults, Invalid, Job, Origin, Phase, Progress, Run, Span, Spec, State, Trigger};

impl JobDraft<File> {
    /// A job as a file holds it: every value that can be kept is kept, sensible or not.
    fn into_stored(mut self, defaults: &Defaults) -> Result<Job, Invalid> {
        let policy = new_policy(&self.take_policy(), Strictness::File)?;
        check_kind(self.kind.set().as_deref())?;
        let id = self.id.set().ok_or_else(|| Invalid::new("/id", "is required in a file"))?;
        let schedule = self.schedule.set().ok_or_else(|| Invalid::new("/schedule", REQUIRED_SCHEDULE))?;
        let mut spec = Spec {
            id,
            name: self.name.set().unwrap_or_default(),
            http: self.http.set().unwrap_or_default().into_call(),
            schedule: schedule.into_schedule(Strictness::File)?,
            timeout: self.timeout.set().unwrap_or(defaults.timeout),
            max_retries: self.max_retries.set().unwrap_or(defaults.max_retries),
            retry_backoff: self.retry_backoff.set().unwrap_or(defaults.retry_backoff),
            policy,
        };
        spec.schedule.read_for(&spec.id);
        let progress = ProgressDraft {
            enabled: self.enabled,
            paused_until: self.paused_until,
            last_run_at: self.last_run_at,
            next_run_at: self.next_run_at,
            last_status: self.last_status,
            last_error: self.last_error,
            state: self.state,
        };
        Ok(Job { spec: Arc::new(spec), progress: progress.into_progress()? })
    }
}

impl ProgressDraft {
    fn into_progress(self) -> Result<Progress, Invalid> {
        let enabled = self.enabled.set().unwrap_or(true);
        Ok(Progress {
            enabled,
            // A job that is not paused resumes at no time.
            paused_until: self.paused_until.set().filter(|_| !enabled),
            last_run_at: self.last_run_at.set(),
            next_run_at: self.next_run_at.set(),
            last_status: self.last_status.set().unwrap_or_default(),
            last_error: self.last_error.set().unwrap_or_default(),
            state: self.state.set().unwrap_or_default().into_state()?,
        })
    }
}

impl StateDraft {
    pub(super) fn into_state(self) -> Result<State, Invalid> {
        let runs_going = self.run.set().into_iter().chain(self.beside.into_iter().flatten()).map(RunDraft::into_run);
        let spans: Vec<Span> =
            self.catch_up.into_iter().flatten().map(SpanDraft::into_span).collect::<Result<_, _>>()?;
        Ok(State {
            anchor: self.anchor.set(),
            planned: self.planned.set(),
            fired: self.fired.set(),
            missed_from: self.missed_from.set(),
            runs: u32::try_from(self.runs.set().unwrap_or(0))
                .map_err(|_| Invalid::new("/state/runs", "must not be below zero or past 4,294,967,295"))?,
            held: self.held.set().unwrap_or(false),
            catch_up: CatchUp::latest_of(spans).map(Box::new),
            runs_going: runs_going.collect::<Result<_, _>>()?,
        })
    }
}

impl SpanDraft {
    fn into_span(self) -> Result<Span, Invalid> {
        let wrong =
            || Invalid::new("/state/catch_up", "must be a list of objects with next, last and left, above zero");
        let left = self.left.set().and_then(|left| u32::try_from(left).ok()).filter(|left| *left > 0);
        let next = self.next.set().ok_or_else(wrong)?;
        Ok(Span { next, last: self.last.set().ok_or_else(wrong)?, left: left.ok_or_else(wrong)? })
    }
}

impl RunDraft {
    fn into_run(self) -> Result<Run, Invalid> {
        let missing = |field| move || Invalid::new(field, "is required for a run that is going");
        let began_at = self.began_at.set().ok_or_else(missing("/state/run/began_at"))?;
        let attempts = u32::try_from(self.attempts.set().unwrap_or(0))
            .map_err(|_| Invalid::new("/state/run/attempts", "must not be below zero or past 4,294,967,295"))?;
        let phase = match (self.phase.set().as_deref(), self.retry_at.set()) {
            (Some("behind"), None) => Phase::Behind,
            (Some("queued"), None) => Phase::Queued,
            (Some("in_flight"), None) => Phase::InFlight,
            (Some("waiting"), Some(until)) => Phase::Waiting { until },
            _ => {
                let message = "must be \"behind\", \"queued\", \"in_flight\", or \"waiting\" with a retry_at";
                return Err(Invalid::new("/state/run/phase", message));
            }
        };
        let id = self.id.set().ok_or_else(missing("/state/run/id"))?;
        let trigger = match self.trigger.set().as_deref() {
            Some("catch_up") => Trigger::CatchUp,
            Some(_) => return Err(Invalid::new("/state/run/trigger", "must be \"catch_up\", or left out")),
            // That of a planned fire comes from its instant (RFC 9562, section 5.5).
            None if id.get_version_num() == 5 => Trigger::Schedule,
            None => Trigger::Manual,
        };
        let started_at = self.started_at.set();
        let overrides = self.overrides.set().map(|overrides| Arc::new(overrides.into_overrides()));
        Ok(Run {
            id,
            scheduled_at: self.scheduled_at.set().unwrap_or(began_at),
            due_at: self.due_at.set().unwrap_or(began_at),
            began_at,
            started_at,
            // Of the first one it is not said twice.
            attempt_at: self.attempt_at.set().or(started_at),
            attempts,
            tried: self.tried.into_iter().flatten().map(AttemptDraft::into_attempt).collect::<Result<_, _>>()?,
            phase,
            trigger,
            origin: Origin { key: self.key.set(), replay_of: self.replay_of.set(), is_overridden: overrides.is_some() },
            overrides,
        })
    }
}

/// Reads a job of a file. The environment's defaults fill what the file leaves out.
pub fn stored_job<'de, D: Deserializer<'de>>(deserializer: D, defaults: &Defaults) -> Result<Job, D::Error> {
    <JobDraft<File> as Deserialize>::deserialize(deserializer)?
        .into_stored(defaults)
        .map_err(|invalid| in_file(&invalid))
}

/// Reads the progress of a job from the journal.
pub fn stored_progress<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Progress, D::Error> {
    ProgressDraft::deserialize(deserializer)?.into_progress().map_err(|invalid| in_file(&invalid))
}

/// A refusal as the reader of a file tells it, who adds the line and the column.
fn in_file<E: Error>(invalid: &Invalid) -> E {
    E::custom(format!("{}: {}", invalid.field, invalid.message))
}
