//! Files in, files out: what a restart finds after whatever happened to the folder.

mod crash;
mod damage;
mod edits;
mod fsyncs;
mod history;
mod large;
mod lines;
mod mistakes;
pub(crate) mod odd;
mod snapshots;
mod streams;
pub(crate) mod world;
