//! Files in, files out: what a restart finds after whatever happened to the folder.

mod crash;
mod damage;
mod edits;
mod large;
mod lines;
mod mistakes;
mod odd;
mod snapshots;
mod streams;
mod world;
