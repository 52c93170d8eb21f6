//! New: the ledger, what came of every fire.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{
    Answer, Builder, Ksana, Receiver, ahead, await_clock, every, free_port, hourly, once, time, with,
};

/// That of the key of these tests.
const FINGERPRINT: &str = "fa021411";

/// A job that is called when it is asked for, and again at once where that fails.
fn job(url: &str, changes: &Value) -> Value {
    with(with(hourly(url), &json!({"max_retries": 3, "retry_backoff": "1ms"})), changes)
}

/// Runs a job once, and gives the record.
fn record_of(ksana: &Ksana, job: &Value) -> Value {
    let id = ksana.create_id(job);
    let record = ksana.await_run(&ksana.run_now(&id));
    assert_eq!(record["job_id"], id);
    record
}

/// What of each attempt tells how it went.
fn attempts(record: &Value) -> Vec<Value> {
    let attempts = record["attempts"].as_array().expect("it has some").iter();
    attempts.map(|attempt| json!([attempt["number"], attempt["http_status"], attempt["error"]])).collect()
}

#[test]
fn a_success_stands_there_with_what_was_seen_of_its_target() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let record = record_of(&ksana, &job(&receiver.url("/"), &json!({})));
    let seen = receiver.wait_for(1).remove(0);
    assert_eq!(record["run_id"], seen.run_id());
    assert_eq!(time(&record["scheduled_at"]), seen.scheduled_at());
    assert_eq!((&record["trigger"], &record["key"]), (&json!("manual"), &json!(FINGERPRINT)));
    assert_eq!(
        (&record["status"], &record["reason"], &record["count"]),
        (&json!("success"), &Value::Null, &Value::Null)
    );
    let times = ["scheduled_at", "started_at", "ended_at"].map(|key| time(&record[key]));
    assert!(times.is_sorted() && times[1] <= seen.at, "{record}");
    assert!(record["lateness_ms"].is_f64(), "{record}");
    assert_eq!(attempts(&record), [json!([1, 200, null])]);
    let attempt = &record["attempts"][0];
    assert_eq!((time(&attempt["started_at"]), &attempt["body"]), (times[1], &json!("ok")));
    let part = |name: &str| attempt["times_ms"][name].as_f64();
    assert!(part("connect") > Some(0.0) && part("first_byte") > Some(0.0), "{record}");
    assert!(part("total") >= part("first_byte") && part("tls").is_none(), "{record}");
    let job = record["job_id"].as_str().expect("an id");
    assert_eq!(ksana.runs(&format!("/jobs/{job}/runs")), std::slice::from_ref(&record));
    assert_eq!(ksana.runs("/runs"), [record]);
}

#[test]
fn a_failure_stands_there_with_each_attempt_and_why_it_failed() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/", [Answer::status(503), Answer::garbage(), Answer::status(404)]);
    let record = record_of(&ksana, &job(&receiver.url("/"), &json!({})));
    assert_eq!((&record["status"], &record["reason"]), (&json!("failed"), &json!("404 Not Found")));
    assert_eq!(attempts(&record), [json!([1, 503, "status"]), json!([2, null, "protocol"]), json!([3, 404, "status"])]);
    let began: Vec<_> = (0..3).map(|index| time(&record["attempts"][index]["started_at"])).collect();
    assert!(began.is_sorted() && began[0] == time(&record["started_at"]), "{record}");
    assert_eq!(record["attempts"][0]["reason"], "503 Service Unavailable");

    let nobody = format!("http://127.0.0.1:{}/", free_port());
    let record = record_of(&ksana, &job(&nobody, &json!({"max_retries": 1})));
    assert_eq!(attempts(&record), [json!([1, null, "connect"]), json!([2, null, "connect"])]);
    assert_eq!(record["reason"], record["attempts"][1]["reason"]);
}

#[test]
fn a_timeout_is_one() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/", [Answer::hang()]);
    let record = record_of(&ksana, &job(&receiver.url("/"), &json!({"timeout": "60ms", "max_retries": 0})));
    assert_eq!(record["status"], "timeout");
    assert_eq!(attempts(&record), [json!([1, null, "timeout"])]);
    assert!(record["attempts"][0]["times_ms"]["total"].as_f64() >= Some(50.0), "{record}");
}

