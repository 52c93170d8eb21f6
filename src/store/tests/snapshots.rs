//! Snapshots that fail, folders that change under a running store, and what becomes well again.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::super::{End, Refusal};
use super::world::{World, delete, now, put};
use crate::limits::Bites;

const JOBS: &str = "jobs.json";

/// Keeps snapshots from being written while it is there.
fn blocked(world: &World) {
    fs::create_dir(world.join("jobs.json.tmp")).expect("own folder");
}

fn unblocked(world: &World) {
    fs::remove_dir(world.join("jobs.json.tmp")).expect("own folder");
}

fn segments(world: &World) -> usize {
    world.names().iter().filter(|name| name.starts_with("journal-")).count()
}

#[test]
fn snapshots_that_fail_pile_up_no_segments() {
    let world = World::new();
    let mut up = world.open();
    blocked(&world);
    for number in 0..20 {
        up.synced_turn(&[put("a", &format!("n{number}"))]);
        up.snapshot().expect_err("it has no place");
        assert!(up.store.snapshot_due().is_some(), "it is tried again");
    }
    assert!(segments(&world) <= 2, "{:?}", world.names());
    unblocked(&world);
    up.snapshot().expect("there is room");
    if up.store.snapshot_due().is_some() {
        up.snapshot().expect("there is room");
    }
    assert_eq!(up.store.snapshot_due(), None, "all is covered");
    assert_eq!(segments(&world), 1);
    let names = up.names();
    up.kill();
    let up = world.open();
    assert_eq!((up.names(), up.replayed), (names, 0));
}

/// A million jobs take seconds to write, also where the disk turns out to be full at the end.
#[test]
fn a_snapshot_that_took_long_to_fail_rests_before_the_next_try() {
    let world = World::new();
    let mut up = world.open();
    up.synced_turn(&[put("a", "1")]);
    blocked(&world);
    for (took, rest) in
        [(Duration::from_secs(3), Duration::from_secs(3 * 49)), (Duration::ZERO, Duration::from_secs(1))]
    {
        let begin = now();
        up.begin_snapshot().expect("there is room for a segment");
        let long_ago = begin.steady.checked_sub(took).expect("the machine was on by then");
        up.store.snapshot.running.as_mut().expect("it was begun").began = long_ago;
        up.await_snapshot().expect_err("it has no place");
        let due = up.store.snapshot_due().expect("it is tried again");
        let waits = due - up.store.snapshot.last_end;
        assert!(waits >= rest && waits < rest + Duration::from_secs(49), "{waits:?} after {took:?}");
        let reason = "there was no folder".to_owned();
        up.store.refusal = Some(Refusal { reason, ends: End::Snapshot });
        let waits = up.store.snapshot_due().expect("it is tried again") - up.store.snapshot.last_end;
        assert!(
            waits >= took.max(Duration::from_secs(1)) && waits < took + Duration::from_secs(2),
            "{waits:?} where clients wait for it"
        );
        up.store.refusal = None;
    }
}

#[test]
fn what_follows_a_snapshot_that_failed_is_covered_by_a_later_one() {
    let world = World::new();
    let mut up = world.open();
    up.synced_turn(&[put("a", "1")]);
    blocked(&world);
    up.snapshot().expect_err("it has no place");
    up.synced_turn(&[put("b", "1")]);
    unblocked(&world);
    up.snapshot().expect("there is room");
    up.synced_turn(&[put("c", "1")]);
    while up.store.snapshot_due().is_some() {
        up.snapshot().expect("there is room");
    }
    up.finish();
    assert_eq!(world.names(), [JOBS]);
    assert_eq!(world.open().names(), "a=1 b=1 c=1");
}

#[test]
fn a_segment_that_somebody_took_away_fails_no_snapshot() {
    let world = World::new();
    let mut up = world.open();
    up.synced_turn(&[put("a", "1")]);
    world.remove("journal-000001.jsonl");
    up.snapshot().expect("it covers what was there");
    up.synced_turn(&[put("b", "1")]);
    world.remove("jobs.json.sum");
    up.snapshot().expect("it covers what was there");
    up.kill();
    assert_eq!(world.open().names(), "a=1 b=1");
}

#[test]
fn a_segment_that_cannot_be_removed_spoils_nothing() {
    let world = World::new();
    let mut up = world.open();
    up.synced_turn(&[put("a", "1")]);
    // Nobody can remove a folder as if it were a file.
    world.remove("journal-000001.jsonl");
    fs::create_dir(world.join("journal-000001.jsonl")).expect("own folder");
    for name in ["2", "3"] {
        up.synced_turn(&[put("a", name)]);
        let _ = up.snapshot();
        let present = world.files();
        let copy = World::with(&present);
        assert_eq!(copy.open().names(), format!("a={name}"), "a crash here finds everything");
    }
    assert!(world.names().contains(&"journal-000002.jsonl".to_owned()), "none goes before the ones in front of it");
    fs::remove_dir(world.join("journal-000001.jsonl")).expect("own folder");
    up.synced_turn(&[put("a", "4")]);
    up.snapshot().expect("there is room");
    assert_eq!(segments(&world), 1, "what was left is removed once it can be");
    up.finish();
    assert_eq!(world.names(), [JOBS]);
}

