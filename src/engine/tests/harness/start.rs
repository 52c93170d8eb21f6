//! A process that begins where the last one was killed.

use super::super::records::{check_only_planned, jobs_of};
use super::super::words::{passed, told};
use super::World;
use crate::engine::{Engine, EventKind, Record, Turn};

impl World {
    pub(super) fn start_again(&mut self) {
        let mut engine = Engine::new(self.workers);
        // The jobs as a snapshot lists them, then records that the snapshot holds already.
        for job in jobs_of(&self.shadow) {
            engine.apply(Record::Put(job));
        }
        for record in &self.journal[self.journal.len() / 2..] {
            engine.apply(record.clone());
        }
        assert_eq!(jobs_of(&engine), jobs_of(&self.shadow), "records of the past end in the same");
        let mut turn = Turn::default();
        let has_new_plan = engine.recover(self.now);
        let records = engine.take_records(usize::MAX, self.now, &mut turn);
        self.only_planned.clear();
        if has_new_plan {
            self.plan_without_records(&engine, &records);
        }
        self.engine = Some(engine);
        self.write_down(records);
        for event in &turn.events {
            let word = match event.kind {
                EventKind::Ended { .. } => Some("lost".to_owned()),
                _ => told(event),
            };
            if let Some(word) = word {
                self.saw(event.spec.id.as_str(), word);
            }
            self.passed.extend(passed(event));
        }
        self.turn(Vec::new(), None);
    }

    /// What was planned anew goes into no record: a snapshot shows it, if it comes to that, and the records before
    /// are gone then.
    fn plan_without_records(&mut self, engine: &Engine, records: &[Record]) {
        if !self.has_no_snapshots {
            self.journal.clear();
        }
        for job in engine.jobs().filter(|job| records.iter().all(|record| record.id() != &job.spec.id)) {
            check_only_planned(self.shadow.job(&job.spec.id).expect("a recovery makes no job"), job);
            if self.has_no_snapshots {
                self.only_planned.insert(job.spec.id.clone());
            } else {
                self.shadow.apply(Record::Put(job.clone()));
            }
        }
    }
}
