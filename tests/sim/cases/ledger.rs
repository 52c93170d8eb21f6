//! Outcomes and what stands beside them: neither is found without the other.

use std::time::Duration;

use async_channel::bounded;
use jiff::Timestamp;
use ksana::clock::Clock;
use ksana::engine::Command;
use ksana::inbox::Letter;
use ksana::job::JobId;
use ksana::limits::Bites;
use ksana::scheduler::{Order, Wake};
use ksana::store::DiskEvent;
use serde_json::{Value, json};

use crate::clock::Clocks;
use crate::disk::{Device, Trouble};
use crate::found::Found;
use crate::process::Process;
use crate::random::Random;

/// A disk with jobs whose only instant has just passed.
fn missed(ids: &[&str], clocks: &Clocks) -> Device {
    let run_at = Timestamp::from_second(clocks.now().wall.as_second() - 1).expect("a time").to_string();
    let http = json!({"url": "http://127.0.0.1:9/"});
    let schedule = json!({"kind": "once", "run_at": run_at});
    let job = |id: &&str| json!({"id": id, "name": id, "http": http, "schedule": schedule, "next_run_at": run_at});
    let jobs: Vec<Value> = ids.iter().map(job).collect();
    Device::holding([("jobs.json", json!({"jobs": jobs}).to_string().as_bytes())])
}

/// What a kill would leave.
fn found(device: &Device) -> Found {
    Found::on(&device.seen()).expect("a start after a kill")
}

fn ask(process: &Process, command: Command) {
    let (reply, _) = bounded(1);
    process.letters.try_send(Letter { command, reply }).expect("there is room");
}

/// Seed 595. What a start has found out goes into records bite by bite, and a change may come before.
#[test]
fn a_change_of_a_job_goes_with_what_was_over_before_it() {
    let clocks = Clocks::new();
    for delete in [false, true] {
        let device = missed(&["a", "b"], &clocks);
        let bites = Bites { late_records: 1, ..Bites::default() };
        let mut process = Process::start(&device, &clocks, 1, bites).expect("nothing is wrong with the disk");
        let id = JobId::parse("b").expect("an id");
        ask(&process, if delete { Command::Delete(id) } else { Command::Pause { id, until: None } });
        process.turn(Wake::Time).expect("nothing is wrong with the disk");
        process.write(0).expect("nothing is wrong with the disk");
        let found = found(&device);
        assert!(found.jobs.get("b").is_none_or(|job| !job.progress.enabled), "the change is there");
        assert_eq!(found.runs_of("b").len(), 1, "and that it was missed before");
    }
}

/// A snapshot shows what a start has found out, also where its record has not had its turn.
#[test]
fn a_snapshot_shows_no_job_whose_outcomes_are_still_to_be_written() {
    let clocks = Clocks::new();
    let ids: Vec<String> = (0..60).map(|number| format!("{number:02}")).collect();
    let device = missed(&ids.iter().map(String::as_str).collect::<Vec<_>>(), &clocks);
    let bites = Bites { late_records: 1, ..Bites::default() };
    let mut process = Process::start(&device, &clocks, 1, bites).expect("nothing is wrong with the disk");
    let mut snapshots = 0;
    for _ in 0..100 {
        clocks.pass(Duration::from_millis(100));
        process.turn(Wake::Time).expect("nothing is wrong with the disk");
        process.write(0).expect("nothing is wrong with the disk");
        process.settle();
        for helper in process.waiting_helpers() {
            process.let_through(helper);
        }
        while let Some(event) = process.events.front() {
            snapshots += u64::from(matches!(event, DiskEvent::Snapshot(Ok(_))));
            process.deliver_event();
        }
        let found = found(&device);
        let bare = found.jobs.values().filter(|job| job.progress.state.fired.is_some());
        let bare: Vec<_> = bare.filter(|job| found.runs_of(job.spec.id.as_str()).is_empty()).collect();
        assert!(bare.is_empty(), "{bare:#?}");
    }
    assert!(snapshots > 0, "there was none");
}

/// At the end of a process some of what is over may find no room in the journal. The history takes it, but not before
/// a snapshot shows the jobs so.
#[test]
fn the_history_knows_no_outcome_that_the_jobs_forget_at_the_end() {
    let clocks = Clocks::new();
    for seed in 0..400 {
        let device = missed(&["a", "c"], &clocks).with(Random::new(seed));
        let bites = Bites { late_records: 1, ..Bites::default() };
        if seed % 2 == 1 {
            // There is no segment either.
            device.set_trouble(Trouble::Full);
        }
        let Ok(mut process) = Process::start(&device, &clocks, 1, bites) else { continue };
        // Its client waits for an fsync.
        ask(&process, Command::Pause { id: JobId::parse("a").expect("an id"), until: None });
        process.turn(Wake::Time).expect("no fsync fails");
        process.write(0).expect("no fsync fails");
        process.settle();
        device.set_trouble(Trouble::Flaky);
        process.order(Order::Rest);
        process.turn(Wake::Time).expect("no fsync fails");
        // Whether this works or not.
        let _ = process.save();
        let found = found(&device);
        let is_known = found.jobs["c"].progress.state.fired.is_some();
        // Where the history has no room either, that is all that is lost.
        assert!(found.runs_of("c").is_empty() || is_known, "by the chance of {seed}");
    }
}
