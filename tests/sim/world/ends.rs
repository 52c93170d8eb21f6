//! How a process ends, and the next begins.

use std::time::Duration;

use ksana::clock::Clock;
use ksana::disk::Disk;
use ksana::scheduler::{Fatal, Order, Wake};
use ksana::store::OpenError;

use super::World;
use crate::disk::Trouble;
use crate::found::Found;
use crate::history::After;
use crate::process::Process;

/// How a process ends that was not asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Crash {
    Kill,
    PowerCut,
}

impl World {
    /// Now, or in one of the next operations on the disk.
    pub(super) fn crash_somewhere(&mut self) {
        if self.random.per_mille(500) {
            let operations = 1 + self.random.below(12);
            self.story.tell(|| format!("dies in {operations} operations"));
            self.device.die_in(operations);
        } else {
            let crash = self.kind_of_crash();
            self.crash(crash);
        }
    }

    fn kind_of_crash(&mut self) -> Crash {
        if self.random.per_mille(500) { Crash::Kill } else { Crash::PowerCut }
    }

    /// A helper's operation may have been the one in which the process died.
    pub(super) fn look_for_death(&mut self) {
        if self.device.is_dead() {
            self.die();
        }
    }

    pub(super) fn die(&mut self) {
        let crash = self.kind_of_crash();
        self.crash(crash);
    }

    pub(super) fn crash(&mut self, crash: Crash) {
        self.tally.crashes += 1;
        self.story.tell(|| format!("{crash:?}"));
        // What was answered before counts.
        self.model.take_answers();
        match crash {
            Crash::Kill => self.device.kill(),
            Crash::PowerCut => {
                self.tally.power_cuts += 1;
                self.device.cut_power();
            }
        }
        self.start(crash == Crash::PowerCut);
    }

    /// The next process begins where the last one ended.
    fn start(&mut self, mut after_power_cut: bool) {
        self.process = None;
        self.sent.clear();
        self.reports.clear();
        if self.random.per_mille(500) {
            let most = *self.random.pick(&[10, 100, 4_000, 4_000, 100_000]);
            self.clocks.pass(Duration::from_secs(self.random.below(most)));
        }
        loop {
            match Process::start(&self.device, &self.clocks, self.workers, self.bites) {
                Ok(process) => {
                    self.process = Some(process);
                    break;
                }
                Err(OpenError::Io(..)) if self.device.is_dead() => {
                    if self.random.per_mille(500) {
                        self.device.cut_power();
                        after_power_cut = true;
                    }
                }
                Err(OpenError::Io(..)) if self.device.trouble() != Trouble::None => {
                    self.device.set_trouble(Trouble::None);
                }
                Err(OpenError::Io(..)) => self.device.set_sync_fails(false),
                Err(error) => panic!("the start is refused: {error}"),
            }
            if self.random.per_mille(100) {
                self.device.die_in(1 + self.random.below(8));
            }
        }
        // What the recovery changed is written down bite by bite.
        self.is_behind = true;
        self.may_refuse = self.up().scheduler.store().refusal().is_some() || self.device.trouble() != Trouble::None;
        let found = Found::on(&self.device.seen()).unwrap_or_else(|error| panic!("behind a start: {error}"));
        let made = self.up().jobs();
        let after = After { now: self.clocks.now().wall, power_cut: after_power_cut };
        self.model.restart(&found, made, after);
        if self.random.per_mille(50) {
            // It is not wanted any more, before it has written down what it found.
            return self.stop_at_once();
        }
        if self.random.per_mille(500) {
            // Somebody was waiting for it.
            self.ask();
        }
        self.turn(Wake::Time);
    }

    /// A clean stop, and the start after it. The disk may fail the last snapshot.
    pub(super) fn stop(&mut self) {
        self.story.tell(|| "stop".to_owned());
        let life = self.tally.crashes;
        self.up().order(Order::Rest);
        self.turn_while_woken();
        if self.random.per_mille(500) {
            self.ask();
            self.turn_while_woken();
        }
        self.finish_disk();
        if self.tally.crashes != life {
            return;
        }
        self.end();
    }

    fn stop_at_once(&mut self) {
        self.story.tell(|| "stop at once".to_owned());
        self.up().order(Order::Rest);
        self.end();
    }

    /// What goes may come to its end, and all is saved.
    fn end(&mut self) {
        let life = self.tally.crashes;
        let deadline = self.clocks.now().steady + Duration::from_secs(30);
        self.up().order(Order::End(deadline));
        self.turn_while_woken();
        while self.tally.crashes == life && !self.up().scheduler.has_ended() {
            self.come_back();
            self.pass(Duration::from_secs(1));
        }
        // The save is one step for the seed: nobody may be at the gate when it is over.
        self.finish_disk();
        if self.tally.crashes == life {
            self.save();
        }
    }

    fn save(&mut self) {
        let process = self.process.take().expect("it is up");
        let is_well = self.device.is_well();
        if !is_well {
            // What is not written down yet may find no room.
            self.model.all_held_back();
        }
        match process.save() {
            Ok(_) if self.device.is_dead() => self.die(),
            Ok(_) => {
                self.model.take_answers();
                assert!(!self.model.has_unanswered(), "the end answers who waits");
                if is_well {
                    let files = self.device.mount().names().expect("names can be read");
                    assert_eq!(files, ["jobs.json"], "a clean stop leaves one file");
                    self.model.all_durable();
                }
                self.start(false);
            }
            Err(Fatal::Sync(_) | Fatal::Save(_)) => self.die(),
            Err(fatal) => panic!("the scheduler gave up: {fatal}"),
        }
    }

    /// Nothing is wrong any more, and before long all is well without a restart.
    pub(super) fn calm_down(&mut self) {
        self.device.calm_down();
        for _ in 0..300 {
            self.finish_disk();
            let refuses = self.up().scheduler.store().refusal().is_some();
            if !refuses && !self.model.has_unanswered() && !self.model.has_deferred() {
                return;
            }
            self.pass(Duration::from_secs(1));
        }
        panic!("changes are still refused, or wait, minutes after the disk is well again");
    }
}
