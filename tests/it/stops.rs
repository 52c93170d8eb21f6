//! Kept: what happens when — SIGTERM, SIGINT and kill -9.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::support::{
    Answer, Connection, Ksana, Receiver, ahead, await_clock, eventually, every, hourly, once, time, with,
};

/// Waits until the daemon shows that it has understood that it is to stop: it answers nobody any more.
fn await_shutting_down(ksana: &Ksana) {
    let answer = || {
        let mut connection = Connection::open(ksana.port)?;
        connection.patience(Duration::from_secs(2));
        connection.send(&ksana.bare("GET", "/ready").bytes())?;
        connection.response("GET")
    };
    eventually("the daemon to stop taking requests", || match answer() {
        Ok(Some(answer)) if answer.status == 200 => None,
        _ => Some(()),
    });
}

#[test]
fn sigterm_and_sigint_save_and_exit_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut ksana = Ksana::start();
        let job = ksana.create(&hourly("http://127.0.0.1:9/"));
        ksana.signal(signal);
        assert_eq!(ksana.await_exit(), 0);
        assert_eq!(ksana.jobs_on_disk()["jobs"][0]["id"], job["id"]);
        ksana.start_again();
        assert_eq!(ksana.get("/jobs").json(), json!([job]));
    }
}

#[test]
fn sigterm_lets_an_attempt_in_flight_end_and_starts_nothing() {
    let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/held", [Answer::ok().held()]);
    let id = ksana.create_id(&hourly(&receiver.url("/held")));
    ksana.run_now(&id);
    receiver.wait_for_path("/held", 1);
    ksana.create(&every(&receiver.url("/tick"), "100ms"));
    receiver.wait_for_path("/tick", 1);
    ksana.signal(Signal::TERM);
    await_shutting_down(&ksana);
    await_clock(ahead(300));
    let count = receiver.at("/tick").len();
    await_clock(ahead(700));
    assert_eq!(receiver.at("/tick").len(), count, "it starts nothing");
    assert!(!ksana.has_ended(), "the attempt is in flight");
    receiver.release("/held");
    assert_eq!(ksana.await_exit(), 0);
    ksana.start_again();
    assert_eq!(ksana.job(&id)["last_status"], "success");
    assert_eq!(receiver.at("/held").len(), 1);
}

#[test]
fn a_second_signal_exits_at_once() {
    let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/held", [Answer::ok().held()]);
    let id = ksana.create_id(&with(hourly(&receiver.url("/held")), &json!({"timeout": "1h"})));
    ksana.run_now(&id);
    receiver.wait_for_path("/held", 1);
    ksana.signal(Signal::TERM);
    await_shutting_down(&ksana);
    assert!(!ksana.has_ended());
    ksana.signal(Signal::TERM);
    ksana.await_exit_within(Duration::from_secs(5));
    ksana.start_again();
    ksana.job(&id);
}

#[test]
fn attempts_in_flight_are_waited_for_30_s_at_most() {
    let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/hangs", [Answer::hang()]);
    let change = json!({"timeout": "1h", "max_retries": 0});
    let id = ksana.create_id(&with(hourly(&receiver.url("/hangs")), &change));
    ksana.run_now(&id);
    receiver.wait_for_path("/hangs", 1);
    ksana.signal(Signal::TERM);
    assert_eq!(ksana.await_exit_within(Duration::from_secs(50)), 0);
    ksana.start_again();
    let job = ksana.await_status(&id, "failed");
    assert_eq!(job["last_error"], "interrupted by a restart");
}

#[test]
fn queued_runs_stay_for_the_restart() {
    let (mut ksana, receiver) = (Ksana::with("WORKERS", "1"), Receiver::start());
    receiver.script("/held", [Answer::ok().held()]);
    let holder = ksana.create_id(&hourly(&receiver.url("/held")));
    ksana.run_now(&holder);
    receiver.wait_for_path("/held", 1);
    let queued = ksana.create_id(&hourly(&receiver.url("/queued")));
    let run_id = ksana.run_now(&queued);
    ksana.signal(Signal::TERM);
    await_shutting_down(&ksana);
    receiver.release("/held");
    assert_eq!(ksana.await_exit(), 0);
    assert_eq!(receiver.at("/queued").len(), 0);
    ksana.start_again();
    assert_eq!(receiver.wait_for_path("/queued", 1)[0].run_id(), run_id);
    ksana.await_status(&queued, "success");
}

#[test]
fn an_attempt_cut_off_by_a_crash_is_retried_while_retries_remain() {
    let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/cut", [Answer::hang(), Answer::ok()]);
    let change = json!({"retry_backoff": "100ms", "max_retries": 1, "timeout": "1h"});
    let id = ksana.create_id(&with(hourly(&receiver.url("/cut")), &change));
    let run_id = ksana.run_now(&id);
    receiver.wait_for_path("/cut", 1);
    ksana.kill();
    ksana.start_again();
    let attempts = receiver.wait_for_path("/cut", 2);
    assert_eq!((attempts[1].run_id(), attempts[1].attempt()), (run_id.as_str(), 2));
    let done = ksana.await_status(&id, "success");
    assert!(time(&done["last_run_at"]) <= attempts[0].at, "the run began before the crash");
    assert_eq!(receiver.at("/cut").len(), 2);
}

