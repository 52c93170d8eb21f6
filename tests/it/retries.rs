//! Kept: what happens when — success, retries and what is recorded of them.

use serde_json::json;

use crate::support::{Answer, Ksana, Receiver, Request, ahead, eventually, hourly, now, once, time, with};

/// Milliseconds between the arrivals of two requests.
fn gap_ms(earlier: &Request, later: &Request) -> i128 {
    later.at.duration_since(earlier.at).as_millis()
}

#[test]
fn attempts_follow_each_other_after_the_backoff_under_one_run_id() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/flaky", [Answer::status(503), Answer::status(500), Answer::ok()]);
    let id = ksana.create_id(&with(hourly(&receiver.url("/flaky")), &json!({"retry_backoff": "200ms"})));
    let run_id = ksana.run_now(&id);
    let attempts = receiver.wait_for_path("/flaky", 3);
    ksana.await_status(&id, "success");
    assert_eq!(attempts.iter().map(Request::attempt).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(attempts.iter().all(|attempt| attempt.run_id() == run_id));
    assert!(attempts.iter().all(|attempt| attempt.scheduled_at() == attempts[0].scheduled_at()));
    for pair in attempts.windows(2) {
        assert!(gap_ms(&pair[0], &pair[1]) >= 200, "after {} ms", gap_ms(&pair[0], &pair[1]));
    }
    assert_ne!(ksana.run_now(&id), run_id, "another run has another id");
    assert_eq!(receiver.wait_for_path("/flaky", 4)[3].attempt(), 1);
}

#[test]
fn the_backoff_counts_from_the_end_of_an_attempt() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/slow", [Answer::status(503).delayed(400), Answer::ok()]);
    let id = ksana.create_id(&with(hourly(&receiver.url("/slow")), &json!({"retry_backoff": "200ms"})));
    ksana.run_now(&id);
    let attempts = receiver.wait_for_path("/slow", 2);
    assert!(gap_ms(&attempts[0], &attempts[1]) >= 600);
}

#[test]
fn at_most_max_retries_further_attempts() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    for (path, retries) in [("/none", 0), ("/two", 2)] {
        receiver.script(path, [Answer::status(503)]);
        let change = json!({"retry_backoff": "10ms", "max_retries": retries});
        let id = ksana.create_id(&with(hourly(&receiver.url(path)), &change));
        ksana.run_now(&id);
        let failed = ksana.await_status(&id, "failed");
        assert!(failed["last_error"].as_str().is_some_and(|error| error.contains("503")), "{failed}");
        ksana.let_pass(&receiver, 150);
        assert_eq!(receiver.at(path).len(), retries + 1);
    }
}

#[test]
fn success_is_2xx() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    for status in [200, 201, 202, 204, 206, 299] {
        let path = format!("/{status}");
        receiver.script(&path, [Answer::status(status)]);
        let id = ksana.create_id(&hourly(&receiver.url(&path)));
        ksana.run_now(&id);
        assert_eq!(
            ksana.await_job(&id, "an end", |job| job["last_status"] != "")["last_status"],
            "success",
            "{status}"
        );
    }
}

#[test]
fn some_statuses_are_retried() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    for status in [408, 429, 500, 501, 502, 503, 504, 599] {
        let path = format!("/{status}");
        receiver.script(&path, [Answer::status(status), Answer::ok()]);
        let id = ksana.create_id(&with(hourly(&receiver.url(&path)), &json!({"retry_backoff": "1ms"})));
        ksana.run_now(&id);
        ksana.await_status(&id, "success");
        assert_eq!(receiver.at(&path).len(), 2, "{status}");
    }
}

#[test]
fn every_other_status_is_not_retried() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let statuses = [300, 301, 302, 304, 307, 308, 400, 401, 403, 404, 405, 409, 410, 418, 422, 425];
    for status in statuses {
        let path = format!("/{status}");
        receiver.script(&path, [Answer::status(status)]);
        let id = ksana.create_id(&with(hourly(&receiver.url(&path)), &json!({"retry_backoff": "1ms"})));
        ksana.run_now(&id);
        let failed = ksana.await_status(&id, "failed");
        let error = failed["last_error"].as_str().expect("it is a text");
        assert!(error.contains(&status.to_string()), "{status}: {error}");
    }
    ksana.let_pass(&receiver, 100);
    for status in statuses {
        assert_eq!(receiver.at(&format!("/{status}")).len(), 1, "{status}");
    }
}

#[test]
fn a_broken_answer_is_retried() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    for (path, answer) in [
        ("/drop", Answer::drop_connection()),
        ("/garbage", Answer::garbage()),
        ("/cut", Answer::cut_body()),
        ("/bomb", Answer::header_bomb()),
    ] {
        receiver.script(path, [answer]);
        let change = json!({"retry_backoff": "1ms", "max_retries": 1});
        let id = ksana.create_id(&with(hourly(&receiver.url(path)), &change));
        ksana.run_now(&id);
        let failed = ksana.await_status(&id, "failed");
        assert_ne!(failed["last_error"], "", "{path}");
        // A kept connection that breaks may deliver one attempt twice.
        let mut attempts: Vec<u32> = receiver.at(path).iter().map(Request::attempt).collect();
        attempts.dedup();
        assert_eq!(attempts, [1, 2], "{path}");
    }
}

#[test]
fn a_target_that_is_not_there_is_retried() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let url = "http://127.0.0.1:9/";
    let id = ksana.create_id(&with(hourly(url), &json!({"retry_backoff": "150ms", "max_retries": 2})));
    let begun = now();
    ksana.run_now(&id);
    let failed = ksana.await_status(&id, "failed");
    assert!(now().duration_since(begun).as_millis() >= 300, "two backoffs");
    assert_ne!(failed["last_error"], "");

    let id = ksana.create_id(&with(hourly(url), &json!({"retry_backoff": "100ms", "max_retries": 100})));
    ksana.run_now(&id);
    ksana.let_pass(&receiver, 200);
    ksana.patch(&id, &json!({"http": {"url": receiver.url("/there")}})).expect(200);
    assert!(receiver.wait_for_path("/there", 1)[0].attempt() > 1);
    ksana.await_status(&id, "success");
}

