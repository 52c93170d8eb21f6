//! New: `retry_for` and `retry_backoff_max`, the bounds of retrying.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::{Answer, Ksana, Line, Receiver, ahead, await_clock, hourly, once, time, with};

/// A job whose target never is well.
fn failing(ksana: &Ksana, receiver: &Receiver, answer: Answer, change: &Value) -> String {
    let path = format!("/fails-{}", receiver.requests().len());
    receiver.script(&path, [answer]);
    ksana.create_id(&with(hourly(&receiver.url(&path)), change))
}

#[track_caller]
fn has_failed(job: &Value, part: &str) {
    assert_eq!(job["last_status"], "failed");
    assert!(job["last_error"].as_str().is_some_and(|error| error.contains(part)), "{job}");
}

#[test]
fn retry_for_ends_the_retries_early() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let change = json!({"max_retries": 100, "retry_backoff": "300ms", "retry_for": "1s"});
    let id = failing(&ksana, &receiver, Answer::status(503), &change);
    ksana.run_now(&id);
    has_failed(&ksana.await_status(&id, "failed"), "503");
    let count = receiver.requests().len();
    assert!((2..=4).contains(&count), "{count} attempts, none earlier than 300 ms after another, within 1 s");
    ksana.let_pass(&receiver, 500);
    assert_eq!(receiver.requests().len(), count + 1, "that of the fence");
}

#[test]
fn no_retry_is_waited_for_that_would_come_too_late() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let bound = json!({"max_retries": 3, "retry_backoff": "1ms", "retry_for": "30s"});
    let late = Answer::status(503).header("Retry-After", "60");
    for (answer, change) in [
        (Answer::status(503), with(bound.clone(), &json!({"retry_backoff": "1m"}))),
        (late, bound.clone()),
        (Answer::hang(), with(bound, &json!({"retry_backoff": "1m", "timeout": "100ms"}))),
    ] {
        let before = receiver.requests().len();
        let id = failing(&ksana, &receiver, answer, &change);
        ksana.run_now(&id);
        ksana.await_job(&id, "the end", |job| job["last_status"] != "");
        assert_eq!(receiver.requests().len(), before + 1, "{change}");
    }
}

#[test]
fn max_retries_holds_where_it_is_reached_before() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let change = json!({"max_retries": 2, "retry_backoff": "1ms", "retry_for": "1h"});
    let id = failing(&ksana, &receiver, Answer::status(503), &change);
    ksana.run_now(&id);
    ksana.await_status(&id, "failed");
    assert_eq!(receiver.requests().len(), 3);
}

#[test]
fn an_attempt_that_a_worker_is_free_for_too_late_is_not_made() {
    let (ksana, receiver) = (Ksana::with("WORKERS", "1"), Receiver::start());
    receiver.script("/held", [Answer::ok().held()]);
    let holder = ksana.create_id(&hourly(&receiver.url("/held")));
    ksana.run_now(&holder);
    receiver.wait_for_path("/held", 1);
    let run_at = ahead(1_000);
    let late = ksana.create_id(&with(once(&receiver.url("/late"), run_at), &json!({"retry_for": "1s"})));
    await_clock(run_at + SignedDuration::from_secs(1));
    receiver.release("/held");
    has_failed(&ksana.await_status(&late, "failed"), "retry_for was over before an attempt could begin");
    ksana.let_pass(&receiver, 100);
    assert!(receiver.at("/late").is_empty());
}

#[test]
fn a_retry_that_a_restart_makes_too_late_is_not_made() {
    let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
    let change = json!({"max_retries": 3, "retry_backoff": "1500ms", "retry_for": "2500ms"});
    let id = failing(&ksana, &receiver, Answer::status(503), &change);
    ksana.run_now(&id);
    let line = ksana.log.wait_for("warn", &["attempt failed", &id]);
    ksana.kill();
    await_clock(time(line.field("scheduled_at")) + SignedDuration::from_millis(2_500));
    ksana.start_again();
    has_failed(&ksana.await_status(&id, "failed"), "retry_for was over");
    ksana.let_pass(&receiver, 100);
    assert_eq!(receiver.requests().len(), 2, "that of the fence and the first");
}

/// The attempts that failed of a run that has ended, and how long the wait behind each was to be.
fn waits(ksana: &Ksana, id: &str) -> Vec<SignedDuration> {
    let failed = ksana.log.find("warn", &["attempt failed", id]);
    let wait = |line: &Line| time(line.field("retry_at")).duration_since(time(line.field("time")));
    failed.iter().map(wait).collect()
}

#[test]
fn with_retry_backoff_max_waits_vary_and_stay_below() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let change = json!({"max_retries": 14, "retry_backoff": "50ms", "retry_backoff_max": "200ms"});
    let id = failing(&ksana, &receiver, Answer::status(503), &change);
    ksana.run_now(&id);
    ksana.await_status(&id, "failed");
    // The line is written later than the wait begins, so none seems longer than it is.
    let waits = waits(&ksana, &id);
    let most = [[50, 100].as_slice(), &[200; 12]].concat();
    let most: Vec<_> = most.into_iter().map(SignedDuration::from_millis).collect();
    assert_eq!((waits.len(), receiver.requests().len()), (14, 15));
    assert!(waits.iter().zip(&most).all(|(wait, most)| wait < most), "{waits:?}");
    // Without a draw each would be as long as it may be, and the later ones alike. That all draws lie so high or so
    // close together does not come in a million runs.
    assert!(waits.iter().zip(&most).any(|(wait, most)| *wait < *most * 8 / 10), "{waits:?}");
    let (least, longest) = (waits[2..].iter().min(), waits[2..].iter().max());
    assert!(longest.zip(least).is_some_and(|(longest, least)| *longest - *least > most[0] / 5), "{waits:?}");
    // Nor does it stay with the first bound: all twelve below a quarter of theirs is as rare.
    assert!(waits[2..].iter().any(|wait| *wait > most[0]), "{waits:?}");
    let requests = receiver.requests();
    for (pair, line) in requests.windows(2).zip(ksana.log.find("warn", &["attempt failed", &id])) {
        assert!(pair[1].at >= time(line.field("retry_at")), "{pair:?}");
    }
}

#[test]
fn retry_after_makes_a_drawn_wait_longer() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/busy", [Answer::status(429).header("Retry-After", "1"), Answer::ok()]);
    let change = json!({"retry_backoff": "10ms", "retry_backoff_max": "20ms"});
    let id = ksana.create_id(&with(hourly(&receiver.url("/busy")), &change));
    ksana.run_now(&id);
    let attempts = receiver.wait_for_path("/busy", 2);
    assert!(attempts[1].at.duration_since(attempts[0].at) >= SignedDuration::from_secs(1));
}
