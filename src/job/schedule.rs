//! When a job is to fire: the grid of its instants.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::{Cron, GoDuration, JobId};
use crate::cron::ClockChange;

/// The plan of a job as its client gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// One fire at one instant.
    Once {
        /// The instant.
        run_at: Timestamp,
    },
    /// A fire at every instant of a grid.
    Every {
        /// The distance of the instants. Above zero for a job that a client made; a file may
        /// hold zero or less, and such a job never fires.
        every: GoDuration,
        /// The first instant and the phase of the grid. Without it, the grid's anchor (the moment
        /// of creation) gives the phase, and the first instant comes one `every` later.
        start_at: Option<Timestamp>,
        /// The upper bound, not reached, of the random delay of each fire. Zero for none.
        jitter: GoDuration,
        /// How long this goes on.
        bounds: Bounds,
    },
    /// A fire so long after the end of the last run, whose end nobody knows before.
    After {
        /// The delay. Bounded as that of `Every`.
        after: GoDuration,
        /// The first instant. Without it, or where it has passed, that is one `after` later than now.
        start_at: Option<Timestamp>,
        /// As with `Every`.
        jitter: GoDuration,
        /// How long this goes on.
        bounds: Bounds,
    },
    /// A fire at every instant that an expression names.
    Cron {
        /// The expression and its zone.
        cron: Box<Cron>,
        /// Nothing fires before it. With an `@every` it is as with `Every`.
        start_at: Option<Timestamp>,
        /// As with `Every`.
        jitter: GoDuration,
        /// How long this goes on.
        bounds: Bounds,
    },
}

/// How long a schedule goes on; by default for ever. When it is over the job is done, and no longer enabled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// No instant is later than this.
    pub end_at: Option<Timestamp>,
    /// How many runs the schedule begins. A skipped instant begins none. Above zero for a job that a client made; a file
    /// may hold zero or less, and such a job never fires.
    pub max_runs: Option<i64>,
}

impl Schedule {
    /// How long it goes on; nothing for a `once`.
    pub fn bounds(&self) -> Bounds {
        match *self {
            Self::Once { .. } => Bounds::default(),
            Self::Every { bounds, .. } | Self::After { bounds, .. } | Self::Cron { bounds, .. } => bounds,
        }
    }

    /// The upper bound, not reached, of the random delay of each fire.
    pub fn jitter(&self) -> GoDuration {
        match *self {
            Self::Once { .. } => GoDuration::ZERO,
            Self::Every { jitter, .. } | Self::After { jitter, .. } | Self::Cron { jitter, .. } => jitter,
        }
    }

    /// The fixed distance of its instants in real time: of an `every`, and of a `cron` that says `@every`.
    pub fn distance(&self) -> Option<GoDuration> {
        match *self {
            Self::Once { .. } | Self::After { .. } => None,
            Self::Every { every, .. } => Some(every),
            Self::Cron { ref cron, .. } => cron.every(),
        }
    }

    /// The distance where the instants are counted from the job's anchor.
    pub fn anchored_distance(&self) -> Option<GoDuration> {
        match self {
            Self::Every { start_at: None, .. } | Self::Cron { start_at: None, .. } => self.distance(),
            _ => None,
        }
    }

    /// The zone whose clock it is shown on: UTC where it names none.
    pub fn zone(&self) -> TimeZone {
        match self {
            Self::Cron { cron, .. } => cron.zone().cloned().unwrap_or(TimeZone::UTC),
            Self::Once { .. } | Self::Every { .. } | Self::After { .. } => TimeZone::UTC,
        }
    }

    /// What a change of the clock makes of one of its instants.
    pub fn clock_change(&self, instant: Timestamp) -> Option<ClockChange> {
        match self {
            Self::Cron { cron, .. } => cron.clock_change(instant),
            Self::Once { .. } | Self::Every { .. } | Self::After { .. } => None,
        }
    }

