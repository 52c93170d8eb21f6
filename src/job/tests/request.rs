//! A new job: defaults, the three ways of unset, what is refused and by which name.

use serde_json::{Value, json};

use super::super::{GoDuration, HttpCall, JobDraft, OwnPolicy, Request, Schedule, Spec, parse_time};
use super::{DEFAULTS, job, new, read};

fn refused(keys: &Value) -> (String, String) {
    let invalid = new(&job(keys)).expect_err("a refusal");
    (invalid.field.into_owned(), invalid.message)
}

/// Refused already by its shape: the path of the field, and a message that has this part.
fn check_shape(text: &str, path: &str, part: &str) {
    let (at, message) = read::<JobDraft<Request>>(text).err().unwrap_or_else(|| panic!("{text} was taken"));
    assert_eq!(at, path, "{text}: {message}");
    assert!(message.contains(part), "{text}: {message}");
}

#[test]
fn what_is_left_out_gets_its_default() {
    let expected = Spec {
        id: super::JobId::parse("fresh").expect("an id"),
        name: "ping".into(),
        http: HttpCall { method: "POST".into(), url: "http://localhost/".into(), headers: Vec::new(), body: "".into() },
        schedule: Schedule::Every {
            every: GoDuration::from_secs(300),
            start_at: None,
            jitter: GoDuration::ZERO,
            bounds: crate::job::Bounds::default(),
        },
        timeout: DEFAULTS.timeout,
        max_retries: DEFAULTS.max_retries,
        retry_backoff: DEFAULTS.retry_backoff,
        policy: OwnPolicy::default(),
    };
    assert_eq!(new(&job(&json!({}))), Ok((expected, true)));
}

#[test]
fn null_the_empty_string_and_an_absent_key_all_mean_unset() {
    let absent = new(&job(&json!({})));
    for unset in [json!(null), json!("")] {
        let all = json!({
            "id": unset, "enabled": unset, "type": unset, "timeout": unset, "max_retries": unset,
            "retry_backoff": unset, "last_run_at": unset, "next_run_at": unset, "last_status": unset, "last_error": unset,
            "http": {"method": unset, "url": "http://localhost/", "headers": unset, "body": unset},
            "schedule": {"kind": "every", "every": "5m", "run_at": unset, "start_at": unset, "jitter": unset},
        });
        assert_eq!(new(&job(&all)), absent);
        let once = json!({"kind": "once", "run_at": "2030-01-01T00:00:00Z", "every": unset, "start_at": unset, "jitter": unset});
        let (spec, _) = new(&job(&json!({"schedule": once}))).expect("a job");
        assert_eq!(spec.schedule, Schedule::Once { run_at: parse_time("2030-01-01T00:00:00Z").expect("a time") });
        for (keys, field) in [
            (json!({"name": unset}), "/name"),
            (json!({"http": unset}), "/http"),
            (json!({"schedule": unset}), "/schedule"),
            (json!({"schedule": {"kind": unset, "every": "5m"}}), "/schedule/kind"),
            (json!({"schedule": {"kind": "every", "every": unset}}), "/schedule/every"),
            (json!({"schedule": {"kind": "once", "run_at": unset}}), "/schedule/run_at"),
        ] {
            assert_eq!(refused(&keys).0, field, "{keys}");
        }
    }
}

#[test]
fn what_is_given_is_taken() {
    let (spec, enabled) = new(&job(&json!({
        "id": "A.b_c~d-1", "enabled": false, "type": "http", "name": "ä".repeat(256),
        "http": {"method": "get", "url": "https://example.com/ping", "body": "{}"},
        "schedule": {"kind": "every", "every": "1h2m3.5s", "start_at": "2025-09-19T13:05:00.5+02:00", "jitter": "100us"},
        "timeout": "1.5s", "max_retries": 0, "retry_backoff": "0s",
    })))
    .expect("a job");
    assert!(!enabled);
    assert_eq!((spec.id.as_str(), spec.http.method.as_ref()), ("A.b_c~d-1", "GET"), "upper case out");
    assert_eq!((spec.max_retries, spec.retry_backoff), (0, GoDuration::ZERO), "zero is not unset");
    let start_at = Some(parse_time("2025-09-19T11:05:00.5Z").expect("a time"));
    let (every, jitter) = (GoDuration::from_millis(3_723_500), GoDuration::from_nanos(100_000));
    assert_eq!(spec.schedule, Schedule::Every { every, start_at, jitter, bounds: crate::job::Bounds::default() });
}

