//! What is to come of a job, held against what then comes.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::harness::{DEFAULTS, World};
use super::words::{at, request};
use crate::engine::{Coming, Command, Engine, Outcome, Turn, Verdict, coming};
use crate::job::{Job, JobDraft, Request, Seen, stored_job};

/// The instants that are to come after a time, at most five of them.
#[track_caller]
fn check(job: &Job, time: &str, expected: &[&str]) {
    let found: Vec<_> = coming(job.clone(), at(time)).take(5).map(|fire| fire.instant).collect();
    assert_eq!(found, expected.iter().map(|text| at(text)).collect::<Vec<_>>(), "after {time}");
}

/// The job as a script leaves it.
fn played(words: &str, script: &str) -> Job {
    let mut world = World::new(4);
    world.play(&format!("0 create {words}; {script}"));
    world.job("a").clone()
}

/// What an engine without anything in its way fires of a job that it is given at a time.
fn fired(words: &str, now: Timestamp, count: usize) -> (Job, Vec<Coming>) {
    let mut engine = Engine::new(1);
    let mut job = json!({"id": "a", "name": "a", "http": {"url": "http://localhost/"}});
    job.as_object_mut().expect("an object").extend(request(words));
    let draft: JobDraft<Request> = serde_json::from_value(job).expect("a job");
    let (spec, enabled) = draft.into_new(&DEFAULTS, || unreachable!("it has an id")).expect("a job");
    let planned = engine.plan(&Command::Create { spec: Arc::new(spec), enabled }, now).expect("it is taken");
    engine.apply(planned.record.expect("a record"));
    let mut fired = Vec::new();
    while fired.len() < count
        && let Some(now) = engine.next_wake(now)
    {
        let mut turn = Turn::default();
        engine.fire_due(now, 1, &mut turn);
        engine.dispatch(now, 1, &mut turn);
        for start in std::mem::take(&mut turn.starts) {
            fired.push(Coming { instant: start.scheduled_at, due_at: now });
            let outcome = Outcome { verdict: Verdict::Success, error: "".into(), retry_after: None };
            engine.ended(start.token, &outcome, Seen::default(), now, &mut turn);
        }
        engine.take_records(1, now, &mut turn);
    }
    (planned.job, fired)
}

#[test]
fn what_is_to_come_is_what_then_comes() {
    for words in [
        "once=70",
        "every=10s",
        "every=10s jitter=10s",
        "every=10s start=3 end=55 jitter=7s",
        "every=10s max=3 jitter=3s",
        "cron=*/20_*_*_*_*_* jitter=1h",
        "cron=30_2_*_*_*  zone=Europe/Berlin jitter=24h",
        "cron=0_0_29_2_MON#5",
        "cron=0_0_0_1_1_*_1971-1975 jitter=1h",
        "cron=@every_1m30s jitter=1m max=4",
    ] {
        let (job, fired) = fired(words, at("5"), 20);
        let found: Vec<_> = coming(job, at("5")).take(20).collect();
        assert_eq!(found, fired, "{words}");
    }
}

#[test]
fn only_what_is_later_is_to_come() {
    let job = played("every=10s", "5 next=10");
    check(&job, "5", &["10", "20", "30", "40", "50"]);
    check(&job, "10", &["20", "30", "40", "50", "60"]);
    check(&job, "1000.5", &["1010", "1020", "1030", "1040", "1050"]);
    let job = played("every=10s start=3 end=25", "1 next=3");
    check(&job, "-100", &["3", "13", "23"]);
    check(&job, "22", &["23"]);
    check(&job, "23", &[]);
}

#[test]
fn what_was_taken_does_not_come_again() {
    let job = played("every=10s", "10 start; 11 ok");
    check(&job, "0", &["20", "30", "40", "50", "60"]);
    check(&played("once=10", "5 next=10"), "5", &["10"]);
    check(&played("once=10", "5 next=10"), "10", &[]);
    check(&played("once=10", "10 start"), "5", &[]);
    check(&played("once=10", "5 pause; 15 resume; missed @10; status=missed"), "5", &[]);
}

#[test]
fn a_pause_and_a_run_that_is_going_are_passed_over() {
    check(&played("every=10s", "5 pause; next=none"), "25", &["30", "40", "50", "60", "70"]);
    check(&played("once=10", "5 pause; next=none"), "6", &["10"]);
    check(&played("every=10s", "10 start"), "15", &["20", "30", "40", "50", "60"]);
    check(&played("once=10", "5 run-now; start"), "6", &["10"]);
}

#[test]
fn runs_that_there_were_count() {
    check(&played("every=10s max=3", "5 next=10"), "5", &["10", "20", "30"]);
    check(&played("every=10s max=3", "10 start; 11 ok; next=20"), "11", &["20", "30"]);
    check(&played("every=10s max=3", "10 start; 20 skip @20; 21 ok"), "21", &["30", "40"]);
    check(&played("every=10s max=1", "10 start; enabled=false; 11 ok"), "11", &[]);
}

/// The first is what the job shows, also where its jitter has begun, and where the older service drew it.
#[test]
fn a_plan_that_lies_ahead_is_the_first_to_come() {
    let job = played("every=10s jitter=10s start=20", "19 enabled=true");
    for time in ["19", "20", "22.9"] {
        let first = coming(job.clone(), at(time)).next().expect("it goes on");
        assert_eq!(Some(first.due_at), job.progress.next_run_at);
        check(&job, time, &["20", "30", "40", "50", "60"]);
    }
    check(&job, "23", &["30", "40", "50", "60", "70"]);
    check(&played("every=10s jitter=10s start=20 end=20", "19 enabled=true"), "21", &["20"]);

    let keys: Value = json!({
        "id": "a", "name": "a", "http": {"url": "http://localhost/"}, "next_run_at": "1970-01-01T00:00:27Z",
        "schedule": {"kind": "every", "every": "10s", "start_at": "1970-01-01T00:00:00Z", "jitter": "8s"},
        "state": {"planned": "1970-01-01T00:00:20Z"},
    });
    let job = stored_job(keys, &DEFAULTS).expect("a job of a file");
    let first = coming(job.clone(), at("15")).next();
    assert_eq!(first, Some(Coming { instant: at("20"), due_at: at("27") }));
    check(&job, "5", &["10", "20", "30", "40", "50"]);
}

/// As a file may hold it: nothing comes, or no more than the loop would fire.
#[test]
fn what_makes_no_sense_never_comes() {
    let job = |schedule: Value| {
        let keys = json!({"id": "a", "name": "a", "http": {"url": "http://localhost/"}, "schedule": schedule});
        stored_job(keys, &DEFAULTS).expect("a job of a file")
    };
    check(&job(json!({"kind": "every", "every": "0s"})), "0", &[]);
    check(&job(json!({"kind": "every", "every": "10s", "max_runs": -1})), "0", &[]);
    check(&job(json!({"kind": "cron", "cron": "61 * * * *"})), "0", &[]);
    let start_at = "1970-01-01T00:00:00Z";
    let fine = job(json!({"kind": "every", "every": "40ms", "start_at": start_at}));
    check(&fine, "0", &["0.04", "0.16", "0.28", "0.4", "0.52"]);
}
