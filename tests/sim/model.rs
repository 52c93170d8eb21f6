//! The second model: all jobs in a map, looked at one by one each time, and everything that they
//! ever were since it was surely on the disk.

mod fires;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Deref;

use async_channel::Receiver;
use jiff::Timestamp;
use ksana::engine::{Outcome, Refusal, Start, Token};
use ksana::job::{Job, RunRecord, Seen as SeenOfTarget};
use ksana::limits::Bites;
use uuid::Uuid;

use crate::asks::Ask;
use crate::found::Found;
use crate::history::{After, History};
use crate::outcomes::Tracked;
use crate::{attempts, missed, runs};

type Answer = Result<Job, Refusal>;

/// A change that a client waits for.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) ask: Ask,
    pub(crate) answer: Receiver<Answer>,
}

/// A change that is done, and not yet acknowledged.
#[derive(Debug)]
struct Done {
    id: String,
    /// Which of the job's states holds it.
    state: u64,
    job: Job,
    answer: Receiver<Answer>,
}

/// An attempt has come back.
#[derive(Clone, Debug)]
pub(crate) struct Back {
    pub(crate) token: Token,
    pub(crate) outcome: Outcome,
    pub(crate) seen: SeenOfTarget,
}

/// What happened in one turn, from outside.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) now: Timestamp,
    pub(crate) reports: Vec<Back>,
    pub(crate) starts: Vec<Start>,
    /// Whether the turn's write worked; `None` where nothing was written.
    pub(crate) written: Option<bool>,
    /// The service rests: it starts nothing.
    pub(crate) rests: bool,
    /// Jobs that are due and had to wait for the next turn.
    pub(crate) left: BTreeSet<String>,
    /// Jobs that fire, of which it is still open how many instants passed while the service was down.
    pub(crate) open: BTreeSet<String>,
    /// The runs that go after it.
    pub(crate) going: BTreeSet<Uuid>,
    /// The store refused changes when the turn began.
    pub(crate) refuses: bool,
    /// The process died in this turn: what it did and said counts for nothing, but may be found.
    pub(crate) dies: bool,
}

#[derive(Debug)]
pub(crate) struct Model {
    workers: usize,
    bites: Bites,
    jobs: BTreeMap<String, Tracked>,
    /// The same before the changes of the last turn, which are shown once they are written.
    shown: BTreeMap<String, Job>,
    histories: BTreeMap<String, History>,
    number: u64,
    /// In which turn each waiting run came into the queue.
    queued: BTreeMap<(String, Uuid), u64>,
    turn: u64,
    /// Attempts on their way; `None` where the run is gone since.
    flights: BTreeMap<u64, Option<(String, Uuid)>>,
    deferred: VecDeque<Asked>,
    done: Vec<Done>,
    /// How many runs began, for those who want to know whether anything happens at all.
    pub(crate) began: u64,
    pub(crate) made_up: u64,
    pub(crate) let_go: u64,
}

impl Model {
    pub(crate) fn new(workers: usize, bites: Bites) -> Self {
        Self {
            workers,
            bites,
            jobs: BTreeMap::new(),
            shown: BTreeMap::new(),
            histories: BTreeMap::new(),
            number: 0,
            queued: BTreeMap::new(),
            turn: 0,
            flights: BTreeMap::new(),
            deferred: VecDeque::new(),
            done: Vec::new(),
            began: 0,
            made_up: 0,
            let_go: 0,
        }
    }

    /// What lies on the disk before the first start.
    pub(crate) fn begin_with(&mut self, jobs: BTreeMap<String, Job>) {
        self.histories = jobs.into_iter().map(|(id, job)| (id, History::of(job))).collect();
    }

