//! New: cancelling what goes, and what becomes of the request that is on its way.

use serde_json::{Value, json};

use crate::support::{Answer, Ksana, Receiver, ahead, await_clock, eventually, every, hourly, with};

const PATH: &str = "/held";

/// A job whose request is on its way, and whose answer would be retried at once if anybody still waited for it.
fn in_flight(ksana: &Ksana, receiver: &Receiver, change: &Value) -> String {
    receiver.script(PATH, [Answer::status(503).held()]);
    let job = with(hourly(&receiver.url(PATH)), &json!({"retry_backoff": "1ms"}));
    let id = ksana.create_id(&with(job, change));
    let seen = receiver.at(PATH).len();
    ksana.run_now(&id);
    receiver.wait_for_path(PATH, seen + 1);
    id
}

#[track_caller]
fn is_cancelled(job: &Value) {
    let outcome = (&job["last_status"], &job["last_error"]);
    assert_eq!(outcome, (&json!("failed"), &json!("cancelled by request")), "{job}");
    assert_ne!(job["last_run_at"], "");
}

#[track_caller]
fn is_not_running(ksana: &Ksana, id: &str) {
    assert_eq!(ksana.act(id, "cancel").refusal(409)["error"], "not_running");
}

#[test]
fn a_cancelled_run_is_recorded_at_once_and_a_later_answer_changes_nothing() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let id = in_flight(&ksana, &receiver, &json!({}));
    let before = ksana.job(&id);
    assert_eq!(ksana.act(&id, "cancel").expect(200).json(), json!({"message": "run cancelled"}));
    let cancelled = ksana.job(&id);
    is_cancelled(&cancelled);
    assert_eq!(cancelled["next_run_at"], before["next_run_at"], "it moves no plan");
    assert_eq!(receiver.in_flight(), 1, "the target is still at it");
    is_not_running(&ksana, &id);
    receiver.release(PATH);
    ksana.let_pass(&receiver, 200);
    assert_eq!((receiver.at(PATH).len(), ksana.job(&id)), (1, cancelled));
    ksana.log.wait_for("warn", &["run failed", "cancelled by request", &id]);
}

#[test]
fn another_run_may_begin_behind_a_cancelled_one_and_its_answer_counts() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let id = in_flight(&ksana, &receiver, &json!({}));
    ksana.act(&id, "cancel").expect(200);
    receiver.script(PATH, [Answer::ok().held()]);
    let run_id = ksana.run_now(&id);
    assert_eq!(receiver.wait_for_path(PATH, 2)[1].run_id(), run_id);
    receiver.release(PATH);
    ksana.await_status(&id, "success");
    ksana.let_pass(&receiver, 100);
    assert_eq!((receiver.at(PATH).len(), &ksana.job(&id)["last_status"]), (2, &json!("success")));
}

#[test]
fn its_worker_is_free_at_once() {
    let (ksana, receiver) = (Ksana::with("WORKERS", "1"), Receiver::start());
    let id = in_flight(&ksana, &receiver, &json!({}));
    let next = ksana.create_id(&hourly(&receiver.url("/next")));
    ksana.run_now(&next);
    ksana.act(&id, "cancel").expect(200);
    ksana.await_status(&next, "success");
    assert_eq!(receiver.in_flight(), 1, "the target still holds the request");
}

#[test]
fn delete_frees_the_worker_of_what_is_in_flight_too() {
    let (ksana, receiver) = (Ksana::with("WORKERS", "1"), Receiver::start());
    let id = in_flight(&ksana, &receiver, &json!({}));
    let next = ksana.create_id(&hourly(&receiver.url("/next")));
    ksana.run_now(&next);
    ksana.delete(&id).expect(204);
    ksana.await_status(&next, "success");
    assert_eq!(receiver.in_flight(), 1, "the target still holds the request");
    ksana.get(&format!("/jobs/{id}")).refusal(404);
}

#[test]
fn at_most_as_many_transfers_linger_as_there_are_workers() {
    let (ksana, receiver) = (Ksana::with("WORKERS", "1"), Receiver::start());
    for path in ["/first", "/second"] {
        receiver.script(path, [Answer::ok().held()]);
        let id = ksana.create_id(&hourly(&receiver.url(path)));
        ksana.run_now(&id);
        receiver.wait_for_path(path, 1);
        ksana.act(&id, "cancel").expect(200);
        is_cancelled(&ksana.job(&id));
    }
    // Its run waits for a worker while later fires of it pass.
    let third = ksana.create_id(&every(&receiver.url("/third"), "150ms"));
    ksana.await_status(&third, "skipped");
    assert_eq!((receiver.at("/third").len(), receiver.in_flight()), (0, 2));
    receiver.release("/second");
    receiver.wait_for_path("/third", 1);
    assert_eq!(receiver.in_flight_most(), 2);
}

#[test]
fn a_retry_that_waits_is_cancelled() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/fails", [Answer::status(503)]);
    let id = ksana.create_id(&with(hourly(&receiver.url("/fails")), &json!({"retry_backoff": "1s"})));
    ksana.run_now(&id);
    ksana.log.wait_for("warn", &["attempt failed", &id]);
    ksana.act(&id, "cancel").expect(200);
    is_cancelled(&ksana.job(&id));
    ksana.let_pass(&receiver, 1_200);
    assert_eq!(receiver.at("/fails").len(), 1, "no further request");
    is_cancelled(&ksana.job(&id));
}

