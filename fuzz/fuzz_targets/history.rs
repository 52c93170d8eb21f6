//! A segment of the history, as anybody may write it.

#![no_main]

#[path = "../../tests/corpus/memory.rs"]
mod memory;
#[path = "../../tests/corpus/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::run("history", data));
