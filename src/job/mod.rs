//! The values: what a job is. Parsed once, then always valid.

mod duration;
pub mod http;

pub use duration::GoDuration;
pub use http::HttpCall;
