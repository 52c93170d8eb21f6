//! A disk that fails for a while beneath the running service, call by call: by strace.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use serde_json::{Value, json};

use crate::support::{Fault, Ksana, Receiver, eventually, every, hourly, with};

const TARGET: &str = "http://127.0.0.1:9/";

/// What a fault makes of the changes that are asked for meanwhile.
#[derive(Clone, Copy, PartialEq)]
enum Changes {
    /// They are taken: the journal still takes them.
    Go,
    /// They are refused, and nothing is changed.
    AreRefused,
}

fn names(ksana: &Ksana) -> Vec<Value> {
    let jobs = ksana.get("/jobs").expect(200).json();
    let jobs = jobs.as_array().expect("it is a list").iter().filter(|job| job["name"] != "tick");
    jobs.map(|job| job["name"].clone()).collect()
}

fn await_ready(ksana: &Ksana, status: u16) {
    eventually(&format!("ready to be {status}"), || {
        (ksana.bare("GET", "/ready").send().status == status).then_some(())
    });
}

fn await_snapshot_with(ksana: &Ksana, name: &str) {
    eventually(&format!("{name:?} in jobs.json"), || {
        fs::read_to_string(ksana.jobs_file()).ok()?.contains(&format!("\"{name}\"")).then_some(())
    });
}

/// A daemon that lives through a fault: what it does with changes until the fault has struck `strikes` times, that
/// it fires meanwhile, that it is well afterwards without a restart, and that a kill loses nothing, neither in the
/// middle of it nor behind it. It strikes only at those files, if any are named.
fn live_through(calls: &str, how: &str, files: impl Fn(&Path) -> Vec<PathBuf>, changes: Changes, strikes: usize) {
    let receiver = Receiver::start();
    let mut ksana = Ksana::start();
    let id = ksana.create_id(&with(hourly(TARGET), &json!({"name": "before"})));
    ksana.create(&with(every(&receiver.url("/tick"), "100ms"), &json!({"name": "tick"})));
    for is_killed in [true, false] {
        let files = files(&ksana.path("data"));
        let Some(fault) = Fault::inject(&ksana, calls, how, &files) else { return };
        for round in 0..strikes {
            let (before, name) = (names(&ksana), format!("round {round}"));
            let answer = ksana.patch(&id, &json!({"name": name}));
            match changes {
                Changes::Go => {
                    answer.expect(200);
                    assert_eq!(names(&ksana), [name]);
                }
                Changes::AreRefused => {
                    answer.refusal(503);
                    assert_eq!(names(&ksana), before, "what is refused has changed nothing");
                }
            }
            eventually("the fault to strike", || (fault.strikes() > round).then_some(()));
        }
        let count = receiver.at("/tick").len();
        receiver.wait_for_path("/tick", count + 3);
        let shown = names(&ksana);
        if is_killed {
            ksana.kill();
            drop(fault);
            ksana.start_again();
            assert_eq!(names(&ksana), shown, "after a kill in the middle of it");
        } else {
            drop(fault);
        }
        await_ready(&ksana, 200);
        assert_eq!(names(&ksana), shown);
        let well = format!("well again, killed: {is_killed}");
        ksana.patch(&id, &json!({"name": well})).expect(200);
        await_snapshot_with(&ksana, &well);
    }
    let shown = names(&ksana);
    ksana.kill();
    ksana.start_again();
    assert_eq!(names(&ksana), shown);
    assert_eq!(ksana.stop(), 0);
    assert_eq!(ksana.jobs_on_disk()["jobs"].as_array().map(Vec::len), Some(2));
    assert_eq!(leftovers(&ksana.path("data")), Vec::<String>::new(), "a clean stop leaves one file and the history");
}

fn leftovers(data: &Path) -> Vec<String> {
    let names = fs::read_dir(data).expect("it is there").flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| !["jobs.json", ".lock", "runs"].contains(&name.as_str())).collect()
}

/// Those that there are and those that are to come.
fn segments(data: &Path) -> Vec<PathBuf> {
    (1..100).map(|number| data.join(format!("journal-{number:06}.jsonl"))).collect()
}

#[test]
fn a_journal_that_fails_refuses_changes_until_it_works_again() {
    thread::scope(|scope| {
        scope.spawn(|| live_through("pwrite64", "error=EIO", segments, Changes::AreRefused, 3));
        scope.spawn(|| live_through("pwrite64", "error=EIO:when=1", segments, Changes::AreRefused, 1));
        // What was written in part is not even cut off again.
        scope.spawn(|| live_through("pwrite64,ftruncate", "error=ENOSPC", segments, Changes::AreRefused, 4));
        // Nor does a snapshot make up for it.
        scope.spawn(|| live_through("pwrite64,ftruncate", "error=ENOSPC", |_| Vec::new(), Changes::AreRefused, 4));
    });
}

#[test]
fn a_snapshot_that_fails_leaves_the_journal_to_take_changes_and_is_tried_again() {
    let snapshot = |data: &Path| vec![data.join("jobs.json.tmp")];
    let note = |data: &Path| vec![data.join("jobs.json.sum.tmp")];
    thread::scope(|scope| {
        scope.spawn(|| live_through("/^rename(at2?)?$", "error=EIO", snapshot, Changes::Go, 2));
        scope.spawn(|| live_through("/^rename(at2?)?$", "error=EIO", note, Changes::Go, 2));
        scope.spawn(|| live_through("/^p?write(64)?$", "error=ENOSPC", snapshot, Changes::Go, 2));
        scope.spawn(|| live_through("openat", "error=ENOSPC", segments, Changes::Go, 2));
    });
}
