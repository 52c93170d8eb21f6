//! Kept: what happens when — one attempt: what is sent, what is read, how long it may take.

use serde_json::{Value, json};

use crate::support::{Answer, Builder, Ksana, Receiver, Request, hourly, now, with};

/// Runs a job with that `http` once, and gives what the target saw and the job afterwards.
fn run(ksana: &Ksana, receiver: &Receiver, path: &str, change: &Value) -> (Request, Value) {
    let id = ksana.create_id(&with(with(hourly(&receiver.url(path)), &json!({"max_retries": 0})), change));
    ksana.run_now(&id);
    let job = ksana.await_job(&id, "an end", |job| job["last_status"] != "");
    (receiver.at(path).pop().expect("it was called"), job)
}

#[test]
fn method_url_headers_and_body_arrive_as_given() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let change =
        json!({"http": {"method": "put", "headers": {"X-Token": "abc", "Accept": "text/x"}, "body": "ä body"}});
    let (seen, _) = run(&ksana, &receiver, "/p", &change);
    assert_eq!((seen.method.as_str(), seen.body.as_slice()), ("PUT", "ä body".as_bytes()));
    assert_eq!((seen.all("x-token"), seen.all("accept")), (vec!["abc"], vec!["text/x"]));
    let change = json!({"http": {"url": receiver.url("/q%20r?a=1&b=%C3%A4")}});
    let (seen, _) = run(&ksana, &receiver, "/q%20r", &change);
    assert_eq!(seen.target, "/q%20r?a=1&b=%C3%A4");
    assert_eq!(seen.header("host"), Some(format!("127.0.0.1:{}", receiver.port()).as_str()));
}

#[test]
fn each_method_is_sent() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"] {
        let path = format!("/{method}");
        let (seen, job) = run(&ksana, &receiver, &path, &json!({"http": {"method": method}}));
        assert_eq!(seen.method, method);
        assert_eq!(job["last_status"], "success", "{method}: {}", job["last_error"]);
        assert!(seen.body.is_empty());
    }
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
        let path = format!("/body-{method}");
        let (seen, _) = run(&ksana, &receiver, &path, &json!({"http": {"method": method, "body": "b"}}));
        assert_eq!((seen.method.as_str(), seen.body.as_slice()), (method, b"b".as_slice()));
    }
}

#[test]
fn a_callback_tells_what_it_is() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let (seen, job) = run(&ksana, &receiver, "/", &json!({}));
    assert_eq!(seen.all("X-Ksana-Job-Id"), [job["id"].as_str().expect("a job has an id")]);
    assert_eq!(seen.all("X-Ksana-Run-Id").len(), 1);
    assert_eq!(seen.all("X-Ksana-Attempt"), ["1"]);
    assert!(seen.all("X-Ksana-Scheduled-At")[0].ends_with('Z') && seen.scheduled_at() <= now());
    assert_eq!(seen.all("User-Agent"), [concat!("ksana/", env!("CARGO_PKG_VERSION"))]);
}

/// A `traceparent` in its four parts.
fn trace_of(seen: &Request) -> Vec<String> {
    let [parent] = seen.all("traceparent")[..] else { panic!("a callback has one") };
    parent.split('-').map(str::to_owned).collect()
}

#[test]
fn the_traces_of_a_target_join_the_run() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/", [Answer::status(503), Answer::ok()]);
    let own = json!({"traceparent": "00-11111111111111111111111111111111-1111111111111111-00"});
    let changes = json!({"http": {"headers": own}, "max_retries": 1, "retry_backoff": "0s"});
    run(&ksana, &receiver, "/", &changes);
    let attempts = receiver.wait_for_path("/", 2);
    let traces: Vec<_> = attempts.iter().map(trace_of).collect();
    for (attempt, trace) in attempts.iter().zip(&traces) {
        let [version, id, span, flags] = &trace[..] else { panic!("{trace:?}") };
        assert_eq!((&**version, &**id, &**flags), ("00", &*attempt.run_id().replace('-', ""), "01"));
        let is_hex = span.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        assert!(span.len() == 16 && is_hex && span.bytes().any(|byte| byte != b'0'), "{span}");
    }
    assert_ne!(traces[0][2], traces[1][2], "each attempt is a span of its own");
}

#[test]
fn the_content_type_is_guessed_where_the_job_names_none() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    for (path, body, expected) in [
        ("/object", r#"{"a": 1}"#, "application/json"),
        ("/array", "[1, 2]", "application/json"),
        ("/text", "hello", "text/plain"),
        ("/broken", r#"{"a": 1"#, "text/plain"),
    ] {
        let (seen, _) = run(&ksana, &receiver, path, &json!({"http": {"body": body}}));
        let [kind] = seen.all("content-type")[..] else { panic!("{path}: one content type") };
        assert_eq!(kind.split(';').next(), Some(expected), "{path}");
    }
    let own = json!({"http": {"body": "{}", "headers": {"content-TYPE": "application/x-own"}}});
    assert_eq!(run(&ksana, &receiver, "/own", &own).0.all("Content-Type"), ["application/x-own"]);
    assert!(run(&ksana, &receiver, "/empty", &json!({})).0.body.is_empty());
}

#[test]
fn framing_headers_are_not_sent() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let headers = json!({
        "Content-Length": "999", "transfer-encoding": "strange", "Connection": "X-Kept", "UPGRADE": "strange",
        "TE": "strange", "Trailer": "X-Strange", "X-Kept": "kept",
    });
    let (seen, job) = run(&ksana, &receiver, "/", &json!({"http": {"headers": headers, "body": "four"}}));
    assert_eq!(job["last_status"], "success");
    assert_eq!(seen.body, b"four");
    assert_eq!(seen.all("Content-Length"), ["4"]);
    assert_eq!(seen.all("X-Kept"), ["kept"]);
    for name in ["Transfer-Encoding", "Upgrade", "TE", "Trailer"] {
        assert!(seen.all(name).is_empty(), "{name}");
    }
    assert!(!seen.all("Connection").contains(&"X-Kept"));
    assert_eq!(job["http"]["headers"], headers, "they are kept in the job");
}

