//! New: a data folder that becomes read-only while the service runs, and is writable again.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Builder, Disk, Ksana, Receiver, eventually, every, hourly, with};

/// All jobs but the one that fires meanwhile.
fn still(ksana: &Ksana) -> Vec<Value> {
    let jobs = ksana.get("/jobs").expect(200).json();
    jobs.as_array().expect("it is a list").iter().filter(|job| job["name"] != "tick").cloned().collect()
}

fn await_ready(ksana: &Ksana, status: u16) -> String {
    eventually(&format!("ready to be {status}"), || {
        let answer = ksana.bare("GET", "/ready").send();
        (answer.status == status).then(|| answer.text())
    })
}

#[test]
fn a_folder_that_becomes_read_only_refuses_changes_until_it_is_writable_again() {
    let receiver = Receiver::start();
    let Some((disk, builder)) = Disk::under(Builder::new(), "size=4m") else { return };
    let mut ksana = builder.start();
    let id = ksana.create_id(&hourly(&receiver.url("/")));
    ksana.create(&with(every(&receiver.url("/tick"), "100ms"), &json!({"name": "tick"})));
    disk.make_read_only();
    let name = ksana.rename_until_refused(&id);
    let before = still(&ksana);
    assert_eq!(before[0]["name"], name, "what was refused has changed nothing");
    assert!(await_ready(&ksana, 503).contains("Read-only"));
    ksana.bare("GET", "/health").send().expect(200);
    for action in ["pause", "run-now"] {
        ksana.act(&id, action).refusal(503);
    }
    ksana.delete(&id).refusal(503);
    let count = receiver.at("/tick").len();
    receiver.wait_for_path("/tick", count + 3);
    assert_eq!(still(&ksana), before);

    disk.make_writable();
    await_ready(&ksana, 200);
    assert_eq!(still(&ksana), before);
    ksana.patch(&id, &json!({"name": "writable"})).expect(200);
    eventually("the snapshot to be of now", || {
        fs::read_to_string(disk.data().join("jobs.json")).ok()?.contains("\"writable\"").then_some(())
    });
    let after = still(&ksana);
    ksana.kill();
    ksana.start_again();
    assert_eq!(still(&ksana), after);
    assert_eq!(ksana.stop(), 0);
}

#[test]
fn a_start_on_a_read_only_folder_is_refused_and_leaves_all_as_it_is() {
    let Some((disk, builder)) = Disk::under(Builder::new(), "size=4m") else { return };
    let mut ksana = builder.start();
    let id = ksana.create_id(&hourly("http://127.0.0.1:9/"));
    ksana.patch(&id, &json!({"name": "renamed"})).expect(200);
    let before = still(&ksana);
    ksana.kill();
    disk.make_read_only();
    ksana.launch_again();
    assert!(!ksana.has_come_to_listen());
    assert_eq!(ksana.await_exit(), 78);
    assert!(!ksana.log.find("error", &["data", "Read-only"]).is_empty(), "{}", ksana.log.text());
    disk.make_writable();
    ksana.start_again();
    assert_eq!(still(&ksana), before);
}
