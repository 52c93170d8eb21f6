//! The kinds of numbers. Each is written by relaxed atomics: they order nothing, and nobody decides by them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use jiff::Timestamp;

/// How often something happened.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// It has happened once more.
    pub fn add(&self) {
        self.add_count(1);
    }

    /// It has happened so many times more.
    pub fn add_count(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// How much there is of something now.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// There is so much.
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    /// There are so many.
    pub fn set_count(&self, count: usize) {
        self.set(count as u64);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// An instant, or none: microseconds since 1970, of which the first stands for all before it, and 0 for none.
#[derive(Debug, Default)]
pub struct Moment(AtomicU64);

impl Moment {
    /// It is this one.
    pub fn set(&self, instant: Option<Timestamp>) {
        let micros = instant.map_or(0, |instant| u64::try_from(instant.as_microsecond()).unwrap_or(0).max(1));
        self.0.store(micros, Relaxed);
    }

    pub(super) fn get(&self) -> Option<Seconds> {
        Some(self.0.load(Relaxed)).filter(|micros| *micros > 0).map(Seconds::of_micros)
    }
}

/// How long something took, each time: how often no longer than each of some bounds, and all times together.
#[derive(Debug)]
pub struct Histogram {
    /// In microseconds, growing.
    bounds: &'static [u64],
    /// Times up to each bound and past the one before it; the last are those past all bounds.
    buckets: Box<[AtomicU64]>,
    nanos: AtomicU64,
}

/// A histogram at one moment, as the format has it.
pub(super) struct Reading {
    /// How often it took no longer than this.
    pub(super) up_to: Vec<(Seconds, u64)>,
    pub(super) count: u64,
    pub(super) sum: Seconds,
}

impl Histogram {
    pub(super) fn new(bounds: &'static [u64]) -> Self {
        debug_assert!(bounds.is_sorted(), "a bound is found by halving");
        Self { bounds, buckets: bounds.iter().chain([&0]).map(|_| AtomicU64::new(0)).collect(), nanos: 0.into() }
    }

    /// It took so long once.
    pub fn add(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let bucket = self.bounds.partition_point(|micros| *micros * 1_000 < nanos);
        self.buckets[bucket].fetch_add(1, Relaxed);
        // It goes round after five hundred years of waiting.
        self.nanos.fetch_add(nanos, Relaxed);
    }

    /// The count is that of the buckets as they were read: each is looked at once.
    pub(super) fn read(&self) -> Reading {
        let sum = Seconds(self.nanos.load(Relaxed).into());
        let mut count = 0;
        let mut counts = self.buckets.iter().map(|bucket| {
            count += bucket.load(Relaxed);
            count
        });
        let up_to = self.bounds.iter().copied().map(Seconds::of_micros).zip(&mut counts).collect();
        counts.for_each(drop);
        Reading { up_to, count, sum }
    }
}

/// Nanoseconds, shown as seconds, exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seconds(pub(super) u128);

impl Seconds {
    fn of_micros(micros: u64) -> Self {
        Self(u128::from(micros) * 1_000)
    }
}

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (whole, nanos) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        if nanos == 0 {
            return write!(f, "{whole}");
        }
        let digits = format!("{nanos:09}");
        write!(f, "{whole}.{}", digits.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_shown_exactly_and_without_empty_digits() {
        let check = |nanos: u128, shown: &str| assert_eq!(Seconds(nanos).to_string(), shown);
        check(0, "0");
        check(1, "0.000000001");
        check(250_000, "0.00025");
        check(1_500_000_000, "1.5");
        check(60_000_000_000, "60");
        check(u128::from(u64::MAX), "18446744073.709551615");
    }

    #[test]
    fn a_histogram_counts_up_to_and_with_each_bound() {
        let histogram = Histogram::new(&[100, 1_000]);
        for nanos in [0, 99_999, 100_000, 100_001, 1_000_000, 1_000_001, 5_000_000_000] {
            histogram.add(Duration::from_nanos(nanos));
        }
        let Reading { up_to, count, sum } = histogram.read();
        assert_eq!(up_to, [(Seconds(100_000), 3), (Seconds(1_000_000), 5)]);
        assert_eq!((count, sum), (7, Seconds(5_002_300_001)));
    }

    #[test]
    fn a_moment_may_be_none_and_is_never_taken_for_it() {
        let moment = Moment::default();
        assert_eq!(moment.get(), None);
        for (instant, seconds) in [("2026-01-02T03:04:05.25Z", "1767323045.25"), ("1960-01-01T00:00:00Z", "0.000001")] {
            moment.set(instant.parse().ok());
            assert_eq!(moment.get().map(|seconds| seconds.to_string()).as_deref(), Some(seconds));
        }
        moment.set(None);
        assert_eq!(moment.get(), None);
    }
}
