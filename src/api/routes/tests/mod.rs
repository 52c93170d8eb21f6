//! The whole service over real sockets, but for the jobs behind it.

use trillium::Status;

use super::*;
use crate::api::guard::Guard;
use crate::api::testing::{Client, KEY, Lines, Overheard, api, guarded, patient, served};
use crate::api::{Request, Server};
use crate::limits;

mod bodies;

/// What a request without a body is answered with: status and the code of the error.
fn check(line: &str, status: u16, error: Option<&str>) {
    let server = served(&api());
    let answer = Client::to(server.address()).ask(line);
    assert_eq!(answer.status, status, "{line}: {answer:?}");
    if status == 204 {
        assert_eq!(answer.header("Content-Type"), None, "{line}");
    } else {
        assert_eq!(answer.header("Content-Type"), Some("application/json"), "{line}");
    }
    assert_eq!(answer.header("Access-Control-Allow-Origin"), Some("*"), "{line}");
    assert_eq!(answer.header("Server"), Some("ksana"), "{line}");
    if let Some(error) = error {
        let body = answer.json();
        assert_eq!(body["error"], error, "{line}");
        assert!(body["message"].as_str().is_some_and(|message| !message.is_empty()), "{line}");
    }
}

#[test]
fn every_route_is_there() {
    for line in [
        "GET /jobs",
        "GET /jobs/a",
        "GET /jobs/",
        "GET /jobs?limit=1",
        "GET /jobs/a.b_c~d-e/?x",
        "GET /jobs/%61b",
        "GET /jobs/a/next",
        "HEAD /jobs/%61b/next/?count=3",
        "GET /jobs/a/runs",
        "HEAD /jobs/%61b/runs/?status=failed",
        "GET /runs?job=gone&limit=1",
    ] {
        check(line, 200, None);
    }
    for line in ["DELETE /jobs/a", "POST /jobs/a/run-now", "POST /jobs/a/pause", "POST /jobs/a/resume"] {
        check(line, 503, Some("unavailable"));
    }
    check("POST /jobs", 400, Some("invalid_json"));
    check("POST /schedules/preview", 400, Some("invalid_json"));
    check("PATCH /jobs/a", 400, Some("invalid_json"));
    check("GET /jobs/%61%2Fb", 404, Some("not_found"));
    check("GET /jobs/gone/runs", 404, Some("not_found"));
    for run in ["11111111-2222-7333-8444-555555555555", "none", "%31"] {
        check(&format!("GET /runs/{run}"), 404, Some("not_found"));
        check(&format!("POST /runs/{run}/replay"), 404, Some("not_found"));
    }
    check("GET /health", 200, None);
    check("GET /ready", 200, None);
}

#[test]
fn an_unknown_path_is_404() {
    for line in [
        "GET /",
        "GET /job",
        "GET /jobsx",
        "GET /healthz",
        "GET /jobs/a/b",
        "GET /jobs/a/run-now/b",
        "GET /%6aobs",
        "POST /jobs//run-now",
        "DELETE /jobs//a",
        "GET //jobs",
        "GET /jobs//",
        "POST /jobs/a/stop",
        "GET /jobs/../health",
    ] {
        check(line, 404, Some("not_found"));
    }
}

#[test]
fn a_wrong_method_is_405_with_what_is_allowed() {
    let server = served(&api());
    let mut client = Client::to(server.address());
    for (line, allow) in [
        ("PUT /jobs", "GET, HEAD, POST"),
        ("DELETE /jobs/", "GET, HEAD, POST"),
        ("POST /jobs/a", "DELETE, GET, HEAD, PATCH"),
        ("GET /jobs/a/run-now", "POST"),
        ("POST /jobs/a/next", "GET, HEAD"),
        ("GET /schedules/preview", "POST"),
        ("POST /jobs/a/runs", "GET, HEAD"),
        ("POST /runs", "GET, HEAD"),
        ("DELETE /runs/a", "GET, HEAD"),
        ("GET /runs/a/replay", "POST"),
        ("POST /health", "GET, HEAD"),
        ("DELETE /ready", "GET, HEAD"),
    ] {
        let answer = client.ask(line);
        assert_eq!(answer.status, 405, "{line}: {answer:?}");
        let mut allowed: Vec<_> = answer.header("Allow").unwrap_or_default().split(", ").collect();
        allowed.sort_unstable();
        assert_eq!(allowed.join(", "), allow, "{line}");
        assert_eq!(answer.json()["error"], "method_not_allowed", "{line}");
    }
}