#[test]
fn a_fire_that_meets_a_run_is_skipped() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/", [Answer::ok().held()]);
    let due = ahead(1_000);
    let schedule = json!({"start_at": due.to_string(), "end_at": due.to_string()});
    let id = ksana.create_id(&with(hourly(&receiver.url("/")), &json!({"schedule": schedule})));
    let run = ksana.run_now(&id);
    let skipped = ksana.await_runs(&format!("/jobs/{id}/runs"), 1).remove(0);
    assert_eq!((&skipped["status"], time(&skipped["scheduled_at"])), (&json!("skipped"), due));
    assert_eq!((&skipped["trigger"], &skipped["reason"]), (&json!("schedule"), &json!("a run was still going")));
    assert_eq!(
        (&skipped["attempts"], &skipped["started_at"], &skipped["key"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    receiver.release("/");
    ksana.await_run(&run);
    let shown = ksana.runs(&format!("/runs?job={id}"));
    assert_eq!(shown.len(), 2);
    assert_eq!(shown[1], skipped, "the newest stands first");
}

#[test]
fn what_passes_in_a_pause_is_one_record_with_a_count_and_leaves_the_last_status_alone() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let first = ahead(1_000);
    let schedule = json!({"schedule": {"start_at": first.to_string()}});
    let id = ksana.create_id(&with(every(&receiver.url("/"), "200ms"), &schedule));
    ksana.act(&id, "pause").expect(200);
    await_clock(first);
    ksana.let_pass(&receiver, 500);
    let paused = ksana.job(&id);
    let hourly = json!({"schedule": {"kind": "every", "every": "1h", "start_at": ahead(3_600_000).to_string()}});
    ksana.patch(&id, &hourly).expect(200);
    let missed = ksana.await_runs(&format!("/jobs/{id}/runs"), 1);
    let [missed] = &missed[..] else { panic!("{missed:?}") };
    assert_eq!((&missed["status"], &missed["reason"]), (&json!("missed"), &json!("the job was paused")));
    let (begin, end) = (time(&missed["scheduled_at"]), time(&missed["last_scheduled_at"]));
    let count = missed["count"].as_i64().expect("a number");
    assert!(count >= 3, "{missed}");
    assert_eq!((begin, end.duration_since(begin).as_millis()), (first, i128::from((count - 1) * 200)));
    let after = ksana.job(&id);
    for key in ["last_status", "last_error", "last_run_at"] {
        assert_eq!(after[key], paused[key], "{key}");
    }
    assert_eq!(after["last_status"], "paused");
}

#[test]
fn what_passes_while_the_service_is_down_is_missed_or_made_up_for() {
    let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
    let (first, last) = (ahead(1_000), ahead(1_400));
    let schedule = json!({"start_at": first.to_string(), "end_at": last.to_string()});
    for (id, misfire) in [("skips", "skip"), ("catches", "all")] {
        let change = json!({"id": id, "misfire": misfire, "schedule": schedule});
        ksana.create(&with(every(&receiver.url("/"), "200ms"), &change));
    }
    let run_at = ahead(1_000);
    ksana.create(&with(once(&receiver.url("/"), run_at), &json!({"id": "once"})));
    ksana.kill();
    assert!(receiver.requests().is_empty(), "the machine is too slow: it was up when that was due");
    await_clock(last);
    ksana.start_again();
    let missed = ksana.await_runs("/jobs/skips/runs", 1);
    assert_eq!((missed.len(), &missed[0]["count"], &missed[0]["status"]), (1, &json!(3), &json!("missed")));
    assert_eq!(missed[0]["reason"], "the service was not running");
    let missed = ksana.await_runs("/jobs/once/runs", 1);
    assert_eq!((time(&missed[0]["scheduled_at"]), &missed[0]["status"]), (run_at, &json!("missed")));
    let caught = ksana.await_runs("/jobs/catches/runs", 3);
    let told: Vec<_> = caught.iter().map(|run| (&run["trigger"], &run["status"])).collect();
    assert_eq!(told, [(&json!("catch-up"), &json!("success")); 3]);
    assert_eq!(time(&caught[2]["scheduled_at"]), first, "the oldest is made up for first");
}

#[test]
fn a_cancelled_run_and_those_of_a_deleted_job_stand_there() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    for (id, reason) in [("a", "cancelled by request"), ("b", "cancelled: the job was deleted")] {
        let path = format!("/{id}");
        receiver.script(&path, [Answer::ok().held()]);
        ksana.create(&job(&receiver.url(&path), &json!({"id": id})));
        let run = ksana.run_now(id);
        receiver.wait_for_path(&path, 1);
        if id == "a" {
            ksana.act(id, "cancel").expect(200);
        } else {
            ksana.delete(id).expect(204);
        }
        let record = ksana.get(&format!("/runs/{run}")).expect(200).json();
        assert_eq!(
            (&record["status"], &record["reason"]),
            (&json!("failed"), &json!(reason)),
            "it stands there at once"
        );
        assert_eq!(attempts(&record), [json!([1, null, "cancelled"])]);
        assert_eq!(ksana.runs(&format!("/jobs/{id}/runs?status=failed")), [record]);
    }
    assert!(ksana.runs("/jobs/b/runs?status=success").is_empty(), "it had runs, though none of these");
    let error = ksana.get("/jobs/c/runs").refusal(404);
    assert!(error["message"].as_str().is_some_and(|message| message.contains("no job has such an id")), "{error}");
}

