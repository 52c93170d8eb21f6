//! Every limit, from both sides.

use serde_json::{Map, Value, json};

use super::{job, new, stored};

/// Refused for this field, by a message that has this part; a file with the same loads.
fn check_refused(keys: &Value, field: &str, part: &str) {
    let invalid = new(&job(keys)).expect_err(field);
    assert_eq!(invalid.field, field);
    assert!(invalid.message.contains(part), "{field}: {}", invalid.message);
    let loaded = stored(keys).expect("a file keeps what a request may not bring");
    assert_eq!(loaded.spec.problems().first(), Some(&invalid), "and it is warned of");
}

fn check_taken(keys: &Value) {
    let (spec, _) = new(&job(keys)).unwrap_or_else(|invalid| panic!("{invalid:?}"));
    assert_eq!(spec.problems(), []);
}

#[test]
fn a_name_has_1_to_256_characters() {
    check_taken(&json!({"name": "x"}));
    check_taken(&json!({"name": "ß".repeat(256)}));
    check_refused(&json!({"name": ""}), "/name", "accepted are 1 to 256 characters");
    check_refused(&json!({"name": "x".repeat(257)}), "/name", "has 257 characters; accepted are 1 to 256");
}

#[test]
fn every_is_100_ms_to_10_years() {
    let every = |every: &str| json!({"schedule": {"kind": "every", "every": every}});
    check_taken(&every("100ms"));
    check_taken(&every("87600h"));
    for wrong in ["99.999999ms", "0s", "-5m", "87600h0m0.000000001s"] {
        check_refused(&every(wrong), "/schedule/every", "accepted are 100ms to 87600h");
    }
}

#[test]
fn a_distance_by_cron_has_the_same_limits() {
    let cron = |cron: &str| json!({"schedule": {"kind": "cron", "cron": cron}});
    check_taken(&cron("@every 100ms"));
    check_taken(&cron(" @EVERY\t+87600h "));
    for wrong in ["@every 99.999999ms", "@every 0", "@every -5m", "@every 87600h0m0.000000001s"] {
        check_refused(&cron(wrong), "/schedule/cron", "accepted are 100ms to 87600h");
    }
    for wrong in ["@every", "@every 5", "@every 1h 30m"] {
        check_refused(&cron(wrong), "/schedule/cron", "@every takes a duration: ");
    }
    check_refused(&cron("@every5m"), "/schedule/cron", "and @every with a duration, such as @every 5m");
    check_refused(&cron(&format!("@every {}5m", "0".repeat(256))), "/schedule/cron", "at most 256 bytes");
}

#[test]
fn jitter_is_at_most_every() {
    for schedule in [json!({"kind": "every", "every": "5m"}), json!({"kind": "cron", "cron": "@every 5m"})] {
        let jitter = |jitter: &str| {
            let mut schedule = schedule.clone();
            schedule["jitter"] = jitter.into();
            json!({ "schedule": schedule })
        };
        check_taken(&jitter("0s"));
        check_taken(&jitter("5m"));
        check_refused(&jitter("5m0.000000001s"), "/schedule/jitter", "which is 5m");
        check_refused(&jitter("-1ns"), "/schedule/jitter", "accepted are 0s to `every`");
    }
}

#[test]
fn timeout_is_1_ms_to_1_h() {
    check_taken(&json!({"timeout": "1ms"}));
    check_taken(&json!({"timeout": "1h"}));
    for wrong in ["0s", "999µs", "1h0.000000001s", "-1s"] {
        check_refused(&json!({"timeout": wrong}), "/timeout", "accepted are 1ms to 1h");
    }
}

#[test]
fn max_retries_is_0_to_100() {
    check_taken(&json!({"max_retries": 0}));
    check_taken(&json!({"max_retries": 100}));
    for wrong in [-1, 101, i64::MIN, i64::MAX] {
        check_refused(&json!({"max_retries": wrong}), "/max_retries", "accepted are 0 to 100");
    }
}

#[test]
fn retry_backoff_is_0_to_24_h() {
    check_taken(&json!({"retry_backoff": "0s"}));
    check_taken(&json!({"retry_backoff": "24h"}));
    for wrong in ["-1ns", "24h0.000000001s"] {
        check_refused(&json!({"retry_backoff": wrong}), "/retry_backoff", "accepted are 0s to 24h");
    }
}

#[test]
fn a_body_has_at_most_1_mib() {
    let body = |bytes: usize| json!({"http": {"url": "http://localhost/", "body": "x".repeat(bytes)}});
    check_taken(&body(1 << 20));
    check_refused(&body((1 << 20) + 1), "/http/body", "accepted are 1048576");
}

#[test]
fn there_are_at_most_100_headers_each_once() {
    let headers = |headers: &Map<String, Value>| json!({"http": {"url": "http://localhost/", "headers": headers}});
    let many = |count: usize| (0..count).map(|n| (format!("X-{n}"), "1".into())).collect::<Map<_, _>>();
    check_taken(&headers(&many(100)));
    check_refused(&headers(&many(101)), "/http/headers", "accepted are 100");
    let long = |bytes: usize| [("X-A".to_owned(), "v".repeat(bytes).into())].into_iter().collect::<Map<_, _>>();
    check_taken(&headers(&long(65_533)));
    check_refused(&headers(&long(65_534)), "/http/headers", "accepted are 65536 in all");
    let mut twice = many(1);
    twice.insert("x-0".into(), "2".into());
    check_refused(&headers(&twice), "/http/headers/x-0", "stands twice");
}

#[test]
fn all_that_is_wrong_with_a_file_is_told_in_the_order_of_its_fields() {
    let keys = json!({"name": "", "timeout": "2h", "max_retries": -1, "retry_backoff": "-1s", "schedule": {"kind": "every", "jitter": "1s"}});
    let fields: Vec<_> =
        stored(&keys).expect("a job").spec.problems().into_iter().map(|problem| problem.field).collect();
    assert_eq!(fields, ["/name", "/schedule/every", "/schedule/jitter", "/timeout", "/max_retries", "/retry_backoff"]);
}
