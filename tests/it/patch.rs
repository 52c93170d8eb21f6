//! Kept: PATCH.

use serde_json::json;

use crate::support::{Builder, Ksana, Receiver, ahead, every, hourly, now, once, time, with};

const TARGET: &str = "http://127.0.0.1:9/";

#[test]
fn an_absent_field_or_null_is_left() {
    let ksana = Ksana::start();
    let given = json!({"timeout": "30s", "max_retries": 1, "retry_backoff": "1m",
        "http": {"method": "PUT", "headers": {"X-A": "1"}, "body": "b"}});
    let job = ksana.create(&with(hourly(TARGET), &given));
    let id = job["id"].as_str().expect("a job has an id");
    let nulls = json!({
        "id": null, "name": null, "enabled": null, "type": null, "schedule": null, "timeout": null,
        "max_retries": null, "retry_backoff": null,
        "http": {"method": null, "url": null, "headers": null, "body": null},
    });
    for patch in [json!({}), json!({"http": null}), json!({"http": {}}), nulls] {
        assert_eq!(ksana.patch(id, &patch).expect(200).json(), job, "{patch}");
    }
}

#[test]
fn another_value_replaces_and_stays() {
    let mut ksana = Ksana::start();
    let id = ksana.create_id(&hourly(TARGET));
    let patch = json!({"name": "other", "timeout": "1m", "max_retries": 9, "retry_backoff": "1s"});
    let patched = ksana.patch(&id, &patch).expect(200).json();
    for (key, value) in patch.as_object().expect("it is one") {
        assert_eq!(&patched[key], value);
    }
    assert_eq!(ksana.job(&id), patched);
    ksana.restart();
    assert_eq!(ksana.job(&id), patched);
}

#[test]
fn empty_sets_the_default_or_unset() {
    let ksana = Builder::new().env("DEFAULT_TIMEOUT", "7s").env("RETRY_BACKOFF", "8s").start();
    let given = json!({"timeout": "30s", "retry_backoff": "1m", "http": {"method": "PUT", "body": "b"},
        "schedule": {"start_at": "2099-01-01T00:00:00Z"}});
    let id = ksana.create_id(&with(hourly(TARGET), &given));
    let empty = json!({"timeout": "", "retry_backoff": "", "http": {"method": "", "body": ""}});
    let patched = ksana.patch(&id, &empty).expect(200).json();
    assert_eq!((&patched["timeout"], &patched["retry_backoff"]), (&json!("7s"), &json!("8s")));
    assert_eq!((&patched["http"]["method"], &patched["http"]["body"]), (&json!("POST"), &json!("")));
    assert_eq!(patched["http"]["url"], TARGET);
    let schedule = json!({"kind": "every", "every": "1h", "start_at": "", "jitter": ""});
    let patched = ksana.patch(&id, &json!({"schedule": schedule})).expect(200).json();
    assert_eq!(patched["schedule"]["start_at"], "");
}

#[test]
fn name_and_url_cannot_be_emptied() {
    let ksana = Ksana::start();
    let id = ksana.create_id(&hourly(TARGET));
    assert_eq!(ksana.patch(&id, &json!({"name": ""})).refusal(400)["field"], "/name");
    assert_eq!(ksana.patch(&id, &json!({"http": {"url": ""}})).refusal(400)["field"], "/http/url");
}

#[test]
fn http_is_patched_field_by_field_and_headers_as_a_whole() {
    let ksana = Ksana::start();
    let given = json!({"http": {"method": "PUT", "headers": {"X-A": "1", "X-B": "2"}, "body": "b"}});
    let id = ksana.create_id(&with(hourly(TARGET), &given));
    let http = |patch| ksana.patch(&id, &json!({"http": patch})).expect(200).json()["http"].clone();
    let url = "http://127.0.0.1:9/other";
    assert_eq!(
        http(json!({"url": url})),
        json!({"method": "PUT", "url": url, "headers": {"X-A": "1", "X-B": "2"}, "body": "b"})
    );
    assert_eq!(http(json!({"headers": {"X-C": "3"}}))["headers"], json!({"X-C": "3"}));
    assert_eq!(http(json!({"method": "get"}))["method"], "GET");
    let emptied = http(json!({"headers": {}}));
    assert!(emptied["headers"].as_object().is_none_or(serde_json::Map::is_empty), "{emptied}");
    assert_eq!(emptied["body"], "b");
}

#[test]
fn schedule_is_replaced_as_a_whole() {
    let ksana = Ksana::start();
    let given = json!({"schedule": {"start_at": "2099-01-01T00:00:00Z", "jitter": "5s"}});
    let id = ksana.create_id(&with(hourly(TARGET), &given));
    ksana.patch(&id, &json!({"schedule": {"every": "2h"}})).refusal(400);
    let before = now();
    let patched = ksana.patch(&id, &json!({"schedule": {"kind": "every", "every": "2h"}})).expect(200).json();
    assert_eq!(patched["schedule"]["start_at"], "");
    assert_ne!(patched["schedule"]["jitter"], "5s");
    let wait = time(&patched["next_run_at"]).duration_since(before).as_secs();
    assert!((7200..7220).contains(&wait), "counted from now, not {wait} s");
}

#[test]
fn a_schedule_that_equals_the_present_one_changes_nothing() {
    let ksana = Ksana::start();
    let job = ksana.create(&with(hourly(TARGET), &json!({"schedule": {"jitter": "10m"}})));
    let id = job["id"].as_str().expect("a job has an id");
    for every in ["1h", "60m", "1h0m0s"] {
        let schedule = json!({"kind": "every", "every": every, "jitter": "600s", "start_at": null});
        assert_eq!(ksana.patch(id, &json!({"schedule": schedule})).expect(200).json(), job, "{every}");
    }
}