#[test]
fn a_run_that_is_going_has_no_record_and_neither_has_what_is_no_run() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/", [Answer::ok().held()]);
    let run = ksana.run_now(&ksana.create_id(&job(&receiver.url("/"), &json!({}))));
    receiver.wait_for(1);
    for id in [run.as_str(), &Uuid::new_v4().to_string(), "7", "%31"] {
        let error = ksana.get(&format!("/runs/{id}")).refusal(404);
        assert_eq!(error["message"], "no run that has ended has such an id", "{id}");
    }
    receiver.release("/");
    let record = ksana.await_run(&run);
    // The id of a trace is that of its run.
    assert_eq!(ksana.await_run(&run.replace('-', "")), record);
    assert_eq!(ksana.call("HEAD", &format!("/runs/{run}")).send().expect(200).body, b"");
}

#[test]
fn a_history_that_cannot_be_read_stops_no_job() {
    let segment = "data/runs/runs-0000000000000001.jsonl";
    for in_its_place in ["data/runs", &format!("{segment}/file")] {
        let (mut ksana, receiver) = (Builder::new().file(in_its_place, "").start(), Receiver::start());
        ksana.get("/ready").expect(200);
        let id = ksana.create_id(&every(&receiver.url("/"), "100ms"));
        receiver.wait_for(2);
        let path = ksana.path("data/runs").display().to_string();
        let errors = ksana.log.find("error", &["the history of runs cannot be read; it begins anew", &path]);
        assert_eq!(errors.len(), 1, "{}", ksana.log.text());
        let run = ksana.await_runs(&format!("/jobs/{id}/runs"), 1).remove(0);
        assert!(run["seq"].as_u64() > Some(1_700_000_000_000_000), "{run}");
        ksana.kill();
        ksana.start_again();
        assert_eq!(ksana.job(&id)["id"], id);
        assert_eq!(ksana.stop(), 0);
    }
}

#[test]
fn records_survive_a_stop_and_a_kill_and_none_is_there_twice() {
    let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/bad", [Answer::status(404)]);
    for (id, path) in [("a", "/good"), ("b", "/bad")] {
        ksana.create(&job(&receiver.url(path), &json!({"id": id})));
    }
    for is_killed in [true, false, true, false] {
        for id in ["a", "b", "a"] {
            ksana.await_run(&ksana.run_now(id));
        }
        let shown = ksana.get("/runs").expect(200).text();
        ksana.end(is_killed);
        ksana.start_again();
        assert_eq!(ksana.get("/runs").expect(200).text(), shown, "killed: {is_killed}");
    }
    assert_eq!(ksana.runs("/runs").len(), 12);
}
