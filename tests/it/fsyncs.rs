//! An acknowledged change is on disk, fsynced, before its answer leaves; firing waits for no fsync.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Builder, Call, Ksana, Receiver, eventually, every, hourly, with};

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
        let job = with(hourly(TARGET), &json!({"id": format!("j{number}")}));
        match ksana.call("POST", "/jobs").json(&job).try_send() {
            Ok(answer) if answer.status == 201 => {
                acknowledged.push(answer.json());
                None
            }
            other => Some(other),
        }
    });
    // The restart may find it: an error would say that nothing was changed.
    assert!(matches!(refused, Some(Err(_))), "{refused:?}");
    assert_ne!(ksana.await_exit(), 0);
    assert!(!ksana.log.find("error", &["fsync", "unknown"]).is_empty(), "{}", ksana.log.text());
    assert!(!acknowledged.is_empty());
    let heir = ksana.rival().start();
    for job in acknowledged {
        assert_eq!(heir.job(job["id"].as_str().expect("a job has an id")), job);
    }
}

/// Kills a daemon at its first, its second, its third … system call of that name, each in a run of its own, from
/// the start over a snapshot to the one at the end. Gives how many runs it took to come through.
fn kill_at_every(call: &str) -> Option<usize> {
    let old = json!({"version": 1, "jobs": [with(hourly(TARGET), &json!({"id": "old"}))]});
    for step in 1.. {
        // The step itself is not done either.
        let inject = format!("/^{call}(at2?)?$:error=EIO:signal=SIGKILL:when={step}");
        let builder = Builder::new().jobs_json(old.to_string());
        let mut ksana = builder.traced(&format!("/^{call}(at2?)?$"), Some(&inject))?.launch();
        let mut acknowledged = vec!["old"];
        let mut create = |ksana: &Ksana, id| {
            let create = ksana.call("POST", "/jobs").json(&with(hourly(TARGET), &json!({"id": id})));
            if create.try_send().is_ok_and(|answer| answer.status == 201) {
                acknowledged.push(id);
            }
        };
        if ksana.has_come_to_listen() {
            create(&ksana, "new");
            eventually("the snapshot, or the kill", || {
                let is_there = fs::read_to_string(ksana.jobs_file()).is_ok_and(|text| text.contains("\"new\""));
                (is_there || ksana.has_ended()).then_some(())
            });
            create(&ksana, "newer");
        }
        let is_killed = ksana.has_ended() || ksana.stop() != 0;
        let heir = ksana.rival().start();
        for id in acknowledged {
            heir.job(id);
        }
        if !is_killed {
            return Some(step);
        }
    }
    unreachable!("a daemon has its last step")
}

#[test]
fn a_kill_at_any_fsync_of_a_snapshot_loses_nothing_acknowledged() {
    let Some(runs) = kill_at_every("fsync") else { return };
    assert!(runs > 8, "{runs}");
}

#[test]
fn a_kill_at_any_rename_loses_nothing_acknowledged() {
    let Some(runs) = kill_at_every("rename") else { return };
    assert!(runs > 4, "{runs}");
}

#[test]
fn a_kill_at_any_removal_loses_nothing_acknowledged() {
    let Some(runs) = kill_at_every("unlink") else { return };
    assert!(runs > 3, "{runs}");
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
