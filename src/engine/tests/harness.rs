//! Drives an engine as its owner's loop does, along a script.
//!
//! A script is a list of `time word` between semicolons; a word without a time happens at the
//! time of the one before. Times are seconds of the wall clock. A word is something that happens
//! (`create`, `ok`, `clock 45`), something that the engine does and must do just then (`start`,
//! `skip @20`), or a look at the job (`status=success`). The engine must do nothing that the script
//! leaves out.
//!
//! | happens | |
//! |---|---|
//! | `create`, `patch …`, `pause`, `resume`, `delete`, `run-now` | a command; `-> running` behind it is the refusal |
//! | `ok`, `fail`, `fail after 60s`, `time-out`, `refuse` | the attempt that is going ends |
//! | `clock 45` | the wall clock steps, and the loop turns |
//! | `down`, `up` | the process is killed; another one starts from the records |
//!
//! | is seen | |
//! |---|---|
//! | `start`, `start #2`, `start @40` | an attempt; its number past the first, its instant where that is not now |
//! | `skip @20`, `missed @20`, `missed @20-60 5` | an instant of the schedule without a run, or so many |
//! | `passed @20-60 5 paused` | the same where it is no news, with its reason; may be left out |
//! | `lost` | a run ended at a start, because its last attempt was cut off |
//!
//! With several jobs a word ends in ` :b`; without, it is about job `a`.

mod start;

use std::collections::{HashMap, HashSet, VecDeque};

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::records::{check_outcome, check_text};
use super::words::{at, id, outcome, passed, request, seconds, short, told};
use crate::engine::{Command, Engine, Outcome, Planned, Record, Refusal, RunNow, Start, Token, Turn};
use crate::job::{Defaults, GoDuration, Job, JobDraft, JobId, Request, Seen, Shown, stored_job};

pub(super) const DEFAULTS: Defaults =
    Defaults { timeout: GoDuration::from_secs(10), max_retries: 0, retry_backoff: GoDuration::from_secs(5) };

/// Jobs are separated by `|` and named `a`, `b`, … in their order; `workers=1` may stand before.
pub(super) fn check(jobs: &str, script: &str) {
    let (workers, jobs) = match jobs.strip_prefix("workers=").and_then(|rest| rest.split_once(' ')) {
        Some((workers, jobs)) => (workers.parse().expect("a number"), jobs),
        None => (4, jobs),
    };
    for has_no_snapshots in [false, true] {
        let mut world = World { has_no_snapshots, ..World::new(workers) };
        world.definitions = jobs.split('|').zip('a'..).map(|(job, name)| (name.to_string(), job.into())).collect();
        world.play(script);
    }
}

/// The same with one job `a` of a file, whose keys replace those of a plain one; the service is
/// down when the script begins.
pub(super) fn check_file(keys: &Value, script: &str) {
    for has_no_snapshots in [false, true] {
        World { has_no_snapshots, ..World::with_file(keys) }.play(script);
    }
}

/// An engine, what it wrote down, and what is on its way.
pub(super) struct World {
    workers: usize,
    pub(super) now: Timestamp,
    /// `None` while the service is down.
    engine: Option<Engine>,
    /// Gets every record twice, as a recovery might.
    shadow: Engine,
    /// Each process ends before a snapshot shows what its start only planned.
    has_no_snapshots: bool,
    /// What the present start only planned.
    only_planned: HashSet<JobId>,
    pub(super) journal: Vec<Record>,
    definitions: HashMap<String, String>,
    /// By job, the oldest first.
    flights: HashMap<String, VecDeque<Start>>,
    /// Attempts that nobody waits for any more; they hold a worker until they are back.
    let_go: VecDeque<Token>,
    /// By run: its job and how many attempts it had.
    runs: HashMap<Uuid, (String, u32)>,
    run_nows: u128,
    seen: VecDeque<(Timestamp, String)>,
    pub(super) starts: Vec<Start>,
    /// What passed without a run and is no news.
    passed: VecDeque<String>,
    /// By job, the first and the last of the due times that each record of its schedule stands for.
    outcomes: HashMap<JobId, Vec<(Timestamp, Timestamp)>>,
}

