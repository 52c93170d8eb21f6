//! When a job is to fire: the grid of its instants.

use jiff::Timestamp;

use super::GoDuration;

/// The plan of a job as its client gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// One fire at one instant.
    Once {
        /// The instant.
        run_at: Timestamp,
    },
    /// A fire at every instant of a grid, for ever.
    Every {
        /// The distance of the instants. Above zero for a job that a client made; a file may
        /// hold zero or less, and such a job never fires.
        every: GoDuration,
        /// The first instant and the phase of the grid. Without it, the grid's anchor (the moment
        /// of creation) gives the phase, and the first instant comes one `every` later.
        start_at: Option<Timestamp>,
        /// The upper bound, not reached, of the random delay of each fire. Zero for none.
        jitter: GoDuration,
    },
}

/// The instants `first + k × every` with k ≥ 0. It never drifts, because each instant is
/// counted from the first and none from the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    first: i128,
    every: i128,
}

impl Grid {
    /// The grid of a schedule of kind `every` whose job is anchored at `anchor`; `None` where
    /// the distance is not above zero.
    pub fn new(every: GoDuration, start_at: Option<Timestamp>, anchor: Timestamp) -> Option<Self> {
        let every = i128::from(every.as_nanos());
        let first = start_at.map_or_else(|| anchor.as_nanosecond() + every, Timestamp::as_nanosecond);
        (every > 0).then_some(Self { first, every })
    }

    /// The first instant that is later than `time`; `None` past the year 9999.
    pub fn after(self, time: Timestamp) -> Option<Timestamp> {
        let time = time.as_nanosecond();
        let steps = if time < self.first { 0 } else { (time - self.first) / self.every + 1 };
        Timestamp::from_nanosecond(self.first + steps * self.every).ok()
    }

    /// The last instant that is not later than `time`; `None` before the first.
    pub fn at_or_before(self, time: Timestamp) -> Option<Timestamp> {
        let time = time.as_nanosecond();
        let steps = (time >= self.first).then(|| (time - self.first) / self.every)?;
        Timestamp::from_nanosecond(self.first + steps * self.every).ok()
    }

    /// The instant before `instant`, which lies on the grid; `None` for the first.
    pub fn before(self, instant: Timestamp) -> Option<Timestamp> {
        let before = instant.as_nanosecond() - self.every;
        (before >= self.first).then(|| Timestamp::from_nanosecond(before).ok())?
    }

    /// Whether `time` is one of the instants.
    pub fn holds(self, time: Timestamp) -> bool {
        let time = time.as_nanosecond();
        time >= self.first && (time - self.first) % self.every == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a small number")
    }

    #[test]
    fn without_start_at_the_first_instant_comes_one_every_after_the_anchor() {
        let grid = Grid::new(GoDuration::from_secs(10), None, at(3)).expect("above zero");
        assert_eq!(grid.after(at(3)), Some(at(13)));
        assert_eq!(grid.after(at(13)), Some(at(23)));
        assert_eq!(grid.after(at(-100)), Some(at(13)));
        assert_eq!(grid.at_or_before(at(12)), None);
        assert_eq!(grid.at_or_before(at(13)), Some(at(13)));
        assert_eq!(grid.at_or_before(at(42)), Some(at(33)));
        assert_eq!(grid.before(at(13)), None);
        assert_eq!(grid.before(at(23)), Some(at(13)));
        assert!(grid.holds(at(33)) && !grid.holds(at(34)) && !grid.holds(at(3)));
    }

    #[test]
    fn a_start_at_in_the_past_keeps_its_phase() {
        let grid = Grid::new(GoDuration::from_secs(10), Some(at(3)), at(1000)).expect("above zero");
        assert_eq!(grid.after(at(1000)), Some(at(1003)));
        assert_eq!(grid.after(at(0)), Some(at(3)));
    }

    #[test]
    fn the_end_of_time_and_no_distance_have_no_instant() {
        assert_eq!(Grid::new(GoDuration::ZERO, None, at(0)), None);
        assert_eq!(Grid::new(GoDuration::from_secs(-1), None, at(0)), None);
        let grid = Grid::new(GoDuration::from_hours(87_600), Some(Timestamp::MAX), at(0)).expect("above zero");
        assert_eq!(grid.after(Timestamp::MAX), None);
    }
}
