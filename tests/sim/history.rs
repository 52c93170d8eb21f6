//! All that a crash may bring back of one job.

use std::collections::VecDeque;
use std::rc::Rc;

use jiff::Timestamp;
use ksana::job::{Job, RunRecord, Trigger};
use uuid::Uuid;

use crate::due_times::{Period, Until};
use crate::found::Found;
use crate::outcomes::Tracked;
use crate::rules;

/// What a job was at one time; `None` where there was none.
#[derive(Clone, Debug)]
struct Past {
    number: u64,
    job: Option<Job>,
    /// How many of the outcomes had arisen.
    outcomes: usize,
    /// Its schedule, since that was set.
    period: Option<Rc<Period>>,
}

/// When a process began, and what the one before it died of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct After {
    pub(crate) now: Timestamp,
    pub(crate) power_cut: bool,
}

/// What came of a due time.
#[derive(Clone, Debug)]
struct Outcome {
    record: RunRecord,
    /// The disk refused it, and it waits in memory for room. A snapshot may show its job as it is then, and the end of
    /// the process takes it along: of this alone nothing is promised.
    is_held_back: bool,
    /// It was, and is written by now, but perhaps not fsynced: of this a power cut may take what a snapshot shows.
    is_loose: bool,
    /// That has happened.
    is_gone: bool,
}

/// What a job was, from the oldest that a power cut may leave to the present.
#[derive(Debug)]
pub(crate) struct History {
    past: VecDeque<Past>,
    /// All that came of it, in its order.
    outcomes: Vec<Outcome>,
    /// The runs that were asked for, each with the state that it made.
    asked_for: Vec<(u64, Uuid)>,
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
            past: VecDeque::from([Past { number: 0, job: None, outcomes: 0, period: None }]),
            outcomes: Vec::new(),
            asked_for: Vec::new(),
            recorded: 0,
            commanded: 0,
            is_plan_of_start: false,
        }
    }
}

impl History {
    /// Of a job that was there before all.
    pub(crate) fn of(job: Job) -> Self {
        let period = Some(Rc::new(Period::of_file()));
        Self { past: VecDeque::from([Past { number: 0, job: Some(job), outcomes: 0, period }]), ..Self::default() }
    }

    /// The job has become this at `now`, and that came of it. Numbers grow.
    pub(crate) fn remember(&mut self, number: u64, job: Option<Job>, outcomes: Vec<RunRecord>, now: Timestamp) {
        let outcome = |record| Outcome { record, is_held_back: false, is_loose: false, is_gone: false };
        self.outcomes.extend(outcomes.into_iter().map(outcome));
        let before = self.past.back().expect("a history is never empty");
        let schedule_of = |job: Option<&Job>| job.map(|job| job.spec.schedule.clone());
        let is_same = schedule_of(before.job.as_ref()) == schedule_of(job.as_ref());
        if !is_same {
            self.check_due_times(before, Until::End(now));
        }
        let begun = || job.as_ref().map(|job| Rc::new(Period::begin(job, now, self.outcomes.len())));
        let period = if is_same { before.period.clone() } else { begun() };
        self.past.push_back(Past { number, job, outcomes: self.outcomes.len(), period });
        self.is_plan_of_start = false;
    }

    /// A client was told that this run begins, with the present state.
    pub(crate) fn ask_for(&mut self, run: Uuid) {
        self.asked_for.push((self.present(), run));
    }

    /// Holds all outcomes against the due times of the job, and against the runs that were asked for.
    pub(crate) fn check_outcomes(&self) {
        let present = self.past.back().expect("a history is never empty");
        self.check_due_times(present, Until::Now);
        let is_manual = |outcome: &&Outcome| outcome.record.trigger == Trigger::Manual;
        let ended = self.outcomes.iter().filter(is_manual).map(|outcome| outcome.record.run_id);
        let going = present.job.iter().flat_map(|job| &job.progress.state.runs_going);
        let going = going.filter(|run| run.trigger == Trigger::Manual).map(|run| run.id);
        let mut known: Vec<Uuid> = ended.chain(going).collect();
        let mut asked_for: Vec<Uuid> = self.asked_for.iter().map(|(_, run)| *run).collect();
        known.sort();
        asked_for.sort();
        assert_eq!(known, asked_for, "the runs that are over or go, and those that were asked for");
    }

    fn check_due_times(&self, past: &Past, until: Until) {
        let Past { job: Some(job), period: Some(period), .. } = past else { return };
        let outcomes: Vec<&RunRecord> = self.outcomes[period.from..].iter().map(|outcome| &outcome.record).collect();
        period.check(job, &outcomes, until);
    }

    fn present(&self) -> u64 {
        self.past.back().expect("a history is never empty").number
    }

