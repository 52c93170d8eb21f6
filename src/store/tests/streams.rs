//! A journal is read a turn at a time, however long it is.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::super::checksum::Crc32;
use super::super::{Directory, replayed};
use super::odd::{Notes, Odd};
use super::world::{DEFAULTS, World, progress, put};
use crate::limits::SNAPSHOT_PIECE_BYTES;

const JOURNAL: &str = "journal-000001.jsonl";

#[test]
fn records_are_handed_over_while_the_rest_lies_on_the_disk() {
    let world = World::new();
    let mut up = world.open();
    for turn in 0..1_000 {
        up.turn(&[put("a", "1"), progress("a", &format!("{turn}{}", "x".repeat(1_000)))]);
    }
    up.kill();
    let len = world.read(JOURNAL).len() as u64;
    let notes = Arc::new(Notes::default());
    let directory = Directory::hold(world.path()).expect("own folder");
    let mut read = Vec::new();
    let count =
        replayed(Arc::new(Odd { directory, notes: Arc::clone(&notes) }), &DEFAULTS, SNAPSHOT_PIECE_BYTES, |_| {
            read.push(notes.read.load(Ordering::Relaxed));
            true
        });
    assert_eq!(count.expect("it is good"), 2_000);
    let most = len / 3;
    assert!(read[0] >= len && read[0] < len + most, "all is looked at before the first: {} of {len}", read[0]);
    assert!(read[1_000] < len + len / 2 + most && read[1_999] == 2 * len, "{} of {len}", read[1_000]);
}

/// Puts a line in the place of another whose checksum is as right as that one's.
fn with_line(text: &[u8], number: usize, from: &str, to: &str) -> Vec<u8> {
    let mut lines: Vec<_> = text.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let line = String::from_utf8(lines[number - 1].clone()).expect("it is a text");
    let rest = line.trim_end().split_once(',').expect("a comma follows the checksum").1;
    assert!(rest.contains(from), "{rest}");
    let rest = rest.replace(from, to);
    lines[number - 1] = format!("{{\"crc\":\"{:08x}\",{rest}\n", Crc32::of(rest.as_bytes())).into_bytes();
    lines.concat()
}

#[test]
fn a_whole_line_without_a_record_is_as_bad_as_half_a_line() {
    let world = World::new();
    let mut up = world.open();
    up.synced_turn(&[put("a", "1"), put("b", "1")]);
    up.turn(&[put("a", "2"), progress("b", "2")]);
    up.turn(&[put("a", "3"), progress("b", "3")]);
    up.kill();
    let files = world.files();
    for (line, from, to) in
        [(4, "\"enabled\":true", "\"enabled\":1"), (4, "\"of\"", "\"off\""), (3, "\"put\"", "\"putt\"")]
    {
        let mut files = files.clone();
        files.insert(JOURNAL.to_owned(), with_line(&files[JOURNAL], line, from, to));
        let world = World::with(&files);
        let up = world.open();
        assert_eq!((up.names(), up.replayed), ("a=1 b=1".to_owned(), 2), "its turn counts for nothing");
        assert!(up.cut.is_some());
        up.kill();
        assert_eq!(world.read(JOURNAL).split_inclusive(|byte| *byte == b'\n').count(), 2);
        assert_eq!(world.open().cut, None);
    }
    let mut files = files.clone();
    files.insert(JOURNAL.to_owned(), with_line(&files[JOURNAL], 2, "\"put\"", "\"putt\""));
    let told = World::with(&files).refused();
    assert!(told.contains(JOURNAL) && told.contains("at line 2: a record of an unknown kind"), "{told}");
}
