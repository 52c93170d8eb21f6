//! What reaches the loop from outside, and what of it a turn has taken.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use ksana::clock::Clock;
use ksana::engine::{Outcome, Token, Verdict};
use ksana::executor::Report;
use ksana::job::{ErrorClass, GoDuration, Seen, Times};
use ksana::scheduler::Wake;
use uuid::Uuid;

use super::World;
use crate::model::{Asked, Back};
use crate::{missed, runs};

impl World {
    /// Some clients ask at once. What the clock's step made due is taken before: of a job that fires in
    /// a bite and changes in the same turn nobody could tell from outside whether it has fired.
    pub(super) fn ask(&mut self) {
        let now = self.clocks.now().wall;
        let life = self.tally.crashes;
        while !self.up().rests && self.tally.crashes == life && self.model.next_due().is_some_and(|due| due <= now) {
            self.turn(Wake::Time);
        }
        for _ in 0..=self.random.below(4) {
            if self.random.per_mille(750) {
                let (letter, asked) = self.clients.change(&mut self.random, now);
                self.story.tell(|| format!("ask {:?}", asked.ask));
                self.up().letters.try_send(letter).expect("there is room");
                self.sent.push_back(asked);
            } else {
                let question = self.clients.question(&mut self.random);
                question.check(&self.process.as_ref().expect("it is up").view, self.model.jobs());
            }
        }
    }

    /// Some attempts come back.
    pub(super) fn come_back(&mut self) {
        let is_back = |token: &Token| self.reports.iter().any(|back| back.token == *token);
        let flights: Vec<Token> = self.model.flights().filter(|token| !is_back(token)).collect();
        for token in flights {
            if self.random.per_mille(self.climate.quick_targets) {
                let outcome = self.outcome();
                let seen = self.seen(&outcome);
                let took = Duration::from_millis(1);
                let report = Report { token, outcome: outcome.clone(), seen: seen.clone(), took };
                self.up().reports.try_send(report).expect("there is room");
                self.story.tell(|| format!("{token:?} comes back: {outcome:?}"));
                self.reports.push_back(Back { token, outcome, seen });
            }
        }
    }

    fn outcome(&mut self) -> Outcome {
        match self.random.below(6) {
            0..=2 => Outcome::success(),
            3 => Outcome::new(Verdict::TimedOut, "timeout"),
            4 => Outcome::new(Verdict::Final, "status 404"),
            _ => {
                let rest =
                    self.random.per_mille(300).then(|| GoDuration::from_secs(self.random.below(30).cast_signed()));
                Outcome { verdict: Verdict::Retryable, error: "status 503".into(), retry_after: rest }
            }
        }
    }

    /// What such an attempt has seen of its target.
    fn seen(&mut self, outcome: &Outcome) -> Seen {
        let (http_status, error) = match outcome.verdict {
            Verdict::Success => (Some(200 + u16::from(self.random.per_mille(300))), None),
            Verdict::TimedOut => (None, Some(ErrorClass::Timeout)),
            Verdict::Final => (Some(404), Some(ErrorClass::Status)),
            Verdict::Retryable => (Some(503), Some(ErrorClass::Status)),
        };
        let is_long = self.random.per_mille(self.climate.long_answers);
        // A few of these are more than is kept of a job's runs.
        let body_bytes = if is_long { 60_000 } else { self.random.index(20) };
        let total = Some(Duration::from_micros(self.random.below(5_000_000)));
        Seen { http_status, error, times: Times { total, ..Times::default() }, body: "b".repeat(body_bytes).into() }
    }

    /// The reports that the last turn took.
    pub(super) fn take_reports(&mut self) -> Vec<Back> {
        let taken = self.reports.len() - self.up().reports.len();
        assert!(taken <= self.bites.reports, "a turn took {taken} reports");
        self.reports.drain(..taken).collect()
    }

    /// The changes that the last turn took.
    pub(super) fn take_sent(&mut self) -> Vec<Asked> {
        let taken = self.sent.len() - self.up().letters.len();
        assert!(taken <= self.bites.letters, "a turn took {taken} letters");
        self.sent.drain(..taken).collect()
    }

    /// Jobs that are due and that the last turn did not come to.
    pub(super) fn left_due(&mut self, now: Timestamp) -> BTreeSet<String> {
        let engine = self.up().scheduler.engine();
        let due = engine.jobs().filter(|job| runs::next_due(job).is_some_and(|due| due <= now));
        due.map(|job| job.spec.id.to_string()).collect()
    }

    /// Jobs that fire, of which it is still open how many instants passed while the service was down.
    pub(super) fn open(&mut self) -> BTreeSet<String> {
        let engine = self.up().scheduler.engine();
        engine.jobs().filter(|job| missed::is_down(job)).map(|job| job.spec.id.to_string()).collect()
    }

    /// The runs that go.
    pub(super) fn going(&mut self) -> BTreeSet<Uuid> {
        let engine = self.up().scheduler.engine();
        engine.jobs().flat_map(|job| &job.progress.state.runs_going).map(|run| run.id).collect()
    }
}
