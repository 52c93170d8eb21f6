//! What the history holds after whatever happened to it, and what it answers.

mod device;
mod kills;
mod pages;
mod pending;
mod readers;
mod retention;
mod start;
mod world;
