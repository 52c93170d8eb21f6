//! Kept: a job's limits, each on both sides.

use serde_json::{Map, Value, json};

use crate::support::{Ksana, hourly, with};

const TARGET: &str = "http://127.0.0.1:9/";

#[track_caller]
fn accepted(ksana: &Ksana, change: &Value) {
    let answer = ksana.post("/jobs", &with(hourly(TARGET), change));
    assert_eq!(answer.status, 201, "{}", answer.text());
}

#[track_caller]
fn refused(ksana: &Ksana, change: &Value, field: &str) {
    let error = ksana.post("/jobs", &with(hourly(TARGET), change)).refusal(400);
    assert_eq!(error["field"], field, "{error}");
}

#[test]
fn name_is_1_to_256_characters() {
    let ksana = Ksana::start();
    for name in ["x".to_owned(), "x".repeat(256), "ä".repeat(256), "日".repeat(256)] {
        accepted(&ksana, &json!({"name": name}));
    }
    for name in [String::new(), "x".repeat(257), "ä".repeat(257)] {
        refused(&ksana, &json!({"name": name}), "/name");
    }
}

#[test]
fn body_is_at_most_1_mib() {
    let ksana = Ksana::start();
    accepted(&ksana, &json!({"http": {"body": "b".repeat(1 << 20)}}));
    refused(&ksana, &json!({"http": {"body": "b".repeat((1 << 20) + 1)}}), "/http/body");
    // What counts is the body, not how long JSON makes it.
    accepted(&ksana, &json!({"http": {"body": "\u{1}".repeat(1 << 20)}}));
    refused(&ksana, &json!({"http": {"body": format!("ä{}", "b".repeat((1 << 20) - 1))}}), "/http/body");
}

#[test]
fn every_is_100_ms_to_10_years() {
    let ksana = Ksana::start();
    for every in ["100ms", "0.1s", "87600h"] {
        accepted(&ksana, &json!({"schedule": {"every": every}}));
    }
    for every in ["99ms", "99.999999ms", "0s", "-1h", "88000h", "2000000h"] {
        refused(&ksana, &json!({"schedule": {"every": every}}), "/schedule/every");
    }
}

#[test]
fn timeout_is_1_ms_to_1_h() {
    let ksana = Ksana::start();
    for timeout in ["1ms", "1h"] {
        accepted(&ksana, &json!({"timeout": timeout}));
    }
    for timeout in ["999us", "0s", "-1s", "1h1ns"] {
        refused(&ksana, &json!({"timeout": timeout}), "/timeout");
    }
}

#[test]
fn max_retries_is_0_to_100() {
    let ksana = Ksana::start();
    for retries in [0, 100] {
        accepted(&ksana, &json!({"max_retries": retries}));
    }
    for retries in [json!(-1), json!(101), json!(1.5), json!("3"), json!(1e18), json!(true)] {
        refused(&ksana, &json!({"max_retries": retries}), "/max_retries");
    }
}

#[test]
fn retry_backoff_is_0_to_24_h() {
    let ksana = Ksana::start();
    for backoff in ["0s", "0", "24h"] {
        accepted(&ksana, &json!({"retry_backoff": backoff}));
    }
    for backoff in ["-1ns", "24h1ns"] {
        refused(&ksana, &json!({"retry_backoff": backoff}), "/retry_backoff");
    }
}

#[test]
fn jitter_is_at_most_every() {
    let ksana = Ksana::start();
    for jitter in ["0s", "1h", "59m"] {
        accepted(&ksana, &json!({"schedule": {"jitter": jitter}}));
    }
    for jitter in ["-1s", "1h1ns"] {
        refused(&ksana, &json!({"schedule": {"jitter": jitter}}), "/schedule/jitter");
    }
}

#[test]
fn headers_are_at_most_100() {
    let ksana = Ksana::start();
    let headers =
        |count: usize| -> Map<String, Value> { (0..count).map(|number| (format!("X-{number}"), json!("v"))).collect() };
    accepted(&ksana, &json!({"http": {"headers": headers(100)}}));
    refused(&ksana, &json!({"http": {"headers": headers(101)}}), "/http/headers");
}

#[test]
fn run_at_must_lie_ahead_when_it_is_set() {
    let ksana = Ksana::start();
    for past in ["2020-01-01T00:00:00Z", "1970-01-01T00:00:00Z"] {
        let job = json!({"name": "o", "http": {"url": TARGET}, "schedule": {"kind": "once", "run_at": past}});
        let error = ksana.post("/jobs", &job).refusal(400);
        assert_eq!(error["field"], "/schedule/run_at", "{error}");
    }
}

#[test]
fn the_limits_hold_for_a_patch_too() {
    let ksana = Ksana::start();
    let id = ksana.create_id(&hourly(TARGET));
    for (patch, field) in [
        (json!({"name": "x".repeat(257)}), "/name"),
        (json!({"timeout": "2h"}), "/timeout"),
        (json!({"max_retries": 101}), "/max_retries"),
        (json!({"retry_backoff": "25h"}), "/retry_backoff"),
        (json!({"http": {"url": "ftp://a/"}}), "/http/url"),
        (json!({"schedule": {"kind": "every", "every": "99ms"}}), "/schedule/every"),
        (json!({"schedule": {"kind": "every", "every": "1m", "jitter": "2m"}}), "/schedule/jitter"),
        (json!({"schedule": {"kind": "once", "run_at": "2020-01-01T00:00:00Z"}}), "/schedule/run_at"),
    ] {
        let error = ksana.patch(&id, &patch).refusal(400);
        assert_eq!(error["field"], field, "{error}");
    }
}

#[test]
fn a_limit_says_what_is_accepted() {
    let ksana = Ksana::start();
    for (change, accepted) in [
        (json!({"timeout": "2h"}), "1h"),
        (json!({"schedule": {"every": "1ms"}}), "100ms"),
        (json!({"max_retries": 101}), "100"),
        (json!({"retry_backoff": "25h"}), "24h"),
        (json!({"name": "x".repeat(257)}), "256"),
        (json!({"schedule": {"kind": "hourly"}}), "every"),
    ] {
        let error = ksana.post("/jobs", &with(hourly(TARGET), &change)).refusal(400);
        assert!(error["message"].as_str().is_some_and(|message| message.contains(accepted)), "{error}");
    }
}
