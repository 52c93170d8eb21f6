//! New: what a `run-now` may send in the place of what its job says.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::{Answer, Ksana, Receiver, Request, ahead, eventually, hourly, with};

/// A job with something of each kind to override.
fn own(receiver: &Receiver) -> Value {
    let http = json!({"method": "PUT", "headers": {"X-Own": "1", "X-Both": "own"}, "body": "own"});
    with(hourly(&receiver.url("/own")), &json!({"http": http, "retry_backoff": "10ms"}))
}

fn other(receiver: &Receiver) -> Value {
    json!({"url": receiver.url("/other"), "headers": {"X-Both": "other"}, "body": "{\"full\": true}"})
}

#[track_caller]
fn is_other(request: &Request) {
    assert_eq!((request.path(), request.method.as_str()), ("/other", "PUT"));
    assert_eq!(request.body, b"{\"full\": true}");
    assert_eq!((request.header("X-Both"), request.header("X-Own")), (Some("other"), None));
    assert_eq!(request.header("Content-Type"), Some("application/json"), "as its body is, not as the job's");
}

#[track_caller]
fn is_own(request: &Request) {
    assert_eq!((request.path(), request.method.as_str(), request.body.as_slice()), ("/own", "PUT", &b"own"[..]));
    assert_eq!((request.header("X-Both"), request.header("X-Own")), (Some("own"), Some("1")));
}

/// Starts a run and gives its id.
#[track_caller]
fn run_with(ksana: &Ksana, id: &str, overrides: &Value) -> String {
    let answer = ksana.act_with(id, "run-now", overrides).expect(200).json();
    assert_eq!(answer["message"], "run started");
    answer["run_id"].as_str().expect("the answer names the run").to_owned()
}

#[test]
fn the_run_and_its_retries_send_them() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/other", [Answer::status(503), Answer::ok()]);
    let job = ksana.create(&own(&receiver));
    let id = job["id"].as_str().expect("a job has an id");
    let run_id = run_with(&ksana, id, &other(&receiver));
    let done = ksana.await_status(id, "success");
    let attempts = receiver.wait_for_path("/other", 2);
    for attempt in &attempts {
        is_other(attempt);
        assert_eq!(attempt.run_id(), run_id);
    }
    assert_eq!(attempts[1].attempt(), 2);
    assert_eq!(done["http"], job["http"], "the job itself is as it was");
    assert!(receiver.at("/own").is_empty());
}

#[test]
fn the_next_run_does_not_whether_it_is_planned_or_asked_for() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let start_at = ahead(1_600);
    let schedule = json!({"schedule": {"start_at": start_at.to_string()}});
    let id = ksana.create_id(&with(own(&receiver), &schedule));
    run_with(&ksana, &id, &other(&receiver));
    ksana.await_status(&id, "success");
    let planned = receiver.wait_for_path("/own", 1).remove(0);
    assert_eq!(planned.scheduled_at(), start_at);
    is_own(&planned);
    eventually("the run to end", || (ksana.act(&id, "cancel").status == 409).then_some(()));
    ksana.run_now(&id);
    is_own(&receiver.wait_for_path("/own", 2)[1]);
    assert_eq!(receiver.at("/other").len(), 1);
}

#[test]
fn its_retry_sends_them_after_a_kill_too() {
    for answer in [Answer::status(503), Answer::ok().held()] {
        let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
        let is_held = answer.held;
        receiver.script("/other", [answer]);
        let id = ksana.create_id(&with(own(&receiver), &json!({"retry_backoff": "1s"})));
        let run_id = run_with(&ksana, &id, &other(&receiver));
        // In the middle of the first attempt, or between the two.
        receiver.wait_for_path("/other", 1);
        if !is_held {
            ksana.log.wait_for("warn", &["attempt failed", &run_id]);
        }
        ksana.kill();
        assert_eq!(receiver.at("/other").len(), 1);
        receiver.script("/other", [Answer::ok()]);
        ksana.start_again();
        let second = receiver.wait_for_path("/other", 2).remove(1);
        is_other(&second);
        assert_eq!((second.run_id(), second.attempt()), (run_id.as_str(), 2));
        ksana.await_status(&id, "success");
        ksana.run_now(&id);
        is_own(&receiver.wait_for_path("/own", 1)[0]);
        assert!(!ksana.get("/jobs").text().contains("/other"), "a job does not show them");
    }
}