#[test]
fn head_is_get_without_the_body() {
    let server = served(&api());
    let mut client = Client::to(server.address());
    for path in ["/health", "/ready", "/jobs", "/jobs/a"] {
        let get = client.ask(&format!("GET {path}"));
        let head = client.ask(&format!("HEAD {path}"));
        assert_eq!((head.status, head.header("Content-Length")), (get.status, get.header("Content-Length")), "{path}");
        assert_eq!(head.header("Content-Type"), Some("application/json"), "{path}");
        assert!(client.is_silent(), "{path}");
    }
}

#[test]
fn health_says_which_version_it_is() {
    let server = served(&api());
    let answer = Client::to(server.address()).ask("GET /health");
    assert_eq!(answer.json(), serde_json::json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")}));
}

#[test]
fn ready_names_reasons_and_warnings() {
    let api = api();
    let server = served(&api);
    let mut client = Client::to(server.address());
    let ready = client.ask("GET /ready");
    assert_eq!(ready.json(), serde_json::json!({"status": "ready", "reasons": [], "warnings": []}));
    api.vitals.set_store_refusal(Some("no space".to_owned()));
    api.vitals.set_workers_busy(true);
    let unready = client.ask("GET /ready");
    assert_eq!((unready.status, unready.header("Retry-After")), (503, Some("5")));
    let told = unready.json();
    assert_eq!((told["status"].as_str(), told["reasons"].as_array().map(Vec::len)), (Some("unavailable"), Some(1)));
    assert_eq!(told["warnings"].as_array().map(Vec::len), Some(1));
}

/// Sends these headers, and looks at who is let in.
fn check_key(line: &str, headers: &str, status: u16) {
    let server = served(&api());
    let mut client = Client::to(server.address());
    let answer = client.send(format!("{line} HTTP/1.1\r\nHost: x\r\n{headers}\r\n")).answer();
    assert_eq!(answer.status, status, "{line} {headers}: {answer:?}");
    assert_eq!(answer.header("Access-Control-Allow-Origin"), Some("*"), "{line} {headers}");
    if matches!(status, 401 | 403) {
        assert_eq!(answer.header("WWW-Authenticate"), Some("ApiKey"), "{line} {headers}");
        let error = if status == 401 { "unauthorized" } else { "forbidden" };
        assert_eq!(answer.json()["error"], error, "{line} {headers}");
    }
}

#[test]
fn who_has_no_key_learns_nothing() {
    for line in
        ["GET /jobs", "GET /nothing", "POST /health", "DELETE /ready", "GET /health/x", "TRACE /jobs", "GET //health"]
    {
        check_key(line, "", 401);
        check_key(line, "X-API-Key: wrong\r\n", 403);
    }
    check_key("GET /health", "", 200);
    check_key("GET /health?x=1", "", 200);
    check_key("GET /ready", "X-API-Key: wrong\r\n", 200);
}

#[test]
fn a_key_counts_where_it_may_stand() {
    check_key("GET /jobs", &format!("Authorization: ApiKey {KEY}\r\n"), 200);
    check_key("GET /jobs", &format!("authorization: APIKEY  {KEY}\r\n"), 200);
    check_key("GET /jobs", &format!("x-api-key: {KEY}\r\n"), 200);
    check_key("GET /jobs", &format!("Authorization: Bearer x\r\nX-API-Key: {KEY}\r\n"), 200);
    check_key("GET /jobs", &format!("Authorization: ApiKey wrong\r\nX-API-Key: {KEY}\r\n"), 403);
    check_key("GET /jobs", &format!("Authorization: Bearer {KEY}\r\n"), 401);
    check_key("GET /jobs", &format!("X-API-Key: {KEY}x\r\n"), 403);
}

#[test]
fn a_preflight_needs_no_key() {
    let server = served(&api());
    let mut client = Client::to(server.address());
    for path in ["/jobs", "/jobs/a", "/nothing", "*"] {
        client.send(format!(
            "OPTIONS {path} HTTP/1.1\r\nHost: x\r\nOrigin: https://a.example\r\nAccess-Control-Request-Method: PATCH\r\n\r\n"
        ));
        let answer = client.answer();
        assert_eq!((answer.status, answer.header("Content-Type")), (204, None), "{path}");
        assert_eq!(answer.header("Access-Control-Allow-Origin"), Some("*"), "{path}");
        let methods = answer.header("Access-Control-Allow-Methods");
        assert_eq!(methods, Some("GET, POST, PATCH, PUT, DELETE, OPTIONS"), "{path}");
        let headers = answer.header("Access-Control-Allow-Headers");
        assert_eq!(headers, Some("Content-Type, Authorization, X-API-Key"), "{path}");
        assert!(answer.header("Access-Control-Max-Age").is_some(), "{path}");
        assert_eq!(answer.header("Content-Length"), None, "{path}");
    }
}

/// What the library answers by itself looks like all the rest.
#[test]
fn answers_before_any_handler_are_ours_too() {
    let long = "x".repeat(limits::REQUEST_HEAD_BYTES_MAX);
    for (sent, status, error) in [
        (format!("GET / HTTP/1.1\r\nHost: x\r\nX: {long}\r\n\r\n"), 431, "head_too_large"),
        (format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n"), 414, "uri_too_long"),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400, "bad_request"),
        ("nonsense\r\n\r\n".to_owned(), 400, "bad_request"),
        ("BREW / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 501, "unknown_method"),
        ("GET / HTTP/1.1\r\nHost: x\r\nExpect: cake\r\n\r\n".to_owned(), 417, "expectation_failed"),
        ("GET / HTTP/4.0\r\nHost: x\r\n\r\n".to_owned(), 505, "version_not_supported"),
    ] {
        let fine = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";
        for (before, at_once) in [("", true), (fine, false), (fine, true)] {
            let server = served(&api());
            let mut client = Client::to(server.address());
            if at_once {
                client.try_send(format!("{before}{sent}"));
            }
            if !before.is_empty() {
                client.send(if at_once { "" } else { before });
                assert_eq!(client.answer().status, 200);
            }
            if !at_once {
                client.try_send(&sent);
            }
            let answer = client.answer();
            assert_eq!(answer.status, status, "{answer:?}");
            assert_eq!(answer.json()["error"], error);
            assert_eq!(answer.header("Access-Control-Allow-Origin"), Some("*"), "{answer:?}");
            assert_eq!(answer.header("Content-Type"), Some("application/json"), "{answer:?}");
            assert_eq!(answer.header("Server"), Some("ksana"), "{answer:?}");
            assert!(client.is_ended());
        }
    }
}

#[test]
fn an_answer_at_the_end_says_that_the_connection_closes() {
    let api = api();
    let server = served(&api);
    let mut client = Client::to(server.address());
    assert_eq!(client.ask("GET /jobs/a").header("Connection"), None);
    api.vitals.set_shutting_down();
    assert_eq!(client.ask("GET /jobs/a").header("Connection"), Some("close"));
    assert!(client.is_ended());
}

/// Sends a request to the whole service, and returns what the log says of it.
fn logged(line: &str, headers: &str) -> Vec<String> {
    let lines = Lines::default();
    let handler = Overheard { handler: service(&api()), lines: lines.clone() };
    let server = guarded(&Guard::new(patient(), 100), handler);
    let mut client = Client::to(server.address());
    client.send(format!("{line} HTTP/1.1\r\nHost: x\r\n{headers}\r\n")).answer();
    lines.all()
}

#[test]
fn a_request_is_one_line_of_log_without_its_query() {
    let key = format!("X-API-Key: {KEY}\r\n");
    let check = |path: &str, level: &str| {
        let lines = logged(&format!("GET {path}?token=secret"), &key);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].starts_with(level), "{lines:?}");
        for part in ["method=GET", &format!("path={path:?}"), "status=", "latency_ms="] {
            assert!(lines[0].contains(part), "{part}: {lines:?}");
        }
        assert!(!lines[0].contains("secret"), "{lines:?}");
    };
    check("/jobs", "INFO ");
    check("/nothing", "INFO ");
    check("/health", "DEBUG ");
    check("/ready", "DEBUG ");
}

#[test]
fn a_refusal_is_logged_with_the_client_and_without_the_key() {
    for headers in ["", "X-API-Key: open-sesame\r\n", "Authorization: ApiKey open-sesame\r\n"] {
        let lines = logged("POST /jobs?token=open-sesame", headers);
        let warnings: Vec<_> = lines.iter().filter(|line| line.starts_with("WARN ")).collect();
        assert_eq!(warnings.len(), 1, "{lines:?}");
        for part in ["client_ip=127.0.0.1", "method=POST", "path=\"/jobs\""] {
            assert!(warnings[0].contains(part), "{part}: {lines:?}");
        }
        assert!(!lines.concat().contains("sesame"), "{lines:?}");
    }
}
