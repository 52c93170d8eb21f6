//! The values: what a job is. Parsed once, then always valid.

mod duration;

pub use duration::GoDuration;