#[test]
fn each_key_alone_leaves_the_others_and_may_be_emptied() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let id = ksana.create_id(&own(&receiver));
    let mut seen = BTreeMap::new();
    for (count, (name, overrides)) in (1..).zip([
        ("url", json!({"url": receiver.url("/own?x=1")})),
        ("headers", json!({"headers": {"X-New": "2"}})),
        ("no headers", json!({"headers": {}})),
        ("body", json!({"body": "new"})),
        ("no body", json!({"body": ""})),
        ("nulls", json!({"url": null, "headers": null, "body": null})),
    ]) {
        eventually("the last run to end", || {
            let answer = ksana.act_with(&id, "run-now", &overrides);
            (answer.status != 409).then(|| answer.expect(200))
        });
        seen.insert(name, receiver.wait_for_path("/own", count).remove(count - 1));
    }
    let own_headers = |request: &Request| (request.header("X-Own").is_some(), request.header("X-New").is_some());
    assert_eq!(seen["url"].target, "/own?x=1");
    assert_eq!((seen["url"].body.as_slice(), own_headers(&seen["url"])), (&b"own"[..], (true, false)));
    assert_eq!((seen["headers"].body.as_slice(), own_headers(&seen["headers"])), (&b"own"[..], (false, true)));
    assert_eq!(own_headers(&seen["no headers"]), (false, false));
    assert_eq!((seen["body"].body.as_slice(), own_headers(&seen["body"])), (&b"new"[..], (true, false)));
    assert_eq!((seen["no body"].body.as_slice(), own_headers(&seen["no body"])), (&b""[..], (true, false)));
    is_own(&seen["nulls"]);
}

#[test]
fn what_is_no_object_or_an_empty_one_is_none_as_older_clients_send_it() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    for (number, body) in (1..).zip([None, Some(""), Some("{}"), Some("null"), Some(" \n"), Some("[]"), Some("a=b")]) {
        let id = ksana.create_id(&own(&receiver));
        let call = ksana.call("POST", &format!("/jobs/{id}/run-now"));
        let answer = if let Some(body) = body { call.body(body) } else { call }.send();
        assert_eq!(answer.status, 200, "{body:?}: {}", answer.text());
        is_own(&receiver.wait_for_path("/own", number)[number - 1]);
    }
}

#[test]
fn what_makes_no_sense_is_refused_by_field_and_starts_nothing() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let job = ksana.create(&own(&receiver));
    let id = job["id"].as_str().expect("a job has an id");
    for (overrides, field) in [
        (json!({"url": "ftp://127.0.0.1/"}), "/url"),
        (json!({"url": "nowhere"}), "/url"),
        (json!({"url": ""}), "/url"),
        (json!({"url": 5}), "/url"),
        (json!({"headers": {"a b": "c"}}), "/headers/a b"),
        (json!({"headers": {"X-A": "b\r\nX-C: d"}}), "/headers/X-A"),
        (json!({"headers": {"X-A": "b", "x-a": "c"}}), "/headers/x-a"),
        (json!({"headers": {"X-A": 5}}), "/headers/X-A"),
        (json!({"headers": "X-A: b"}), "/headers"),
        (json!({"body": "b".repeat((1 << 20) + 1)}), "/body"),
        (json!({"body": "b".repeat((256 << 10) + 1)}), "/body"),
        (json!({"body": {"full": true}}), "/body"),
        (json!({"method": "GET"}), "/method"),
        (json!({"http": {"body": "new"}}), "/http"),
        (json!({"url": receiver.url("/other"), "timeout": "1s"}), "/timeout"),
    ] {
        let refusal = ksana.act_with(id, "run-now", &overrides).refusal(400);
        assert_eq!((&refusal["error"], &refusal["field"]), (&json!("invalid"), &json!(field)), "{refusal}");
    }
    for body in ["{", "{} {}", "\"url\"", "url=http://127.0.0.1/", "\"body\": \"new\"}"] {
        ksana.call("POST", &format!("/jobs/{id}/run-now")).body(body).send().refusal(400);
    }
    assert_eq!(ksana.act(id, "cancel").refusal(409)["error"], "not_running");
    ksana.let_pass(&receiver, 100);
    assert_eq!(ksana.job(id), job);
    assert!(receiver.at("/own").is_empty() && receiver.at("/other").is_empty());
    ksana.act_with("nobody", "run-now", &json!({})).refusal(404);
}

#[test]
fn a_patch_during_the_run_leaves_what_it_overrides() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/other", [Answer::status(503).held(), Answer::ok()]);
    let id = ksana.create_id(&own(&receiver));
    run_with(&ksana, &id, &json!({"url": receiver.url("/other")}));
    receiver.wait_for_path("/other", 1);
    let patch = json!({"http": {"url": receiver.url("/patched"), "body": "patched"}});
    ksana.patch(&id, &patch).expect(200);
    receiver.release("/other");
    let second = receiver.wait_for_path("/other", 2).remove(1);
    assert_eq!(second.body, b"patched", "what it does not override is the job's as it is now");
    ksana.await_status(&id, "success");
    assert!(receiver.at("/patched").is_empty());
}
