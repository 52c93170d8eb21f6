//! The second model: all jobs in a map, looked at one by one each time, and everything that they
//! ever were since it was surely on the disk.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use async_channel::Receiver;
use jiff::Timestamp;
use ksana::engine::{Outcome, Refusal, Start, Token};
use ksana::job::{Job, Phase, Trigger};
use ksana::limits::Bites;
use uuid::Uuid;

use crate::asks::Ask;
use crate::history::History;
use crate::runs;

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

/// What happened in one turn, from outside.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) now: Timestamp,
    pub(crate) reports: Vec<(Token, Outcome)>,
    pub(crate) starts: Vec<Start>,
    /// Whether the turn's write worked; `None` where nothing was written.
    pub(crate) written: Option<bool>,
    /// The service rests: it starts nothing.
    pub(crate) rests: bool,
    /// Jobs that are due and had to wait for the next turn.
    pub(crate) left: BTreeSet<String>,
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
    jobs: BTreeMap<String, Job>,
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
        self.jobs.values()
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
        self.jobs.values().filter_map(runs::next_due).min()
    }

    /// Whether a run waits though a worker is free.
    pub(crate) fn can_start(&self) -> bool {
        !self.queued.is_empty() && self.flights.len() < self.workers
    }

    /// Goes through a turn as the service has, and checks what it did of its own choice.
    pub(crate) fn turn(&mut self, seen: &Seen, asked: Vec<Asked>) {
        self.turn += 1;
        let mut touched = BTreeSet::new();
        for (token, outcome) in &seen.reports {
            self.land(*token, outcome, seen.now, &mut touched);
        }
        if !seen.rests {
            self.fire(seen, &mut touched);
            self.start(seen, &mut touched);
        }
        for id in &touched {
            self.remember(id);
        }
        self.shown.clone_from(&self.jobs);
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
        }
    }

    fn land(&mut self, token: Token, outcome: &Outcome, now: Timestamp, touched: &mut BTreeSet<String>) {
        let id = self.flights.remove(&token.0).expect("only what flies comes back");
        let Some((id, run)) = id else { return };
        let job = self.jobs.get_mut(&id).expect("it was not deleted");
        runs::end_attempt(job, run, outcome, now);
        self.place(&id);
        touched.insert(id);
    }

    /// Fires a bite of what is due: who has been due for longest comes first.
    fn fire(&mut self, seen: &Seen, touched: &mut BTreeSet<String>) {
        let due = |job: &&mut Job| runs::next_due(job).filter(|due| *due <= seen.now);
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
    fn place(&mut self, id: &str) {
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
                let is_over = runs::is_over(job, &job.progress.state.runs_going[index], seen.now);
                (is_over && !seen.going.contains(run)).then(|| (*since, index, id.clone(), *run))
            });
            let Some((_, _, id, run)) = given_up.min() else { return };
            runs::give_up(self.jobs.get_mut(&id).expect("it is there"), run, seen.now);
            self.place(&id);
            touched.insert(id);
        }
    }

    fn start(&mut self, seen: &Seen, touched: &mut BTreeSet<String>) {
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
            assert!(!runs::is_over(job, &run, seen.now), "{id} was started late");
            let sent = runs::begin_attempt(job, start.run_id, seen.now);
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

    /// Does a command, or finds it refused; says whether it counts as this turn's for its job.
    fn command(&mut self, asked: Asked, seen: &Seen) -> bool {
        let Asked { ask, answer } = asked;
        let id = ask.id().to_owned();
        let before = self.jobs.get(&id).cloned();
        let after = match ask.planned(before.as_ref(), seen.now) {
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
        if before != after {
            self.make_true(&id, after.clone());
            state = self.remember(&id);
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
            self.jobs.insert(id.to_owned(), job);
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

    /// Adds the present state to the history.
    fn remember(&mut self, id: &str) -> u64 {
        let job = self.jobs.get(id).cloned();
        self.number += 1;
        let number = self.number;
        self.history(id).remember(number, job);
        number
    }

    /// The disk knows all again that it is to know.
    pub(crate) fn all_recorded(&mut self) {
        self.histories.values_mut().for_each(History::record);
    }

    /// A clean stop: nothing older may come back.
    pub(crate) fn all_durable(&mut self) {
        self.histories.values_mut().for_each(History::forget_all_but_the_present);
    }

    /// Checks what lies on a disk: of each job, something that it may be there.
    pub(crate) fn check_files(&self, found: &BTreeMap<String, Job>, after_power_cut: bool) {
        for (id, history) in &self.histories {
            history.check(id, found.get(id), after_power_cut);
        }
        self.check_for_strays(found);
    }

    fn check_for_strays(&self, found: &BTreeMap<String, Job>) {
        let stray = found.keys().find(|id| !self.histories.contains_key(*id));
        assert_eq!(stray, None, "a job that nobody made");
    }

    /// A new process has found these jobs at `now`: each must come from what the disk may have held.
    pub(crate) fn restart(&mut self, found: &BTreeMap<String, Job>, now: Timestamp, after_power_cut: bool) {
        for (id, history) in &mut self.histories {
            self.number += 1;
            history.restart(id, (self.number, found.get(id)), now, after_power_cut);
        }
        self.check_for_strays(found);
        self.jobs = found.clone();
        self.queued.clear();
        self.flights.clear();
        self.deferred.clear();
        self.done.clear();
        self.queue_by_age();
    }

    /// Who has waited longest for a worker is the first one again.
    fn queue_by_age(&mut self) {
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
