//! What the harness asks of records, each time that some are written down.

use std::collections::HashMap;

use jiff::Timestamp;

use super::harness::DEFAULTS;
use crate::engine::{Engine, Filter, Record};
use crate::job::{Job, JobId, RunRecord, Stored, Trigger, stored_job, stored_progress};

/// All jobs, by id.
pub(super) fn jobs_of(engine: &Engine) -> Vec<Job> {
    engine.page(None, &Filter::default(), usize::MAX, usize::MAX).jobs
}

/// What is written down is what is read.
pub(super) fn check_text(record: &Record) {
    match record {
        Record::Put(job) => {
            let text = serde_json::to_value(Stored(job)).expect("JSON");
            assert_eq!(&stored_job(&text, &DEFAULTS).expect("a job"), job, "{text}");
        }
        Record::Progress { progress, .. } => {
            let text = serde_json::to_value(progress).expect("JSON");
            assert_eq!(&stored_progress(&text).expect("progress"), &**progress, "{text}");
        }
        Record::Delete(_) => {}
        Record::Run(run) => {
            let text = serde_json::to_string(run.as_ref()).expect("JSON");
            assert_eq!(serde_json::from_str::<RunRecord>(&text).expect("a record of a run"), **run, "{text}");
        }
    }
}

/// No due time of a schedule has two outcomes.
pub(super) fn check_outcome(
    outcomes: &mut HashMap<JobId, Vec<(Timestamp, Timestamp)>>,
    before: &Engine,
    record: &Record,
) {
    match record {
        Record::Put(job) => {
            let present = before.job(&job.spec.id).map(|job| &job.spec.schedule);
            if present.is_none_or(|present| *present != job.spec.schedule) {
                outcomes.remove(&job.spec.id);
            }
        }
        Record::Run(run) if run.trigger != Trigger::Manual => {
            let (first, last) = (run.scheduled_at, run.stretch.map_or(run.scheduled_at, |all| all.last_scheduled_at));
            let others = outcomes.entry(run.job_id.clone()).or_default();
            assert!(
                others.iter().all(|(begin, end)| last < *begin || *end < first),
                "{first} to {last} of {run:?} has an outcome already: {others:?}"
            );
            others.push((first, last));
        }
        Record::Run(_) | Record::Progress { .. } | Record::Delete(_) => {}
    }
}

/// What a start tells goes into a record.
pub(super) fn check_only_planned(before: &Job, after: &Job) {
    let told = |job: &Job| {
        let progress = job.progress.clone();
        (progress.last_status, progress.last_error, progress.state.runs_going)
    };
    assert_eq!(told(before), told(after));
}
