//! All that a crash may bring back of one job.

use std::collections::VecDeque;

use jiff::Timestamp;
use ksana::job::Job;

use crate::rules;

/// What a job was at one time; `None` where there was none.
#[derive(Clone, Debug)]
struct Past {
    number: u64,
    job: Option<Job>,
}

/// What a job was, from the oldest that a power cut may leave to the present.
#[derive(Debug)]
pub(crate) struct History {
    past: VecDeque<Past>,
    /// The one that a killed process leaves at least.
    recorded: u64,
    /// The last one that a client made.
    commanded: u64,
    /// A start has made the present state, and it goes into no record.
    is_plan_of_start: bool,
}

impl Default for History {
    /// Before a job is made there is none.
    fn default() -> Self {
        Self {
            past: VecDeque::from([Past { number: 0, job: None }]),
            recorded: 0,
            commanded: 0,
            is_plan_of_start: false,
        }
    }
}

impl History {
    /// Of a job that was there before all.
    pub(crate) fn of(job: Job) -> Self {
        Self { past: VecDeque::from([Past { number: 0, job: Some(job) }]), ..Self::default() }
    }

    /// The job has become this. Numbers grow.
    pub(crate) fn remember(&mut self, number: u64, job: Option<Job>) {
        self.past.push_back(Past { number, job });
        self.is_plan_of_start = false;
    }

    fn present(&self) -> u64 {
        self.past.back().expect("a history is never empty").number
    }

    /// The present state is written down, if it ever is.
    pub(crate) fn record(&mut self) {
        if !self.is_plan_of_start {
            self.recorded = self.present();
        }
    }

    /// The present state is a client's doing.
    pub(crate) fn command(&mut self) {
        self.commanded = self.present();
    }

    /// The last state that was a client's doing.
    pub(crate) fn commanded(&self) -> u64 {
        self.commanded
    }

    /// A state is acknowledged: nothing older may come back.
    pub(crate) fn acknowledge(&mut self, state: u64) {
        while self.past.front().is_some_and(|past| past.number < state) {
            self.past.pop_front();
        }
        self.recorded = self.recorded.max(state);
    }

    /// Nothing older than the present may come back.
    pub(crate) fn forget_all_but_the_present(&mut self) {
        self.acknowledge(self.present());
    }

    /// After a power cut whatever was not acknowledged may be gone, after a kill only what could
    /// not be written.
    fn possible(&self, after_power_cut: bool) -> impl Iterator<Item = &Past> {
        self.past.iter().filter(move |past| after_power_cut || past.number >= self.recorded)
    }

    /// Checks what lies on a disk.
    pub(crate) fn check(&self, id: &str, found: Option<&Job>, after_power_cut: bool) {
        let is_possible = self.possible(after_power_cut).any(|past| past.job.as_ref() == found);
        assert!(is_possible, "{}", self.told(id, found, after_power_cut));
    }

    /// A new process has made this, with this number, of what it found at `now`. Goes back to where that came
    /// from; where several states would have given the same, each of them may be it.
    pub(crate) fn restart(
        &mut self,
        id: &str,
        (number, found): (u64, Option<&Job>),
        now: Timestamp,
        after_power_cut: bool,
    ) {
        let restarted = |past: &Past| {
            let mut job = past.job.clone();
            if let Some(job) = &mut job {
                rules::restart(job, now);
            }
            job
        };
        let sources = self.possible(after_power_cut).filter(|past| restarted(past).as_ref() == found);
        let sources: VecDeque<Past> = sources.cloned().collect();
        let (Some(first), Some(last)) = (sources.front(), sources.back()) else {
            panic!("{}", self.told(id, found, after_power_cut));
        };
        self.recorded = first.number;
        // Where the last command may be gone, nobody is told of more than is there for sure.
        self.commanded = self.commanded.min(first.number);
        let is_plan_of_start = sources.iter().any(|past| is_new_plan(past.job.as_ref(), found));
        let last = last.number;
        if after_power_cut {
            // What a cut left is on the disk for good.
            self.past = sources;
        }
        self.past.retain(|past| past.number <= last);
        self.remember(number, found.cloned());
        self.is_plan_of_start = is_plan_of_start;
    }

    fn told(&self, id: &str, found: Option<&Job>, after_power_cut: bool) -> String {
        let possible: Vec<_> = self.possible(after_power_cut).map(|past| past.job.as_ref()).collect();
        format!("of {id} was found\n  {found:?}\nand possible was\n  {possible:#?}")
    }
}

/// Whether a start has only planned anew.
fn is_new_plan(before: Option<&Job>, after: Option<&Job>) -> bool {
    let told = |job: &Job| {
        let progress = job.progress.clone();
        (progress.last_status, progress.last_error, progress.state.fired, progress.state.runs_going)
    };
    // How many instants have passed is found out when its record is made.
    let has_passed = after.is_some_and(|job| job.progress.enabled && job.progress.state.missed_from.is_some());
    let anchor = |job: &Job| job.progress.state.anchor;
    let begins_now =
        before.is_some_and(|job| job.progress.next_run_at.is_none()) && before.map(anchor) != after.map(anchor);
    before != after && before.map(told) == after.map(told) && !begins_now && !has_passed
}