    /// Whether the job's id decides when it fires: by a jitter or by an `H`.
    pub fn is_drawn(&self) -> bool {
        self.jitter() > GoDuration::ZERO || matches!(self, Self::Cron { cron, .. } if cron.is_drawn())
    }

    /// Whether it may come to an end, other than the end of time.
    pub fn is_finite(&self) -> bool {
        self.bounds() != Bounds::default() || matches!(self, Self::Cron { .. }) && self.distance().is_none()
    }

    /// Finds out what its texts mean for this job.
    pub(super) fn read_for(&mut self, id: &JobId) {
        if let Self::Cron { cron, .. } = self {
            cron.read_for(id);
        }
    }

    /// The instants of a job whose grid is anchored at `anchor`; `None` for a plan that has none, or does not know them
    /// beforehand.
    pub fn instants(&self, anchor: Timestamp) -> Option<Instants<'_>> {
        let source = match *self {
            Self::Once { .. } | Self::After { .. } => return None,
            Self::Cron { ref cron, start_at, .. } if cron.has_times() => Source::Cron(cron, start_at),
            Self::Every { start_at, .. } | Self::Cron { start_at, .. } => {
                Source::Grid(Grid::new(self.distance()?, start_at, anchor)?)
            }
        };
        Some(Instants { source, end_at: self.bounds().end_at })
    }
}

/// All instants of a schedule, in their order.
#[derive(Clone, Copy, Debug)]
pub struct Instants<'a> {
    source: Source<'a>,
    end_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug)]
enum Source<'a> {
    Grid(Grid),
    /// From that time on.
    Cron(&'a Cron, Option<Timestamp>),
}

impl Instants<'_> {
    /// The first one that is later than `time`; `None` where there is none.
    pub fn after(&self, time: Timestamp) -> Option<Timestamp> {
        self.endless_after(time).filter(|next| self.end_at.is_none_or(|end_at| *next <= end_at))
    }

    /// The same, as if there were no end.
    pub fn endless_after(&self, time: Timestamp) -> Option<Timestamp> {
        match self.source {
            Source::Grid(grid) => grid.after(time),
            Source::Cron(cron, start_at) => {
                cron.after(start_at.map_or(time, |start_at| time.max(just_before(start_at))))
            }
        }
    }

    /// The last one from `first`, which is one itself, to `time`; `None` where `first` is later.
    pub fn latest(&self, first: Timestamp, time: Timestamp) -> Option<Timestamp> {
        let until = self.until(time);
        let latest = match self.source {
            Source::Grid(grid) => grid.at_or_before(until),
            Source::Cron(cron, _) => cron.latest(just_before(first), until),
        };
        latest.filter(|latest| *latest >= first)
    }

    /// How many there are from `first`, which is one itself, to `last`; 0 where `first` is later. It takes microseconds,
    /// however many they are.
    pub fn count(&self, first: Timestamp, last: Timestamp) -> u64 {
        let until = self.until(last);
        match self.source {
            Source::Grid(grid) => grid.count(first, until),
            Source::Cron(cron, _) => cron.count(first, until),
        }
    }

    /// `time`, or the end where that is earlier.
    fn until(&self, time: Timestamp) -> Timestamp {
        self.end_at.map_or(time, |end_at| time.min(end_at))
    }
}

impl Instants<'_> {
    /// Of the instants from `first` to `last`, which are two, the last ones: which is the first of these, and how many
    /// they are, at most `max`.
    pub fn last_of(&self, first: Timestamp, last: Timestamp, max: u32) -> (Timestamp, u32) {
        if let Source::Grid(grid) = self.source {
            return grid.last_of(first, last, max);
        }
        let (mut next, mut count) = (first, 1);
        while next < last && count <= max {
            let Some(later) = self.after(next) else { break };
            (next, count) = (later, count + 1);
        }
        if count <= max {
            return (first, count);
        }
        // Counted from the end an instant costs much more, but these are no more than `max`.
        (next, count) = (last, 1);
        while count < max
            && let Some(before) = self.latest(first, just_before(next))
        {
            (next, count) = (before, count + 1);
        }
        (next, count)
    }
}

