//! Kept: a job, as it is shown and as it may be given.

use std::collections::HashSet;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Builder, Ksana, every, hourly, time, with};

const TARGET: &str = "http://127.0.0.1:9/";

/// `text` without the white space between its tokens; the strings of these tests hold none.
fn compact(text: &str) -> String {
    text.split_whitespace().collect()
}

#[test]
fn keys_come_in_the_documented_order() {
    let ksana = Ksana::start();
    let job = json!({
        "retry_backoff": "1m", "max_retries": 2, "timeout": "30s", "type": "http", "enabled": true,
        "schedule": {"jitter": "5s", "start_at": "2099-01-01T00:00:00Z", "every": "5m", "kind": "every"},
        "http": {"body": "b", "headers": {"X-Token": "abc"}, "url": "http://127.0.0.1:9/ping", "method": "put"},
        "name": "ping", "id": "job-1",
    });
    let created = ksana.post("/jobs", &job).expect(201);
    let next = created.json()["next_run_at"].as_str().expect("it is planned").to_owned();
    let expected = [
        r#"{"id":"job-1","name":"ping","enabled":true,"type":"http","#,
        r#""http":{"method":"PUT","url":"http://127.0.0.1:9/ping","headers":{"X-Token":"abc"},"body":"b"},"#,
        r#""schedule":{"kind":"every","every":"5m","start_at":"2099-01-01T00:00:00Z","jitter":"5s"},"#,
        r#""timeout":"30s","max_retries":2,"retry_backoff":"1m","last_run_at":"","#,
        &format!(r#""next_run_at":"{next}","last_status":"","last_error":""}}"#),
    ]
    .concat();
    assert_eq!(compact(&created.text()), expected);
    assert_eq!(compact(&ksana.get("/jobs/job-1").text()), expected);
    assert_eq!(compact(&ksana.get("/jobs").text()), format!("[{expected}]"));
    assert_eq!(compact(&ksana.patch("job-1", &json!({})).expect(200).text()), expected);
}

#[test]
fn a_once_job_shows_its_kind_and_run_at() {
    let ksana = Ksana::start();
    let schedule = json!({"kind": "once", "run_at": "2099-01-01T00:00:00Z"});
    let job = ksana.create(&json!({"name": "o", "http": {"url": TARGET}, "schedule": schedule}));
    assert_eq!(job["schedule"], schedule);
    assert_eq!(job["next_run_at"], "2099-01-01T00:00:00Z");
}

#[test]
fn what_is_not_given_is_the_default_or_unset() {
    let job = Ksana::start().create(&hourly(TARGET));
    assert_eq!(job["enabled"], true);
    assert_eq!(job["type"], "http");
    assert_eq!(job["http"]["method"], "POST");
    assert_eq!(job["http"]["body"], "");
    assert_eq!(job["schedule"]["start_at"], "");
    for unset in ["last_run_at", "last_status", "last_error"] {
        assert_eq!(job[unset], "", "{unset}");
    }
}

#[test]
fn empty_null_and_absent_all_mean_unset_on_the_way_in() {
    let ksana = Ksana::start();
    let shown = |job: Value| with(job, &json!({"id": 0, "next_run_at": 0}));
    let absent = shown(ksana.create(&hourly(TARGET)));
    for unset in [json!(""), json!(null)] {
        let job = json!({
            "id": unset, "name": "a job", "type": unset, "timeout": unset, "retry_backoff": unset,
            "last_run_at": unset, "next_run_at": unset, "last_status": unset, "last_error": unset,
            "http": {"url": TARGET, "method": unset, "body": unset},
            "schedule": {"kind": "every", "every": "1h", "start_at": unset, "jitter": unset},
        });
        assert_eq!(shown(ksana.create(&job)), absent, "{unset}");
    }
    let nulls = json!({"enabled": null, "max_retries": null, "http": {"headers": null}});
    assert_eq!(shown(ksana.create(&with(hourly(TARGET), &nulls))), absent);
}

#[test]
fn a_job_may_be_created_paused() {
    let job = Ksana::start().create(&with(hourly(TARGET), &json!({"enabled": false})));
    assert_eq!(job["enabled"], false);
    assert_eq!(job["next_run_at"], "");
}

#[test]
fn durations_are_gos_and_shown_compactly() {
    let ksana = Ksana::start();
    for (given, shown) in [
        ("5m0s", "5m"),
        ("300ms", "300ms"),
        ("0.5h", "30m"),
        ("59m3.5s", "59m3.5s"),
        ("90s", "1m30s"),
        ("1500ms", "1.5s"),
        ("+10s", "10s"),
        ("60m", "1h"),
        ("1500us", "1.5ms"),
        ("1500µs", "1.5ms"),
        ("1500\u{3bc}s", "1.5ms"),
    ] {
        let job = ksana.create(&with(hourly(TARGET), &json!({"timeout": given})));
        assert_eq!(job["timeout"], shown, "{given}");
    }
    let jitter = json!({"schedule": {"jitter": "100us"}, "retry_backoff": "0"});
    let job = ksana.create(&with(every(TARGET, "1h2m3.5s"), &jitter));
    assert_eq!(job["schedule"]["every"], "1h2m3.5s");
    assert_eq!(job["schedule"]["jitter"], "100µs");
    assert_eq!(job["retry_backoff"], "0s");
}

#[test]
fn times_take_any_offset_in_and_are_utc_with_z_out() {
    let ksana = Ksana::start();
    for (given, shown) in [
        ("2099-06-01T12:00:00Z", "2099-06-01T12:00:00Z"),
        ("2099-06-01T12:00:00+02:00", "2099-06-01T10:00:00Z"),
        ("2099-06-01T00:30:00.5-09:30", "2099-06-01T10:00:00.5Z"),
        ("2099-01-01T00:00:00.123456789+01:00", "2098-12-31T23:00:00.123456789Z"),
    ] {
        let job = json!({"name": "o", "http": {"url": TARGET}, "schedule": {"kind": "once", "run_at": given}});
        let job = ksana.create(&job);
        assert_eq!(job["schedule"]["run_at"], shown, "{given}");
        assert_eq!(job["next_run_at"], shown, "{given}");
        let start = ksana.create(&with(hourly(TARGET), &json!({"schedule": {"start_at": given}})));
        assert_eq!(start["schedule"]["start_at"], shown, "{given}");
        assert_eq!(start["next_run_at"], shown, "a start that lies ahead is the first fire");
    }
    for wrong in ["2099-06-01", "12:00", "2099-06-01T12:00:00", "2099-13-01T00:00:00Z", "4070908800", "now"] {
        let job = json!({"name": "o", "http": {"url": TARGET}, "schedule": {"kind": "once", "run_at": wrong}});
        let error = ksana.post("/jobs", &job).refusal(400);
        assert_eq!(error["field"], "/schedule/run_at", "{wrong}");
    }
}

#[test]
fn an_id_is_a_uuid_v7_unless_the_client_gives_one() {
    let ksana = Ksana::start();
    let mut seen = HashSet::new();
    for _ in 0..5 {
        let id = ksana.create_id(&hourly(TARGET));
        let uuid = Uuid::parse_str(&id).expect("it is a UUID");
        assert_eq!((uuid.get_version_num(), uuid.to_string()), (7, id.clone()));
        assert!(seen.insert(id));
    }
    for id in ["a", "A.b_c~d-9", "0123456789abcdef0123456789abcdef", &"x".repeat(128)] {
        assert_eq!(ksana.create(&with(hourly(TARGET), &json!({"id": id})))["id"], id);
        assert_eq!(ksana.job(id)["id"], id);
    }
    for id in ["a b", "a/b", "ä", "a%20b", "a?b", "a:b", "a\nb", &"x".repeat(129)] {
        let error = ksana.post("/jobs", &with(hourly(TARGET), &json!({"id": id}))).refusal(400);
        assert_eq!(error["field"], "/id", "{id:?}");
    }
}

#[test]
fn lists_are_ordered_by_id_bytewise() {
    let ksana = Ksana::start();
    let mut ids = vec!["b", "B", "a", "A-1", "_x", "~z", "0", "a.b", "a-b", "aa", "10", "9"];
    for id in &ids {
        ksana.create(&with(hourly(TARGET), &json!({"id": id})));
    }
    ids.sort_unstable();
    let listed = ksana.get("/jobs").json();
    let listed: Vec<&str> = listed.as_array().expect("a list").iter().filter_map(|job| job["id"].as_str()).collect();
    assert_eq!(listed, ids);
}

#[test]
fn a_job_that_was_read_can_be_sent_back() {
    let ksana = Ksana::start();
    let given = json!({
        "timeout": "30s", "max_retries": 0, "retry_backoff": "1m",
        "http": {"method": "PUT", "headers": {"X-A": "1"}, "body": "b"},
        "schedule": {"start_at": "2099-01-01T00:00:00Z"},
    });
    let id = ksana.create_id(&with(hourly(TARGET), &given));
    ksana.run_now(&id);
    let read = ksana.await_status(&id, "failed");
    assert_eq!(ksana.patch(&id, &read).expect(200).json(), read, "a PATCH of what is there changes nothing");
    ksana.delete(&id).expect(204);
    let back = ksana.create(&read);
    for key in ["id", "name", "enabled", "type", "http", "schedule", "timeout", "max_retries", "retry_backoff"] {
        assert_eq!(back[key], read[key], "{key}");
    }
    assert_eq!(back["next_run_at"], read["next_run_at"]);
    assert_eq!(
        (&back["last_status"], &back["last_run_at"]),
        (&json!(""), &json!("")),
        "read-only ones are passed over"
    );
}

#[test]
fn methods_come_in_any_case_and_go_out_in_upper_case() {
    let ksana = Ksana::start();
    for method in ["get", "Post", "pUt", "PATCH", "delete", "head", "options"] {
        let job = ksana.create(&with(hourly(TARGET), &json!({"http": {"method": method}})));
        assert_eq!(job["http"]["method"], method.to_uppercase());
    }
    for method in ["GET /", "G\nT", "CONNECT me", "ä"] {
        let error = ksana.post("/jobs", &with(hourly(TARGET), &json!({"http": {"method": method}}))).refusal(400);
        assert_eq!(error["field"], "/http/method", "{method:?}");
    }
}

#[test]
fn a_url_is_absolute_http_or_https_and_has_a_host() {
    let ksana = Ksana::start();
    for url in ["http://a.example/", "https://a.example:8443/p?q=1", "HTTP://[::1]:80/", "http://10.0.0.1"] {
        ksana.create(&hourly(url));
    }
    for url in [
        "",
        "/relative",
        "a.example/x",
        "//a.example/",
        "http://",
        "http:",
        "ftp://a.example/",
        "file:///etc/passwd",
        "file://localhost/etc/passwd",
        "mqtt://a.example/",
        "javascript:alert(1)",
        "http://a b/",
        "http://a.example:70000/",
    ] {
        let error = ksana.post("/jobs", &hourly(url)).refusal(400);
        assert_eq!(error["field"], "/http/url", "{url:?}");
    }
}

#[test]
fn header_names_and_values_must_be_valid() {
    let ksana = Ksana::start();
    for (name, value) in [
        ("", "v"),
        ("a b", "v"),
        ("a:b", "v"),
        ("ä", "v"),
        ("a\r\nb", "v"),
        ("a", "v\r\nx: y"),
        ("a", "v\0"),
        ("a", "\n"),
    ] {
        let job = with(hourly(TARGET), &json!({"http": {"headers": {name: value}}}));
        let error = ksana.post("/jobs", &job).refusal(400);
        assert!(error["field"].as_str().is_some_and(|field| field.starts_with("/http/headers")), "{error}");
    }
    ksana.create(&with(hourly(TARGET), &json!({"http": {"headers": {"X-Empty": "", "x-ok!": "a, b; c=\"d\""}}})));
}

#[test]
fn what_a_job_needs_is_asked_for_by_name() {
    let ksana = Ksana::start();
    let whole = hourly(TARGET);
    for (missing, field) in [("name", "/name"), ("http", "/http"), ("schedule", "/schedule")] {
        let mut job = whole.clone();
        job.as_object_mut().expect("a job is an object").remove(missing);
        let error = ksana.post("/jobs", &job).refusal(400);
        assert!(error["field"].as_str().is_some_and(|given| given.starts_with(field)), "{missing}: {error}");
    }
    for (change, field) in [
        (json!({"name": null}), "/name"),
        (json!({"http": {"url": null}}), "/http/url"),
        (json!({"schedule": {"kind": null}}), "/schedule/kind"),
        (json!({"schedule": {"every": null}}), "/schedule/every"),
        (json!({"schedule": {"kind": "once", "every": null, "run_at": ""}}), "/schedule/run_at"),
    ] {
        let error = ksana.post("/jobs", &with(whole.clone(), &change)).refusal(400);
        assert_eq!(error["field"], field, "{error}");
    }
}

#[test]
fn next_run_at_of_a_new_job_lies_on_its_grid() {
    let ksana = Builder::new().start();
    let before = crate::support::now();
    let job = ksana.create(&hourly(TARGET));
    let ahead = time(&job["next_run_at"]).duration_since(before).as_millis();
    assert!((3_600_000..3_620_000).contains(&ahead), "creation + every, not {ahead} ms");
}
