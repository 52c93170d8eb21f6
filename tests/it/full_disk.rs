//! New: what a disk that refuses means, with real file systems that are full.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Builder, Disk, Fault, Ksana, Receiver, eventually, every, hourly, with};

/// More than the rest of a page that a file has already.
fn big(name: &str) -> Value {
    json!({"name": name, "http": {"body": "b".repeat(20_000)}})
}

fn await_ready(ksana: &Ksana, status: u16) -> String {
    eventually(&format!("ready to be {status}"), || {
        let answer = ksana.bare("GET", "/ready").send();
        (answer.status == status).then(|| answer.text())
    })
}

/// All jobs but the one that fires meanwhile.
fn still(ksana: &Ksana) -> Vec<Value> {
    let jobs = ksana.get("/jobs").expect(200).json();
    jobs.as_array().expect("it is a list").iter().filter(|job| job["name"] != "tick").cloned().collect()
}

#[test]
fn a_full_disk_refuses_changes_keeps_what_was_and_is_well_again_without_a_restart() {
    let receiver = Receiver::start();
    let Some((disk, builder)) = Disk::under(Builder::new(), "size=256k") else { return };
    let mut ksana = builder.start();
    let id = ksana.create_id(&hourly(&receiver.url("/")));
    ksana.create(&with(every(&receiver.url("/tick"), "200ms"), &json!({"name": "tick"})));
    let before = still(&ksana);

    disk.fill();
    let refused = ksana.patch(&id, &big("renamed"));
    assert!(refused.header("retry-after").is_some_and(|after| after.parse::<u32>().is_ok()));
    assert!(refused.refusal(503)["message"].as_str().is_some_and(|why| why.contains("space")));
    let mut new = with(hourly(&receiver.url("/")), &big("new"));
    new["id"] = json!("new");
    ksana.post("/jobs", &new).refusal(503);
    ksana.get("/jobs/new").refusal(404);
    for action in ["pause", "run-now"] {
        ksana.act(&id, action).refusal(503);
    }
    ksana.delete(&id).refusal(503);
    assert_eq!(still(&ksana), before, "nothing was changed");
    assert!(await_ready(&ksana, 503).contains("refused"));
    ksana.bare("GET", "/health").send().expect(200);
    let count = receiver.at("/tick").len();
    receiver.wait_for_path("/tick", count + 3);

    // A crash and a start on the full disk.
    disk.fill();
    ksana.kill();
    disk.fill();
    ksana.start_again();
    assert_eq!(still(&ksana), before, "a restart agrees with what was shown");
    ksana.patch(&id, &big("renamed")).refusal(503);
    assert_eq!(still(&ksana), before);
    let count = receiver.at("/tick").len();
    receiver.wait_for_path("/tick", count + 3);

    disk.free();
    await_ready(&ksana, 200);
    ksana.patch(&id, &json!({"name": "with room"})).expect(200);
    eventually("the snapshot to be of now", || {
        fs::read_to_string(disk.data().join("jobs.json")).ok()?.contains("with room").then_some(())
    });
    ksana.log.wait_for("info", &["taken again"]);
    let after = still(&ksana);
    ksana.kill();
    ksana.start_again();
    assert_eq!(still(&ksana), after);
    assert_eq!(ksana.stop(), 0);
}

#[test]
fn a_disk_that_is_full_in_the_middle_of_a_record_keeps_half_of_it_from_everybody() {
    let Some((disk, builder)) = Disk::under(Builder::new(), "size=1m") else { return };
    let mut ksana = builder.start();
    let id = ksana.create_id(&hourly("http://127.0.0.1:9/"));
    let large = json!({"name": "large", "http": {"body": "b".repeat(400_000)}});
    for is_killed in [true, false] {
        let before = still(&ksana);
        // What was written of it is not even to be cut off again.
        let Some(fault) = Fault::inject(&ksana, "ftruncate", "error=EIO", &[]) else { return };
        disk.fill();
        disk.leave(40_000);
        ksana.patch(&id, &large).refusal(503);
        assert!(fault.strikes() > 0, "it was written in part");
        assert_eq!(still(&ksana), before);
        if is_killed {
            ksana.kill();
        }
        drop(fault);
        disk.free();
        if is_killed {
            ksana.start_again();
            assert!(!ksana.log.find("warn", &["cut off"]).is_empty(), "{}", ksana.log.text());
            assert_eq!(still(&ksana), before);
        }
        await_ready(&ksana, 200);
        let small = format!("small, killed: {is_killed}");
        let after = ksana.patch(&id, &json!({"name": small})).expect(200).json();
        ksana.kill();
        ksana.start_again();
        assert_eq!(still(&ksana), [after]);
    }
}

#[test]
fn a_start_on_a_disk_that_takes_no_file_serves_and_is_well_once_it_does() {
    let Some((disk, builder)) = Disk::under(Builder::new(), "size=1m,nr_inodes=24") else { return };
    let mut ksana = builder.start();
    let id = ksana.create_id(&hourly("http://127.0.0.1:9/"));
    let before = still(&ksana);
    ksana.kill();
    disk.fill_names();
    ksana.start_again();
    assert_eq!(still(&ksana), before);
    ksana.patch(&id, &json!({"name": "renamed"})).refusal(503);
    assert!(await_ready(&ksana, 503).contains("refused"));
    ksana.kill();
    ksana.start_again();
    assert_eq!(still(&ksana), before, "nor does another start lose anything");
    disk.free();
    await_ready(&ksana, 200);
    ksana.patch(&id, &json!({"name": "renamed"})).expect(200);
    ksana.kill();
    ksana.start_again();
    assert_eq!(ksana.job(&id)["name"], "renamed");
}

#[test]
fn a_folder_that_goes_away_refuses_changes_until_it_is_back() {
    let receiver = Receiver::start();
    let mut ksana = Ksana::start();
    let id = ksana.create_id(&hourly(&receiver.url("/")));
    let (data, away) = (ksana.path("data"), ksana.path("away"));
    fs::rename(&data, &away).expect("own folder");
    let mut round = 0;
    eventually("changes to be refused", || {
        round += 1;
        (ksana.patch(&id, &json!({"name": format!("name {round}")})).status == 503).then_some(())
    });
    let shown = still(&ksana);
    await_ready(&ksana, 503);
    fs::rename(&away, &data).expect("own folder");
    await_ready(&ksana, 200);
    ksana.kill();
    ksana.start_again();
    assert_eq!(still(&ksana), shown);
}

#[test]
fn a_full_disk_at_the_end_is_told_and_costs_nothing_that_was_acknowledged() {
    let Some((disk, builder)) = Disk::under(Builder::new(), "size=256k") else { return };
    let mut ksana = builder.start();
    ksana.create_id(&hourly("http://127.0.0.1:9/"));
    disk.fill();
    let before = still(&ksana);
    ksana.create(&with(hourly("http://127.0.0.1:9/"), &json!({"id": "fits"})));
    ksana.signal(rustix::process::Signal::TERM);
    let code = ksana.await_exit_within(Duration::from_secs(20));
    if code != 0 {
        assert!(!ksana.log.find("error", &["jobs.json"]).is_empty(), "{}", ksana.log.text());
    }
    ksana.start_again();
    assert_eq!(still(&ksana).len(), before.len() + 1);
}
