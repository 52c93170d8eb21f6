//! Time that passes when the simulation says so, and a wall clock that steps.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use ksana::clock::{Clock, Now};

use crate::random::Random;

const ORDINARY: &str = "2027-01-15T08:00:00Z";

/// Shortly before what calendars and clocks do now and then.
const SPECIAL: [&str; 6] = [
    // The ends of a year and of the February of a leap year.
    "2027-12-31T23:59:20Z",
    "2028-02-28T23:59:20Z",
    "2028-02-29T23:59:20Z",
    // In New York the clock goes forward, and back.
    "2027-03-14T06:59:20Z",
    "2027-11-07T05:29:20Z",
    // Turkey stays on summer time from this night on, for good.
    "2016-09-06T20:59:20Z",
];

/// The clocks of the simulated machine. Clones show the same time.
#[derive(Clone, Debug)]
pub(crate) struct Clocks(Arc<Mutex<Now>>);

impl Clocks {
    /// An ordinary day.
    pub(crate) fn new() -> Self {
        Self::at(ORDINARY)
    }

    /// Where a simulation begins: half of them on an ordinary day.
    pub(crate) fn of(random: &mut Random) -> Self {
        Self::at(if random.per_mille(500) { ORDINARY } else { SPECIAL[random.index(SPECIAL.len())] })
    }

    fn at(begin: &str) -> Self {
        let wall = begin.parse().expect("a time");
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
