//! Timelines: what the contract says under "what happens when", a line a case.

mod clock;
mod commands;
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
