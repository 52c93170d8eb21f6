//! `jobs.json` as a person leaves it, and who may use the folder.

use std::fmt::Write as _;

use super::super::OpenError;
use super::world::{World, put};

const JOBS: &str = "jobs.json";

/// A folder on which a process was killed: `jobs.json` with one job, a segment with another.
fn killed() -> World {
    let world = World::new();
    let mut up = world.open();
    up.synced_turn(&[put("a", "1")]);
    up.finish();
    let mut up = world.open();
    up.synced_turn(&[put("b", "1")]);
    up.kill();
    world
}

fn renamed(world: &World) {
    let text = String::from_utf8(world.read(JOBS)).expect("it is a text");
    world.write(JOBS, text.replace("\"name\": \"1\"", "\"name\": \"mended\""));
}

#[test]
fn an_edit_beside_waiting_segments_stops_the_start_and_says_what_to_do() {
    let world = killed();
    let before = world.read(JOBS);
    renamed(&world);
    let told = world.refused();
    assert!(told.contains(JOBS) && told.contains("put the file back") && told.contains("journal-*.jsonl"), "{told}");
    world.write(JOBS, before);
    assert_eq!(world.open().names(), "a=1 b=1", "the first way out");
    let world = killed();
    renamed(&world);
    world.remove("journal-000001.jsonl");
    assert_eq!(world.open().names(), "a=mended", "the second");
}

#[test]
fn an_edit_beside_empty_segments_is_taken() {
    let world = killed();
    world.open().finish();
    world.open().kill();
    assert_eq!(world.read("journal-000001.jsonl"), b"");
    renamed(&world);
    let mut up = world.open();
    assert_eq!(up.names(), "a=mended b=mended");
    up.synced_turn(&[put("c", "1")]);
    up.kill();
    assert_eq!(world.open().names(), "a=mended b=mended c=1", "what follows stands on the edit");
}

#[test]
fn a_lost_file_beside_waiting_segments_stops_the_start() {
    let world = killed();
    world.remove(JOBS);
    assert!(world.refused().contains(JOBS));
}

#[test]
fn an_old_file_beside_waiting_segments_stops_the_start() {
    // Also the one before, or none at all, in the first process on the folder.
    let world = World::new();
    let mut up = world.open();
    let mut olds = vec![None];
    for name in ["1", "2"] {
        up.synced_turn(&[put("a", name)]);
        up.snapshot().expect("there is room");
        olds.push(Some(world.read(JOBS)));
    }
    up.synced_turn(&[put("b", "1")]);
    up.kill();
    let present = olds.pop().flatten().expect("the last is one");
    for old in olds {
        match &old {
            Some(old) => world.write(JOBS, old),
            None => world.remove(JOBS),
        }
        assert!(world.refused().contains(JOBS), "{old:?}");
        world.write(JOBS, &present);
    }
    assert_eq!(world.open().names(), "a=2 b=1");
}

#[test]
fn segments_without_their_note_stop_the_start() {
    let world = killed();
    world.remove("jobs.json.sum");
    assert!(world.refused().contains(JOBS));
}

#[test]
fn forms_of_the_older_service_load() {
    for text in ["{}", r#"{"version": 1}"#, r#"{"version": 1, "updated_at": "", "jobs": null}"#] {
        let world = World::new();
        world.write(JOBS, text);
        assert_eq!(world.open().names(), "");
    }
    let mut text = String::from(r#"{"jobs": ["#);
    for (number, headers) in ["null", "{}"].into_iter().enumerate() {
        let comma = if number == 0 { "" } else { ", " };
        write!(
            text,
            r#"{comma}{{"id": "{number:032x}", "name": "n", "enabled": true, "type": "http",
            "http": {{"method": "GET", "url": "http://a/", "headers": {headers}, "body": ""}},
            "schedule": {{"kind": "every", "every": "5m0s", "start_at": "", "jitter": "0s"}},
            "timeout": "10s", "max_retries": 3, "retry_backoff": "5s",
            "last_run_at": "", "next_run_at": "2020-01-01T00:00:00Z", "last_status": "", "last_error": ""}}"#
        )
        .expect("a text takes all");
    }
    text.push_str("]}");
    let world = World::new();
    world.write(JOBS, text);
    let up = world.open();
    assert_eq!(up.names(), "00000000000000000000000000000000=n 00000000000000000000000000000001=n");
    up.finish();
    assert!(
        String::from_utf8_lossy(&world.read(JOBS)).contains("5m0s"),
        "nobody changed anything, so nothing is written"
    );
}

#[test]
fn the_folder_is_held_by_one() {
    let world = World::new();
    let up = world.open();
    let before = world.files();
    let Err(error @ OpenError::Held(_)) = world.try_open().map(|_| ()) else { panic!("two hold it") };
    assert!(error.to_string().contains(&world.path().display().to_string()), "{error}");
    assert_eq!(world.files(), before);
    up.kill();
    world.open().kill();
}

#[test]
fn starts_in_which_nothing_happened_leave_no_more_than_one_empty_segment() {
    let world = killed();
    world.open().finish();
    for _ in 0..3 {
        world.open().kill();
        let segments = world.names().into_iter().filter(|name| name.starts_with("journal-")).count();
        assert_eq!(segments, 1);
    }
    assert_eq!(world.open().names(), "a=1 b=1");
}

#[test]
fn a_byte_order_mark_of_an_editor_is_passed_over() {
    let world = killed();
    world.open().finish();
    let text = [b"\xef\xbb\xbf".as_slice(), &world.read(JOBS)].concat();
    world.write(JOBS, text);
    assert_eq!(world.open().names(), "a=1 b=1");
}