#[test]
fn headers_keep_their_order_and_an_empty_value_is_one() {
    let text = r#"{"http": {"headers": {"X-B": "1", "X-A": "", "X-C": null}}}"#;
    let draft: JobDraft<Request> = read(text).expect("a job in shape");
    let headers = draft.http.set().and_then(|http| http.headers.set()).expect("headers");
    let headers: Vec<_> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(headers, [("X-B", "1"), ("X-A", "")]);
}

#[test]
fn unknown_fields_are_refused_by_name() {
    check_shape(r#"{"nmae": "x"}"#, "nmae", "unknown field `nmae`");
    check_shape(r#"{"http": {"uri": "x"}}"#, "http.uri", "unknown field `uri`");
    check_shape(r#"{"schedule": {"kind": "every", "evry": "5m"}}"#, "schedule.evry", "unknown field `evry`");
    check_shape(r#"{"state": {}}"#, "state", "unknown field `state`");
    check_shape(r#"{"state": null}"#, "state", "unknown field `state`");
}

#[test]
fn read_only_fields_are_passed_over_whatever_they_hold() {
    let keys = json!({"last_run_at": [1], "next_run_at": {"a": 1}, "last_status": 7, "last_error": false});
    assert_eq!(new(&job(&keys)), new(&job(&json!({}))));
}

#[test]
fn a_wrong_type_is_refused_with_the_field_and_what_is_accepted() {
    check_shape(r#"{"name": 5}"#, "name", "expected a string");
    check_shape(r#"{"enabled": "yes"}"#, "enabled", "expected true or false");
    check_shape(r#"{"max_retries": 1.5}"#, "max_retries", "expected a whole number");
    check_shape(r#"{"max_retries": "3"}"#, "max_retries", "expected a whole number");
    check_shape(r#"{"max_retries": 18446744073709551615}"#, "max_retries", "expected a whole number");
    check_shape(r#"{"timeout": 10}"#, "timeout", "expected a duration as a string");
    check_shape(r#"{"timeout": "10"}"#, "timeout", "\"10\" is not a duration; accepted are Go durations");
    check_shape(r#"{"http": []}"#, "http", "expected an object with method, url, headers, body");
    check_shape(r#"{"http": "x"}"#, "http", "expected an object with method, url, headers, body");
    check_shape(r#"{"http": {"headers": {"a": 1}}}"#, "http.headers.a", "expected a string");
    check_shape(r#"{"http": {"headers": []}}"#, "http.headers", "expected an object of header names");
    check_shape(r#"{"schedule": {"every": "5 m"}}"#, "schedule.every", "accepted are Go durations");
    check_shape(r#"{"schedule": {"run_at": "tomorrow"}}"#, "schedule.run_at", "accepted is RFC 3339");
    check_shape(r#"{"schedule": {"start_at": 1758279900}}"#, "schedule.start_at", "a time of RFC 3339");
    check_shape(r#"{"id": "a b"}"#, "id", "accepted are 1 to 128");
    check_shape(r#"{"name": "a", "name": "b"}"#, ".", "duplicate field `name`");
}

#[test]
fn a_job_is_an_object() {
    for text in ["[]", r#"["a"]"#, "5", "true", "null", r#""""#] {
        check_shape(text, ".", "expected a job as an object");
    }
}

#[test]
fn type_and_kind_are_of_a_closed_set() {
    let check = |keys: &Value, field: &str, part: &str| {
        let (at, message) = refused(keys);
        assert!(at == field && message.contains(part), "{at}: {message}");
    };
    check(&json!({"type": "grpc"}), "/type", "accepted is \"http\"");
    check(
        &json!({"schedule": {"kind": "hourly"}}),
        "/schedule/kind",
        "accepted are \"once\", \"every\", \"after\" and \"cron\"",
    );
    check(&json!({"schedule": {"kind": "cron"}}), "/schedule/cron", "required for kind cron");
    check(&json!({"schedule": {"kind": "cron", "cron": "@daily", "every": "5m"}}), "/schedule/every", "kind cron");
    check(
        &json!({"schedule": {"kind": "every", "every": "5m", "timezone": "UTC"}}),
        "/schedule/timezone",
        "kind every",
    );
    let at = "2030-01-01T00:00:00Z";
    check(&json!({"schedule": {"kind": "once", "run_at": at, "every": "5m"}}), "/schedule/every", "kind once");
    check(&json!({"schedule": {"kind": "once", "run_at": at, "start_at": at}}), "/schedule/start_at", "kind once");
    check(&json!({"schedule": {"kind": "once", "run_at": at, "jitter": "5s"}}), "/schedule/jitter", "kind once");
    check(&json!({"schedule": {"kind": "every", "every": "5m", "run_at": at}}), "/schedule/run_at", "kind every");
}
