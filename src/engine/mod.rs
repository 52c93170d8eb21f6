//! The rules of scheduling.

mod outcome;

pub use outcome::{Outcome, Verdict};
