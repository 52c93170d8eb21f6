//! What simulations have found, each as the few steps that it comes down to.

mod ledger;

use std::sync::Arc;

use async_channel::Receiver;
use futures_lite::future::block_on;
use jiff::SignedDuration;
use ksana::clock::Clock;
use ksana::disk::Disk;
use ksana::engine::{Engine, Record, Turn};
use ksana::job::{Job, stored_job};
use ksana::limits::Bites;
use ksana::store::{DiskEvent, Store, Written};
use serde_json::json;

use crate::clock::Clocks;
use crate::disk::{Device, Mount, Trouble};
use crate::found::Found;
use crate::process::{DEFAULTS, open_ledger};
use crate::random::Random;

/// A store whose helpers do at once what they are asked for.
struct Up {
    engine: Engine,
    store: Store,
    events: Receiver<DiskEvent>,
    clocks: Clocks,
}

impl Up {
    fn open(device: &Device) -> Self {
        let mount = device.mount();
        mount.gate.open();
        let clocks = Clocks::new();
        let mut engine = Engine::new(1);
        let ledger = open_ledger(mount.clone());
        let opened = Store::open(Arc::new(mount), ledger, &DEFAULTS, Bites::default(), clocks.now(), |record| {
            engine.apply(record)
        });
        let opened = opened.unwrap_or_else(|error| panic!("{error}"));
        Self { engine, store: opened.store, events: opened.events, clocks }
    }

    fn turn(&mut self, record: Record) {
        let (records, result) = self.write(vec![record]);
        result.expect("there is room");
        for record in records {
            self.engine.apply(record);
        }
    }

    fn write(&mut self, records: Vec<Record>) -> (Vec<Record>, Result<(), String>) {
        let written = self.store.append(records, self.clocks.now().steady, || ());
        let Written::Turn { records, result, .. } = self.await_written(written) else { panic!("a turn was written") };
        (records, result)
    }

    fn await_written(&mut self, written: Option<Written>) -> Written {
        written.unwrap_or_else(|| {
            let finished = block_on(self.store.finished()).expect("the journal's thread lives");
            self.store.take_finished(finished, self.clocks.now()).expect("every fsync works")
        })
    }

    /// A turn whose last byte finds no room, and the rest of which cannot be taken back.
    fn turn_unrecorded_in_part(&mut self, device: &Device, records: Vec<Record>) {
        device.set_trouble(Trouble::LastByte);
        self.write(records).1.expect_err("there is no room");
    }

    fn begin_snapshot(&mut self) {
        let written = self.store.begin_snapshot(self.clocks.now());
        let Written::Snapshot(Ok(())) = self.await_written(written) else { panic!("there is room for a segment") };
    }

    fn await_snapshot(&mut self) {
        while self.store.is_snapshotting() {
            let event = self.events.recv_blocking().expect("the helpers live");
            let now = self.clocks.now();
            let told = self.store.take_event(event, &self.engine, now).expect("every fsync works");
            assert!(told.is_none_or(|result| result.is_ok()), "there is room");
        }
    }

    fn sync(&mut self) {
        let end = self.store.position();
        while self.store.synced() < end {
            let now = self.clocks.now();
            self.store.sync(true, now.steady);
            let event = self.events.recv_blocking().expect("the helpers live");
            self.store.take_event(event, &self.engine, now).expect("every fsync works");
        }
    }
}

fn device() -> Device {
    Device::new(Random::new(0))
}

fn job(id: &str) -> Job {
    let schedule = json!({"kind": "every", "every": "1h"});
    let job = json!({"id": id, "name": id, "http": {"url": "http://127.0.0.1:9/"}, "schedule": schedule});
    stored_job(job, &DEFAULTS).expect("it is a job")
}

fn names(mount: &Mount) -> Vec<String> {
    Found::on(mount).unwrap_or_else(|error| panic!("{error}")).jobs.into_keys().collect()
}

#[test]
fn what_a_killed_process_had_not_synced_is_synced_before_what_the_next_one_writes() {
    let device = device();
    let mut up = Up::open(&device);
    up.turn(Record::Put(job("a")));
    device.kill();
    drop(up);
    let mut up = Up::open(&device);
    assert_eq!(up.engine.len(), 1, "a kill loses nothing, so everybody sees it");
    up.turn(Record::Put(job("b")));
    up.sync();
    assert_eq!(names(&device.least()), ["a", "b"]);
}

