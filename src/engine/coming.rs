//! The fires that are to come of a job: its own rules take one after the other, on a copy that nobody keeps.

use std::iter;

use jiff::Timestamp;

use super::calendar::plan_from;
use super::fire::fire;
use crate::job::{Job, Schedule};

/// A fire that is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coming {
    /// The instant of the schedule.
    pub instant: Timestamp,
    /// When it is due: later than the instant by its share of the jitter.
    pub due_at: Timestamp,
}

/// What is due after `time`, in its order, if nothing gets in the way: a paused job is taken for one that is resumed then,
/// and each run ends before the next begins. Of an `after` it is one, the next comes so long after its
/// end; and none while a run goes. So `max_runs` counts from `time` on, behind the runs that there were.
///
/// Of a plan that lies ahead the jitter may have begun: the first instant is then earlier than `time`.
pub fn coming(mut job: Job, time: Timestamp) -> impl Iterator<Item = Coming> {
    let time = job.progress.paused_until.map_or(time, |until| time.max(until));
    let (shown, planned) = (job.progress.next_run_at, job.progress.state.planned);
    let waits_for_end = matches!(job.spec.schedule, Schedule::After { .. }) && job.progress.state.is_running();
    job.progress.state.runs_going.clear();
    job.progress.state.catch_up = None;
    job.progress.enabled = true;
    plan_from(&mut job, time);
    let anew = job.progress.state.planned.or(job.progress.next_run_at);
    if shown.is_some_and(|due| due > time) && anew.is_none_or(|anew| planned.or(shown) <= Some(anew)) {
        job.progress.enabled = true;
        (job.progress.next_run_at, job.progress.state.planned) = (shown, planned);
    }
    iter::from_fn(move || {
        let due_at = job.progress.next_run_at.filter(|_| !waits_for_end)?;
        fire(&mut job, due_at, due_at, &mut Vec::new());
        let run = job.progress.state.runs_going.pop()?;
        Some(Coming { instant: run.scheduled_at, due_at: run.due_at })
    })
}