#[test]
fn an_equal_run_at_in_the_past_changes_nothing_and_another_one_is_refused() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let id = ksana.create_id(&once(&receiver.url("/once"), ahead(300)));
    let done = ksana.await_status(&id, "success");
    let same = json!({"schedule": done["schedule"], "name": "renamed"});
    let patched = ksana.patch(&id, &same).expect(200).json();
    assert_eq!(patched, with(done, &json!({"name": "renamed"})));
    let past = json!({"kind": "once", "run_at": "2020-01-01T00:00:00Z"});
    assert_eq!(ksana.patch(&id, &json!({"schedule": past})).refusal(400)["field"], "/schedule/run_at");
    ksana.let_pass(&receiver, 300);
    assert_eq!(receiver.at("/once").len(), 1);
}

#[test]
fn a_change_of_anything_else_leaves_next_run_at() {
    let ksana = Ksana::start();
    let job = ksana.create(&with(hourly(TARGET), &json!({"schedule": {"jitter": "30m"}})));
    let id = job["id"].as_str().expect("a job has an id");
    for patch in [
        json!({"name": "renamed"}),
        json!({"http": {"url": "http://127.0.0.1:9/x", "method": "PUT", "headers": {"A": "b"}, "body": "b"}}),
        json!({"timeout": "1s", "max_retries": 0, "retry_backoff": "0s"}),
        json!({"enabled": true}),
    ] {
        assert_eq!(ksana.patch(id, &patch).expect(200).json()["next_run_at"], job["next_run_at"], "{patch}");
    }
}

#[test]
fn enabled_false_or_true_is_pause_or_resume() {
    let ksana = Ksana::start();
    let job = ksana.create(&with(hourly(TARGET), &json!({"schedule": {"start_at": "2099-01-01T00:00:00Z"}})));
    let id = job["id"].as_str().expect("a job has an id");
    let paused = ksana.patch(id, &json!({"enabled": false})).expect(200).json();
    assert_eq!(paused["enabled"], false);
    assert_eq!((&paused["next_run_at"], &paused["last_status"]), (&json!(""), &json!("paused")));
    let resumed = ksana.patch(id, &json!({"enabled": true})).expect(200).json();
    assert_eq!(resumed["enabled"], true);
    assert_eq!(resumed["next_run_at"], "2099-01-01T00:00:00Z");
}

#[test]
fn id_and_type_may_stand_there_if_they_are_the_same() {
    let ksana = Ksana::start();
    let id = ksana.create_id(&hourly(TARGET));
    ksana.patch(&id, &json!({"id": id, "type": "http"})).expect(200);
    assert_eq!(ksana.patch(&id, &json!({"id": "another"})).refusal(400)["field"], "/id");
    assert_eq!(ksana.patch(&id, &json!({"type": "ftp"})).refusal(400)["field"], "/type");
    ksana.get("/jobs/another").refusal(404);
}

#[test]
fn read_only_fields_are_passed_over() {
    let ksana = Ksana::start();
    let job = ksana.create(&hourly(TARGET));
    let id = job["id"].as_str().expect("a job has an id");
    let patch = json!({"last_run_at": "2020-01-01T00:00:00Z", "next_run_at": "2020-01-01T00:00:00Z",
        "last_status": "success", "last_error": "none"});
    assert_eq!(ksana.patch(id, &patch).expect(200).json(), job);
}

#[test]
fn a_changed_schedule_plans_anew() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let id = ksana.create_id(&hourly(&receiver.url("/soon")));
    ksana.patch(&id, &json!({"schedule": {"kind": "every", "every": "100ms"}})).expect(200);
    receiver.wait_for_path("/soon", 2);
    let far = json!({"kind": "once", "run_at": "2099-01-01T00:00:00Z"});
    assert_eq!(ksana.patch(&id, &json!({"schedule": far})).expect(200).json()["next_run_at"], "2099-01-01T00:00:00Z");
    ksana.let_pass(&receiver, 100);
    let count = receiver.at("/soon").len();
    ksana.let_pass(&receiver, 400);
    assert_eq!(receiver.at("/soon").len(), count, "the old grid is gone");
}

#[test]
fn a_done_once_with_a_new_run_at_is_planned_anew() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let id = ksana.create_id(&once(&receiver.url("/once"), ahead(300)));
    ksana.await_status(&id, "success");
    let again = ahead(500);
    let schedule = json!({"kind": "once", "run_at": again.to_string()});
    let patched = ksana.patch(&id, &json!({"schedule": schedule})).expect(200).json();
    assert_eq!(time(&patched["next_run_at"]), again);
    let seen = receiver.wait_for_path("/once", 2);
    assert_eq!(seen[1].scheduled_at(), again);
    assert_ne!(seen[0].run_id(), seen[1].run_id());
}

#[test]
fn a_paused_job_can_be_patched_and_stays_paused() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let id = ksana.create_id(&with(every(&receiver.url("/quiet"), "100ms"), &json!({"enabled": false})));
    let schedule = json!({"kind": "every", "every": "200ms"});
    let patched = ksana.patch(&id, &json!({"schedule": schedule, "name": "renamed"})).expect(200).json();
    assert_eq!((&patched["enabled"], &patched["next_run_at"]), (&json!(false), &json!("")));
    ksana.let_pass(&receiver, 600);
    assert_eq!(receiver.at("/quiet").len(), 0);
}
