//! Every due time has exactly one outcome, by counting: whatever the model thinks of a job, the instants of its schedule
//! are listed one by one, and each is looked for among its records.
//!
//! What "has passed" means where clocks step is told by the job alone: what lies before the next fire that it plans, or
//! before what it still has to account for. That this is no later than it should be is for the rest of the model. Not
//! listed is an `after`, whose due times nobody knows beforehand, and a schedule that stood in a file from the start,
//! of which nobody knows where it began.

use std::collections::VecDeque;

use jiff::Timestamp;
use ksana::job::{Job, Run, RunRecord, Schedule, Status, Trigger};
use uuid::Uuid;

use crate::{missed, rules};

/// A schedule from when it was set.
#[derive(Debug)]
pub(crate) struct Period {
    /// `None` where it stood in a file.
    set_at: Option<Timestamp>,
    /// How many outcomes there were before.
    pub(crate) from: usize,
    /// Runs of the schedule before it that were going.
    carried: Vec<Uuid>,
}

/// How far a schedule is accounted for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    /// It goes on.
    Now,
    /// It ended then, and what was due by then has an outcome.
    End(Timestamp),
}

/// Due times with one outcome.
#[derive(Clone, Copy, Debug)]
struct Covered {
    first: Timestamp,
    last: Timestamp,
    count: u64,
    is_begun: bool,
}

impl Period {
    /// One that stood in a file.
    pub(crate) fn of_file() -> Self {
        Self { set_at: None, from: 0, carried: Vec::new() }
    }

    pub(crate) fn begin(job: &Job, now: Timestamp, from: usize) -> Self {
        let carried = job.progress.state.runs_going.iter().map(|run| run.id).collect();
        Self { set_at: Some(now), from, carried }
    }

    /// Checks the outcomes since it began; the job is as it is now, or was before its end.
    pub(crate) fn check(&self, job: &Job, outcomes: &[&RunRecord], until: Until) {
        let mut covered = Vec::new();
        let mut spare = Vec::new();
        let mut carried = self.carried.clone();
        for outcome in outcomes.iter().filter(|outcome| outcome.trigger != Trigger::Manual) {
            let has_run = !matches!(outcome.status, Status::Skipped | Status::Missed);
            if let Some(index) = carried.iter().position(|id| has_run && *id == outcome.run_id) {
                carried.swap_remove(index);
                // A schedule that was set anew may name its instant once more, and takes it for its own.
                spare.push(outcome.scheduled_at);
                continue;
            }
            let last = outcome.stretch.map_or(outcome.scheduled_at, |stretch| stretch.last_scheduled_at);
            covered.push(Covered { first: outcome.scheduled_at, last, count: outcome.count(), is_begun: false });
        }
        // At the end of a schedule its runs go on, but those that wait behind them, or whose job is deleted.
        let is_over = |run: &&Run| outcomes.iter().any(|outcome| outcome.run_id == run.id);
        let going = job.progress.state.runs_going.iter().filter(|run| run.trigger != Trigger::Manual);
        for run in going {
            if carried.contains(&run.id) {
                spare.push(run.scheduled_at);
            } else if !is_over(&run) {
                covered.push(Covered { first: run.scheduled_at, last: run.scheduled_at, count: 1, is_begun: false });
            }
        }
        if let Until::Now = until {
            let made_up = job.progress.state.catch_up.iter().flat_map(|catch_up| &catch_up.spans);
            covered.extend(made_up.map(|span| Covered {
                first: span.next,
                last: span.last,
                count: span.left.into(),
                is_begun: false,
            }));
        }
        covered.sort_by_key(|covered| covered.first);
        let Some(set_at) = self.set_at else { return };
        match job.spec.schedule {
            Schedule::Once { run_at } => {
                check_all([run_at].into_iter(), covered, &spare, once_passed(job, run_at, until));
            }
            Schedule::After { .. } => {}
            Schedule::Every { .. } | Schedule::Cron { .. } => {
                // Where a clock steps back before the first fire, it begins earlier.
                let earliest = covered.first().map(|covered| covered.first);
                let first = rules::first_after(job, set_at);
                let first = first.map(|first| earliest.map_or(first, |earliest| first.min(earliest)));
                let instants = first.into_iter().flat_map(|first| missed::from(job, first));
                check_all(instants, covered, &spare, passed(job, until));
            }
        }
    }
}

/// Up to where, and not further, each instant has its outcome.
fn passed(job: &Job, until: Until) -> Passed {
    let state = &job.progress.state;
    let planned = state.planned.or(job.progress.next_run_at);
    let open = match until {
        // The end accounts for what passed before the next fire.
        Until::End(_) if job.progress.enabled => None,
        _ => state.missed_from,
    };
    match (open.or(planned), until) {
        (Some(next), Until::End(end)) if next <= end => Passed::Upto(Some(end)),
        (Some(next), _) => Passed::Before(next),
        // It is over: all that it names has passed, or what did before the last of its runs.
        (None, _) if rules::has_had_all_runs(job) => Passed::Upto(state.fired),
        (None, _) => Passed::All,
    }
}

fn once_passed(job: &Job, run_at: Timestamp, until: Until) -> Passed {
    let is_taken = job.progress.state.fired == Some(run_at);
    let has_ended = matches!(until, Until::End(end) if run_at <= end);
    if is_taken || has_ended { Passed::All } else { Passed::Before(run_at) }
}

#[derive(Clone, Copy, Debug)]
enum Passed {
    All,
    Before(Timestamp),
    Upto(Option<Timestamp>),
}

impl Passed {
    fn holds(self, instant: Timestamp) -> bool {
        match self {
            Self::All => true,
            Self::Before(end) => instant < end,
            Self::Upto(end) => end.is_some_and(|end| instant <= end),
        }
    }
}

/// Goes through the instants: each that has passed is covered once, the others not at all, and nothing else is covered.
fn check_all(instants: impl Iterator<Item = Timestamp>, covered: Vec<Covered>, spare: &[Timestamp], passed: Passed) {
    let mut covered = VecDeque::from(covered);
    for instant in instants.take_while(|instant| passed.holds(*instant)) {
        let has_outcome = take(&mut covered, instant) || spare.contains(&instant);
        assert!(has_outcome, "the due time {instant} has no outcome, and the next one has {:?}", covered.front());
    }
    assert!(
        covered.is_empty(),
        "what has not passed, or was never due, or has one already, has an outcome: {covered:?}"
    );
}

/// Takes an instant out of what is covered next, where it is in there. Of a stretch that has begun all that follow are.
fn take(covered: &mut VecDeque<Covered>, instant: Timestamp) -> bool {
    let Some(next) = covered.front_mut().filter(|next| next.first <= instant) else { return false };
    assert!(next.is_begun || next.first == instant, "{next:?} begins where nothing was due");
    assert!(instant <= next.last, "{next:?} ends where nothing was due");
    next.is_begun = true;
    next.count -= 1;
    let is_last = instant == next.last;
    assert_eq!(next.count == 0, is_last, "{next:?} counts wrong: it has come to {instant}");
    if is_last {
        covered.pop_front();
    }
    true
}
