//! Kept: CORS, and the web console that lives by it.

use crate::support::{Call, KEY, Ksana, hourly};

const ORIGIN: &str = "https://console.example";

/// A request as the web console sends it: both key headers, and an origin.
fn console(ksana: &Ksana, method: &str, target: &str) -> Call {
    let call = ksana.bare(method, target).header("Origin", ORIGIN);
    call.header("Authorization", &format!("ApiKey {KEY}")).header("X-API-Key", KEY)
}

#[test]
fn every_answer_carries_the_header_refusals_too() {
    let ksana = Ksana::start();
    let id = ksana.create_id(&hourly("http://127.0.0.1:9/"));
    for (call, status) in [
        (ksana.call("GET", "/jobs"), 200),
        (ksana.call("HEAD", "/jobs"), 200),
        (ksana.bare("GET", "/health"), 200),
        (ksana.bare("GET", "/ready"), 200),
        (ksana.bare("GET", "/jobs"), 401),
        (ksana.bare("GET", "/jobs").header("X-API-Key", "wrong"), 403),
        (ksana.call("GET", "/nothing"), 404),
        (ksana.call("GET", "/jobs/none"), 404),
        (ksana.call("PUT", "/jobs"), 405),
        (ksana.call("POST", "/jobs").body("no json"), 400),
        (ksana.call("DELETE", &format!("/jobs/{id}")), 204),
    ] {
        let answer = call.send();
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{status}");
    }
}

#[test]
fn a_preflight_is_answered_without_a_key() {
    let ksana = Ksana::start();
    for path in ["/jobs", "/jobs/some-id", "/jobs/some-id/run-now", "/events", "/health"] {
        let preflight = ksana.bare("OPTIONS", path).header("Origin", ORIGIN);
        let preflight = preflight.header("Access-Control-Request-Method", "PATCH");
        let answer = preflight.header("Access-Control-Request-Headers", "authorization,content-type").send();
        assert!(matches!(answer.status, 200 | 204), "{path}: {}", answer.status);
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        let list = |name: &str| -> Vec<String> {
            let value = answer.header(name).unwrap_or_else(|| panic!("{path}: no {name}"));
            value.split(',').map(|item| item.trim().to_lowercase()).collect()
        };
        let methods = list("access-control-allow-methods");
        for method in ["get", "post", "patch", "put", "delete", "options"] {
            assert!(methods.contains(&method.to_owned()), "{path}: {method} in {methods:?}");
        }
        let headers = list("access-control-allow-headers");
        for header in ["content-type", "authorization", "x-api-key"] {
            assert!(headers.contains(&header.to_owned()), "{path}: {header} in {headers:?}");
        }
        // Kept for all that older clients know.
        assert_eq!(headers.contains(&"last-event-id".to_owned()), path == "/events", "{path}: {headers:?}");
    }
}

#[test]
fn the_web_console_can_parse_every_answer() {
    let ksana = Ksana::start();
    assert_eq!(console(&ksana, "GET", "/jobs").send().expect(200).text().trim(), "[]");
    let job = hourly("http://127.0.0.1:9/");
    let created = console(&ksana, "POST", "/jobs").json(&job).send().expect(201).json();
    let path = format!("/jobs/{}", created["id"].as_str().expect("a job has an id"));
    for (method, target, body, status) in [
        ("GET", "/jobs", "", 200),
        ("GET", path.as_str(), "", 200),
        ("PATCH", path.as_str(), r#"{"name": "renamed"}"#, 200),
        ("PATCH", path.as_str(), r#"{"name": 5}"#, 400),
        ("PATCH", path.as_str(), "no json", 400),
        ("POST", "/jobs", "", 400),
        ("POST", &format!("{path}/pause"), "", 200),
        ("POST", &format!("{path}/resume"), "", 200),
        ("POST", &format!("{path}/run-now"), "", 200),
        ("GET", &format!("{path}/run-now"), "", 405),
        ("GET", "/jobs/none", "", 404),
        ("GET", "/none", "", 404),
    ] {
        let answer = console(&ksana, method, target).body(body).send();
        assert_eq!(answer.status, status, "{method} {target}: {}", answer.text());
        let kind = answer.header("content-type").unwrap_or_default();
        assert!(kind.starts_with("application/json"), "{method} {target}: {kind}");
        answer.json();
    }
    let removed = console(&ksana, "DELETE", &path).send().expect(204);
    assert!(removed.body.is_empty());
    ksana.bare("GET", "/jobs").header("Origin", ORIGIN).send().refusal(401);
}

#[test]
fn an_origin_header_is_no_key() {
    let ksana = Ksana::start();
    for method in ["GET", "POST", "PATCH", "DELETE"] {
        ksana.bare(method, "/jobs").header("Origin", ORIGIN).send().refusal(401);
    }
}
