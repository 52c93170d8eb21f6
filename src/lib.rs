//! Ksana calls HTTP endpoints at the right moment.
//!
//! The library exists for the binary, the simulation and the fuzz targets; `ARCHITECTURE.md` is its map.

mod alarm;
pub mod api;
pub mod check;
mod checked_line;
pub mod cli;
pub mod clock;
pub mod config;
pub mod cron;
pub mod daemon;
pub mod disk;
pub mod engine;
pub mod events;
pub mod executor;
pub mod healthcheck;
pub mod inbox;
pub mod job;
pub mod keys;
pub mod ledger;
pub mod limits;
pub mod listen;
pub mod log;
pub mod metrics;
pub mod review;
pub mod runs;
pub mod scheduler;
pub mod shared;
pub mod store;
pub mod systemd;
pub mod vitals;
