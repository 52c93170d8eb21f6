//! Time that passes when the simulation says so, and a wall clock that steps.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use ksana::clock::{Clock, Now};

/// The clocks of the simulated machine. Clones show the same time.
#[derive(Clone, Debug)]
pub(crate) struct Clocks(Arc<Mutex<Now>>);

impl Clocks {
    /// Where all simulations begin.
    pub(crate) fn new() -> Self {
        let wall = Timestamp::from_second(1_800_000_000).expect("a year of this century");
        Self(Arc::new(Mutex::new(Now { wall, steady: Instant::now() })))
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, time: Duration) {
        self.change(|now| {
            now.steady += time;
            now.wall += SignedDuration::try_from(time).expect("a simulation is short");
        });
    }

    /// Steps the wall clock, as people and NTP do.
    pub(crate) fn step(&self, by: SignedDuration) {
        self.change(|now| now.wall += by);
    }

    fn change(&self, change: impl FnOnce(&mut Now)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Clock for Clocks {
    fn now(&self) -> Now {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
