//! Kept: what happens when — run-now, overlap, and changes while a run is going.

use serde_json::json;
use uuid::Uuid;

use crate::support::{
    Answer, Builder, Ksana, Receiver, ahead, await_clock, eventually, every, hourly, now, once, time, with,
};

#[test]
fn run_now_starts_a_run_at_once_and_moves_no_plan() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let job = ksana.create(&with(hourly(&receiver.url("/now")), &json!({"schedule": {"jitter": "10m"}})));
    let id = job["id"].as_str().expect("a job has an id");
    let before = now();
    let run_id = ksana.run_now(id);
    let fire = receiver.wait_for_path("/now", 1).remove(0);
    assert_eq!(fire.run_id(), run_id);
    let done = ksana.await_status(id, "success");
    assert_eq!(done["next_run_at"], job["next_run_at"]);
    let began = time(&done["last_run_at"]);
    assert!(before <= began && began <= fire.at, "{began} is not when it began");
}

#[test]
fn run_now_runs_a_paused_job_too() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let id = ksana.create_id(&with(hourly(&receiver.url("/now")), &json!({"enabled": false})));
    ksana.run_now(&id);
    receiver.wait_for_path("/now", 1);
    let done = ksana.await_status(&id, "success");
    assert_eq!((&done["enabled"], &done["next_run_at"]), (&json!(false), &json!("")));
}

#[test]
fn run_now_runs_a_done_once_and_leaves_it_done() {
    let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
    let id = ksana.create_id(&once(&receiver.url("/once"), ahead(300)));
    ksana.await_status(&id, "success");
    ksana.run_now(&id);
    receiver.wait_for_path("/once", 2);
    eventually("no run to be going", || (receiver.in_flight() == 0).then_some(()));
    ksana.restart();
    ksana.let_pass(&receiver, 200);
    assert_eq!(receiver.at("/once").len(), 2);
    assert_eq!(ksana.job(&id)["next_run_at"], "");
}

#[test]
fn run_now_while_a_run_is_going_is_409() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/held", [Answer::ok().held()]);
    let id = ksana.create_id(&hourly(&receiver.url("/held")));
    ksana.run_now(&id);
    ksana.act(&id, "run-now").refusal(409);
    receiver.wait_for_path("/held", 1);
    ksana.act(&id, "run-now").refusal(409);
    receiver.release("/held");
    ksana.await_status(&id, "success");
    ksana.run_now(&id);
    receiver.wait_for_path("/held", 2);

    receiver.script("/waits", [Answer::status(503)]);
    let id = ksana.create_id(&with(hourly(&receiver.url("/waits")), &json!({"retry_backoff": "1h"})));
    ksana.run_now(&id);
    receiver.wait_for_path("/waits", 1);
    eventually("the attempt to end", || (receiver.in_flight() == 0).then_some(()));
    ksana.let_pass(&receiver, 100);
    ksana.act(&id, "run-now").refusal(409);
}

#[test]
fn a_fire_that_is_due_while_a_run_is_going_is_skipped() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/held", [Answer::ok().held()]);
    let id = ksana.create_id(&every(&receiver.url("/held"), "150ms"));
    receiver.wait_for_path("/held", 1);
    ksana.await_status(&id, "skipped");
    ksana.let_pass(&receiver, 400);
    assert_eq!(receiver.at("/held").len(), 1, "a job never runs beside itself");
    receiver.release("/held");
    ksana.await_status(&id, "success");
    let fires = receiver.wait_for_path("/held", 3);
    assert!(fires[1].scheduled_at() > fires[0].scheduled_at());
}

#[test]
fn a_fire_that_is_due_while_a_retry_waits_is_skipped() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/fails", [Answer::status(503)]);
    let id = ksana.create_id(&with(every(&receiver.url("/fails"), "150ms"), &json!({"retry_backoff": "1h"})));
    receiver.wait_for_path("/fails", 1);
    ksana.await_status(&id, "skipped");
    ksana.let_pass(&receiver, 400);
    assert_eq!(receiver.at("/fails").len(), 1);
}

#[test]
fn a_fire_that_is_due_while_a_run_waits_for_a_worker_is_skipped() {
    let (ksana, receiver) = (Ksana::with("WORKERS", "1"), Receiver::start());
    receiver.script("/held", [Answer::ok().held()]);
    let holder = ksana.create_id(&hourly(&receiver.url("/held")));
    ksana.run_now(&holder);
    receiver.wait_for_path("/held", 1);
    let id = ksana.create_id(&every(&receiver.url("/queued"), "150ms"));
    ksana.await_status(&id, "skipped");
    assert_eq!(receiver.at("/queued").len(), 0);
    receiver.release("/held");
    receiver.wait_for_path("/queued", 1);
}

#[test]
fn a_once_fire_that_meets_a_run_now_waits_for_its_end() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/held", [Answer::ok().held(), Answer::ok()]);
    let run_at = ahead(600);
    let id = ksana.create_id(&once(&receiver.url("/held"), run_at));
    let run_id = ksana.run_now(&id);
    receiver.wait_for_path("/held", 1);
    await_clock(run_at);
    ksana.let_pass(&receiver, 200);
    assert_eq!(receiver.at("/held").len(), 1, "it waits");
    receiver.release("/held");
    let fires = receiver.wait_for_path("/held", 2);
    assert_eq!(fires[0].run_id(), run_id);
    assert_eq!(fires[1].scheduled_at(), run_at);
    ksana.await_job(&id, "its end", |job| job["last_status"] == "success" && job["next_run_at"] == "");
    ksana.let_pass(&receiver, 200);
    assert_eq!(receiver.at("/held").len(), 2);
}

