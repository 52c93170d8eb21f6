//! Chance that can be had again.

use uuid::Uuid;

/// Numbers that look random and follow from a seed.
pub(crate) struct Dice {
    state: u64,
}

impl Dice {
    /// Dice with a seed of their own, or with the one of `KSANA_SEED`. The seed is printed, and a test that fails
    /// shows what it printed; who sets it gets the same choices again, though not the same moments.
    #[expect(clippy::disallowed_methods, reason = "a seed is given to the tests by the environment")]
    pub(crate) fn thrown() -> Self {
        let seed = match std::env::var("KSANA_SEED") {
            Ok(seed) => seed.parse().expect("KSANA_SEED is a whole number"),
            Err(_) => Uuid::new_v4().as_u64_pair().0,
        };
        eprintln!("to be had again with KSANA_SEED={seed}");
        Self { state: seed }
    }

    /// Dice for another thread, whose numbers follow from these.
    pub(crate) fn another(&mut self) -> Self {
        Self { state: self.next() }
    }

    /// A number from 0 to below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    /// A step of an odd constant, and the bits mixed until each hangs on all.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        let mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        mixed ^ (mixed >> 32)
    }
}
