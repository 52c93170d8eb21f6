//! A change: absent and `null` leave, `""` empties or gives the default, a value replaces.

use serde_json::{Value, json};

use super::super::{Shown, Spec};
use super::{DEFAULTS, job, new, patch, stored};

/// Applies a change to a job of a file, and gives the keys of the job that it changed.
fn changes(keys: &Value, change: &Value) -> Value {
    let before = stored(keys).expect("a job");
    let spec =
        patch(change).and_then(|patch| patch.apply(&before.spec)).unwrap_or_else(|invalid| panic!("{invalid:?}"));
    let mut after = before.clone();
    after.spec = spec.into();
    let [before, after] = [before, after].map(|job| serde_json::to_value(Shown(&job)).expect("JSON"));
    let mut changes = json!({});
    for (key, value) in after.as_object().expect("an object") {
        if before[key] != *value {
            changes[key] = value.clone();
        }
    }
    changes
}

fn refused(keys: &Value, change: &Value) -> String {
    let before = stored(keys).expect("a job");
    let refusal = patch(change).and_then(|patch| patch.apply(&before.spec)).expect_err("a refusal");
    refusal.field.into_owned()
}

fn full() -> Value {
    json!({
        "http": {"method": "PUT", "url": "http://localhost/", "headers": {"A": "1", "B": "2"}, "body": "text"},
        "schedule": {"kind": "every", "every": "10s", "start_at": "2025-01-01T00:00:00Z", "jitter": "5s"},
        "timeout": "1s", "max_retries": 1, "retry_backoff": "1s",
    })
}

#[test]
fn absent_and_null_leave_what_is_there() {
    assert_eq!(changes(&full(), &json!({})), json!({}));
    let nulls = json!({
        "id": null, "name": null, "enabled": null, "type": null, "schedule": null, "timeout": null, "max_retries": null,
        "retry_backoff": null, "http": {"method": null, "url": null, "headers": null, "body": null},
    });
    assert_eq!(changes(&full(), &nulls), json!({}));
    assert_eq!(changes(&full(), &json!({"http": null})), json!({}));
    assert_eq!(patch(&nulls).expect("a change").enabled, None);
}

#[test]
fn a_value_replaces() {
    assert_eq!(changes(&full(), &json!({"name": "new", "max_retries": 0})), json!({"name": "new", "max_retries": 0}));
    assert_eq!(changes(&full(), &json!({"timeout": "90s"})), json!({"timeout": "1m30s"}));
    for enabled in [true, false] {
        assert_eq!(patch(&json!({"enabled": enabled})).expect("a change").enabled, Some(enabled));
    }
}

#[test]
fn the_empty_string_sets_the_default_or_unset() {
    let (timeout, backoff) = (DEFAULTS.timeout.to_string(), DEFAULTS.retry_backoff.to_string());
    assert_eq!(changes(&full(), &json!({"timeout": ""})), json!({"timeout": timeout}));
    assert_eq!(changes(&full(), &json!({"retry_backoff": ""})), json!({"retry_backoff": backoff}));
    assert_eq!(changes(&full(), &json!({"max_retries": ""})), json!({"max_retries": 4}));
    assert_eq!(patch(&json!({"enabled": ""})).expect("a change").enabled, Some(true));
    let mut http = full()["http"].clone();
    http["body"] = "".into();
    assert_eq!(changes(&full(), &json!({"http": {"body": ""}})), json!({"http": http}));
    http = full()["http"].clone();
    http["method"] = "POST".into();
    assert_eq!(changes(&full(), &json!({"http": {"method": ""}})), json!({"http": http}));
    http = full()["http"].clone();
    http["headers"] = json!({});
    assert_eq!(changes(&full(), &json!({"http": {"headers": ""}})), json!({"http": http}));
    assert_eq!(refused(&full(), &json!({"name": ""})), "/name", "cannot be emptied");
    assert_eq!(refused(&full(), &json!({"http": ""})), "/http");
    assert_eq!(refused(&full(), &json!({"schedule": ""})), "/schedule");
}

#[test]
fn http_is_changed_field_by_field_and_headers_as_a_whole() {
    let mut http = full()["http"].clone();
    http["method"] = "DELETE".into();
    assert_eq!(changes(&full(), &json!({"http": {"method": "delete"}})), json!({"http": http}));
    http = full()["http"].clone();
    http["headers"] = json!({"C": "3"});
    assert_eq!(changes(&full(), &json!({"http": {"headers": {"C": "3"}}})), json!({"http": http}));
}

#[test]
fn a_schedule_is_changed_as_a_whole() {
    let changed = json!({"schedule": {"kind": "every", "every": "10s", "start_at": "", "jitter": ""}});
    assert_eq!(changes(&full(), &json!({"schedule": {"kind": "every", "every": "10s"}})), changed);
    assert_eq!(refused(&full(), &json!({"schedule": {"every": "10s"}})), "/schedule/kind");
    assert_eq!(refused(&full(), &json!({"schedule": {"kind": "every", "jitter": "1s"}})), "/schedule/every");
    assert_eq!(refused(&full(), &json!({"schedule": {"kind": "every", "every": "1ms"}})), "/schedule/every");
}

#[test]
fn id_and_type_may_stand_there_if_they_are_the_same() {
    assert_eq!(changes(&full(), &json!({"id": "a", "type": "http"})), json!({}));
    assert_eq!(changes(&full(), &json!({"id": "", "type": ""})), json!({}));
    assert_eq!(refused(&full(), &json!({"id": "b"})), "/id");
    assert_eq!(refused(&full(), &json!({"type": "grpc"})), "/type");
}

#[test]
fn limits_hold_for_what_a_change_brings() {
    assert_eq!(refused(&full(), &json!({"timeout": "2h"})), "/timeout");
    assert_eq!(refused(&full(), &json!({"max_retries": -1})), "/max_retries");
    assert_eq!(refused(&full(), &json!({"name": "x".repeat(257)})), "/name");
}

#[test]
fn what_a_file_brought_in_stays_where_a_change_leaves_it() {
    let odd = json!({"name": "", "timeout": "-1s", "max_retries": 1000, "retry_backoff": "48h", "schedule": {"kind": "every", "every": "1ms", "jitter": "1s"}});
    assert_eq!(changes(&odd, &json!({"http": {"body": "x"}}))["http"]["body"], "x");
    assert_eq!(changes(&odd, &json!({"max_retries": 3})), json!({"max_retries": 3}));
    assert_eq!(refused(&odd, &json!({"max_retries": 1001})), "/max_retries");
    let same = serde_json::to_value(Shown(&stored(&odd).expect("a job"))).expect("JSON");
    assert_eq!(changes(&odd, &same), json!({}));
}

#[test]
fn a_job_that_was_read_can_be_sent_back() {
    for keys in [
        json!({}),
        full(),
        json!({"schedule": {"kind": "once", "run_at": "2025-01-01T00:00:00.000000001Z"}, "enabled": false}),
        json!({"last_run_at": "2025-01-01T00:00:00Z", "last_status": "failed", "last_error": "status 500", "next_run_at": "2025-01-01T00:05:00Z"}),
    ] {
        let before = stored(&keys).expect("a job");
        let shown = serde_json::to_value(Shown(&before)).expect("JSON");
        assert_eq!(changes(&keys, &shown), json!({}), "as a PATCH");
        let (spec, enabled) = new(&job(&shown)).expect("as a POST");
        assert_eq!((&spec, enabled), (&Spec::clone(&before.spec), before.progress.enabled));
    }
}
