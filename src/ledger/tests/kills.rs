//! Each record stands in the history once, wherever a process is killed or the power is cut.

use jiff::Timestamp;

use super::super::Ledger;
use super::device::{Device, Dice};
use super::world::{BOUNDS, Journal, all, at, large, position, with_status};
use crate::job::{RunRecord, Status};

/// Failures among the rest, some of them long enough that segments end.
fn any(dice: &mut Dice, seq: u64) -> RunRecord {
    let status = match dice.below(4) {
        0 => Status::Failed,
        1 => Status::Missed,
        2 => Status::Skipped,
        _ => Status::Success,
    };
    match dice.below(6) {
        0 => RunRecord { status, ..large(seq, 30_000) },
        _ => with_status(seq, status),
    }
}

/// One process after the other over the same folder, each ended in some operation.
struct Lives {
    device: Device,
    dice: Dice,
    journal: Journal,
}

impl Lives {
    fn new(seed: u64) -> Self {
        Self { device: Device::new(seed), dice: Dice(seed), journal: Journal::default() }
    }

    /// A life that ends in the operation `dies_in`; whether it came to that.
    fn live(&mut self, dies_in: u64, turns: u64) -> bool {
        let ledger = Ledger::open(self.device.mount(Some(dies_in)), BOUNDS).expect("it can be read");
        self.journal.replay(&ledger);
        let mut next_seq = ledger.next_seq();
        for _ in 0..turns {
            let records: Vec<_> =
                (0..=self.dice.below(3)).map(|offset| any(&mut self.dice, next_seq + offset)).collect();
            next_seq += records.len() as u64;
            self.journal.turn(&ledger, records);
            let now = Timestamp::UNIX_EPOCH;
            let result = match self.dice.below(5) {
                0 => Ok(()),
                1 => self.journal.snapshot(&ledger, now),
                _ => self.journal.sync(&ledger, now),
            };
            assert_eq!(result.is_err(), self.device.is_dead(), "{result:?}");
            if result.is_err() {
                return true;
            }
        }
        false
    }

    /// What the next start finds is all that the journal has, what went from it, and nothing else.
    #[track_caller]
    fn check(&mut self, is_power_cut: bool) {
        if is_power_cut {
            self.device.cut_power();
            self.journal.lose_power();
        }
        let ledger = Ledger::open(self.device.mount(None), BOUNDS).expect("it can be read");
        self.journal.replay(&ledger);
        let expected = self.journal.seqs();
        assert_eq!(all(&ledger, 7), expected);
        assert!(ledger.next_seq() > expected.first().copied().unwrap_or(0));
        ledger.write(position(u64::MAX, 0), at(0)).expect("there is room");
        assert_eq!(all(&ledger, 1_000), expected, "once written");
    }
}

#[test]
fn a_kill_in_any_operation_costs_nothing_and_doubles_nothing() {
    for dies_in in 1.. {
        let mut lives = Lives::new(dies_in % 7);
        let has_died = lives.live(dies_in, 30);
        lives.check(false);
        if !has_died {
            assert!(dies_in > 50, "the life is long enough to tell");
            return;
        }
    }
}

#[test]
fn a_power_cut_costs_what_the_journal_lost_and_no_more() {
    for seed in 0..60 {
        let mut lives = Lives::new(seed);
        for _ in 0..4 {
            let dies_in = 1 + lives.dice.below(40);
            lives.live(dies_in, 12);
            let is_power_cut = lives.dice.below(2) == 0;
            lives.check(is_power_cut);
        }
    }
}
