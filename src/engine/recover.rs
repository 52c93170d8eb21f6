//! The first thing after a start: what passed while nobody looked.

use jiff::Timestamp;

use super::calendar::plan_after_restart;
use super::fire::{end, retry_at, wait_for_retry};
use super::table::{Slot, Unrecorded};
use super::{Engine, Event, EventKind, Turn, Verdict};
use crate::job::{GoDuration, Job, Phase, Progress};

const INTERRUPTED: &str = "interrupted by a restart";

impl Engine {
    /// Brings all jobs from where the last process left them to `now`. To be called once, after
    /// all records of the store were applied and before the first turn. What changed goes into records bite by bite,
    /// but for a new plan that is all that did: after a crash the next recovery makes one as good. Says whether there
    /// is such a one, for a snapshot to show.
    pub fn recover(&mut self, now: Timestamp, turn: &mut Turn) -> bool {
        self.is_loading = false;
        let mut has_new_plan = false;
        let slots: Vec<Slot> = self.table.slots().collect();
        for slot in slots {
            let mut job = self.table.at(slot).job.clone();
            let events = turn.events.len();
            turn.events.extend(recovered(&mut job, now));
            let is_told = turn.events.len() > events;
            if is_told || is_found_once(&self.table.at(slot).job.progress, &job.progress) {
                self.change(slot, |present| present.progress = job.progress);
            } else {
                let present = &mut self.table.at_mut(slot).job.progress;
                has_new_plan |= *present != job.progress;
                *present = job.progress;
                self.index(slot);
            }
            self.fire_held(slot, now);
        }
        self.queue_by_age();
        self.late = std::mem::take(&mut self.changed).into();
        for slot in &self.late {
            self.table.at_mut(*slot).unrecorded = Unrecorded::Late;
        }
        has_new_plan
    }

    /// A snapshot lists its jobs by id; what has waited longest for a worker goes first again.
    fn queue_by_age(&mut self) {
        let mut queued: Vec<Slot> = std::mem::take(&mut self.queue).into_values().collect();
        queued.sort_by_key(|slot| self.table.at(*slot).job.progress.state.run.as_ref().map(|run| run.began_at));
        for slot in queued {
            self.table.at_mut(slot).queued = None;
            self.index(slot);
        }
    }
}

/// Whether a later recovery, by another time, would come to something else: that an instant was taken, and where a grid
/// begins of which nothing else tells.
fn is_found_once(before: &Progress, after: &Progress) -> bool {
    let begins_now = before.next_run_at.is_none() && before.state.anchor != after.state.anchor;
    begins_now || before.state.fired != after.state.fired
}

fn recovered(job: &mut Job, now: Timestamp) -> impl Iterator<Item = Event> + use<> {
    let missed = plan_after_restart(job, now);
    let missed = missed.map(|scheduled_at| Event::new(job, EventKind::Missed { scheduled_at }));
    let interrupted = match job.progress.state.run.as_deref() {
        // The attempt was cut off; that counts as a broken answer.
        Some(run) if run.phase == Phase::InFlight => {
            if i64::from(run.attempts) > job.spec.max_retries {
                end(job, Verdict::Final, INTERRUPTED)
            } else {
                let until = retry_at(&job.spec, GoDuration::ZERO, now);
                wait_for_retry(job, until, now, INTERRUPTED)
            }
        }
        _ => None,
    };
    missed.into_iter().chain(interrupted)
}