#[test]
fn attempts_cut_off_by_crashes_use_the_retries_up() {
    let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/cut", [Answer::hang()]);
    let change = json!({"retry_backoff": "10ms", "max_retries": 2, "timeout": "1h"});
    let id = ksana.create_id(&with(hourly(&receiver.url("/cut")), &change));
    let run_id = ksana.run_now(&id);
    for attempt in 1..=3 {
        let last = receiver.wait_for_path("/cut", attempt).pop().expect("it is there");
        assert_eq!((last.run_id(), last.attempt() as usize), (run_id.as_str(), attempt));
        ksana.act(&id, "run-now").refusal(409);
        ksana.kill();
        ksana.start_again();
    }
    assert_eq!(ksana.await_status(&id, "failed")["last_error"], "interrupted by a restart");
    ksana.let_pass(&receiver, 200);
    assert_eq!(receiver.at("/cut").len(), 3);
    ksana.run_now(&id);
    receiver.wait_for_path("/cut", 4);
}

#[test]
fn an_attempt_cut_off_by_a_crash_without_retries_is_failed_interrupted_by_a_restart() {
    let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/cut", [Answer::hang()]);
    let change = json!({"max_retries": 0, "timeout": "1h"});
    let now = ksana.create_id(&with(hourly(&receiver.url("/cut")), &change));
    ksana.run_now(&now);
    let once = ksana.create_id(&with(once(&receiver.url("/cut"), ahead(400)), &change));
    let cut = receiver.wait_for_path("/cut", 2);
    ksana.kill();
    ksana.start_again();
    for (id, attempt) in [&now, &once].into_iter().zip(&cut) {
        let job = ksana.await_status(id, "failed");
        assert_eq!(job["last_error"], "interrupted by a restart");
        assert!(time(&job["last_run_at"]) <= attempt.at, "it began before the crash");
        ksana.run_now(id);
    }
    assert_eq!(ksana.job(&once)["next_run_at"], "", "a cut fire was a fire");
    receiver.wait_for_path("/cut", 4);
    ksana.let_pass(&receiver, 200);
    assert_eq!(receiver.at("/cut").len(), 4, "only what was asked for anew");
}

#[test]
fn a_planned_fire_sent_again_after_a_crash_bears_the_same_run_id() {
    let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/cut", [Answer::hang(), Answer::ok()]);
    let change = json!({"retry_backoff": "10ms", "timeout": "1h"});
    let run_at = ahead(400);
    let id = ksana.create_id(&with(once(&receiver.url("/cut"), run_at), &change));
    receiver.wait_for_path("/cut", 1);
    ksana.kill();
    ksana.start_again();
    let attempts = receiver.wait_for_path("/cut", 2);
    assert_eq!(attempts[0].run_id(), attempts[1].run_id());
    assert_eq!(attempts[1].scheduled_at(), run_at);
    ksana.await_status(&id, "success");
}

#[test]
fn after_kill_9_every_acknowledged_change_is_there() {
    let mut ksana = Ksana::start();
    let target = "http://127.0.0.1:9/";
    let patched = ksana.create_id(&hourly(target));
    let deleted = ksana.create_id(&hourly(target));
    let paused = ksana.create_id(&hourly(target));
    for round in 0..5 {
        let created = ksana.create(&hourly(target));
        ksana.kill();
        ksana.start_again();
        assert_eq!(ksana.job(created["id"].as_str().expect("a job has an id")), created, "{round}");
    }
    let after_patch = ksana.patch(&patched, &json!({"name": "renamed"})).expect(200).json();
    ksana.kill();
    ksana.start_again();
    assert_eq!(ksana.job(&patched), after_patch);
    ksana.delete(&deleted).expect(204);
    ksana.act(&paused, "pause").expect(200);
    ksana.kill();
    ksana.start_again();
    ksana.get(&format!("/jobs/{deleted}")).refusal(404);
    assert_eq!(ksana.job(&paused)["enabled"], false);
    assert_eq!(ksana.get("/jobs").json().as_array().map(Vec::len), Some(7));
}

#[test]
fn a_result_that_was_shown_is_there_after_kill_9() {
    let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
    let id = ksana.create_id(&hourly(&receiver.url("/")));
    ksana.run_now(&id);
    let done = ksana.await_status(&id, "success");
    ksana.kill();
    ksana.start_again();
    assert_eq!(ksana.job(&id), done);
    ksana.let_pass(&receiver, 100);
    assert_eq!(receiver.at("/").len(), 1);
}