impl World {
    pub(super) fn new(workers: usize) -> Self {
        Self {
            workers,
            now: Timestamp::UNIX_EPOCH,
            engine: Some(Engine::new(workers)),
            shadow: Engine::new(workers),
            has_no_snapshots: false,
            only_planned: HashSet::new(),
            journal: Vec::new(),
            definitions: HashMap::new(),
            flights: HashMap::new(),
            let_go: VecDeque::new(),
            runs: HashMap::new(),
            run_nows: 0,
            seen: VecDeque::new(),
            starts: Vec::new(),
            passed: VecDeque::new(),
            outcomes: HashMap::new(),
        }
    }

    /// Down, with one job `a` in its file.
    pub(super) fn with_file(keys: &Value) -> Self {
        let mut text = json!({"id": "a", "name": "a", "http": {"url": "http://localhost/"}});
        for (key, value) in keys.as_object().expect("an object") {
            text[key] = value.clone();
        }
        let mut world = Self { engine: None, ..Self::new(4) };
        world.shadow.apply(Record::Put(stored_job(text, &DEFAULTS).expect("a job of a file")));
        world
    }

    pub(super) fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("the service is up")
    }

    fn engine_mut(&mut self) -> &mut Engine {
        self.engine.as_mut().expect("the service is up")
    }

    pub(super) fn job(&self, name: &str) -> &Job {
        self.engine().job(&id(name)).expect("the job is there")
    }

    pub(super) fn play(&mut self, script: &str) {
        let mut time = self.now;
        for step in script.split(';') {
            let step = step.trim();
            let (first, rest) = step.split_once(' ').unwrap_or((step, ""));
            let word = if first.parse::<f64>().is_ok() {
                time = at(first);
                rest.trim()
            } else {
                step
            };
            let (word, job) = word.rsplit_once(" :").unwrap_or((word, "a"));
            self.step(time, word, job, step);
            if let Some(clock) = word.strip_prefix("clock ") {
                time = at(clock);
            }
        }
        assert_eq!(self.seen, [], "at the end of {script}");
    }

    /// For loops: forgets what was seen, which the caller checked by himself.
    pub(super) fn played(&mut self) {
        self.seen.clear();
    }

    /// The same for a word at a time that a script cannot name.
    pub(super) fn step_at(&mut self, time: Timestamp, word: &str) {
        self.step(time, word, "a", word);
    }

    /// An attempt of a deleted job ends.
    pub(super) fn land(&mut self, verb: &str) {
        let token = self.let_go.pop_front().expect("an attempt that was let go");
        self.turn(vec![(token, outcome(verb, ""))], None);
    }

    fn step(&mut self, time: Timestamp, word: &str, job: &str, step: &str) {
        let (verb, rest) = word.split_once(' ').unwrap_or((word, ""));
        if matches!(verb, "start" | "skip" | "missed" | "lost" | "cancelled" | "over" | "make-up") {
            self.run_until(time, true);
            let expected = if job == "a" { word.to_owned() } else { format!("{word} :{job}") };
            assert_eq!(self.seen.pop_front(), Some((time, expected)), "step {step:?}");
            return;
        }
        if verb == "passed" {
            self.run_until(time, true);
            assert_eq!(self.passed.pop_front().as_deref(), Some(rest), "step {step:?}");
            return;
        }
        let is_look = verb.contains('=');
        self.run_until(time, is_look);
        assert_eq!(self.seen, [], "before step {step:?}");
        self.now = time;
        if is_look {
            let (look, expected) = word.split_once('=').expect("looked for above");
            assert_eq!(self.look(look, job), expected, "step {step:?}");
            return;
        }
        match verb {
            "clock" => {
                self.now = at(rest);
                self.turn(Vec::new(), None);
            }
            "down" => {
                self.engine = None;
                self.flights.clear();
                self.let_go.clear();
            }
            "up" => self.start_again(),
            "ok" | "fail" | "time-out" | "refuse" => {
                let token = match self.flights.get_mut(job).and_then(VecDeque::pop_front) {
                    Some(start) => start.token,
                    None => self.let_go.pop_front().unwrap_or_else(|| panic!("nothing is on its way: {step:?}")),
                };
                self.turn(vec![(token, outcome(verb, rest))], None);
            }
            _ => {
                let (word, refusal) = word.split_once(" -> ").unwrap_or((word, ""));
                let answer = self.command(word, job).err();
                assert_eq!(answer.as_ref().map_or("", short), refusal, "step {step:?}");
            }
        }
    }

    /// Lets the engine do what is due before `time`, and at it where that is included.
    pub(super) fn run_until(&mut self, time: Timestamp, included: bool) {
        while let Some(wake) = self.engine.as_ref().and_then(|engine| engine.next_wake(self.now)) {
            if wake > time || (wake == time && !included) {
                break;
            }
            self.now = wake;
            self.turn(Vec::new(), None);
        }
        self.now = self.now.max(time);
    }

    fn command(&mut self, word: &str, job: &str) -> Result<Planned, Refusal> {
        let (verb, rest) = word.split_once(' ').unwrap_or((word, ""));
        let command = match verb {
            "create" => {
                let mut text = request(if rest.is_empty() { &self.definitions[job] } else { rest });
                text.insert("id".into(), job.into());
                text.entry("name").or_insert_with(|| job.into());
                text.insert("http".into(), json!({"url": "http://localhost/"}));
                let draft: JobDraft<Request> = serde_json::from_value(text.into()).expect("a job");
                let (spec, enabled) = draft.into_new(&DEFAULTS, || id("?")).expect("a job that makes sense");
                Command::Create { spec: spec.into(), enabled }
            }
            "patch" => {
                let draft: JobDraft<Request> = if rest == "as-shown" {
                    let shown = serde_json::to_string(&Shown(self.job(job))).expect("JSON");
                    serde_json::from_str(&shown).expect("a job that was read can be sent back")
                } else {
                    serde_json::from_value(request(rest).into()).expect("a change")
                };
                let patch = draft.into_patch(&DEFAULTS).expect("a change that makes sense");
                Command::Patch { id: id(job), patch: patch.into() }
            }
            "pause" => Command::Pause { id: id(job), until: rest.strip_prefix("until ").map(at) },
            "cancel" => Command::Cancel(id(job)),
            "resume" => Command::Resume(id(job)),
            "delete" => Command::Delete(id(job)),
            "run-now" => {
                self.run_nows += 1;
                let asked = RunNow { run_id: Uuid::from_u128(self.run_nows), ..RunNow::default() };
                Command::RunNow { id: id(job), asked }
            }
            _ => panic!("unknown word {word:?}"),
        };
        self.turn(Vec::new(), Some(&command)).expect("a command was given")
    }

    /// One turn, as the documentation of the engine tells it.
    pub(super) fn turn(
        &mut self,
        ended: Vec<(Token, Outcome)>,
        command: Option<&Command>,
    ) -> Option<Result<Planned, Refusal>> {
        let (now, mut turn) = (self.now, Turn::default());
        let engine = self.engine_mut();
        for (token, outcome) in ended {
            engine.ended(token, &outcome, Seen::default(), now, &mut turn);
        }
        while engine.fire_due(now, 1, &mut turn) {}
        engine.dispatch(now, usize::MAX, &mut turn);
        let mut records = engine.take_records(usize::MAX, now, &mut turn);
        let mut answer = command.map(|command| engine.plan(command, now));
        if let Some(Ok(planned)) = &mut answer {
            let own = planned.take_records(now);
            if let Some(record) = own.first() {
                engine.apply(record.clone());
                turn.events.extend(planned.events.iter().cloned());
            }
            records.extend(own);
        }
        if let Some(Ok(Planned { job, .. })) = &answer
            && !matches!(command, Some(Command::Delete(_)))
        {
            assert_eq!(engine.job(&job.spec.id), Some(job), "the answer shows the job as it is");
        }
        self.write_down(records);
        self.watch(turn);
        answer
    }

    fn write_down(&mut self, records: Vec<Record>) {
        for record in records {
            self.only_planned.remove(record.id());
            check_text(&record);
            check_outcome(&mut self.outcomes, &self.shadow, &record);
            self.shadow.apply(record.clone());
            self.shadow.apply(record.clone());
            self.journal.push(record);
        }
        let live = self.engine.as_ref().expect("the service is up");
        let recorded = |engine: &Engine| -> Vec<Job> {
            engine.jobs().filter(|job| !self.only_planned.contains(&job.spec.id)).cloned().collect()
        };
        assert_eq!(recorded(&self.shadow), recorded(live), "a recovery sees what runs");
        assert_eq!(self.shadow.queued(), live.queued(), "a recovery queues what is queued");
    }

    fn watch(&mut self, turn: Turn) {
        // What is let go may have begun in this turn: that is looked at below.
        let let_go = self.engine_mut().take_let_go();
        for event in &turn.events {
            if let Some(word) = told(event) {
                self.saw(event.spec.id.as_str(), word);
            }
            self.passed.extend(passed(event));
        }
        for start in turn.starts {
            let name = start.spec.id.to_string();
            let (job, attempts) = self.runs.entry(start.run_id).or_insert_with(|| (name.clone(), 0));
            assert_eq!((&*job, *attempts + 1), (&name, start.attempt), "a run has one id, and counts its attempts");
            *attempts = start.attempt;
            let mut word = "start".to_owned();
            if start.attempt > 1 {
                word = format!("start #{}", start.attempt);
            } else if start.scheduled_at != self.now {
                word = format!("start @{}", seconds(start.scheduled_at));
            }
            self.saw(&name, word);
            self.starts.push(start.clone());
            self.flights.entry(name).or_default().push_back(start);
        }
        for token in let_go {
            let mut flights = self.flights.values_mut();
            let found = flights.find_map(|flights| {
                let index = flights.iter().position(|start| start.token == token)?;
                flights.remove(index)
            });
            self.let_go.push_back(found.expect("only what flies is let go").token);
        }
        for (name, flights) in &self.flights {
            let most = self.engine().job(&id(name)).map_or(0, |job| job.spec.policy.overlap.runs_max());
            assert!(flights.len() <= most, "{name} runs beside itself");
        }
        let in_flight = self.engine().in_flight();
        assert_eq!(in_flight, self.flights.values().map(VecDeque::len).sum::<usize>() + self.let_go.len());
        assert!(in_flight <= self.workers, "no more than the workers");
        assert!(
            self.engine().queued() == 0 || in_flight == self.workers || self.engine().next_wake(self.now).is_some()
        );
    }

    fn saw(&mut self, job: &str, word: String) {
        let word = if job == "a" { word } else { format!("{word} :{job}") };
        self.seen.push_back((self.now, word));
    }

    fn look(&self, look: &str, name: &str) -> String {
        let Some(job) = self.engine().job(&id(name)) else { return "gone".into() };
        let progress = &job.progress;
        let time = |time: Option<Timestamp>| time.map_or_else(|| "none".into(), seconds);
        match look {
            "job" => "there".into(),
            "status" => progress.last_status.to_string(),
            "error" => progress.last_error.to_string(),
            "enabled" => progress.enabled.to_string(),
            "next" => time(progress.next_run_at),
            "last" => time(progress.last_run_at),
            "name" => job.spec.name.to_string(),
            "queued" => self.engine().queued().to_string(),
            "in-flight" => self.engine().in_flight().to_string(),
            "wake" => time(self.engine().next_wake(self.now)),
            _ => panic!("unknown look {look:?}"),
        }
    }
}
