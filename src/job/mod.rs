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
mod policy;
mod progress;
mod record;
mod record_json;
mod schedule;
mod spec;
mod stored;
#[cfg(test)]
mod tests;
mod time;

pub use cron::Cron;
pub use draft::{File, JobDraft, OverridesDraft, PauseDraft, Request, ScheduleDraft, Source, StateDraft};
pub use duration::GoDuration;
pub use field::{Field, FieldValue};
pub use http::{HttpCall, Overrides};
pub use id::JobId;
pub use input::Patch;
pub use json::{Shown, Stored};
pub use policy::{Misfire, Overlap, OwnPolicy, Policy};
pub use progress::{CatchUp, Phase, Progress, Run, Span, State, Status, Trigger};
pub use record::{Attempt, ErrorClass, Origin, RunRecord, Seen, Stretch, Times};
pub use schedule::{Bounds, Grid, Instants, Schedule, just_before};
pub use spec::{Defaults, Invalid, Job, Spec};
pub use stored::{stored_job, stored_progress};
pub use time::parse_time;
