//! What must be so after each turn.

use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use ksana::clock::Now;
use ksana::job::Job;

use super::World;
use crate::disk::Trouble;
use crate::found::Found;
use crate::random::Random;

/// How many acknowledgements are held against the disk; reading all of it costs more than all else.
const LOOKED_AT_PER_MILLE: u64 = 300;

impl World {
    pub(super) fn check_turn(&mut self, now: Now, had_refused: bool) {
        let engine = self.process.as_ref().expect("it is up").scheduler.engine();
        check_same("after a turn", engine.jobs(), self.model.jobs());
        let enabled = engine.jobs().filter(|job| job.progress.enabled).count();
        assert_eq!(engine.enabled(), enabled, "of the jobs that are enabled");
        drop(engine);
        let acknowledged = self.model.take_answers();
        if !acknowledged.is_empty() {
            self.tally.acknowledged += acknowledged.len() as u64;
            if self.random.per_mille(LOOKED_AT_PER_MILLE) {
                self.check_least();
            }
        }
        let store = self.up().scheduler.store();
        let refuses = store.refusal().is_some();
        let (syncs, snapshots) = (store.is_syncing(), store.is_snapshotting());
        assert!(self.may_refuse || !refuses, "changes are refused for no reason");
        self.tally.refused += u64::from(refuses && !had_refused);
        self.is_behind |= refuses;
        let is_over = !refuses && !snapshots && self.device.trouble() == Trouble::None;
        self.may_refuse &= !is_over;
        assert!(syncs || !self.model.has_unanswered(), "changes wait for an fsync that nobody asked for");
        self.check_sleep(now);
    }

    /// Nothing may become due while the loop sleeps.
    fn check_sleep(&mut self, now: Now) {
        if self.model.has_deferred() {
            assert_eq!(self.up().wakes_at, now.steady, "changes were put off and forgotten");
        }
        if self.up().rests {
            return;
        }
        if self.model.can_start() {
            assert_eq!(self.up().wakes_at, now.steady, "a run waits for a worker that is free");
        }
        let wakes_at = wall_at(now, self.up().wakes_at);
        let due = self.model.next_due();
        assert!(
            due.is_none_or(|due| wakes_at <= due.max(now.wall)),
            "due at {due:?}, and the loop sleeps to {wakes_at}"
        );
    }

    /// Memory and disk agree.
    pub(super) fn check_disk(&mut self) {
        let found = Found::on(&self.device.seen()).unwrap_or_else(|error| panic!("no start after a kill: {error}"));
        self.model.check_files(&found, false);
        self.check_least();
        let cut = self.device.after_a_cut(Random::new(self.random.next()));
        let found = Found::on(&cut).unwrap_or_else(|error| panic!("no start after a cut: {error}"));
        self.model.check_files(&found, true);
    }

    /// What is acknowledged is on the disk.
    fn check_least(&self) {
        let found = Found::on(&self.device.least()).unwrap_or_else(|error| panic!("no start after a cut: {error}"));
        self.model.check_files(&found, true);
    }
}

/// What the wall clock will show then, if nobody steps it.
fn wall_at(now: Now, then: Instant) -> Timestamp {
    now.wall + SignedDuration::try_from(then.saturating_duration_since(now.steady)).expect("a sleep is short")
}

/// The service's jobs are as the model knows them.
pub(super) fn check_same<'a>(when: &str, shown: impl Iterator<Item = &'a Job>, known: impl Iterator<Item = &'a Job>) {
    let (shown, known): (Vec<&Job>, Vec<&Job>) = (shown.collect(), known.collect());
    let differing: Vec<_> = shown.iter().filter(|job| !known.contains(job)).collect();
    assert!(shown == known, "{when}, the service and the model differ:\n{differing:#?}\nand known are\n{known:#?}");
}