    pub(crate) fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.jobs.values().map(Deref::deref)
    }

    /// What is shown while the last turn is written.
    pub(crate) fn shown(&self) -> impl Iterator<Item = &Job> {
        self.shown.values()
    }

    pub(crate) fn flights(&self) -> impl Iterator<Item = Token> {
        self.flights.keys().map(|token| Token(*token))
    }

    /// Whether changes are done and wait for their answer.
    pub(crate) fn has_unanswered(&self) -> bool {
        !self.done.is_empty()
    }

    /// Whether changes were put off.
    pub(crate) fn has_deferred(&self) -> bool {
        !self.deferred.is_empty()
    }

    /// When something has to happen next: the earliest due time of all jobs.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.jobs().filter_map(runs::next_due).min()
    }

    /// Whether a run waits though a worker is free.
    pub(crate) fn can_start(&self) -> bool {
        !self.queued.is_empty() && self.flights.len() < self.workers
    }

    /// Goes through a turn as the service has, and checks what it did of its own choice.
    pub(crate) fn turn(&mut self, seen: &Seen, asked: Vec<Asked>) {
        self.turn += 1;
        let mut touched = BTreeSet::new();
        for back in &seen.reports {
            self.land(back, seen.now, &mut touched);
        }
        if !seen.rests {
            self.fire(seen, &mut touched);
            self.start(seen, &mut touched);
        }
        self.close_down(seen, &mut touched);
        for id in &touched {
            let outcomes = self.jobs.get_mut(id).map(|job| job.take_outcomes(seen.now));
            self.remember(id, outcomes.unwrap_or_default(), seen.now);
        }
        self.shown = self.jobs().map(|job| (job.spec.id.to_string(), job.clone())).collect();
        let commands: Vec<Asked> = self.deferred.drain(..).chain(asked).collect();
        let mut taken = BTreeSet::new();
        for asked in commands {
            let id = asked.ask.id().to_owned();
            if taken.contains(&id) {
                self.deferred.push_back(asked);
                continue;
            }
            if self.command(asked, seen) {
                taken.insert(id);
            }
        }
        // While changes are refused nothing is written but to see whether there is room.
        if seen.written == Some(true) && !seen.refuses {
            touched.extend(taken);
            for id in touched {
                self.history(&id).record();
            }
        } else if seen.written.is_some() || seen.refuses {
            self.histories.values_mut().for_each(History::hold_back);
        }
    }

    fn land(&mut self, back: &Back, now: Timestamp, touched: &mut BTreeSet<String>) {
        let id = self.flights.remove(&back.token.0).expect("only what flies comes back");
        let Some((id, run)) = id else { return };
        let job = self.jobs.get_mut(&id).expect("it was not deleted");
        attempts::end_attempt(job, run, &back.outcome, &back.seen, now);
        self.place(&id);
        touched.insert(id);
    }

    /// What passed while the service was down is counted when a record of the job is made, which may come bite by bite.
    fn close_down(&mut self, seen: &Seen, touched: &mut BTreeSet<String>) {
        for (id, job) in self.jobs.iter_mut().filter(|(_, job)| missed::is_down(job)) {
            if touched.contains(id) || !seen.open.contains(id) {
                // Of its outcomes of this turn that is written first.
                job.before_others(|job| missed::close_down(job, seen.now));
                touched.insert(id.clone());
            }
        }
    }

    /// Does a command, or finds it refused; says whether it counts as this turn's for its job.
    fn command(&mut self, asked: Asked, seen: &Seen) -> bool {
        let Asked { ask, answer } = asked;
        let id = ask.id().to_owned();
        let before = self.jobs.get(&id).map(|job| Job::clone(job));
        let (after, outcomes) = match ask.planned(before.as_ref(), seen.now) {
            Err(_) if seen.dies => return false,
            Err(refusal) => {
                let told = answer.try_recv().expect("a refusal is told at once").expect_err("it cannot be done");
                assert_eq!(std::mem::discriminant(&told), std::mem::discriminant(&refusal), "{ask:?}: {told:?}");
                return false;
            }
            Ok(after) => after,
        };
        let is_refused = before != after && (seen.refuses || (seen.written == Some(false) && !seen.dies));
        if is_refused {
            let told = answer.try_recv().expect("a refusal is told at once");
            assert!(matches!(told, Err(Refusal::Disk(_))), "{ask:?}: {told:?}");
            return !seen.refuses;
        }
        // One that changes nothing promises no more than the last that did.
        let mut state = self.history(&id).commanded();
        assert!(before != after || outcomes.is_empty(), "{ask:?} has outcomes and changes nothing");
        if before != after {
            self.make_true(&id, after.clone());
            state = self.remember(&id, outcomes, seen.now);
            if let Ask::RunNow { run_id, .. } = ask {
                self.history(&id).ask_for(run_id);
            }
            self.history(&id).command();
        }
        // What a deleted job was is shown once more.
        let job = after.or(before).expect("before or after, it is there");
        if !seen.dies {
            self.done.push(Done { id, state, job, answer });
        }
        true
    }

    fn make_true(&mut self, id: &str, job: Option<Job>) {
        if let Some(job) = job {
            self.jobs.insert(id.to_owned(), Tracked::new(job));
        } else {
            self.jobs.remove(id);
        }
        self.place(id);
    }

    /// Takes the answers that have come; gives the ids of what was acknowledged.
    pub(crate) fn take_answers(&mut self) -> Vec<String> {
        let mut acknowledged = Vec::new();
        let mut waiting = Vec::new();
        for done in std::mem::take(&mut self.done) {
            match done.answer.try_recv() {
                Ok(answer) => {
                    assert_eq!(answer.as_ref(), Ok(&done.job), "what is done is acknowledged as it was done");
                    self.history(&done.id).acknowledge(done.state);
                    acknowledged.push(done.id);
                }
                Err(_) => waiting.push(done),
            }
        }
        self.done = waiting;
        acknowledged
    }

    fn history(&mut self, id: &str) -> &mut History {
        self.histories.entry(id.to_owned()).or_default()
    }

    /// Adds the present state to the history, and the outcomes behind which it stands.
    fn remember(&mut self, id: &str, outcomes: Vec<RunRecord>, now: Timestamp) -> u64 {
        let job = self.jobs.get(id).map(|job| Job::clone(job));
        self.number += 1;
        let number = self.number;
        self.history(id).remember(number, job, outcomes, now);
        number
    }

    /// The disk knows all again that it is to know.
    pub(crate) fn all_recorded(&mut self) {
        assert!(!self.jobs().any(missed::is_down), "what passed while the service was down is forgotten");
        self.histories.values_mut().for_each(History::record);
    }

    /// The disk may refuse what it does not know yet.
    pub(crate) fn all_held_back(&mut self) {
        self.histories.values_mut().for_each(History::hold_back);
    }

    /// A clean stop: nothing older may come back.
    pub(crate) fn all_durable(&mut self) {
        self.histories.values_mut().for_each(History::forget_all_but_the_present);
    }

    /// Checks what lies on a disk: of each job, something that it may be there, and the outcomes that lead to that.
    pub(crate) fn check_files(&self, found: &Found, after_power_cut: bool) {
        for (id, history) in &self.histories {
            history.check(id, found, after_power_cut);
        }
        self.check_for_strays(found);
    }

    /// Each due time, and each run that was asked for, has one outcome.
    pub(crate) fn check_outcomes(&self) {
        self.histories.values().for_each(History::check_outcomes);
    }

    fn check_for_strays(&self, found: &Found) {
        let stray = found.ids().find(|id| !self.histories.contains_key(*id));
        assert_eq!(stray, None, "a job that nobody made");
    }

    /// A new process has found this, which the disk must have held, and made these jobs of it.
    pub(crate) fn restart(&mut self, found: &Found, made: BTreeMap<String, Job>, after: After) {
        for (id, history) in &mut self.histories {
            self.number += 1;
            history.restart(id, self.number, (found, made.get(id)), after);
        }
        self.check_for_strays(found);
        assert!(made.keys().all(|id| found.jobs.contains_key(id)), "a start has made a job");
        self.jobs = made.into_iter().map(|(id, job)| (id, Tracked::new(job))).collect();
        self.queued.clear();
        self.flights.clear();
        self.deferred.clear();
        self.done.clear();
        self.queue_by_age();
    }
}
