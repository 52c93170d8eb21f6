//! What the service does of its own choice in a turn: which jobs fire, and which runs get a worker.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use ksana::job::{Job, Phase, Trigger};
use uuid::Uuid;

use super::{Model, Seen};
use crate::outcomes::Tracked;
use crate::{attempts, runs};

impl Model {
    /// Fires a bite of what is due: who has been due for longest comes first.
    pub(super) fn fire(&mut self, seen: &Seen, touched: &mut BTreeSet<String>) {
        let due = |job: &&mut Tracked| runs::next_due(job).filter(|due| *due <= seen.now);
        let jobs = self.jobs.values_mut().filter_map(|job| Some((due(&job)?, job)));
        let (left, fired): (Vec<_>, Vec<_>) = jobs.partition(|(_, job)| seen.left.contains(job.spec.id.as_str()));
        let all = left.len() + fired.len();
        assert_eq!(fired.len(), all.min(self.bites.fires), "of {all} that were due");
        let last = fired.iter().map(|(due, _)| *due).max();
        assert!(left.iter().all(|(due, _)| last <= Some(*due)), "one waits longer than another that was fired");
        for (_, job) in fired {
            runs::take_due(job, seen.now);
            touched.insert(job.spec.id.to_string());
        }
        let ids: Vec<String> = self.jobs.keys().cloned().collect();
        for id in ids {
            self.place(&id);
        }
    }

    /// A run that waits for a worker has done so since this turn at least, and an attempt whose run is gone is let go.
    pub(super) fn place(&mut self, id: &str) {
        let phases: BTreeMap<Uuid, Phase> = self.jobs.get(id).map_or_else(BTreeMap::new, |job| {
            job.progress.state.runs_going.iter().map(|run| (run.id, run.phase)).collect()
        });
        // Who comes in the place of one that waited has waited as long.
        let gone = self.queued.extract_if(.., |(job, run), _| job == id && phases.get(run) != Some(&Phase::Queued));
        let mut freed: BTreeSet<u64> = gone.map(|(_, since)| since).collect();
        let runs = self.jobs.get(id).into_iter().flat_map(|job| &job.progress.state.runs_going);
        for run in runs.filter(|run| run.phase == Phase::Queued) {
            let since = self.queued.entry((id.to_owned(), run.id));
            since.or_insert_with(|| freed.pop_first().unwrap_or(self.turn));
        }
        for flight in self.flights.values_mut() {
            let is_gone = |(job, run): &(String, Uuid)| job == id && phases.get(run) != Some(&Phase::InFlight);
            self.let_go += u64::from(flight.take_if(|flight| is_gone(flight)).is_some());
        }
    }

    /// A worker was free for these, and their time was over.
    fn give_up(&mut self, seen: &Seen, touched: &mut BTreeSet<String>) {
        loop {
            // Who has waited longest goes first; of one job the run that began first.
            let given_up = self.queued.iter().filter_map(|((id, run), since)| {
                let job = &self.jobs[id];
                let index = job.progress.state.runs_going.iter().position(|going| going.id == *run)?;
                let is_over = attempts::is_over(job, &job.progress.state.runs_going[index], seen.now);
                (is_over && !seen.going.contains(run)).then(|| (*since, index, id.clone(), *run))
            });
            let Some((_, _, id, run)) = given_up.min() else { return };
            attempts::give_up(self.jobs.get_mut(&id).expect("it is there"), run, seen.now);
            self.place(&id);
            touched.insert(id);
        }
    }

    pub(super) fn start(&mut self, seen: &Seen, touched: &mut BTreeSet<String>) {
        self.give_up(seen, touched);
        for start in &seen.starts {
            let id = start.spec.id.as_str();
            let queued = (id.to_owned(), start.run_id);
            let since = self.queued.remove(&queued).unwrap_or_else(|| panic!("{id} was started and did not wait"));
            let longest = self.queued.values().min();
            assert!(longest.is_none_or(|longest| since <= *longest), "{id} was started before who waited longer");
            let job = self.jobs.get_mut(id).expect("what waits is there");
            let find = |job: &Job| job.progress.state.runs_going.iter().find(|run| run.id == start.run_id).cloned();
            let run = find(job).expect("what waits has a run");
            // What is made up for was due before a clock stepped back.
            let is_due = run.due_at <= seen.now || run.trigger == Trigger::CatchUp;
            assert!(is_due || run.attempts > 0 || run.began_at > seen.now, "{id} was started early");
            assert!(!attempts::is_over(job, &run, seen.now), "{id} was started late");
            let sent = attempts::begin_attempt(job, start.run_id, seen.now);
            let run = find(job).expect("it goes");
            assert_eq!(
                (start.attempt, start.scheduled_at, &*start.spec),
                (run.attempts, run.scheduled_at, &sent),
                "the attempt that was sent is not the one that is due"
            );
            assert_eq!(start.lateness, seen.now.duration_since(run.due_at));
            self.began += u64::from(run.attempts == 1);
            self.made_up += u64::from(run.attempts == 1 && run.trigger == Trigger::CatchUp);
            let is_new = self.flights.insert(start.token.0, Some(queued)).is_none();
            assert!(is_new, "one token names two attempts");
            touched.insert(id.to_owned());
        }
        assert!(self.flights.len() <= self.workers, "more attempts fly than there are workers");
        // Of a process that dies before the records are written nothing is sent.
        let rests_idle = !seen.dies && self.flights.len() < self.workers && !self.queued.is_empty();
        assert!(!rests_idle, "a worker is free and runs wait: {:?}", self.queued);
    }

    /// Who has waited longest for a worker is the first one again.
    pub(super) fn queue_by_age(&mut self) {
        let mut ages: Vec<(Timestamp, String, Uuid)> = Vec::new();
        for job in self.jobs.values() {
            let queued = job.progress.state.runs_going.iter().filter(|run| run.phase == Phase::Queued);
            ages.extend(queued.map(|run| (run.began_at, job.spec.id.to_string(), run.id)));
        }
        ages.sort();
        for as_old in ages.chunk_by(|one, other| one.0 == other.0) {
            self.turn += 1;
            for (_, id, run) in as_old {
                self.queued.insert((id.clone(), *run), self.turn);
            }
        }
    }
}