#[test]
fn a_name_that_does_not_resolve_fails_with_a_reason() {
    let ksana = Ksana::start();
    // No name server is asked for a label that is longer than a label may be.
    let url = format!("http://{}.invalid/", "x".repeat(64));
    let id = ksana.create_id(&with(hourly(&url), &json!({"max_retries": 0})));
    ksana.run_now(&id);
    let failed = ksana.await_job(&id, "an end", |job| job["last_status"] != "");
    assert!(failed["last_status"] == "failed" || failed["last_status"] == "timeout", "{failed}");
    assert_ne!(failed["last_error"], "");
}

#[test]
fn retry_after_may_make_the_backoff_longer() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/seconds", [Answer::status(429).header("Retry-After", "1"), Answer::ok()]);
    let until = ahead(3000).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    receiver.script("/date", [Answer::status(503).header("Retry-After", &until), Answer::ok()]);
    for path in ["/seconds", "/date"] {
        let id = ksana.create_id(&with(hourly(&receiver.url(path)), &json!({"retry_backoff": "1ms"})));
        ksana.run_now(&id);
    }
    let attempts = receiver.wait_for_path("/seconds", 2);
    assert!(gap_ms(&attempts[0], &attempts[1]) >= 1000);
    let attempts = receiver.wait_for_path("/date", 2);
    assert!(gap_ms(&attempts[0], &attempts[1]) >= 1500, "until {until}, not {}", attempts[1].at);
}

#[test]
fn retry_after_makes_the_backoff_no_shorter() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    for (path, value) in
        [("/zero", "0"), ("/past", "Wed, 21 Oct 2015 07:28:00 GMT"), ("/nonsense", "soon"), ("/negative", "-5")]
    {
        receiver.script(path, [Answer::status(503).header("Retry-After", value), Answer::ok()]);
        let id = ksana.create_id(&with(hourly(&receiver.url(path)), &json!({"retry_backoff": "300ms"})));
        ksana.run_now(&id);
        let attempts = receiver.wait_for_path(path, 2);
        assert!(gap_ms(&attempts[0], &attempts[1]) >= 300, "{path}");
    }
}

#[test]
fn timeout_is_the_status_if_the_last_attempt_timed_out() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/ends-late", [Answer::status(500), Answer::hang()]);
    receiver.script("/ends-badly", [Answer::hang(), Answer::status(500)]);
    let change = json!({"timeout": "200ms", "retry_backoff": "1ms", "max_retries": 1});
    let mut ids = Vec::new();
    for path in ["/ends-late", "/ends-badly"] {
        let id = ksana.create_id(&with(hourly(&receiver.url(path)), &change));
        ksana.run_now(&id);
        ids.push(id);
    }
    let late = ksana.await_status(&ids[0], "timeout");
    assert_ne!(late["last_error"], "");
    let badly = ksana.await_status(&ids[1], "failed");
    assert!(badly["last_error"].as_str().is_some_and(|error| error.contains("500")), "{badly}");
    assert_eq!((receiver.at("/ends-late").len(), receiver.at("/ends-badly").len()), (2, 2));
}

#[test]
fn a_waiting_retry_holds_no_worker() {
    let (ksana, receiver) = (Ksana::with("WORKERS", "1"), Receiver::start());
    receiver.script("/fails", [Answer::status(503)]);
    let failing = ksana.create_id(&with(hourly(&receiver.url("/fails")), &json!({"retry_backoff": "1h"})));
    ksana.run_now(&failing);
    receiver.wait_for_path("/fails", 1);
    let id = ksana.create_id(&hourly(&receiver.url("/works")));
    ksana.run_now(&id);
    ksana.await_status(&id, "success");
}

#[test]
fn a_once_job_is_retried_too_and_then_done() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/once", [Answer::status(503), Answer::ok()]);
    let run_at = ahead(300);
    let id = ksana.create_id(&with(once(&receiver.url("/once"), run_at), &json!({"retry_backoff": "50ms"})));
    let attempts = receiver.wait_for_path("/once", 2);
    assert_eq!(attempts[0].run_id(), attempts[1].run_id());
    let done = ksana.await_status(&id, "success");
    assert_eq!(done["next_run_at"], "");
    assert!(time(&done["last_run_at"]) >= run_at && time(&done["last_run_at"]) <= attempts[0].at);
}

#[test]
fn a_waiting_retry_survives_a_restart_under_its_run_id() {
    for kill in [false, true] {
        let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
        receiver.script("/flaky", [Answer::status(503), Answer::ok()]);
        let id = ksana.create_id(&with(hourly(&receiver.url("/flaky")), &json!({"retry_backoff": "1s"})));
        let run_id = ksana.run_now(&id);
        receiver.wait_for_path("/flaky", 1);
        eventually("the attempt to end", || (receiver.in_flight() == 0).then_some(()));
        if kill {
            ksana.let_pass(&receiver, 100);
            ksana.kill();
        } else {
            assert_eq!(ksana.stop(), 0);
        }
        ksana.start_again();
        let attempts = receiver.wait_for_path("/flaky", 2);
        assert_eq!((attempts[1].run_id(), attempts[1].attempt()), (run_id.as_str(), 2));
        assert!(gap_ms(&attempts[0], &attempts[1]) >= 1000, "the backoff stands");
        ksana.await_status(&id, "success");
    }
}