#[test]
fn half_a_line_that_cannot_be_cut_back_keeps_the_journal_from_going_on_behind_it() {
    let world = World::new();
    let notes = Arc::default();
    let mut up = world.open_odd(&notes);
    up.synced_turn(&[put("a", "1")]);
    let before = world.read("journal-000001.jsonl");
    let torn = [&before[..], b"{\"crc\":"].concat();
    world.write("journal-000001.jsonl", torn);
    notes.set_full(true);
    up.try_turn(&[put("b", "1")]).expect_err("there is no room");
    assert!(up.store.refusal().is_some());
    up.snapshot().expect_err("its segment would be followed by another");
    assert_eq!(segments(&world), 1);
    notes.set_full(false);
    up.begin_snapshot().expect("there is room again");
    assert_eq!(world.read("journal-000001.jsonl"), before, "the half line went first");
    assert_eq!(up.store.sync.before.len(), 1, "and is gone for good before the next segment is fsynced");
    up.look_for_room();
    assert_eq!(up.store.refusal(), None);
    up.turn(&[super::world::progress("a", "fired")]);
    up.await_snapshot().expect("there is room again");
    up.sync();
    up.kill();
    assert_eq!(world.open().names(), "a=1/fired");
}

#[test]
fn half_a_line_at_the_begin_of_a_segment_goes_before_the_next_one_is_written() {
    let world = World::new();
    let notes = Arc::default();
    let mut up = world.open_odd(&notes);
    notes.set_full(true);
    up.try_turn(&[put("a", "1")]).expect_err("there is no room");
    world.write("journal-000001.jsonl", "{".repeat(10_000));
    notes.set_full(false);
    // Nothing was written to the segment, so it serves this snapshot too.
    up.begin_snapshot().expect("there is room again");
    up.look_for_room();
    up.turn(&[put("a", "2")]);
    let text = world.read("journal-000001.jsonl");
    assert!(text.ends_with(b"}\n"), "{}", String::from_utf8_lossy(&text));
    up.await_snapshot().expect("there is room again");
    up.kill();
    let up = world.open();
    assert_eq!((up.names(), up.cut.as_ref()), ("a=2".to_owned(), None));
}

#[test]
fn where_there_is_room_for_the_journal_changes_are_taken_though_there_is_none_for_a_snapshot() {
    let world = World::new();
    let notes = Arc::default();
    let mut up = world.open_odd(&notes);
    up.synced_turn(&[put("a", "1")]);
    blocked(&world);
    up.snapshot().expect_err("it has no place");
    notes.set_full(true);
    up.try_turn(&[put("a", "2")]).expect_err("there is no room");
    let due = up.store.room_look_due().expect("it is looked for");
    up.look_for_room();
    assert!(up.store.refusal().is_some(), "there is none yet");
    assert!(up.store.room_look_due().is_some_and(|next| next > due), "it is looked for again");
    notes.set_full(false);
    up.look_for_room();
    assert_eq!((up.store.refusal(), up.store.room_look_due()), (None, None));
    up.synced_turn(&[put("b", "1")]);
    up.kill();
    unblocked(&world);
    let up = world.open();
    assert_eq!((up.names(), up.cut.as_ref()), ("a=1 b=1".to_owned(), None));
}

/// The note says where the journal begins; a segment with a lower number would be passed over.
#[test]
fn a_segment_that_is_begun_only_once_there_is_room_is_the_one_that_the_note_names() {
    let world = World::new();
    for name in ["1", "2"] {
        let mut up = world.open();
        up.synced_turn(&[put("a", name)]);
        up.snapshot().expect("there is room");
        up.kill();
    }
    let notes = Arc::default();
    let no_inodes = |notes: &Arc<super::odd::Notes>, none| notes.has_no_inodes.store(none, Ordering::Relaxed);
    no_inodes(&notes, true);
    let mut up = world.open_odd(&notes);
    assert!(up.store.refusal().is_some());
    no_inodes(&notes, false);
    up.look_for_room();
    up.synced_turn(&[put("b", "1")]);
    up.kill();
    assert_eq!(world.open().names(), "a=2 b=1");
}

#[test]
fn a_folder_that_comes_anew_during_a_snapshot_gets_a_new_segment() {
    let world = World::new();
    let mut up = world.open();
    up.synced_turn(&[put("a", "1")]);
    up.begin_snapshot().expect("there is room");
    let away = world.path().with_extension("away");
    fs::rename(world.path(), &away).expect("own folder");
    up.await_snapshot().expect_err("there is no folder");
    fs::remove_dir_all(away).expect("own folder");
    assert!(up.store.refusal().is_some());
    fs::create_dir(world.path()).expect("its parent is there");
    up.snapshot().expect("there is a folder again");
    assert_eq!(up.store.refusal(), None);
    up.synced_turn(&[put("b", "1")]);
    up.kill();
    assert_eq!(world.open().names(), "a=1 b=1");
}

