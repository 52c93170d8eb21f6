//! What a simulation has to tell.

use std::collections::VecDeque;
use std::thread;

/// What happened in a simulation, to see that it is no idle one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) turns: u64,
    pub(crate) runs: u64,
    /// Of them, those of fires that were missed first.
    pub(crate) made_up: u64,
    /// Attempts whose runs were cancelled, or whose jobs were deleted.
    pub(crate) let_go: u64,
    pub(crate) acknowledged: u64,
    pub(crate) crashes: u64,
    pub(crate) power_cuts: u64,
    pub(crate) snapshots: u64,
    pub(crate) refused: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.turns += other.turns;
        self.runs += other.runs;
        self.made_up += other.made_up;
        self.let_go += other.let_go;
        self.acknowledged += other.acknowledged;
        self.crashes += other.crashes;
        self.power_cuts += other.power_cuts;
        self.snapshots += other.snapshots;
        self.refused += other.refused;
    }
}

/// The last things that happened, told where a check fails.
#[derive(Debug)]
pub(crate) struct Story {
    is_told: bool,
    lines: VecDeque<String>,
}

impl Story {
    pub(crate) fn new(is_told: bool) -> Self {
        Self { is_told, lines: VecDeque::new() }
    }

    /// Whether anybody will want to hear it.
    pub(crate) fn is_told(&self) -> bool {
        self.is_told
    }

    pub(crate) fn tell(&mut self, what: impl FnOnce() -> String) {
        if self.is_told {
            if self.lines.len() == STORY_LINES {
                self.lines.pop_front();
            }
            self.lines.push_back(what());
        }
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        if thread::panicking() {
            self.lines.iter().for_each(|line| eprintln!("{line}"));
        }
    }
}

const STORY_LINES: usize = 60;
