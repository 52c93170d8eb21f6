//! New: `/ready`, the warnings of busy workers, and a disk that refuses.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use crate::support::{Answer, Builder, Ksana, Receiver, eventually, every, hourly, with};

#[test]
fn ready_is_open_and_says_so() {
    let ksana = Ksana::start();
    let answer = ksana.bare("GET", "/ready").send().expect(200);
    let warnings = &answer.json()["warnings"];
    assert!(warnings.is_null() || *warnings == json!([]), "{warnings}");
    assert!(ksana.bare("HEAD", "/ready").send().expect(200).body.is_empty());
}

#[test]
fn workers_are_the_most_callbacks_in_flight_at_once() {
    let (ksana, receiver) = (Ksana::with("WORKERS", "2"), Receiver::start());
    receiver.script("/slow", [Answer::ok().delayed(60)]);
    for _ in 0..8 {
        let id = ksana.create_id(&hourly(&receiver.url("/slow")));
        ksana.run_now(&id);
    }
    receiver.wait_for_path("/slow", 8);
    assert_eq!(receiver.in_flight_most(), 2);
}

#[test]
fn workers_that_are_all_busy_are_told_of_once_by_the_variable() {
    let (ksana, receiver) = (Ksana::with("WORKERS", "1"), Receiver::start());
    receiver.script("/held", [Answer::ok().held()]);
    let holder = ksana.create_id(&with(hourly(&receiver.url("/held")), &json!({"timeout": "1h"})));
    ksana.run_now(&holder);
    receiver.wait_for_path("/held", 1);
    for path in ["/one", "/two"] {
        let id = ksana.create_id(&hourly(&receiver.url(path)));
        ksana.run_now(&id);
    }
    ksana.log.wait_for("warn", &["WORKERS"]);
    let ready = ksana.bare("GET", "/ready").send().expect(200).json();
    assert!(ready["warnings"].to_string().to_lowercase().contains("worker"), "{ready}");
    crate::support::await_clock(crate::support::ahead(1500));
    assert_eq!(ksana.log.find("warn", &["WORKERS"]).len(), 1, "once, not every second");
    receiver.release("/held");
    receiver.wait_for_path("/two", 1);
    eventually("the warning to go", || {
        let ready = ksana.bare("GET", "/ready").send().expect(200).json();
        (!ready.to_string().to_lowercase().contains("worker")).then_some(())
    });
}

/// The data folder as the daemon sees it, in its own namespace.
fn data_of(ksana: &Ksana) -> PathBuf {
    let inside = ksana.path("data");
    PathBuf::from(format!("/proc/{}/root{}", ksana.pid().as_raw_nonzero(), inside.display()))
}

#[test]
fn a_disk_that_refuses_is_503_changes_nothing_and_is_over_when_there_is_room() {
    let receiver = Receiver::start();
    let builder = Builder::new();
    let mount = format!("mount -t tmpfs -o size=1m none '{}'", builder.path("data").display());
    let Some(builder) = builder.with_a_mount(&mount) else { return };
    let ksana = builder.start();
    let id = ksana.create_id(&hourly(&receiver.url("/before")));
    ksana.create(&every(&receiver.url("/tick"), "200ms"));
    let before = ksana.job(&id);

    let ballast = data_of(&ksana).join("ballast");
    let fill = || {
        // As much as fits; the error that ends it is what is wanted.
        let room =
            (0..64).map_while(|number| fs::write(ballast.with_extension(number.to_string()), vec![0; 65536]).ok());
        room.count()
    };
    fill();
    let patch = json!({"name": "renamed", "http": {"body": "b".repeat(100_000)}});
    let refused = eventually("a change to be refused", || {
        fill();
        Some(ksana.patch(&id, &patch)).filter(|answer| answer.status != 200)
    });
    assert!(refused.header("retry-after").is_some_and(|after| after.parse::<u32>().is_ok()));
    refused.refusal(503);
    let shown = ksana.job(&id);
    let post = ksana
        .post("/jobs", &with(hourly(&receiver.url("/")), &json!({"id": "new", "http": {"body": "b".repeat(200_000)}})));
    assert!(post.header("retry-after").is_some());
    post.refusal(503);
    ksana.get("/jobs/new").refusal(404);
    assert_eq!(ksana.job(&id), shown, "nothing was changed");
    assert_eq!(shown["id"], before["id"]);
    ksana.bare("GET", "/health").send().expect(200);
    let unready = eventually("ready to be 503", || {
        fill();
        Some(ksana.bare("GET", "/ready").send()).filter(|answer| answer.status == 503)
    });
    assert!(!unready.text().is_empty());
    let count = receiver.at("/tick").len();
    receiver.wait_for_path("/tick", count + 2);

    let data = data_of(&ksana);
    for entry in fs::read_dir(&data).expect("it is there").flatten() {
        if entry.file_name().to_string_lossy().starts_with("ballast") {
            fs::remove_file(entry.path()).expect("it is ours");
        }
    }
    eventually("ready to be 200 again", || (ksana.bare("GET", "/ready").send().status == 200).then_some(()));
    ksana.patch(&id, &json!({"name": "with room"})).expect(200);
    eventually("the snapshot to be of now", || {
        let text = fs::read_to_string(data.join("jobs.json")).ok()?;
        text.contains("with room").then_some(())
    });
}
