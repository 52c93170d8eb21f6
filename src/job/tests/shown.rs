//! The JSON on the way out, to the byte.

use serde_json::json;

use super::super::{Shown, Stored, parse_time};
use super::stored;

#[test]
fn keys_stand_in_the_order_that_clients_know() {
    let job = stored(&json!({
        "id": "0198c9f2-5d0e-7a40-9a61-0c8f1b0d3b11", "name": "ping service",
        "http": {"method": "get", "url": "https://example.com/ping", "headers": {"X-Token": "abc"}},
        "schedule": {"kind": "every", "every": "5m0s", "jitter": "5s"},
        "timeout": "10s", "max_retries": 3, "retry_backoff": "5s", "next_run_at": "2025-09-19T13:05:00+02:00",
    }))
    .expect("a job");
    let expected = r#"{
  "id": "0198c9f2-5d0e-7a40-9a61-0c8f1b0d3b11",
  "name": "ping service",
  "enabled": true,
  "type": "http",
  "http": {
    "method": "GET",
    "url": "https://example.com/ping",
    "headers": {
      "X-Token": "abc"
    },
    "body": ""
  },
  "schedule": {
    "kind": "every",
    "every": "5m",
    "start_at": "",
    "jitter": "5s"
  },
  "timeout": "10s",
  "max_retries": 3,
  "retry_backoff": "5s",
  "last_run_at": "",
  "next_run_at": "2025-09-19T11:05:00Z",
  "last_status": "",
  "last_error": ""
}"#;
    assert_eq!(serde_json::to_string_pretty(&Shown(&job)).expect("JSON"), expected);
    assert_eq!(
        serde_json::to_string_pretty(&Stored(&job)).expect("JSON"),
        expected,
        "no state where nothing is to say"
    );
}

#[test]
fn a_once_shows_its_kind_and_run_at() {
    let job = stored(&json!({"schedule": {"kind": "once", "run_at": "2025-09-19T11:05:00.120Z"}})).expect("a job");
    let schedule = serde_json::to_string(&job.spec.schedule).expect("JSON");
    assert_eq!(schedule, r#"{"kind":"once","run_at":"2025-09-19T11:05:00.12Z"}"#);
}

#[test]
fn state_is_the_last_key_and_stands_in_files_only() {
    let mut job = stored(&json!({})).expect("a job");
    job.progress.state.anchor = Some(parse_time("2025-01-01T00:00:00Z").expect("a time"));
    let text = serde_json::to_string(&Stored(&job)).expect("JSON");
    assert!(text.ends_with(r#""last_error":"","state":{"anchor":"2025-01-01T00:00:00Z"}}"#), "{text}");
    assert!(!serde_json::to_string(&Shown(&job)).expect("JSON").contains("state"));
}
