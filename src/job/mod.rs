//! The values: what a job is. Parsed once, then always valid.

mod check;
mod cron;
mod draft;
mod duration;
mod field;
pub mod http;
mod id;
mod input;
mod json;
mod progress;
mod schedule;
mod spec;
#[cfg(test)]
mod tests;
mod time;

pub use cron::Cron;
pub use draft::{File, JobDraft, Request, Source, StateDraft};
pub use duration::GoDuration;
pub use field::{Field, FieldValue};
pub use http::HttpCall;
pub use id::JobId;
pub use input::{Patch, stored_job, stored_progress};
pub use json::{Shown, Stored};
pub use progress::{Phase, Progress, Run, State, Status};
pub use schedule::{Bounds, Grid, Instants, Schedule, just_before};
pub use spec::{Defaults, Invalid, Job, Spec};
pub use time::parse_time;
