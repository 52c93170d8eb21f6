//! New: `POST /runs/{run_id}/replay`, a run once more.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Answer, Ksana, Receiver, ahead, await_clock, every, hourly, time, with};

fn named(receiver: &Receiver, path: &str) -> Value {
    with(hourly(&receiver.url(path)), &json!({"id": "a", "max_retries": 0}))
}

/// Runs the job once, and gives the id of the run.
fn run(ksana: &Ksana) -> String {
    let run = ksana.run_now("a");
    ksana.await_run(&run);
    run
}

/// Repeats a run, and gives the record of the new one.
#[track_caller]
fn replayed(ksana: &Ksana, run: &str, body: Option<&Value>) -> Value {
    let target = format!("/runs/{run}/replay");
    let answer = body.map_or_else(|| ksana.call("POST", &target).send(), |body| ksana.post(&target, body));
    let answer = answer.expect(200).json();
    assert_eq!((&answer["message"], &answer["replay_of"]), (&json!("run started"), &json!(run)));
    ksana.await_run(answer["run_id"].as_str().expect("it names the new run"))
}

#[track_caller]
fn refused(ksana: &Ksana, run: &str, status: u16, code: &str, part: &str) {
    let error = ksana.call("POST", &format!("/runs/{run}/replay")).send().refusal(status);
    assert_eq!(error["error"], code);
    assert!(error["message"].as_str().is_some_and(|message| message.contains(part)), "{error}");
}

#[test]
fn it_has_a_new_id_and_names_the_old_one_to_the_target_and_in_its_record() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/", [Answer::status(404), Answer::ok()]);
    ksana.create(&named(&receiver, "/"));
    let run = run(&ksana);
    let record = replayed(&ksana, &run, None);
    let seen = receiver.wait_for(2);
    assert_eq!(seen[0].header("X-Ksana-Replay-Of"), None);
    assert_eq!(seen[1].header("X-Ksana-Replay-Of"), Some(run.as_str()));
    assert_eq!(seen[1].scheduled_at(), seen[0].scheduled_at(), "it is for the same instant");
    assert_eq!((seen[1].run_id(), seen[1].attempt()), (record["run_id"].as_str().expect("an id"), 1));
    assert_eq!(Uuid::parse_str(seen[1].run_id()).map(|id| id.get_version_num()), Ok(7));
    assert_eq!((&record["replay_of"], &record["status"]), (&json!(run), &json!("success")));
    assert_eq!((&record["trigger"], record["key"].is_string()), (&json!("manual"), true));
    assert_eq!(time(&record["scheduled_at"]), seen[0].scheduled_at());
    assert!(record["lateness_ms"].as_f64() < Some(10_000.0), "it is due when it is asked for: {record}");
    let again = replayed(&ksana, record["run_id"].as_str().expect("an id"), None);
    assert_eq!(again["replay_of"], record["run_id"], "a repetition can be repeated");
}

#[test]
fn it_runs_the_job_as_it_is_now() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    ksana.create(&named(&receiver, "/before"));
    let run = run(&ksana);
    ksana.patch("a", &json!({"http": {"url": receiver.url("/now")}})).expect(200);
    ksana.act("a", "pause").expect(200);
    replayed(&ksana, &run, None);
    assert_eq!((receiver.at("/before").len(), receiver.at("/now").len()), (1, 1));
}

#[test]
fn its_body_says_what_it_sends_and_a_run_that_sent_something_else_needs_one() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    ksana.create(&named(&receiver, "/own"));
    let other = json!({"url": receiver.url("/other"), "body": "b"});
    let plain = run(&ksana);
    let record = replayed(&ksana, &plain, Some(&other));
    assert_eq!(receiver.wait_for_path("/other", 1)[0].body, b"b");
    assert_eq!(record["overridden"], true);
    let overridden = record["run_id"].as_str().expect("an id");
    refused(&ksana, overridden, 409, "overridden", "or {} to send what the job says");
    assert_eq!(receiver.requests().len(), 2, "nothing was sent");
    let own = replayed(&ksana, overridden, Some(&json!({})));
    assert_eq!((&own["overridden"], receiver.at("/own").len()), (&Value::Null, 2));
    replayed(&ksana, overridden, Some(&other));
    assert_eq!(receiver.at("/other").len(), 2);
    ksana.post(&format!("/runs/{plain}/replay"), &json!({"url": "ftp://h/"})).refusal(400);
    ksana.post(&format!("/runs/{plain}/replay"), &json!({"method": "GET"})).refusal(400);
}

#[test]
fn of_a_stretch_it_takes_the_last_instant() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let (first, last) = (ahead(1_000), ahead(1_400));
    let schedule = json!({"start_at": first.to_string(), "end_at": last.to_string()});
    let change = json!({"id": "a", "schedule": schedule});
    ksana.create(&with(every(&receiver.url("/"), "200ms"), &change));
    ksana.act("a", "pause").expect(200);
    await_clock(last);
    ksana.act("a", "resume").expect(200);
    let missed = ksana.await_runs("/jobs/a/runs", 1).remove(0);
    assert_eq!(missed["count"], 3, "{missed}");
    let record = replayed(&ksana, missed["run_id"].as_str().expect("an id"), None);
    assert_eq!(record["scheduled_at"], missed["last_scheduled_at"]);
    assert_eq!(receiver.wait_for(1)[0].scheduled_at(), time(&missed["last_scheduled_at"]));
}

#[test]
fn what_cannot_be_repeated_is_refused_with_the_reason() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    ksana.create(&named(&receiver, "/"));
    let run = run(&ksana);
    for id in [Uuid::new_v4().to_string().as_str(), "7"] {
        refused(&ksana, id, 404, "not_found", "no run that has ended has such an id");
    }
    receiver.script("/", [Answer::ok().held()]);
    let going = ksana.run_now("a");
    refused(&ksana, &going, 404, "not_found", "no run that has ended has such an id");
    refused(&ksana, &run, 409, "running", "a run of this job is going");
    receiver.release("/");
    ksana.await_run(&going);
    ksana.delete("a").expect(204);
    refused(&ksana, &run, 404, "not_found", "the job of this run is not there any more");
    ksana.bare("POST", &format!("/runs/{run}/replay")).send().refusal(401);
    assert_eq!(receiver.requests().len(), 2);
}

#[test]
fn its_retries_and_those_after_a_kill_name_the_old_run_too() {
    let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
    ksana.create(&with(named(&receiver, "/"), &json!({"max_retries": 3, "retry_backoff": "1ms"})));
    let run = run(&ksana);
    receiver.script("/", [Answer::status(503), Answer::ok().held()]);
    let answer = ksana.call("POST", &format!("/runs/{run}/replay")).send().expect(200).json();
    receiver.wait_for(3);
    ksana.kill();
    receiver.script("/", [Answer::ok()]);
    ksana.start_again();
    let record = ksana.await_run(answer["run_id"].as_str().expect("it names the new run"));
    let seen = receiver.wait_for(4);
    assert!(seen[1..].iter().all(|request| request.header("X-Ksana-Replay-Of") == Some(run.as_str())), "{seen:?}");
    assert_eq!((&record["replay_of"], record["attempts"].as_array().map(Vec::len)), (&json!(run), Some(3)));
    assert_eq!(record["attempts"][1]["error"], "interrupted");
}
