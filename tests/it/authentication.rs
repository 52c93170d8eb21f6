//! Kept: authentication.

use serde_json::json;

use crate::support::{KEY, Ksana, Response, hourly};

/// No key of any daemon here, and easy to find in a log.
const WRONG: &str = "a-secret-that-nobody-gave";

fn ask(ksana: &Ksana, headers: &[(&str, &str)]) -> Response {
    headers.iter().fold(ksana.bare("GET", "/jobs"), |call, (name, value)| call.header(name, value)).send()
}

#[test]
fn a_key_in_either_header_admits() {
    let ksana = Ksana::start();
    ask(&ksana, &[("X-API-Key", KEY)]).expect(200);
    ask(&ksana, &[("x-api-key", KEY)]).expect(200);
    for scheme in ["ApiKey", "apikey", "APIKEY", "aPiKeY"] {
        ask(&ksana, &[("Authorization", &format!("{scheme} {KEY}"))]).expect(200);
    }
}

#[test]
fn no_key_is_401_and_an_unknown_one_403() {
    let ksana = Ksana::start();
    let bearer = format!("Bearer {KEY}");
    for (headers, status) in [
        (vec![], 401),
        (vec![("Authorization", bearer.as_str())], 401),
        (vec![("Authorization", "Basic dGVzdDp0ZXN0")], 401),
        (vec![("X-API-Key", WRONG)], 403),
        (vec![("X-API-Key", "test-ke")], 403),
        (vec![("X-API-Key", "test-key2")], 403),
        (vec![("X-API-Key", "TEST-KEY")], 403),
        (vec![("Authorization", "ApiKey wrong")], 403),
    ] {
        let answer = ask(&ksana, &headers);
        assert_eq!(answer.status, status, "{headers:?}");
        assert_eq!(answer.header("www-authenticate"), Some("ApiKey"), "{headers:?}");
        assert_eq!(answer.header("content-type").map(|value| value.starts_with("application/json")), Some(true));
        answer.refusal(status);
    }
}

#[test]
fn apikey_in_authorization_counts_first() {
    let ksana = Ksana::start();
    let right = format!("ApiKey {KEY}");
    ask(&ksana, &[("Authorization", "ApiKey wrong"), ("X-API-Key", KEY)]).refusal(403);
    ask(&ksana, &[("X-API-Key", WRONG), ("Authorization", &right)]).expect(200);
}

#[test]
fn any_other_scheme_is_passed_over() {
    let ksana = Ksana::start();
    for other in ["Bearer abc", "Basic dGVzdDp0ZXN0", "ApiKeys test-key", KEY] {
        ask(&ksana, &[("Authorization", other), ("X-API-Key", KEY)]).expect(200);
        ask(&ksana, &[("Authorization", other), ("X-API-Key", WRONG)]).refusal(403);
    }
}

#[test]
fn every_path_but_the_probes_needs_a_key() {
    let ksana = Ksana::start();
    let id = ksana.create_id(&hourly("http://127.0.0.1:9/"));
    for (method, path) in [
        ("GET", "/jobs".to_owned()),
        ("HEAD", "/jobs".to_owned()),
        ("POST", "/jobs".to_owned()),
        ("GET", format!("/jobs/{id}")),
        ("PATCH", format!("/jobs/{id}")),
        ("DELETE", format!("/jobs/{id}")),
        ("POST", format!("/jobs/{id}/run-now")),
        ("POST", format!("/jobs/{id}/pause")),
        ("POST", format!("/jobs/{id}/resume")),
        ("GET", "/jobs/none".to_owned()),
        ("GET", "/metrics".to_owned()),
        ("HEAD", "/metrics".to_owned()),
        ("GET", "/".to_owned()),
        ("GET", "/nothing/here".to_owned()),
        ("GET", "/health/more".to_owned()),
        ("GET", "/jobs/../health".to_owned()),
        ("PUT", "/jobs".to_owned()),
        ("BREW", "/jobs".to_owned()),
    ] {
        let answer = ksana.bare(method, &path).body("{}").send();
        // A method that no server knows may be refused as such, before anybody asks for a key.
        let expected = if method == "BREW" && answer.status == 501 { 501 } else { 401 };
        assert_eq!(answer.status, expected, "{method} {path}");
    }
    assert_eq!(ksana.job(&id)["enabled"], true, "nothing was changed");
    for probe in ["/health", "/ready"] {
        ksana.bare("GET", probe).send().expect(200);
        ksana.bare("HEAD", probe).send().expect(200);
    }
}

#[test]
fn health_needs_no_key_and_minds_no_wrong_one() {
    let ksana = Ksana::start();
    for call in [ksana.bare("GET", "/health"), ksana.bare("GET", "/health").header("X-API-Key", WRONG)] {
        assert_eq!(call.send().expect(200).json()["status"], "ok");
    }
}

#[test]
fn every_refusal_is_logged_at_warn_with_ip_method_and_path_and_never_the_key() {
    let ksana = Ksana::start();
    ksana.bare("GET", "/jobs/refused-first").send().expect(401);
    ksana.bare("PATCH", "/jobs/refused-second").header("X-API-Key", WRONG).send().expect(403);
    let authorization = format!("ApiKey {WRONG}");
    ksana.bare("DELETE", "/refused-third").header("Authorization", &authorization).send().expect(403);
    for (method, path) in
        [("GET", "/jobs/refused-first"), ("PATCH", "/jobs/refused-second"), ("DELETE", "/refused-third")]
    {
        ksana.log.wait_for("warn", &["127.0.0.1", method, path]);
    }
    let text = ksana.log.text();
    assert!(!text.contains(WRONG) && !text.contains(KEY), "{text}");
}

#[test]
fn no_log_holds_a_key_a_header_value_or_a_body() {
    let mut ksana = Ksana::with("LOG_LEVEL", "debug");
    let job = json!({
        "name": "quiet", "schedule": {"kind": "every", "every": "1h"}, "max_retries": 0,
        "http": {"url": "http://127.0.0.1:9/", "headers": {"X-Token": "a-quiet-token"}, "body": "a-quiet-body"},
    });
    let id = ksana.create_id(&job);
    ksana.run_now(&id);
    ksana.await_status(&id, "failed");
    ksana.bare("POST", "/jobs").header("X-API-Key", WRONG).body("a-quiet-request").send().expect(403);
    ksana.call("POST", "/jobs").body(r#"{"name": "a-quiet-request" "#).send().expect(400);
    assert_eq!(ksana.stop(), 0);
    let text = ksana.log.text();
    for secret in [KEY, WRONG, "a-quiet-token", "a-quiet-body", "a-quiet-request"] {
        assert!(!text.contains(secret), "{secret} in\n{text}");
    }
}

#[test]
fn an_answer_names_no_software_it_is_built_from() {
    let ksana = Ksana::start();
    let answer = ksana.bare("GET", "/health").send();
    let server = answer.header("server").unwrap_or_default().to_lowercase();
    assert!(!server.contains("trillium"), "{server}");
}