#[test]
fn a_change_that_is_there_already_is_acknowledged_only_once_it_is_on_the_disk() {
    let device = device();
    let mut up = Up::open(&device);
    up.turn(Record::Put(job("a")));
    device.kill();
    drop(up);
    // Its client was not answered, and asks again: nothing is to be written, and nothing to be awaited.
    let up = Up::open(&device);
    assert_eq!(up.engine.len(), 1);
    assert!(up.store.synced() >= up.store.position());
    assert_eq!(names(&device.least()), ["a"]);
}

#[test]
fn what_follows_a_segment_whose_end_a_power_cut_took_is_cut_too() {
    let device = device();
    let mut up = Up::open(&device);
    up.turn(Record::Put(job("a")));
    up.sync();
    // The end of this segment is lost; the next one, begun for a snapshot, has reached the disk.
    up.turn(Record::Put(job("b")));
    up.begin_snapshot();
    up.turn(Record::Delete(job("a").spec.id.clone()));
    let files = device.seen();
    let (first, second) = (files.read(SEGMENTS[0]), files.read(SEGMENTS[1]));
    let (first, second) = (first.expect("it is there"), second.expect("it is there"));
    let first_line = first.iter().position(|byte| *byte == b'\n').expect("it has lines") + 1;
    let cut = Device::holding([
        (SEGMENTS[0], &first[..first_line]),
        (SEGMENTS[1], &second),
        ("jobs.json.sum", &files.read("jobs.json.sum").expect("it is there")),
    ]);
    assert_eq!(names(&cut.seen()), ["a"], "what stands on b's record is gone with it");
}

#[test]
fn a_refused_turn_that_cannot_be_cut_back_is_not_found_in_part() {
    let device = device();
    let mut up = Up::open(&device);
    up.turn(Record::Put(job("a")));
    // Two records, of which the first reaches the disk whole; then nothing can be changed any more.
    up.turn_unrecorded_in_part(&device, vec![Record::Put(job("b")), Record::Put(job("c"))]);
    assert_eq!(names(&device.seen()), ["a"], "who was refused has changed nothing");
}

/// The older service drew its delay otherwise, so ours may lie behind the time that it shows.
#[test]
fn the_fire_that_an_older_file_shows_comes_then_whatever_our_share_of_the_jitter() {
    let schedule = json!({"kind": "every", "every": "10s", "start_at": "", "jitter": "9s"});
    let next = Clocks::new().now().wall + SignedDuration::from_secs(3);
    let http = json!({"url": "http://127.0.0.1:9/"});
    let job = json!({"id": "a", "name": "a", "http": http, "schedule": schedule, "next_run_at": next.to_string()});
    let text = json!({"jobs": [job]}).to_string();
    let mut up = Up::open(&Device::holding([("jobs.json", text.as_bytes())]));
    let mut turn = Turn::default();
    up.engine.recover(up.clocks.now().wall);
    assert_eq!(up.engine.next_wake(next), Some(next));
    up.engine.fire_due(next, 1, &mut turn);
    up.engine.dispatch(next, 1, &mut turn);
    assert_eq!(turn.starts.iter().map(|start| start.scheduled_at).collect::<Vec<_>>(), [next]);
    let later = up.engine.jobs().next().and_then(|job| job.progress.next_run_at).expect("it goes on");
    assert!(later >= next + SignedDuration::from_secs(10), "{later}");
}

/// Linux forgets what an fsync could not write: it is seen, and no later fsync writes it.
#[test]
fn what_a_failed_fsync_left_in_memory_is_written_again_before_anybody_relies_on_it() {
    let device = device();
    let mut up = Up::open(&device);
    up.turn(Record::Put(job("a")));
    up.sync();
    up.turn(Record::Put(job("b")));
    device.set_sync_fails(true);
    up.store.sync(true, up.clocks.now().steady);
    let event = up.events.recv_blocking().expect("the helpers live");
    up.store.take_event(event, &up.engine, up.clocks.now()).expect_err("the process has to end");
    device.kill();
    drop(up);
    // A client that asks for b again is told that it is there.
    let up = Up::open(&device);
    assert_eq!(up.engine.len(), 2);
    assert!(up.store.synced() >= up.store.position());
    assert_eq!(names(&device.least()), ["a", "b"]);
}

