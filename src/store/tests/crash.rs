//! A process that ends at any point of a snapshot, as kill -9 and a power cut end it.

use super::world::{Files, World, delete, progress, put};

const JOBS: &str = "jobs.json";
const UNFINISHED: &str = "jobs.json.tmp";
const NOTE: &str = "jobs.json.sum";

/// The files before a snapshot over several segments and after it, and the jobs of both.
fn before_and_after() -> (Files, Files, String) {
    let world = World::new();
    let mut up = world.open();
    up.synced_turn(&[put("a", "1"), put("b", "1"), put("gone", "1")]);
    up.finish();
    // Two processes are killed, so that the third has three segments.
    for name in ["2", "3"] {
        let mut up = world.open();
        up.synced_turn(&[put("a", name), delete("gone"), progress("b", name), put("c", name)]);
        up.kill();
    }
    let mut up = world.open();
    up.synced_turn(&[put("b", "4"), delete("c"), put("d", "4")]);
    let before = world.files();
    up.begin_snapshot().expect("there is room");
    up.turn(&[put("a", "5"), delete("d")]);
    up.sync();
    up.await_snapshot().expect("there is room");
    let names = up.names();
    up.kill();
    (before, world.files(), names)
}

fn journal(files: &Files) -> Vec<String> {
    files.keys().filter(|name| name.starts_with("journal-")).cloned().collect()
}

/// Whatever lies there, the start finds the same jobs, twice, and so does the one after a clean stop.
#[track_caller]
fn check(files: &Files, names: &str) {
    let world = World::with(files);
    for _ in 0..2 {
        let up = world.open();
        assert_eq!(up.names(), names, "with {:?}", files.keys());
        assert_eq!(up.cut, None);
        up.kill();
    }
    world.open().finish();
    assert_eq!(world.names(), [JOBS]);
    assert_eq!(world.open().names(), names);
}

fn with(files: &Files, name: &str, content: &[u8]) -> Files {
    let mut files = files.clone();
    files.insert(name.to_owned(), content.to_vec());
    files
}

#[test]
fn every_point_of_a_snapshot_ends_in_the_same_jobs() {
    let (before, after, names) = before_and_after();
    let covered: Vec<_> = journal(&before).into_iter().filter(|name| !after.contains_key(name)).collect();
    assert!(covered.len() >= 3, "{covered:?}");
    let present = journal(&after).pop().expect("the new segment stays");
    // What the helper does, a step at a time; the new segment has its records already.
    let mut files = with(&before, &present, &after[&present]);
    check(&files, &names);
    for part in [0, 1, after[JOBS].len() / 2, after[JOBS].len()] {
        check(&with(&files, UNFINISHED, &after[JOBS][..part]), &names);
    }
    let unfinished = with(&files, UNFINISHED, &after[JOBS]);
    let lines = |note: &[u8]| String::from_utf8(note.to_vec()).expect("it is a text");
    let (old, new) = (lines(&before[NOTE]), lines(&after[NOTE]));
    let old_last = old.lines().last().expect("it has a line");
    let both = format!("{old_last}\n{}\n", new.lines().last().expect("it has a line"));
    check(&with(&unfinished, "jobs.json.sum.tmp", &both.as_bytes()[..5]), &names);
    check(&with(&unfinished, NOTE, both.as_bytes()), &names);
    files = with(&with(&files, NOTE, both.as_bytes()), JOBS, &after[JOBS]);
    check(&files, &names);
    check(&with(&files, "jobs.json.sum.tmp", b""), &names);
    files = with(&files, NOTE, &after[NOTE]);
    check(&files, &names);
    for name in covered {
        files.remove(&name);
        check(&files, &names);
    }
    assert_eq!(files, after);
}

#[test]
fn the_last_snapshot_leaves_jobs_json_only_at_every_point() {
    let world = World::new();
    let mut up = world.open();
    up.synced_turn(&[put("a", "1")]);
    up.snapshot().expect("there is room");
    up.synced_turn(&[put("b", "1")]);
    let before = world.files();
    up.finish();
    let after = world.files();
    assert_eq!(after.keys().collect::<Vec<_>>(), [JOBS]);
    assert_eq!(world.open().names(), "a=1 b=1");
    // Between the removal of the segments and that of the note.
    check(&with(&after, NOTE, &before[NOTE]), "a=1 b=1");
}

#[test]
fn nothing_new_leaves_jobs_json_as_it_is() {
    let world = World::new();
    let mut up = world.open();
    up.synced_turn(&[put("a", "1")]);
    up.finish();
    let before = world.files();
    world.open().finish();
    assert_eq!(world.files(), before);
}
