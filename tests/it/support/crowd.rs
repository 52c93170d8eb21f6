//! Clients that change jobs all at once and remember what they were promised.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};

use super::{Call, Dice, Ksana, Receiver, eventually, hourly, with};

/// How many jobs each client has to itself, so that it alone knows the order of what became of them.
const JOBS_OF_A_CLIENT: u64 = 6;

pub(crate) struct Crowd {
    clients: Vec<Client>,
}

/// Which change a job shows, each with a number of its own, and whether it is enabled.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Version {
    change: u64,
    enabled: bool,
}

/// What is known of one job; `None` is a job that is not there.
#[derive(Debug, Default)]
struct Known {
    /// The last answer said so.
    sure: Option<Version>,
    /// What was asked for after that,
    asked: Option<Version>,
    /// and had no answer: it is wholly done, or not at all.
    is_open: bool,
}

/// The clients at work.
pub(crate) struct Bustle {
    answers: AtomicUsize,
    is_deaf: AtomicBool,
}

struct Client {
    number: usize,
    target: String,
    dice: Dice,
    jobs: BTreeMap<String, Known>,
    changes: u64,
    /// Job and run of each `run-now` that was answered, as long as the job is not deleted.
    runs: Vec<(String, String)>,
}

impl Crowd {
    /// Clients whose jobs call `receiver`.
    pub(crate) fn of(clients: usize, receiver: &Receiver, dice: &mut Dice) -> Self {
        let client = |number| Client {
            number,
            target: receiver.url("/crowd"),
            dice: dice.another(),
            jobs: BTreeMap::new(),
            changes: 0,
            runs: Vec::new(),
        };
        Self { clients: (0..clients).map(client).collect() }
    }

    /// Has all write at once until there are no more answers, which `end` is to bring about.
    pub(crate) fn write(&mut self, ksana: &Ksana, end: impl FnOnce(&Bustle)) {
        let bustle = Bustle { answers: AtomicUsize::new(0), is_deaf: AtomicBool::new(false) };
        thread::scope(|scope| {
            for client in &mut self.clients {
                let bustle = &bustle;
                scope.spawn(move || {
                    while client.change(ksana, bustle) {
                        bustle.answers.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            end(&bustle);
        });
    }

    /// Holds what is there against what was promised. Gives how many changes had no answer, and how many of them
    /// were done.
    pub(crate) fn check(&mut self, ksana: &Ksana) -> (usize, usize) {
        let list = ksana.get("/jobs").expect(200).json();
        let list = list.as_array().expect("it is a list").iter().filter(|job| job["name"] != "tick");
        let mut found: BTreeMap<&str, &Value> = list.map(|job| (job["id"].as_str().unwrap_or_default(), job)).collect();
        let (mut open, mut done) = (0, 0);
        for client in &mut self.clients {
            for (id, known) in &mut client.jobs {
                let is = found.remove(id.as_str()).map(|job| version(job, &client.target));
                let is_known = is == known.sure || (known.is_open && is == known.asked);
                assert!(is_known, "{id} is {is:?}, and that is known of it: {known:?}");
                open += usize::from(known.is_open);
                done += usize::from(is != known.sure);
                (known.sure, known.is_open) = (is, false);
                client.runs.retain(|(job, _)| job != id || is.is_some());
            }
        }
        assert!(found.is_empty(), "deleted or never made: {found:?}");
        (open, done)
    }

    /// The ids of the jobs that are there, as of the last check.
    pub(crate) fn jobs(&self) -> Vec<&str> {
        let all = self.clients.iter().flat_map(|client| &client.jobs);
        all.filter(|(_, known)| known.sure.is_some()).map(|(id, _)| id.as_str()).collect()
    }

    /// The runs that were acknowledged and must reach their target.
    pub(crate) fn runs(&self) -> impl Iterator<Item = &str> {
        self.clients.iter().flat_map(|client| &client.runs).map(|(_, run)| run.as_str())
    }
}

impl Bustle {
    /// Waits until there were so many answers.
    pub(crate) fn await_answers(&self, count: u64) {
        eventually("the answers of this round", || {
            (self.answers.load(Ordering::Relaxed) as u64 >= count).then_some(())
        });
    }

    /// From now on no answer counts, and the clients end with what they are at.
    pub(crate) fn stop_listening(&self) {
        self.is_deaf.store(true, Ordering::SeqCst);
    }
}

impl Client {
    /// Asks for one change; says whether there was an answer.
    fn change(&mut self, ksana: &Ksana, bustle: &Bustle) -> bool {
        let id = format!("crowd-{}-{}", self.number, self.dice.below(JOBS_OF_A_CLIENT));
        self.changes += 1;
        let now = self.jobs.get(&id).and_then(|known| known.sure);
        let (next, call) = self.choose(&id, now, ksana);
        let known = self.jobs.entry(id.clone()).or_default();
        (known.asked, known.is_open) = (next, true);
        if next.is_none() {
            self.runs.retain(|(job, _)| *job != id);
        }
        let Ok(answer) = call.try_send() else { return false };
        if bustle.is_deaf.load(Ordering::SeqCst) {
            return false;
        }
        match answer.status {
            200 | 201 | 204 => known.sure = next,
            // The job runs already. No disk refuses here: one whose plug is pulled is not listened to.
            409 => {}
            other => panic!("{id}: {other} {}", answer.text()),
        }
        known.is_open = false;
        if answer.status == 200
            && let Some(run) = answer.json()["run_id"].as_str()
        {
            self.runs.push((id, run.to_owned()));
        }
        true
    }

    fn choose(&mut self, id: &str, now: Option<Version>, ksana: &Ksana) -> (Option<Version>, Call) {
        let change = self.changes;
        let Some(now) = now else {
            let next = Version { change, enabled: !self.dice.one_in(4) };
            let new = json!({"id": id, "enabled": next.enabled, "max_retries": 100, "retry_backoff": "10ms"});
            let job = with(with(hourly(""), &content(change, &self.target)), &new);
            return (Some(next), ksana.call("POST", "/jobs").json(&job));
        };
        let path = format!("/jobs/{id}");
        let act = |action: &str| ksana.call("POST", &format!("{path}/{action}"));
        match self.dice.below(20) {
            0..=8 => {
                let change_all = ksana.call("PATCH", &path).json(&content(change, &self.target));
                (Some(Version { change, ..now }), change_all)
            }
            9..=10 => (None, ksana.call("DELETE", &path)),
            11..=15 => {
                let enabled = !now.enabled;
                (Some(Version { enabled, ..now }), act(if enabled { "resume" } else { "pause" }))
            }
            _ => (Some(now), act("run-now")),
        }
    }
}

/// What a change writes into several fields at once; now and then it is longer than a page of a file.
fn content(change: u64, target: &str) -> Value {
    let length = if change.is_multiple_of(8) { 5_000 } else { 50 };
    json!({
        "name": format!("change {change}"),
        "http": {"url": target, "headers": {"X-Change": change.to_string()}, "body": "b".repeat(length)},
    })
}

/// Which change a job shows; all of its fields must be of the same.
fn version(job: &Value, target: &str) -> Version {
    let name = job["name"].as_str().unwrap_or_default();
    let change = name.strip_prefix("change ").and_then(|number| number.parse().ok());
    let change = change.unwrap_or_else(|| panic!("nobody named a job {name:?}"));
    let whole = with(job.clone(), &content(change, target));
    assert_eq!(*job, whole, "half a change");
    Version { change, enabled: job["enabled"] == true }
}
