//! Kept: data/jobs.json, as the older service wrote it and as a person may have left it.

use serde_json::{Value, json};

use crate::support::{Builder, Ksana, Receiver, time};

/// A file of the older service.
fn older(target: &str) -> String {
    let job = |id: &str, schedule: &Value, next: &str| {
        json!({
            "id": id, "name": "older", "enabled": true, "type": "http",
            "http": {"method": "GET", "url": target, "headers": null, "body": ""},
            "schedule": schedule, "timeout": "10s", "max_retries": 3, "retry_backoff": "5m0s",
            "last_run_at": "2024-09-19T11:00:00.123456789Z", "next_run_at": next,
            "last_status": "success", "last_error": "",
        })
    };
    let every = json!({"kind": "every", "every": "720h0m0s", "start_at": "", "jitter": "0s"});
    let jobs = [
        job("0123456789abcdef0123456789abcdef", &every, "2024-09-19T11:05:00Z"),
        job(
            "ffffffffffffffffffffffffffffffff",
            &json!({"kind": "once", "run_at": "2024-09-19T11:05:00Z"}),
            "2024-09-19T11:05:00Z",
        ),
        job("f0", &json!({"kind": "once", "run_at": "2099-09-19T13:05:00+02:00"}), "2099-09-19T11:05:00Z"),
    ];
    json!({"version": 1, "updated_at": "2024-09-19T11:00:01Z", "jobs": jobs}).to_string()
}

#[test]
fn a_file_of_the_older_service_loads() {
    let receiver = Receiver::start();
    let mut ksana = Builder::new().jobs_json(older(&receiver.url("/"))).start();
    let check = |ksana: &Ksana| {
        let every = ksana.job("0123456789abcdef0123456789abcdef");
        assert_eq!((&every["schedule"]["every"], &every["retry_backoff"]), (&json!("720h"), &json!("5m")));
        assert_eq!((&every["last_status"], &every["schedule"]["start_at"]), (&json!("success"), &json!("")));
        assert_eq!(every["last_run_at"], "2024-09-19T11:00:00.123456789Z");
        let next = time(&every["next_run_at"]);
        assert!(next > ksana.launched_at, "instants that passed are skipped, {next} too");
        assert!(next.duration_since(ksana.launched_at).as_secs() <= 720 * 3600 + 20);
        let missed = ksana.await_status("ffffffffffffffffffffffffffffffff", "missed");
        assert_eq!(missed["next_run_at"], "");
        assert_eq!(ksana.job("f0")["next_run_at"], "2099-09-19T11:05:00Z");
        assert_eq!(ksana.job("f0")["schedule"]["run_at"], "2099-09-19T11:05:00Z");
    };
    check(&ksana);
    ksana.restart();
    check(&ksana);
    ksana.run_now("0123456789abcdef0123456789abcdef");
    assert_eq!(receiver.wait_for(1)[0].method, "GET");
}

#[test]
fn a_missing_list_of_jobs_or_null_is_an_empty_one() {
    for text in [
        r#"{"version": 1}"#,
        r#"{"version": 1, "jobs": null}"#,
        r#"{"version": 1, "updated_at": "", "jobs": []}"#,
        r#"{"version": 1, "updated_at": "2024-09-19T11:00:01+02:00", "jobs": null}"#,
    ] {
        let ksana = Builder::new().jobs_json(text).start();
        assert_eq!(ksana.get("/jobs").expect(200).text().trim(), "[]", "{text}");
    }
}

#[test]
fn without_a_file_there_are_no_jobs() {
    assert_eq!(Ksana::start().get("/jobs").expect(200).text().trim(), "[]");
}

/// A file with one job that asks for more than a request may.
fn beyond(http: &Value, more: &Value) -> String {
    let mut job = json!({"id": "beyond", "name": "n", "http": http, "schedule": {"kind": "every", "every": "1h"}});
    for (key, value) in more.as_object().expect("it is one") {
        job[key] = value.clone();
    }
    json!({"version": 1, "jobs": [job]}).to_string()
}

#[test]
fn a_number_beyond_the_limits_loads_is_kept_and_warned_of() {
    let url = json!({"url": "http://127.0.0.1:9/"});
    for (more, key, shown) in [
        (json!({"max_retries": 1000}), "max_retries", json!(1000)),
        (json!({"timeout": "2h"}), "timeout", json!("2h")),
        (json!({"retry_backoff": "48h"}), "retry_backoff", json!("48h")),
    ] {
        let mut ksana = Builder::new().jobs_json(beyond(&url, &more)).start();
        ksana.log.wait_for("warn", &["beyond"]);
        assert_eq!(ksana.job("beyond")[key], shown);
        ksana.patch("beyond", &json!({"name": "renamed"})).expect(200);
        ksana.restart();
        assert_eq!(ksana.job("beyond")[key], shown, "it is kept");
    }
}

#[test]
fn a_job_that_cannot_be_called_fails_each_run_with_the_reason() {
    for url in ["file://localhost/etc/passwd", "mqtt://127.0.0.1:9/", "ftp://127.0.0.1/", "nowhere", ""] {
        let ksana = Builder::new().jobs_json(beyond(&json!({"url": url}), &json!({"max_retries": 0}))).start();
        ksana.run_now("beyond");
        let failed = ksana.await_status("beyond", "failed");
        assert_ne!(failed["last_error"], "", "{url:?}");
    }
}

#[test]
fn any_id_that_a_request_may_give_a_file_may_hold() {
    let ids = ["A.b_c~d-9", "0", "0123456789abcdef0123456789abcdef"];
    let job =
        |id| json!({"id": id, "name": "n", "http": {"url": "http://a/"}, "schedule": {"kind": "every", "every": "1h"}});
    let jobs: Vec<Value> = ids.iter().map(job).collect();
    let ksana = Builder::new().jobs_json(json!({"version": 1, "jobs": jobs}).to_string()).start();
    for id in ids {
        assert_eq!(ksana.job(id)["timeout"], "10s", "what a file leaves out is the default");
    }
}
