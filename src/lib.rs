//! Ksana calls HTTP endpoints at the right moment.

pub mod job;
