//! Every callback that a target saw stands in the ledger after kill -9 at random instants, and no due time has two outcomes
//! or none.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{Answer, Builder, Dice, Ksana, Receiver, eventually, every, time, with};

const ROUNDS: usize = 12;

/// How many callbacks there are at most before a kill.
const CALLBACKS_MAX: u64 = 12;

/// The jobs, each with its distance in milliseconds and what becomes of missed fires.
const JOBS: [(&str, u64, &str); 4] =
    [("well", 100, "skip"), ("ill", 130, "skip"), ("slow", 160, "once"), ("catches", 200, "all")];

#[test]
fn after_kills_at_random_instants_every_callback_stands_there_and_each_due_time_has_one_outcome() {
    let (mut dice, receiver) = (Dice::thrown(), Receiver::start());
    receiver.script("/ill", [Answer::status(503)]);
    receiver.script("/slow", [Answer::ok().delayed(200)]);
    let mut ksana = Builder::new().env("WORKERS", "16").start();
    for (id, millis, misfire) in JOBS {
        let change = json!({"id": id, "misfire": misfire, "max_retries": 2, "retry_backoff": "5ms"});
        ksana.create(&with(every(&receiver.url(&format!("/{id}")), &format!("{millis}ms")), &change));
    }
    for _ in 0..ROUNDS {
        let before = receiver.requests().len();
        receiver.wait_for(before + 1 + usize::try_from(dice.below(CALLBACKS_MAX)).expect("it is small"));
        // The random instant.
        thread::sleep(Duration::from_micros(dice.below(30_000)));
        ksana.signal(Signal::KILL);
        ksana.await_exit();
        receiver.await_silence();
        ksana.start_again();
    }
    for (id, ..) in JOBS {
        ksana.act(id, "pause").expect(200);
    }
    let runs = eventually("the runs of all callbacks in the ledger", || {
        let runs = all(&ksana);
        unknown(&receiver, &runs).is_empty().then_some(runs)
    });
    let ids: BTreeSet<&str> = runs.iter().map(|run| run["run_id"].as_str().expect("an id")).collect();
    assert_eq!(ids.len(), runs.len(), "a run is there twice");
    for (id, millis, _) in JOBS {
        check_due_times(id, Duration::from_millis(millis), &runs);
    }
    ksana.restart();
    assert_eq!(all(&ksana), runs, "after a clean stop");
}

/// All records, the newest first.
fn all(ksana: &Ksana) -> Vec<Value> {
    let mut runs = ksana.runs("/runs?limit=1000");
    while let Some(seq) = runs.last().map(|run| run["seq"].clone()) {
        let more = ksana.runs(&format!("/runs?limit=1000&after={seq}"));
        if more.is_empty() {
            break;
        }
        runs.extend(more);
    }
    runs
}

/// The callbacks, as run and attempt, that stand in no record.
fn unknown(receiver: &Receiver, runs: &[Value]) -> Vec<(String, u32)> {
    let attempts = |run: &Value| run["attempts"].as_array().cloned().unwrap_or_default();
    let known: BTreeSet<(String, u64)> = runs
        .iter()
        .flat_map(|run| attempts(run).into_iter().map(|attempt| (run["run_id"].clone(), attempt["number"].as_u64())))
        .map(|(run, number)| (run.as_str().expect("an id").to_owned(), number.expect("a number")))
        .collect();
    let callbacks = receiver.requests().into_iter().filter(|request| request.header("X-Ksana-Run-Id").is_some());
    let seen = callbacks.map(|request| (request.run_id().to_owned(), request.attempt()));
    seen.filter(|(run, attempt)| !known.contains(&(run.clone(), u64::from(*attempt)))).collect()
}

/// From the first due time of a job on, each has one outcome, alone or in a stretch.
fn check_due_times(id: &str, distance: Duration, runs: &[Value]) {
    let mut spans: BTreeMap<Timestamp, Timestamp> = BTreeMap::new();
    for run in runs.iter().filter(|run| run["job_id"] == id) {
        let first = time(&run["scheduled_at"]);
        let last = if run["count"].is_null() { first } else { time(&run["last_scheduled_at"]) };
        let count = run["count"].as_u64().unwrap_or(1);
        assert_eq!(first + distance * u32::try_from(count - 1).expect("it is small"), last, "{run}");
        assert_eq!(spans.insert(first, last), None, "a due time has two outcomes: {run}");
    }
    let spans: Vec<_> = spans.into_iter().collect();
    assert!(spans.len() > ROUNDS, "{id} has {} outcomes", spans.len());
    for pair in spans.windows(2) {
        assert_eq!(pair[0].1 + distance, pair[1].0, "the due times of {id} do not follow each other: {pair:?}");
    }
}
