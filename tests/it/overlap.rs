//! New: `overlap`, what becomes of a fire that is due while a run is going.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::{Answer, Ksana, Receiver, Request, ahead, await_clock, every, hourly, once, time, with};

const PATH: &str = "/held";

/// A job that is due so many times, 300 ms apart, and when that is.
fn due(receiver: &Receiver, count: u32, change: &Value) -> (Value, Vec<Timestamp>) {
    let first = ahead(1_200);
    let instants: Vec<_> = (0..count).map(|k| first + Duration::from_millis(300) * k).collect();
    let schedule = json!({"start_at": first.to_string(), "end_at": instants[instants.len() - 1].to_string()});
    let job = with(every(&receiver.url(PATH), "300ms"), &json!({"schedule": schedule}));
    (with(job, change), instants)
}

fn instants(fires: &[Request]) -> Vec<Timestamp> {
    fires.iter().map(Request::scheduled_at).collect()
}

/// Lets `instant` pass and what is due then be fired.
fn let_be_fired(ksana: &Ksana, receiver: &Receiver, instant: Timestamp) {
    await_clock(instant);
    ksana.let_pass(receiver, 100);
}

#[test]
fn with_queue_the_newest_fire_waits_for_the_end_of_the_run() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script(PATH, [Answer::ok().held()]);
    let (job, due) = due(&receiver, 3, &json!({"overlap": "queue"}));
    let id = ksana.create_id(&job);
    let_be_fired(&ksana, &receiver, due[2]);
    assert_eq!(instants(&receiver.at(PATH)), due[..1], "a job never runs beside itself");
    let skipped = ksana.job(&id);
    assert_eq!(skipped["last_status"], "skipped");
    let error = skipped["last_error"].as_str().expect("it is a text");
    assert!(error.contains("a newer fire took its place") && error.ends_with(&due[1].to_string()), "{error}");

    receiver.release(PATH);
    ksana.await_job(&id, "the second run", |job| {
        job["last_status"] == "success" && receiver.at(PATH).len() == 2 && time(&job["last_run_at"]) >= due[2]
    });
    ksana.let_pass(&receiver, 100);
    assert_eq!(instants(&receiver.at(PATH)), [due[0], due[2]]);
}

#[test]
fn what_waits_for_the_end_of_a_run_outlasts_a_kill() {
    let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script(PATH, [Answer::ok().held()]);
    let (job, due) = due(&receiver, 2, &json!({"overlap": "queue", "max_retries": 0}));
    let id = ksana.create_id(&job);
    let_be_fired(&ksana, &receiver, due[1]);
    assert_eq!(receiver.at(PATH).len(), 1);
    ksana.kill();
    receiver.script(PATH, [Answer::ok()]);
    ksana.start_again();
    ksana.await_status(&id, "success");
    assert_eq!(instants(&receiver.at(PATH)), due);
    ksana.log.wait_for("warn", &["run failed", "interrupted by a restart", &due[0].to_string()]);
}

#[test]
fn with_allow_so_many_go_side_by_side_and_no_more() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script(PATH, [Answer::ok().held()]);
    let (job, due) = due(&receiver, 3, &json!({"overlap": "allow", "overlap_max": 2}));
    let id = ksana.create_id(&job);
    let fires = receiver.wait_for_path(PATH, 2);
    assert_ne!(fires[0].run_id(), fires[1].run_id());
    let_be_fired(&ksana, &receiver, due[2]);
    assert_eq!(instants(&receiver.at(PATH)), due[..2]);
    assert_eq!(receiver.in_flight(), 2);
    let skipped = ksana.job(&id);
    assert_eq!(skipped["last_status"], "skipped");
    assert!(skipped["last_error"].as_str().is_some_and(|error| error.ends_with(&due[2].to_string())), "{skipped}");
    assert_eq!(ksana.act(&id, "run-now").refusal(409)["error"], "running");

    ksana.patch(&id, &json!({"overlap_max": 3})).expect(200);
    ksana.run_now(&id);
    receiver.wait_for_path(PATH, 3);
    assert_eq!(receiver.in_flight(), 3, "a run-now counts among them");
    receiver.release(PATH);
    ksana.await_status(&id, "success");
    ksana.let_pass(&receiver, 100);
    assert_eq!(receiver.at(PATH).len(), 3);
}