#[test]
fn a_run_that_is_going_ends_as_it_would_when_the_job_is_paused() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/held", [Answer::status(503).held(), Answer::ok()]);
    let id = ksana.create_id(&with(hourly(&receiver.url("/held")), &json!({"retry_backoff": "50ms"})));
    ksana.run_now(&id);
    receiver.wait_for_path("/held", 1);
    ksana.act(&id, "pause").expect(200);
    assert_eq!(ksana.job(&id)["last_status"], "paused");
    receiver.release("/held");
    let attempts = receiver.wait_for_path("/held", 2);
    assert_eq!(attempts[0].run_id(), attempts[1].run_id());
    let done = ksana.await_status(&id, "success");
    assert_eq!((&done["enabled"], &done["next_run_at"]), (&json!(false), &json!("")));
    assert_ne!(done["last_run_at"], "");
}

#[test]
fn a_patch_during_a_run_stands_and_the_next_attempt_uses_it() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/before", [Answer::status(503).held()]);
    let id = ksana.create_id(&with(hourly(&receiver.url("/before")), &json!({"retry_backoff": "50ms"})));
    let run_id = ksana.run_now(&id);
    receiver.wait_for_path("/before", 1);
    let patch = json!({"name": "renamed", "http": {"url": receiver.url("/after"), "method": "PUT", "body": "new"}});
    ksana.patch(&id, &patch).expect(200);
    receiver.release("/before");
    let second = receiver.wait_for_path("/after", 1).remove(0);
    assert_eq!((second.method.as_str(), second.body.as_slice()), ("PUT", b"new".as_slice()));
    assert_eq!((second.run_id(), second.attempt()), (run_id.as_str(), 2));
    let done = ksana.await_status(&id, "success");
    assert_eq!(done["name"], "renamed");
    assert_eq!(receiver.at("/before").len(), 1);
}

#[test]
fn a_new_schedule_during_a_run_stands_and_the_result_is_recorded() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/held", [Answer::ok().held()]);
    let id = ksana.create_id(&once(&receiver.url("/held"), ahead(300)));
    receiver.wait_for_path("/held", 1);
    let schedule = json!({"kind": "once", "run_at": "2099-01-01T00:00:00Z"});
    ksana.patch(&id, &json!({"schedule": schedule})).expect(200);
    receiver.release("/held");
    let done = ksana.await_status(&id, "success");
    assert_eq!(done["next_run_at"], "2099-01-01T00:00:00Z");
}

#[test]
fn delete_lets_go_what_is_in_flight_and_its_result_brings_nothing_back() {
    let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/held", [Answer::status(503).held()]);
    let job = with(hourly(&receiver.url("/held")), &json!({"id": "doomed", "retry_backoff": "10ms"}));
    for id in ["doomed", "reborn"] {
        ksana.create(&with(job.clone(), &json!({"id": id})));
        ksana.run_now(id);
    }
    receiver.wait_for_path("/held", 2);
    for id in ["doomed", "reborn"] {
        ksana.delete(id).expect(204);
        ksana.get(&format!("/jobs/{id}")).refusal(404);
    }
    ksana.delete("doomed").refusal(404);
    let reborn = ksana.create(&with(job, &json!({"id": "reborn"})));
    receiver.release("/held");
    ksana.let_pass(&receiver, 400);
    assert_eq!(receiver.at("/held").len(), 2, "no retry");
    ksana.get("/jobs/doomed").refusal(404);
    assert_eq!(ksana.job("reborn"), reborn, "a job of the same id is another one");
    ksana.restart();
    ksana.get("/jobs/doomed").refusal(404);
    assert_eq!(ksana.job("reborn"), reborn);
}

#[test]
fn delete_drops_what_waits() {
    let (ksana, receiver) = (Ksana::with("WORKERS", "1"), Receiver::start());
    receiver.script("/fails", [Answer::status(503)]);
    receiver.script("/held", [Answer::ok().held()]);
    let retry = ksana.create_id(&with(hourly(&receiver.url("/fails")), &json!({"retry_backoff": "400ms"})));
    ksana.run_now(&retry);
    receiver.wait_for_path("/fails", 1);
    let holder = ksana.create_id(&hourly(&receiver.url("/held")));
    eventually("a worker to be free", || (receiver.in_flight() == 0).then_some(()));
    ksana.run_now(&holder);
    receiver.wait_for_path("/held", 1);
    let queued = ksana.create_id(&hourly(&receiver.url("/queued")));
    ksana.run_now(&queued);
    for id in [retry, queued] {
        ksana.delete(&id).expect(204);
    }
    receiver.release("/held");
    ksana.let_pass(&receiver, 600);
    assert_eq!((receiver.at("/fails").len(), receiver.at("/queued").len()), (1, 0));
}

#[test]
fn run_ids_are_v5_of_job_and_instant_or_v7_of_a_run_now() {
    let (ksana, receiver) = (Builder::new().start(), Receiver::start());
    let id = ksana.create_id(&every(&receiver.url("/tick"), "150ms"));
    let fires = receiver.wait_for_path("/tick", 3);
    for fire in &fires {
        let run = Uuid::parse_str(fire.run_id()).expect("a run id is a UUID");
        assert_eq!(run.get_version_num(), 5);
    }
    assert!(fires[0].run_id() != fires[1].run_id() && fires[1].run_id() != fires[2].run_id());
    ksana.delete(&id).expect(204);
    let id = ksana.create_id(&hourly(&receiver.url("/now")));
    let run_id = ksana.run_now(&id);
    assert_eq!(Uuid::parse_str(&run_id).expect("a run id is a UUID").get_version_num(), 7);
}
