//! An acknowledged change is on disk, fsynced, before its answer leaves; firing waits for no fsync.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Builder, Call, Ksana, Receiver, every, hourly};

const TARGET: &str = "http://127.0.0.1:9/";

#[test]
fn a_change_is_answered_after_an_fsync_that_many_share_and_that_no_fire_waits_for() {
    let receiver = Receiver::start();
    let Some(builder) = Builder::new().traced("fdatasync", Some("fdatasync:delay_enter=500000")) else { return };
    let ksana = builder.start();
    ksana.create(&every(&receiver.url("/tick"), "100ms"));
    let count = receiver.at("/tick").len();
    let fsyncs = || ksana.trace().lines().filter(|line| line.contains("fdatasync(")).count();
    let before = fsyncs();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..64)
            .map(|_| {
                scope.spawn(|| {
                    let begun = Instant::now();
                    ksana.create(&hourly(TARGET));
                    assert!(begun.elapsed() >= Duration::from_millis(500), "no answer before its fsync");
                })
            })
            .collect();
        for client in clients {
            client.join().expect("every change is answered");
        }
    });
    assert!(fsyncs() - before < 32, "64 changes took {} fsyncs", fsyncs() - before);
    // 64 changes took at least 500 ms.
    assert!(receiver.at("/tick").len() >= count + 2, "fires went on meanwhile");
    let begun = Instant::now();
    ksana.get("/jobs").expect(200);
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn an_fsync_that_fails_ends_the_process_and_the_restart_reads_what_is_there() {
    let Some(builder) = Builder::new().traced("fdatasync", Some("fdatasync:error=EIO:when=3+")) else { return };
    let mut ksana = builder.start();
    let mut acknowledged = Vec::new();
    let refused = (0..100).find_map(|number| {
        let job = crate::support::with(hourly(TARGET), &json!({"id": format!("j{number}")}));
        match ksana.call("POST", "/jobs").json(&job).try_send() {
            Ok(answer) if answer.status == 201 => {
                acknowledged.push(answer.json());
                None
            }
            other => Some(other),
        }
    });
    if let Some(Ok(answer)) = refused {
        answer.refusal(503);
    }
    assert_ne!(ksana.await_exit(), 0);
    assert!(!ksana.log.find("error", &["fsync", "unknown"]).is_empty(), "{}", ksana.log.text());
    assert!(!acknowledged.is_empty());
    let heir = ksana.rival().start();
    for job in acknowledged {
        assert_eq!(heir.job(job["id"].as_str().expect("a job has an id")), job);
    }
}

#[test]
fn many_clients_of_one_job_are_all_answered_and_the_restart_agrees_with_the_last_word() {
    let receiver = Receiver::start();
    let mut ksana = Ksana::start();
    let id = ksana.create_id(&hourly(&receiver.url("/")));
    let path = |action: &str| format!("/jobs/{id}{action}");
    thread::scope(|scope| {
        for client in 0..64 {
            let (ksana, path) = (&ksana, &path);
            scope.spawn(move || {
                for round in 0..4 {
                    let call = |method: &str, action: &str| -> Call { ksana.call(method, &path(action)) };
                    let name = json!({"name": format!("by {client}, {round}")});
                    let answer = match client % 4 {
                        0 => call("PATCH", "").json(&name),
                        1 => call("POST", "/pause"),
                        2 => call("POST", "/resume"),
                        _ => call("POST", "/run-now"),
                    }
                    .send();
                    let is_known = answer.status == 200 || (client % 4 == 3 && answer.status == 409);
                    assert!(is_known, "{} {}", answer.status, answer.text());
                }
            });
        }
    });
    ksana.act(&id, "pause").expect(200);
    let quiet = ksana.await_job(&id, "the end of the last run", |job| job["last_run_at"] != "");
    ksana.let_pass(&receiver, 300);
    let last = ksana.job(&id);
    assert_eq!((&last["enabled"], &last["name"]), (&json!(false), &quiet["name"]));
    ksana.kill();
    ksana.start_again();
    assert_eq!(ksana.job(&id), last);
    assert_eq!(ksana.stop(), 0);
    let file = fs::read_to_string(ksana.jobs_file()).expect("it is written");
    assert!(file.contains(last["name"].as_str().expect("it is a text")));
    ksana.start_again();
    assert_eq!(ksana.job(&id), last);
}
