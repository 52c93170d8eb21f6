//! New: a pause that ends by itself.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::{Ksana, Receiver, ago, ahead, await_clock, every, hourly, now, once, time, with};

#[track_caller]
fn pause_until(ksana: &Ksana, id: &str, until: Timestamp) {
    let answer = ksana.act_with(id, "pause", &json!({"until": until.to_string()})).expect(200);
    assert_eq!(answer.json(), json!({"message": "job paused"}));
}

/// Checks that the job is paused and says until when, or that nobody knows.
#[track_caller]
fn is_paused(job: &Value, until: Option<Timestamp>) {
    assert_eq!((&job["enabled"], &job["next_run_at"]), (&json!(false), &json!("")), "{job}");
    assert_eq!(job.get("paused_until").map(time), until, "{job}");
}

/// Waits until it has resumed. The key is gone then.
fn await_resumed(ksana: &Ksana, id: &str) -> Value {
    let job = ksana.await_job(id, "the resume", |job| job["enabled"] == true);
    assert_eq!(job.get("paused_until"), None, "{job}");
    job
}

#[test]
fn the_job_rests_until_then_and_resumes_by_itself() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let id = ksana.create_id(&every(&receiver.url("/tick"), "150ms"));
    receiver.wait_for_path("/tick", 1);
    let until = ahead(1_600);
    pause_until(&ksana, &id, until);
    let job = ksana.job(&id);
    is_paused(&job, Some(until));
    // What was begun before may still be on its way.
    ksana.let_pass(&receiver, 100);
    let count = receiver.at("/tick").len();
    await_resumed(&ksana, &id);
    assert!(now() >= until, "it is early");
    let fires = receiver.wait_for_path("/tick", count + 2);
    for fire in &fires[count..] {
        assert!(fire.scheduled_at() > until, "{} lies in the pause", fire.scheduled_at());
    }
}

#[test]
fn it_outlasts_a_restart() {
    for is_killed in [true, false] {
        let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
        let id = ksana.create_id(&every(&receiver.url("/tick"), "150ms"));
        let until = ahead(2_200);
        pause_until(&ksana, &id, until);
        let shown = ksana.job(&id);
        ksana.end(is_killed);
        ksana.start_again();
        assert_eq!(ksana.job(&id), shown, "killed: {is_killed}");
        is_paused(&shown, Some(until));
        await_resumed(&ksana, &id);
        assert!(receiver.wait_for_path("/tick", 1)[0].scheduled_at() > until);
    }
}

#[test]
fn one_that_ends_while_the_service_is_down_has_ended_with_the_start() {
    for is_killed in [true, false] {
        let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
        let id = ksana.create_id(&with(every(&receiver.url("/tick"), "150ms"), &json!({"misfire": "all"})));
        let until = ahead(1_200);
        pause_until(&ksana, &id, until);
        ksana.end(is_killed);
        await_clock(until);
        ksana.start_again();
        await_resumed(&ksana, &id);
        let first = receiver.wait_for_path("/tick", 1).remove(0);
        assert!(first.scheduled_at() > ksana.launched_at, "nothing of a pause is made up for");
    }
}

#[test]
fn a_time_that_has_passed_and_what_is_no_time_are_refused() {
    let ksana = Ksana::start();
    let job = ksana.create(&hourly("http://127.0.0.1:9/"));
    let id = job["id"].as_str().expect("a job has an id");
    for (body, field) in [
        (json!({"until": ago(1).to_string()}), "/until"),
        (json!({"until": "2001-01-01T00:00:00+01:00"}), "/until"),
        (json!({"until": "tomorrow"}), "/until"),
        (json!({"until": 5}), "/until"),
        (json!({"until": {}}), "/until"),
        (json!({"for": "1h"}), "/for"),
    ] {
        let refusal = ksana.act_with(id, "pause", &body).refusal(400);
        assert_eq!(refusal["field"], field, "{refusal}");
    }
    for body in
        ["{until", "until=2036-01-01T00:00:00Z", "\"until\": \"2036-01-01T00:00:00Z\"}", "\"2036-01-01T00:00:00Z\""]
    {
        ksana.call("POST", &format!("/jobs/{id}/pause")).body(body).send().refusal(400);
    }
    assert_eq!(ksana.job(id), job, "it is not paused");
    ksana.act_with("nobody", "pause", &json!({"until": ahead(60_000).to_string()})).refusal(404);
}