/// The machine may tell only one thread of a failed fsync: here not the one that writes the snapshot.
#[test]
fn nothing_counts_as_synced_once_an_fsync_has_failed_for_somebody_else() {
    let device = device();
    let mut up = Up::open(&device);
    up.turn(Record::Put(job("a")));
    up.begin_snapshot();
    up.turn(Record::Put(job("b")));
    device.set_sync_fails(true);
    up.store.sync(true, up.clocks.now().steady);
    let mut wants = None;
    loop {
        match up.events.recv_blocking().expect("the helpers live") {
            DiskEvent::SyncFailed(_) => break,
            event => wants = Some(event),
        }
    }
    // The loop has not heard of it yet when the snapshot goes on.
    let told = loop {
        let event = wants.take().unwrap_or_else(|| up.events.recv_blocking().expect("the helpers live"));
        let is_last = matches!(event, DiskEvent::Snapshot(_));
        let told = up.store.take_event(event, &up.engine, up.clocks.now());
        if is_last {
            break told;
        }
    };
    told.expect_err("nobody knows whether b is on the disk");
}

/// Names come to the disk in any order: without the first segment the second would be replayed on nothing.
#[test]
fn no_segment_is_begun_before_the_name_of_the_one_in_front_of_it_is_on_the_disk() {
    let device = device();
    let mut up = Up::open(&device);
    up.turn(Record::Put(job("a")));
    up.begin_snapshot();
    let names = device.least().names().expect("they can be listed");
    assert!(names.iter().any(|name| name == SEGMENTS[0]), "{names:?}");
}

/// A power cut may come between a snapshot and the end of what it covers, and take what was written since.
#[test]
fn a_segment_that_jobs_json_holds_is_not_replayed_over_what_is_newer() {
    let device = device();
    let mut up = Up::open(&device);
    up.turn(Record::Put(job("a")));
    up.sync();
    let covered = device.seen().read(SEGMENTS[0]).expect("it is there");
    up.begin_snapshot();
    up.turn(Record::Delete(job("a").spec.id.clone()));
    up.await_snapshot();
    let files = ["jobs.json", "jobs.json.sum"].map(|name| (name, device.seen().read(name).expect("it is there")));
    let files = files.iter().map(|(name, content)| (*name, content.as_slice()));
    let cut = Device::holding(files.chain([(SEGMENTS[0], covered.as_slice())]));
    assert_eq!(names(&cut.seen()), Vec::<String>::new());
    let up = Up::open(&cut);
    assert!(up.engine.is_empty());
    assert!(!cut.files().contains(&SEGMENTS[0].to_owned()), "nobody needs it");
}

const SEGMENTS: [&str; 2] = ["journal-000001.jsonl", "journal-000002.jsonl"];

/// Seed 1795713363521856371, as the clients asked then. A snapshot holds what was not synced yet. Where a power cut then
/// took the end of its segment, the begin of that was replayed over it: a new definition with an older progress.
#[test]
fn a_snapshot_gets_its_name_only_when_the_journal_holds_all_that_it_shows() {
    let device = device();
    let mut up = Up::open(&device);
    let first = job("a");
    up.turn(Record::Put(first.clone()));
    up.sync();
    up.begin_snapshot();
    let mut ran = first.clone();
    ran.progress.last_run_at = Some(up.clocks.now().wall);
    up.turn(Record::Progress { id: first.spec.id.clone(), progress: Box::new(ran.progress.clone()) });
    let mut renamed = ran.clone();
    Arc::make_mut(&mut renamed.spec).name = "renamed".into();
    renamed.progress.last_run_at = Some(up.clocks.now().wall + SignedDuration::from_secs(1));
    up.turn(Record::Put(renamed.clone()));
    up.await_snapshot();
    let possible = [first, ran, renamed];
    for seed in 0..300 {
        let found = Found::on(&device.after_a_cut(Random::new(seed))).expect("a start after a cut");
        assert!(possible.contains(&found.jobs["a"]), "{:#?}", found.jobs["a"]);
    }
}

#[test]
fn the_list_of_a_snapshot_ends_only_when_nothing_is_being_written() {
    let device = device();
    let mut up = Up::open(&device);
    up.turn(Record::Put(job("a")));
    up.begin_snapshot();
    let written = up.store.append(vec![Record::Put(job("b"))], up.clocks.now().steady, || ());
    assert!(written.is_none(), "a thread writes it");
    while !up.store.snapshot_waits_for_write() {
        let event = up.events.recv_blocking().expect("the helpers live");
        let told = up.store.take_event(event, &up.engine, up.clocks.now()).expect("every fsync works");
        assert!(told.is_none(), "it ended before all was written");
    }
    up.await_written(None);
    up.await_snapshot();
}