    /// The present state is written down, if it ever is.
    pub(crate) fn record(&mut self) {
        if !self.is_plan_of_start {
            self.recorded = self.present();
            self.outcomes.iter_mut().for_each(|outcome| outcome.is_held_back = false);
        }
    }

    /// What is not written down yet could not be.
    pub(crate) fn hold_back(&mut self) {
        let written = self.past.iter().find(|past| past.number == self.recorded).map_or(0, |past| past.outcomes);
        for outcome in &mut self.outcomes[written..] {
            (outcome.is_held_back, outcome.is_loose) = (true, true);
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
        if let Some(past) = self.past.front().filter(|past| past.number == state) {
            self.outcomes[..past.outcomes].iter_mut().for_each(|outcome| outcome.is_loose = false);
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

    /// Whether these are the outcomes that lead to a state.
    fn lead_to(&self, past: &Past, runs: &[RunRecord], after_power_cut: bool) -> bool {
        let mut runs = runs.iter().peekable();
        let mut all = self.outcomes[..past.outcomes].iter().filter(|outcome| !outcome.is_gone);
        let may_miss = |outcome: &Outcome| outcome.is_held_back || (after_power_cut && outcome.is_loose);
        all.all(|outcome| runs.next_if_eq(&&outcome.record).is_some() || may_miss(outcome)) && runs.next().is_none()
    }

    /// Checks what lies on a disk.
    pub(crate) fn check(&self, id: &str, found: &Found, after_power_cut: bool) {
        let (job, runs) = (found.jobs.get(id), found.runs_of(id));
        let mut possible = self.possible(after_power_cut);
        let is_possible = possible.any(|past| past.job.as_ref() == job && self.lead_to(past, runs, after_power_cut));
        assert!(is_possible, "{}", self.told(id, job, runs, after_power_cut));
    }

    /// A new process has found this at `now`, and made something of it, with this number. Goes back to where that
    /// came from; where several states look so, each of them may be it.
    pub(crate) fn restart(&mut self, id: &str, number: u64, (found, made): (&Found, Option<&Job>), after: After) {
        let After { now, power_cut } = after;
        let (job, runs) = (found.jobs.get(id), found.runs_of(id));
        let is_source = |past: &&Past| past.job.as_ref() == job && self.lead_to(past, runs, power_cut);
        let sources: VecDeque<Past> = self.possible(power_cut).filter(is_source).cloned().collect();
        let (Some(first), Some(last)) = (sources.front(), sources.back()) else {
            panic!("{}", self.told(id, job, runs, power_cut));
        };
        let restarted = last.job.clone().map(|job| {
            let mut job = Tracked::new(job);
            rules::restart(&mut job, now);
            job.into_parts(now)
        });
        let (restarted, outcomes) = restarted.unzip();
        assert_eq!(made, restarted.as_ref(), "of {id} a start made something else, from {job:#?}");
        self.recorded = first.number;
        // Where the last command may be gone, nobody is told of more than is there for sure.
        self.commanded = self.commanded.min(first.number);
        let is_plan_of_start = is_new_plan(job, made);
        let Past { number: last, outcomes: had, .. } = *last;
        if power_cut {
            // What a cut left is on the disk for good.
            self.past = sources;
        }
        self.past.retain(|past| past.number <= last);
        self.go_back_to(had, runs);
        self.asked_for.retain(|(number, _)| *number <= last);
        self.remember(number, restarted, outcomes.unwrap_or_default(), now);
        self.is_plan_of_start = is_plan_of_start;
    }

    /// These runs are what is there of so many outcomes: what was held back may be gone.
    fn go_back_to(&mut self, outcomes: usize, runs: &[RunRecord]) {
        let mut runs = runs.iter().peekable();
        self.outcomes.truncate(outcomes);
        for outcome in &mut self.outcomes {
            outcome.is_gone |= runs.next_if_eq(&&outcome.record).is_none();
            // A start fsyncs what it finds.
            (outcome.is_held_back, outcome.is_loose) = (false, false);
        }
    }

    fn told(&self, id: &str, job: Option<&Job>, runs: &[RunRecord], after_power_cut: bool) -> String {
        let possible: Vec<_> = self.possible(after_power_cut).collect();
        if let Some(past) = possible.iter().rfind(|past| past.job.as_ref() == job) {
            let known = &self.outcomes[..past.outcomes];
            let same = known.iter().zip(runs).take_while(|(outcome, run)| outcome.record == **run).count();
            let (known, runs) = (&known[same..], &runs[same..]);
            return format!(
                "of {id} {same} outcomes are as they should be, then was found\n  {runs:#?}\nand not\n  {known:#?}\nof\n  {job:#?}"
            );
        }
        let possible: Vec<_> = possible.into_iter().map(|past| past.job.as_ref()).collect();
        format!("of {id} was found\n  {job:?}\nand possible was\n  {possible:#?}")
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
