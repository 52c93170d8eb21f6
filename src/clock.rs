//! The one place that asks the machine what time it is. Everything else is handed the answer.

use std::fmt;
use std::time::Instant;

use jiff::Timestamp;

/// One moment on both clocks: people's, which steps, and the machine's own, which does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// What schedules go by.
    pub wall: Timestamp,
    /// What waits and deadlines go by.
    pub steady: Instant,
}

/// Tells the time: the machine's, or a simulation's.
pub trait Clock: fmt::Debug + Send {
    /// The present moment.
    fn now(&self) -> Now;
}

/// The machine's clocks.
#[derive(Clone, Copy, Debug)]
pub struct Machine;

impl Clock for Machine {
    fn now(&self) -> Now {
        Now { wall: now(), steady: Instant::now() }
    }
}

/// The wall clock, now.
#[expect(clippy::disallowed_methods, reason = "this is the place that asks the machine")]
pub fn now() -> Timestamp {
    Timestamp::now()
}
