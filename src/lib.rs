//! Ksana calls HTTP endpoints at the right moment.

pub mod api;
pub mod job;
pub mod keys;
pub mod limits;
pub mod vitals;