/// The end of what lies before `time`.
pub fn just_before(time: Timestamp) -> Timestamp {
    time.checked_sub(SignedDuration::from_nanos(1)).unwrap_or(Timestamp::MIN)
}

/// The instants `first + k × every` with k ≥ 0. It never drifts, because each instant is
/// counted from the first and none from the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    first: i128,
    every: i128,
}

impl Grid {
    /// The grid of a fixed distance whose job is anchored at `anchor`; `None` where
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

    /// As that of [`Instants`].
    fn last_of(self, first: Timestamp, last: Timestamp, max: u32) -> (Timestamp, u32) {
        let steps = (last.as_nanosecond() - first.as_nanosecond()) / self.every;
        let kept = steps.min(i128::from(max) - 1);
        let next = Timestamp::from_nanosecond(last.as_nanosecond() - kept * self.every).unwrap_or(first);
        (next, u32::try_from(kept + 1).unwrap_or(1))
    }

    /// As that of [`Instants`].
    fn count(self, first: Timestamp, last: Timestamp) -> u64 {
        if first > last {
            return 0;
        }
        let steps = (last.as_nanosecond() - first.as_nanosecond()) / self.every;
        u64::try_from(steps + 1).unwrap_or(u64::MAX)
    }

    /// The last instant that is not later than `time`; `None` before the first.
    pub fn at_or_before(self, time: Timestamp) -> Option<Timestamp> {
        let time = time.as_nanosecond();
        let steps = (time >= self.first).then(|| (time - self.first) / self.every)?;
        Timestamp::from_nanosecond(self.first + steps * self.every).ok()
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
    }

    #[test]
    fn a_start_at_in_the_past_keeps_its_phase() {
        let grid = Grid::new(GoDuration::from_secs(10), Some(at(3)), at(1000)).expect("above zero");
        assert_eq!(grid.after(at(1000)), Some(at(1003)));
        assert_eq!(grid.after(at(0)), Some(at(3)));
    }

    #[test]
    fn instants_are_counted_from_the_first_to_the_last_and_to_the_end() {
        let bounds = Bounds { end_at: Some(at(100)), max_runs: None };
        let every = GoDuration::from_secs(10);
        let grid = Schedule::Every { every, start_at: Some(at(3)), jitter: GoDuration::ZERO, bounds };
        let mut cron = Box::new(Cron::new("3-59/10 * * * * *".into(), "UTC".into()));
        cron.read_for(&JobId::parse("a").expect("an id"));
        let cron = Schedule::Cron { cron, start_at: Some(at(3)), jitter: GoDuration::ZERO, bounds };
        for schedule in [grid, cron] {
            let instants = schedule.instants(at(0)).expect("it has some");
            assert_eq!(instants.count(at(13), at(13)), 1);
            assert_eq!(instants.count(at(13), at(32)), 2);
            assert_eq!(instants.count(at(13), at(33)), 3);
            assert_eq!(instants.count(at(13), just_before(at(33))), 2);
            assert_eq!(instants.count(at(13), at(12)), 0);
            assert_eq!(instants.count(at(3), at(1_000)), 10);
            assert_eq!(instants.count(at(93), Timestamp::MAX), 1);
            assert_eq!(instants.count(at(103), Timestamp::MAX), 0);
        }
    }

    #[test]
    fn the_end_of_time_and_no_distance_have_no_instant() {
        assert_eq!(Grid::new(GoDuration::ZERO, None, at(0)), None);
        assert_eq!(Grid::new(GoDuration::from_secs(-1), None, at(0)), None);
        let grid = Grid::new(GoDuration::from_hours(87_600), Some(Timestamp::MAX), at(0)).expect("above zero");
        assert_eq!(grid.after(Timestamp::MAX), None);
    }
}
