//! Ksana calls HTTP endpoints at the right moment.

pub mod engine;
pub mod executor;
pub mod job;
pub mod limits;
