//! Ksana calls HTTP endpoints at the right moment.

pub mod engine;
pub mod inbox;
pub mod job;
pub mod limits;
pub mod store;
