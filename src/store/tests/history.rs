//! A run that is over stands in the history once, wherever the process ends.

use std::fs;
use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::world::{World, id, put};
use crate::engine::Record;
use crate::job::{Origin, RunRecord, Status, Trigger};
use crate::ledger::{Query, Reader};
use crate::store::Directory;

fn run(number: u128) -> Record {
    let at = Timestamp::UNIX_EPOCH;
    Record::Run(Arc::new(RunRecord {
        seq: 0,
        run_id: Uuid::from_u128(number),
        job_id: id("a"),
        trigger: Trigger::Schedule,
        origin: Origin::default(),
        scheduled_at: at,
        stretch: None,
        started_at: Some(at),
        ended_at: at,
        lateness_us: Some(0),
        status: Status::Success,
        reason: "".into(),
        attempts: Vec::new(),
    }))
}

/// What the files of the history hold: number and run of each record, the oldest first.
fn written(world: &World) -> Vec<(u64, u128)> {
    let reader = Reader::new(Arc::new(Directory::look(&world.join("runs"))));
    let page = reader.page(&Query { limit: 1_000, ..Query::default() }).expect("it can be read");
    let read = |line: &Vec<u8>| {
        let run: RunRecord = serde_json::from_slice(line).expect("a record");
        (run.seq, run.run_id.as_u128())
    };
    page.lines.iter().rev().map(read).collect()
}

#[test]
fn what_the_journal_has_on_the_disk_goes_into_the_history() {
    let world = World::new();
    let mut up = world.open();
    up.turn(&[put("a", "1"), run(1)]);
    assert!(written(&world).is_empty(), "the jobs could still forget it");
    up.sync();
    up.await_history();
    assert_eq!(written(&world), [(1, 1)]);
    up.synced_turn(&[run(2), run(3)]);
    up.finish();
    assert_eq!(written(&world), [(1, 1), (2, 2), (3, 3)]);
}

#[test]
fn a_start_finds_in_the_journal_what_the_history_lacks() {
    let world = World::new();
    let mut up = world.open();
    up.turn(&[put("a", "1"), run(1)]);
    up.kill();
    assert!(written(&world).is_empty());
    for _ in 0..2 {
        world.open().kill();
        assert_eq!(written(&world), [(1, 1)]);
    }
    let mut up = world.open();
    up.turn(&[run(2)]);
    up.kill();
    world.open().kill();
    assert_eq!(written(&world), [(1, 1), (2, 2)], "numbers go on");
}

/// Nothing can be made in a file as if it were a folder.
#[test]
fn segments_wait_for_a_history_that_cannot_be_written_and_a_start_looks_into_them_too() {
    let world = World::new();
    let mut up = world.open();
    fs::write(world.join("runs"), "").expect("own folder");
    up.synced_turn(&[put("a", "1"), run(1)]);
    up.snapshot().expect("the jobs do not wait for it");
    assert!(world.names().contains(&"journal-000001.jsonl".to_owned()), "it holds what the history lacks");
    up.synced_turn(&[put("a", "2"), run(2)]);
    up.kill();
    fs::remove_file(world.join("runs")).expect("own folder");
    let mut up = world.open();
    assert_eq!(up.names(), "a=2");
    assert_eq!(written(&world), [(1, 1), (2, 2)]);
    up.snapshot().expect("there is room");
    up.finish();
    assert_eq!(world.names(), ["jobs.json"], "the history has it all");
    assert_eq!(written(&world), [(1, 1), (2, 2)]);
}