#[test]
fn a_run_that_waits_for_a_worker_is_cancelled_and_never_sent() {
    let (ksana, receiver) = (Ksana::with("WORKERS", "1"), Receiver::start());
    in_flight(&ksana, &receiver, &json!({"max_retries": 0}));
    let id = ksana.create_id(&hourly(&receiver.url("/queued")));
    ksana.run_now(&id);
    ksana.act(&id, "cancel").expect(200);
    is_cancelled(&ksana.job(&id));
    receiver.release(PATH);
    ksana.let_pass(&receiver, 100);
    assert!(receiver.at("/queued").is_empty());
}

#[test]
fn where_no_run_goes_it_is_409_and_where_there_is_no_job_404() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let id = ksana.create_id(&hourly(&receiver.url("/")));
    is_not_running(&ksana, &id);
    ksana.run_now(&id);
    let done = ksana.await_status(&id, "success");
    is_not_running(&ksana, &id);
    assert_eq!(ksana.job(&id), done, "a refusal changes nothing");
    ksana.act("nobody", "cancel").refusal(404);
    assert_eq!(ksana.get(&format!("/jobs/{id}/cancel")).expect(405).header("Allow"), Some("POST"));
    ksana.bare("POST", &format!("/jobs/{id}/cancel")).send().refusal(401);
}

#[test]
fn a_kill_right_behind_the_answer_brings_nothing_back() {
    for is_killed in [true, false] {
        let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
        let id = in_flight(&ksana, &receiver, &json!({}));
        ksana.act(&id, "cancel").expect(200);
        ksana.end(is_killed);
        ksana.start_again();
        is_cancelled(&ksana.job(&id));
        is_not_running(&ksana, &id);
        ksana.let_pass(&receiver, 200);
        assert_eq!(receiver.at(PATH).len(), 1, "no further request");
    }
}

#[test]
fn a_stop_does_not_wait_for_what_was_cancelled() {
    let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
    // An attempt that somebody waits for would hold the stop up for as long as the test is patient.
    let id = in_flight(&ksana, &receiver, &json!({"timeout": "1h"}));
    ksana.act(&id, "cancel").expect(200);
    assert_eq!(ksana.stop(), 0);
    assert_eq!(receiver.in_flight(), 1);
}

#[test]
fn runs_that_are_cancelled_as_soon_as_they_begin_lose_no_worker() {
    let (ksana, receiver) = (Ksana::with("WORKERS", "2"), Receiver::start());
    receiver.script("/hangs", [Answer::hang()]);
    let change = json!({"timeout": "100ms", "max_retries": 0});
    let id = ksana.create_id(&with(hourly(&receiver.url("/hangs")), &change));
    for _ in 0..30 {
        ksana.run_now(&id);
        ksana.act(&id, "cancel").expect(200);
        is_cancelled(&ksana.job(&id));
    }
    receiver.script(PATH, [Answer::ok().held()]);
    let others = ["a", "b"].map(|id| ksana.create_id(&with(hourly(&receiver.url(PATH)), &json!({"id": id}))));
    for other in &others {
        ksana.run_now(other);
    }
    receiver.wait_for_path(PATH, 2);
    receiver.release(PATH);
    for other in &others {
        ksana.await_status(other, "success");
    }
    is_cancelled(&ksana.job(&id));
}

#[test]
fn all_runs_of_a_job_are_cancelled() {
    let (ksana, receiver) = (Ksana::with("WORKERS", "2"), Receiver::start());
    let id = in_flight(&ksana, &receiver, &json!({"overlap": "allow", "overlap_max": 2}));
    ksana.run_now(&id);
    receiver.wait_for_path(PATH, 2);
    ksana.act(&id, "cancel").expect(200);
    is_not_running(&ksana, &id);
    // Both workers are free.
    ksana.let_pass(&receiver, 50);
    receiver.release(PATH);
    ksana.let_pass(&receiver, 100);
    is_cancelled(&ksana.job(&id));
    assert_eq!(receiver.at(PATH).len(), 2);
}

#[test]
fn what_waits_for_the_end_of_the_run_begins() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script(PATH, [Answer::ok().held(), Answer::ok()]);
    let (first, second) = (ahead(1_000), ahead(1_200));
    let schedule = json!({"start_at": first.to_string(), "end_at": second.to_string()});
    let change = json!({"overlap": "queue", "schedule": schedule});
    let id = ksana.create_id(&with(every(&receiver.url(PATH), "200ms"), &change));
    await_clock(second);
    ksana.let_pass(&receiver, 50);
    assert_eq!(receiver.at(PATH).len(), 1);
    ksana.act(&id, "cancel").expect(200);
    let fires = receiver.wait_for_path(PATH, 2);
    assert_eq!(fires[1].scheduled_at().duration_since(first).as_millis(), 200);
    assert!(receiver.in_flight() >= 1, "the first request is still held");
}

#[test]
fn a_paused_job_is_cancelled_and_stays_paused() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let id = in_flight(&ksana, &receiver, &json!({}));
    ksana.act(&id, "pause").expect(200);
    ksana.act(&id, "cancel").expect(200);
    let job = ksana.job(&id);
    is_cancelled(&job);
    assert_eq!((&job["enabled"], &job["next_run_at"]), (&json!(false), &json!("")));
    eventually("the file to say so", || {
        let file = ksana.jobs_file().exists().then(|| ksana.jobs_on_disk())?;
        let job = &file["jobs"][0];
        (job["last_error"] == "cancelled by request" && job["state"]["run"].is_null()).then_some(())
    });
}
