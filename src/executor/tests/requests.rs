//! What a target is sent.

use super::*;

#[test]
fn a_request_carries_what_it_should() {
    let target = Target::new(|_, stream| stream.write_all(OK.as_bytes()).is_ok());
    let header = |name: &str, value: &str| (name.into(), value.into());
    let http = HttpCall {
        method: "post".into(),
        url: target.url("/p/%C3%A4?a={b}|\"c'd<e>`^").into(),
        headers: vec![
            header("X-Token", "abc"),
            header("x-empty", ""),
            header("Content-Length", "999"),
            header("Transfer-Encoding", "chunked"),
            header("Connection", "close"),
            header("Keep-Alive", "timeout=1"),
            header("Proxy-Connection", "close"),
            header("Upgrade", "h2c"),
            header("TE", "trailers"),
            header("Trailer", "X"),
            header("X-Ksana-Run-Id", "forged"),
            header("x-ksana-other", "forged"),
        ],
        body: r#"{"a": 1}"#.into(),
    };
    assert_eq!(outcome(http), Outcome::success());
    let request = target.only_request();
    let (head, body) = request.split_once("\r\n\r\n").expect("a head ends");
    let mut lines: Vec<_> = head.lines().collect();
    assert_eq!(lines.remove(0), "POST /p/%C3%A4?a={b}|%22c%27d%3Ce%3E`^ HTTP/1.1");
    lines.sort_unstable();
    let host = format!("Host: 127.0.0.1:{}", target.port);
    let expected = [
        "Accept: */*",
        "Content-Length: 8",
        "Content-Type: application/json",
        &host,
        "Traceparent: 00-00000000000000000000000000001234-91acd1387b93786d-01",
        concat!("User-Agent: ksana/", env!("CARGO_PKG_VERSION")),
        "X-Empty:",
        "X-Ksana-Attempt: 2",
        "X-Ksana-Job-Id: job-1",
        "X-Ksana-Run-Id: 00000000-0000-0000-0000-000000001234",
        "X-Ksana-Scheduled-At: 2025-09-19T11:05:00Z",
        "X-Token: abc",
    ];
    assert_eq!(lines, expected);
    assert_eq!(body, r#"{"a": 1}"#);
}

#[test]
fn what_is_repeated_names_the_run_that_it_repeats() {
    let target = Target::saying(OK);
    let bench = Bench::new(&config(1), Resolver::of_system());
    let replay = Start { replay_of: Some(Uuid::from_u128(0x5678)), ..attempt(get(target.url("/")), "10s") };
    assert_eq!(bench.report(replay).outcome, Outcome::success());
    bench.end();
    let request = target.only_request();
    assert!(request.contains("\r\nX-Ksana-Replay-Of: 00000000-0000-0000-0000-000000005678\r\n"), "{request}");
}

#[test]
fn a_job_s_own_headers_win() {
    let target = Target::saying(OK);
    let header = |name: &str, value: &str| (name.into(), value.into());
    let http = HttpCall {
        headers: vec![
            header("user-agent", "mine/1"),
            header("CONTENT-TYPE", "text/csv"),
            header("Authorization", "Bearer t"),
            header("Host", "elsewhere.test"),
        ],
        body: "{}".into(),
        ..get(target.url("/").replace("http://", "http://user:pass@"))
    };
    assert_eq!(outcome(http), Outcome::success());
    let request = target.only_request();
    for line in ["User-Agent: mine/1", "Content-Type: text/csv", "Authorization: Bearer t", "Host: elsewhere.test"] {
        assert!(request.contains(&format!("\r\n{line}\r\n")), "{request}");
    }
    assert_eq!(request.to_ascii_lowercase().matches("\r\nauthorization: ").count(), 1);
    assert_eq!(request.to_ascii_lowercase().matches("\r\nhost: ").count(), 1);
    assert_eq!(request.to_ascii_lowercase().matches("\r\nuser-agent: ").count(), 1);
}

#[test]
fn userinfo_is_sent_as_basic_auth() {
    let target = Target::saying(OK);
    assert_eq!(outcome(get(target.url("/").replace("http://", "http://us%65r:p%40ss@"))), Outcome::success());
    let request = target.only_request();
    assert!(request.contains("\r\nAuthorization: Basic dXNlcjpwQHNz\r\n"), "{request}");
}

#[test]
fn bodies_go_with_any_method() {
    let check = |method: &str, body: &str, expected: &[&str], absent: &[&str]| {
        let no_body = if method == "HEAD" { "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" } else { OK };
        let target = Target::saying(no_body);
        let http = HttpCall { method: method.into(), body: body.into(), ..get(target.url("/")) };
        assert_eq!(outcome(http), Outcome::success(), "{method} {body}");
        let request = target.only_request();
        assert!(request.starts_with(&format!("{method} / HTTP/1.1\r\n")), "{request}");
        for line in expected {
            assert!(request.contains(line), "{method}: {line} is missing: {request}");
        }
        for line in absent {
            assert!(!request.contains(line), "{method}: {line} is too much: {request}");
        }
    };
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"] {
        let text = ["\r\nContent-Length: 2\r\n", "\r\nContent-Type: text/plain\r\n", "\r\n\r\nhi"];
        check(method, "hi", &text, &["Transfer-Encoding", "Expect"]);
    }
    for method in ["POST", "PUT", "PATCH"] {
        check(method, "", &["\r\nContent-Length: 0\r\n"], &["Content-Type", "Transfer-Encoding"]);
    }
    for method in ["GET", "DELETE", "OPTIONS", "HEAD", "PURGE"] {
        check(method, "", &[], &["Content-Length", "Content-Type", "Transfer-Encoding"]);
    }
    check("HEAD", "hi", &[], &["Content-Length"]);
    check("POST", "12", &["\r\nContent-Type: application/json\r\n"], &[]);
    let long = "x".repeat(ANSWER_BODY_BYTES_MAX + 1);
    check("PUT", &long, &["\r\nContent-Length: 1048577\r\n"], &["Expect"]);
}

#[test]
fn no_other_scheme_is_ever_sent() {
    for url in ["file://localhost/etc/passwd", "file:///etc/passwd", "mqtt://127.0.0.1/a", "ftp://127.0.0.1/", "x"] {
        let outcome = outcome(get(url));
        assert_eq!(outcome.verdict, Verdict::Final, "{url}");
        assert!(outcome.error.contains("accepted are absolute http and https URLs"), "{}", outcome.error);
    }
}

#[test]
fn what_cannot_be_sent_fails_with_the_reason() {
    let target = Target::saying(OK);
    let header =
        |name: &str, value: &str| HttpCall { headers: vec![(name.into(), value.into())], ..get(target.url("/")) };
    for (http, reason) in [
        (header("bad name", "x"), "\"bad name\" is not a header name"),
        (header("X-A", "a\r\nb"), "the value of the header \"X-A\""),
        (header("X-A", "é"), "the value of the header \"X-A\""),
        (HttpCall { method: "CONNECT".into(), ..get(target.url("/")) }, "\"CONNECT\" is not a method"),
    ] {
        let outcome = outcome(http);
        assert_eq!(outcome.verdict, Verdict::Final);
        assert!(outcome.error.starts_with(reason), "{}", outcome.error);
    }
    assert_eq!(target.connections.load(Ordering::SeqCst), 0);
}