#[test]
fn a_resume_before_ends_it() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let until = ahead(1_900);
    let ids = ["/act", "/patch"].map(|path| {
        let id = ksana.create_id(&every(&receiver.url(path), "150ms"));
        pause_until(&ksana, &id, until);
        id
    });
    ksana.act(&ids[0], "resume").expect(200);
    ksana.patch(&ids[1], &json!({"enabled": true})).expect(200);
    for (id, path) in ids.iter().zip(["/act", "/patch"]) {
        await_resumed(&ksana, id);
        assert!(now() < until, "the machine is too slow");
        receiver.wait_for_path(path, 1);
    }
    // Nor does its end come back on one that is paused again.
    ksana.act(&ids[0], "pause").expect(200);
    await_clock(until);
    ksana.let_pass(&receiver, 200);
    is_paused(&ksana.job(&ids[0]), None);
}

#[test]
fn a_pause_without_a_body_takes_it_back_to_for_ever() {
    let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
    let until = ahead(1_600);
    let bodies = [None, Some(""), Some("{}"), Some("null"), Some(r#"{"until": null}"#), Some(r#"{"until": ""}"#)];
    let ids = bodies.map(|body| {
        let id = ksana.create_id(&every(&receiver.url("/tick"), "1h"));
        pause_until(&ksana, &id, until);
        let call = ksana.call("POST", &format!("/jobs/{id}/pause"));
        let answer = if let Some(body) = body { call.body(body) } else { call }.send();
        assert_eq!(answer.status, 200, "{body:?}: {}", answer.text());
        is_paused(&ksana.job(&id), None);
        id
    });
    ksana.kill();
    await_clock(until);
    ksana.start_again();
    ksana.let_pass(&receiver, 200);
    for id in ids {
        is_paused(&ksana.job(&id), None);
    }
}

#[test]
fn another_time_takes_the_place_of_the_first() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let id = ksana.create_id(&every(&receiver.url("/tick"), "150ms"));
    ksana.act(&id, "pause").expect(200);
    let (first, second) = (ahead(1_000), ahead(1_600));
    for until in [ahead(3_600_000), first, second] {
        pause_until(&ksana, &id, until);
        is_paused(&ksana.job(&id), Some(until));
    }
    await_clock(first);
    ksana.let_pass(&receiver, 100);
    is_paused(&ksana.job(&id), Some(second));
    await_resumed(&ksana, &id);
    assert!(now() >= second);
}

#[test]
fn a_once_whose_time_lies_in_it_is_missed() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let missed = ksana.create_id(&once(&receiver.url("/missed"), ahead(1_000)));
    let in_time = ksana.create_id(&once(&receiver.url("/in-time"), ahead(1_900)));
    for id in [&missed, &in_time] {
        pause_until(&ksana, id, ahead(1_300));
    }
    assert_eq!(ksana.await_status(&missed, "missed")["next_run_at"], "");
    ksana.await_status(&in_time, "success");
    assert!(receiver.at("/missed").is_empty());
}

#[test]
fn a_job_that_was_read_can_be_sent_back_while_it_lasts() {
    let ksana = Ksana::start();
    let id = ksana.create_id(&hourly("http://127.0.0.1:9/"));
    pause_until(&ksana, &id, ahead(3_600_000));
    let shown = ksana.job(&id);
    assert_eq!(ksana.patch(&id, &shown).expect(200).json(), shown);
    // The key is read only: a copy of the job is paused, and nobody knows until when.
    let copy = ksana.create(&with(shown, &json!({"id": "copy"})));
    is_paused(&copy, None);
}