#[test]
fn runs_that_go_side_by_side_outlast_a_kill_each_under_its_id() {
    let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script(PATH, [Answer::ok().held()]);
    let change = json!({"overlap": "allow", "overlap_max": 2, "retry_backoff": "10ms"});
    let id = ksana.create_id(&with(hourly(&receiver.url(PATH)), &change));
    let mut runs = [ksana.run_now(&id), ksana.run_now(&id)];
    receiver.wait_for_path(PATH, 2);
    ksana.kill();
    receiver.script(PATH, [Answer::ok()]);
    ksana.start_again();
    let seen = receiver.wait_for_path(PATH, 4);
    ksana.await_status(&id, "success");
    let mut again: Vec<_> = seen[2..].iter().map(|fire| (fire.run_id(), fire.attempt())).collect();
    again.sort_unstable();
    runs.sort_unstable();
    assert_eq!(again, [(runs[0].as_str(), 2), (runs[1].as_str(), 2)]);
}

#[test]
fn with_replace_the_run_has_failed_and_the_new_one_begins_while_the_old_request_is_held() {
    let (ksana, receiver) = (Ksana::with("WORKERS", "1"), Receiver::start());
    // If anybody still cared for it, the first answer would be retried.
    receiver.script(PATH, [Answer::status(503).held(), Answer::ok().held()]);
    let (job, due) = due(&receiver, 2, &json!({"overlap": "replace", "retry_backoff": "1ms"}));
    let id = ksana.create_id(&job);
    assert_eq!(instants(&receiver.wait_for_path(PATH, 2)), due);
    assert_eq!(receiver.in_flight(), 2);
    let replaced = ksana.job(&id);
    assert_eq!(replaced["last_status"], "failed");
    assert_eq!(replaced["last_error"], format!("cancelled: the fire of {} took its place", due[1]));
    let began = time(&replaced["last_run_at"]);
    assert!(due[0] <= began && began < due[1], "the old run began at {began}");

    receiver.release(PATH);
    let done = ksana.await_status(&id, "success");
    assert!(time(&done["last_run_at"]) >= due[1], "{done}");
    ksana.let_pass(&receiver, 200);
    assert_eq!(ksana.job(&id), done, "the old answer changes nothing");
    assert_eq!(receiver.at(PATH).len(), 2);
}

#[test]
fn with_replace_a_retry_that_waits_gives_way() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script(PATH, [Answer::status(503), Answer::ok()]);
    let (job, due) = due(&receiver, 2, &json!({"overlap": "replace", "retry_backoff": "600ms"}));
    let id = ksana.create_id(&job);
    ksana.await_status(&id, "success");
    ksana.let_pass(&receiver, 700);
    let attempts: Vec<_> = receiver.at(PATH).iter().map(|fire| (fire.scheduled_at(), fire.attempt())).collect();
    assert_eq!(attempts, [(due[0], 1), (due[1], 1)]);
}

#[test]
fn the_fire_of_a_once_waits_with_queue_goes_beside_with_allow_and_replaces() {
    let (ksana, receiver) = (Ksana::with("WORKERS", "8"), Receiver::start());
    let run_at = ahead(3_000);
    let policies = [
        ("queue", json!({"overlap": "queue"}), 1),
        ("allow", json!({"overlap": "allow", "overlap_max": 2}), 2),
        ("replace", json!({"overlap": "replace"}), 2),
    ];
    for (name, policy, _) in &policies {
        let path = format!("/{name}");
        receiver.script(&path, [Answer::ok().held()]);
        ksana.create(&with(with(once(&receiver.url(&path), run_at), policy), &json!({"id": name})));
        ksana.run_now(name);
        receiver.wait_for_path(&path, 1);
    }
    let_be_fired(&ksana, &receiver, run_at);
    for (name, _, count) in policies {
        let path = format!("/{name}");
        assert_eq!(receiver.at(&path).len(), count, "{name}");
        assert_eq!(ksana.job(name)["last_status"], if name == "replace" { "failed" } else { "" });
        receiver.release(&path);
        assert_eq!(receiver.wait_for_path(&path, 2)[1].scheduled_at(), run_at, "{name}");
        ksana.await_job(name, "its end", |job| job["last_status"] == "success" && job["next_run_at"] == "");
    }
}
