//! Ksana calls HTTP endpoints at the right moment.

pub mod clock;
pub mod job;
pub mod limits;
pub mod log;