#[test]
fn changes_are_refused_while_the_folder_is_gone_and_taken_once_it_is_back() {
    let world = World::new();
    let mut up = world.open();
    up.synced_turn(&[put("a", "1")]);
    let away = world.path().with_extension("away");
    fs::rename(world.path(), &away).expect("own folder");
    up.synced_turn(&[put("a", "2")]);
    up.snapshot().expect_err("there is no folder");
    assert!(up.store.refusal().is_some());
    up.try_turn(&[put("b", "1")]).expect_err("it would be lost");
    assert!(up.store.snapshot_due().is_some(), "it is tried again");
    fs::rename(&away, world.path()).expect("own folder");
    up.snapshot().expect("the folder is back");
    assert_eq!(up.store.refusal(), None);
    up.synced_turn(&[put("c", "1")]);
    up.kill();
    assert_eq!(world.open().names(), "a=2 c=1");
}

#[test]
fn a_folder_that_was_emptied_is_filled_again() {
    let world = World::new();
    let mut up = world.open();
    up.synced_turn(&[put("a", "1")]);
    up.snapshot().expect("there is room");
    up.synced_turn(&[put("b", "1")]);
    for name in world.names() {
        world.remove(&name);
    }
    up.snapshot().expect("there is room");
    up.kill();
    assert_eq!(world.open().names(), "a=1 b=1");
}

#[test]
fn thousands_of_jobs_come_in_chunks_and_each_stands_once() {
    let world = World::new();
    let mut up = world.open();
    let many: Vec<_> = (0..2_000).map(|number| put(&format!("j{number:05}"), "1")).collect();
    up.synced_turn(&many);
    up.snapshot().expect("there is room");
    let jobs = up.jobs();
    assert_eq!(jobs.len(), 2_000);
    up.kill();
    assert_eq!(world.open().jobs(), jobs);
}

#[test]
fn a_clean_stop_removes_each_segment_for_good_before_the_next_one() {
    let world = World::new();
    let notes = Arc::default();
    let mut up = world.open_odd(&notes);
    up.synced_turn(&[put("a", "1")]);
    // Nobody can remove a folder as if it were a file.
    world.remove("journal-000001.jsonl");
    fs::create_dir(world.join("journal-000001.jsonl")).expect("own folder");
    for name in ["2", "3"] {
        up.snapshot().expect("there is room");
        up.synced_turn(&[put("a", name)]);
    }
    up.snapshot().expect("there is room");
    assert_eq!(up.store.snapshot_due(), None, "all is covered");
    fs::remove_dir(world.join("journal-000001.jsonl")).expect("own folder");
    notes.steps();
    up.finish();
    let segments = (1..=4).flat_map(|number| [format!("journal-{number:06}.jsonl"), "fsync".to_owned()]);
    let steps: Vec<_> = segments.chain(["jobs.json.sum", "jobs.json.sum.tmp", "fsync"].map(str::to_owned)).collect();
    assert_eq!(notes.steps(), steps);
    assert_eq!(world.names(), [JOBS]);
}

/// Seed 800, as the clients asked then: a note that found no room was left behind.
#[test]
fn a_clean_stop_leaves_no_unfinished_note() {
    let world = World::new();
    let mut up = world.open();
    up.synced_turn(&[put("a", "1")]);
    fs::write(world.join("jobs.json.sum.tmp"), "half").expect("own folder");
    up.finish();
    assert_eq!(world.names(), [JOBS]);
}

#[test]
fn what_changes_during_a_snapshot_stands_in_its_segment_wherever_the_walk_is() {
    for handed_over in 0..=4 {
        let world = World::new();
        let mut up = world.open_by(Bites { chunk_jobs: 2, ..Bites::default() }).expect("own folder");
        up.synced_turn(&["b", "d", "f", "h", "j", "l"].map(|id| put(id, "1")));
        up.begin_snapshot().expect("there is room");
        for _ in 0..handed_over {
            up.take_event();
        }
        // In front of the walk, where it is, and behind it: new ones, others, and none.
        up.turn(&["a", "e", "i", "m"].map(|id| put(id, "new")));
        up.turn(&["b", "f", "j"].map(|id| put(id, "2")));
        up.turn(&["d", "h", "l"].map(delete));
        up.await_snapshot().expect("there is room");
        let names = up.names();
        assert_eq!(names, "a=new b=2 e=new f=2 i=new j=2 m=new");
        up.kill();
        assert_eq!(world.open().names(), names, "after {handed_over} chunks");
    }
}
