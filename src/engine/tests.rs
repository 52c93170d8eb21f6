//! Timelines: what the contract says under "what happens when", a line a case.

mod account;
mod after;
mod bounds;
mod clock;
mod coming;
mod commands;
mod cron;
mod every;
mod files;
mod harness;
mod misfire;
mod once;
mod overlap;
mod page;
mod queue;
mod records;
mod requests;
mod restart;
mod retries;
mod tried;
mod words;
