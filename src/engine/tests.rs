//! Timelines: what the contract says under "what happens when", a line a case.

mod bounds;
mod clock;
mod commands;
mod cron;
mod every;
mod files;
mod harness;
mod once;
mod page;
mod queue;
mod records;
mod restart;
mod retries;
mod words;