#[test]
fn x_ksana_headers_of_a_job_are_replaced() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let headers = json!({"X-Ksana-Run-Id": "mine", "x-ksana-attempt": "99", "X-KSANA-JOB-ID": "mine"});
    let (seen, job) = run(&ksana, &receiver, "/", &json!({"http": {"headers": headers}}));
    assert_eq!((seen.all("X-Ksana-Attempt"), seen.all("X-Ksana-Run-Id").len()), (vec!["1"], 1));
    assert_ne!(seen.run_id(), "mine");
    assert_eq!(seen.all("X-Ksana-Job-Id"), [job["id"].as_str().expect("a job has an id")]);
}

#[test]
fn timeout_bounds_an_attempt_to_the_end_of_the_body() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/hangs", [Answer::hang()]);
    receiver.script("/drips", [Answer::drip()]);
    for path in ["/hangs", "/drips"] {
        let begun = now();
        let (_, job) = run(&ksana, &receiver, path, &json!({"timeout": "300ms"}));
        assert_eq!(job["last_status"], "timeout", "{path}: {}", job["last_error"]);
        assert!(now().duration_since(begun).as_millis() >= 300, "{path}");
    }
    receiver.wait_until_broken_off("/drips");
}

#[test]
fn redirects_are_not_followed_and_last_error_says_where() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    for status in [301, 302, 303, 307, 308] {
        let path = format!("/moved-{status}");
        receiver.script(&path, [Answer::redirect(status, &receiver.url("/elsewhere"))]);
        let (_, job) = run(&ksana, &receiver, &path, &json!({"max_retries": 3}));
        assert_eq!(job["last_status"], "failed");
        let error = job["last_error"].as_str().expect("it is a text");
        assert!(error.contains(&receiver.url("/elsewhere")) && error.contains(&status.to_string()), "{error}");
    }
    assert_eq!(receiver.at("/elsewhere").len(), 0);
}

#[test]
fn of_a_body_at_most_1_mib_is_read_and_the_status_decides() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    for (path, answer, expected) in [
        ("/good", Answer::ok().endless(), "success"),
        ("/bad", Answer::status(404).endless(), "failed"),
        ("/packed", Answer::ok().header("Content-Encoding", "gzip").endless(), "success"),
    ] {
        receiver.script(path, [answer]);
        let (_, job) = run(&ksana, &receiver, path, &json!({}));
        assert_eq!(job["last_status"], expected, "{path}: {}", job["last_error"]);
        let written = receiver.wait_until_broken_off(path);
        assert!(written < 64 << 20, "the connection is closed, after {written} bytes");
    }
}

#[test]
fn last_error_is_short_and_is_emptied_by_a_success() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let long = format!("http://127.0.0.1:9/{}", "x".repeat(5000));
    receiver.script("/flaky", [Answer::redirect(302, &long), Answer::ok()]);
    let id = ksana.create_id(&hourly(&receiver.url("/flaky")));
    ksana.run_now(&id);
    let failed = ksana.await_status(&id, "failed");
    let error = failed["last_error"].as_str().expect("it is a text");
    assert!(!error.is_empty() && error.len() < 2000 && !error.contains('\n'), "{} bytes", error.len());
    ksana.run_now(&id);
    assert_eq!(ksana.await_status(&id, "success")["last_error"], "");
}

#[test]
fn link_local_addresses_are_refused_without_a_try() {
    let ksana = Ksana::start();
    for url in [
        "http://169.254.169.254/latest/meta-data/",
        "http://[fe80::1]/",
        "http://[::ffff:169.254.169.254]/",
        "http://[::ffff:a9fe:a9fe]/",
        "http://2852039166/",
        "http://0xa9fea9fe/",
        "https://169.254.0.1/",
    ] {
        // A try would be retried, an hour later.
        let id = ksana.create_id(&with(hourly(url), &json!({"retry_backoff": "1h", "timeout": "1h"})));
        ksana.run_now(&id);
        let failed = ksana.await_status(&id, "failed");
        let error = failed["last_error"].as_str().expect("it is a text");
        assert!(error.starts_with("refused: "), "{url}: {error}");
    }
}

#[test]
fn a_proxy_in_the_environment_is_not_obeyed() {
    let (proxy, receiver) = (Receiver::start(), Receiver::start());
    let names = ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"];
    let builder = names.iter().fold(Builder::new(), |builder, name| builder.env(name, proxy.url("/")));
    let ksana = builder.start();
    let (_, job) = run(&ksana, &receiver, "/direct", &json!({}));
    assert_eq!(job["last_status"], "success");
    assert_eq!((proxy.connections(), receiver.at("/direct").len()), (0, 1));
}

#[test]
fn a_connection_that_the_target_closes_between_runs_does_no_harm() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/closes", [Answer::ok().closing()]);
    for round in 1..=5 {
        let id = ksana.create_id(&with(hourly(&receiver.url("/closes")), &json!({"retry_backoff": "1ms"})));
        ksana.run_now(&id);
        ksana.await_status(&id, "success");
        assert!(receiver.at("/closes").len() >= round);
    }
}
