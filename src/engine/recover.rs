//! The first thing after a start: what passed while nobody looked.

use jiff::Timestamp;

use super::account::drop_catch_up;
use super::attempt::{cut_short, end, retry_at, wait_for_retry};
use super::calendar::plan_after_restart;
use super::fire::{end_pause, follow_up};
use super::table::{Place, Slot, Unrecorded};
use super::{Engine, Event, Missed, Verdict};
use crate::job::{ErrorClass, GoDuration, Job, Phase, Progress, State};

const INTERRUPTED: &str = "interrupted by a restart";

impl Engine {
    /// Brings all jobs from where the last process left them to `now`. To be called once, after
    /// all records of the store were applied and before the first turn. What changed goes into records bite by bite, and
    /// is told then, but for a new plan that is all that did: after a crash the next recovery makes one as good. Says
    /// whether there is such a one, for a snapshot to show.
    pub fn recover(&mut self, now: Timestamp) -> bool {
        self.is_loading = false;
        self.found_at = now;
        let mut has_new_plan = false;
        let slots: Vec<Slot> = self.table.slots().collect();
        for slot in slots {
            let mut job = self.table.at(slot).job.clone();
            let mut events = Vec::new();
            recovered(&mut job, now, &mut events);
            if !events.is_empty() || is_found_once(&self.table.at(slot).job.progress, &job.progress) {
                self.change(slot, |present| present.progress = job.progress);
            } else {
                let present = &mut self.table.at_mut(slot).job.progress;
                has_new_plan |= *present != job.progress;
                *present = job.progress;
                self.index(slot);
            }
            if !events.is_empty() {
                // It may be one of each job.
                events.shrink_to_fit();
                self.found.insert(slot, events);
            }
            let Progress { enabled, ref state, .. } = self.table.at(slot).job.progress;
            if enabled && state.missed_from.is_some() {
                self.open.push_back(slot);
            }
        }
        self.queue_by_age();
        // Nobody has seen them before.
        self.switched.clear();
        self.late = std::mem::take(&mut self.changed).into();
        for slot in &self.late {
            self.table.at_mut(*slot).unrecorded = Unrecorded::Late;
        }
        has_new_plan
    }

    /// A snapshot lists its jobs by id; what has waited longest for a worker goes first again.
    fn queue_by_age(&mut self) {
        let queued = std::mem::take(&mut self.queue).into_values();
        let mut queued: Vec<_> = queued
            .filter_map(|(slot, id)| {
                let runs = &self.table.at(slot).job.progress.state.runs_going;
                Some((runs.iter().find(|run| run.id == id)?.began_at, slot, id))
            })
            .collect();
        queued.sort_by_key(|(began_at, ..)| *began_at);
        for (number, (_, slot, run)) in (0..).zip(queued) {
            let places = &mut self.table.at_mut(slot).places;
            places.retain(|(placed, _)| *placed != run);
            places.push((run, Place::Queue(number)));
            self.queue.insert(number, (slot, run));
            self.queue_end = number + 1;
        }
    }
}

/// Whether a later recovery, by another time, would come to something else: that an instant was taken or a run begun,
/// and where a grid begins of which nothing else tells.
fn is_found_once(before: &Progress, after: &Progress) -> bool {
    let begins_now = before.next_run_at.is_none() && before.state.anchor != after.state.anchor;
    let found = |state: &State| (state.fired, state.held, state.catch_up.clone(), state.runs_going.clone());
    begins_now || before.enabled != after.enabled || found(&before.state) != found(&after.state)
}

fn recovered(job: &mut Job, now: Timestamp, events: &mut Vec<Event>) {
    if !job.progress.enabled {
        // A hand has stopped the job in its file.
        drop_catch_up(job, Missed::Paused, events);
    }
    end_pause(job, now, events);
    if let Some(scheduled_at) = plan_after_restart(job, now, events) {
        events.push(Event::missed(job, scheduled_at, Missed::Down));
    }
    let runs = job.progress.state.runs_going.iter();
    // The attempt was cut off; that counts as a broken answer.
    let cut_off: Vec<_> = runs.filter(|run| run.phase == Phase::InFlight).cloned().collect();
    for run in cut_off {
        cut_short(job, run.id, ErrorClass::Interrupted, INTERRUPTED);
        if let Some(until) = retry_at(&job.spec, &run, GoDuration::ZERO, now) {
            wait_for_retry(job, run.id, until, now, INTERRUPTED, events);
        } else {
            end(job, run.id, Verdict::Final, INTERRUPTED, events);
        }
    }
    follow_up(job, now, events);
}
