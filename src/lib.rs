//! Ksana calls HTTP endpoints at the right moment.

pub mod cli;
pub mod clock;
pub mod config;
pub mod engine;
pub mod inbox;
pub mod job;
pub mod keys;
pub mod limits;
pub mod log;
pub mod store;
