//! What the harness asks of records, each time that some are written down.

use super::harness::DEFAULTS;
use crate::engine::{Engine, Filter, Record};
use crate::job::{Job, Stored, stored_job, stored_progress};

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
