//! A journal is read once and in pieces, however long it is, and gives what it gives as a whole.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::super::{Directory, replayed};
use super::odd::{Notes, Odd};
use super::world::{DEFAULTS, Files, World, progress, put};
use crate::engine::Record;

const JOURNAL: &str = "journal-000001.jsonl";

#[test]
fn records_are_handed_over_while_the_rest_lies_on_the_disk() {
    let world = World::new();
    let mut up = world.open();
    for turn in 0..1_000 {
        up.turn(&[put("a", "1"), progress("a", &format!("{turn}{}", "x".repeat(1_000)))]);
    }
    up.kill();
    let len = world.read(JOURNAL).len();
    let notes = Arc::new(Notes::default());
    let directory = Directory::hold(world.path()).expect("own folder");
    let mut read = Vec::new();
    let disk = Arc::new(Odd { directory, notes: Arc::clone(&notes) });
    let count = replayed(disk, &DEFAULTS, len / 100, |_| {
        read.push(notes.read.load(Ordering::Relaxed));
        true
    });
    assert_eq!(count.expect("it is good"), 2_000);
    let (len, most) = (len as u64, len as u64 / 3);
    assert!(read[0] < most, "{} of {len} were read before the first", read[0]);
    assert!(read[1_000] < len / 2 + most && read[1_999] == len, "{} of {len}", read[1_000]);
}

/// What a start makes of a folder that it reads by so many bytes: each record in its order, or why it refuses.
fn records_by(world: &World, piece_bytes: usize) -> Result<Vec<Record>, String> {
    let mut records = Vec::new();
    let directory = Directory::hold(world.path()).expect("own folder");
    let count = replayed(Arc::new(directory), &DEFAULTS, piece_bytes, |record| {
        records.push(record);
        false
    });
    count.map(|count| assert_eq!(count, records.len())).map(|()| records).map_err(|error| error.to_string())
}

/// Two segments with turns of one to four lines, half of which say that they were on the disk.
fn two_segments() -> Files {
    let world = World::new();
    let mut up = world.open();
    // A folder in the place of its file keeps the snapshot from being written.
    std::fs::create_dir(world.join("jobs.json.tmp")).expect("own folder");
    for turn in 0..8 {
        let records: Vec<_> = (0..=turn % 4).map(|line| put(&format!("{turn}-{line}"), "1")).collect();
        up.turn(&records);
        if turn % 4 == 1 {
            up.sync();
        }
        if turn == 3 {
            up.snapshot().expect_err("it has no place");
        }
    }
    up.kill();
    std::fs::remove_dir(world.join("jobs.json.tmp")).expect("own folder");
    world.files()
}

#[test]
fn pieces_of_any_size_give_the_same_records_and_the_same_refusals() {
    let files = two_segments();
    let segments = [JOURNAL, "journal-000002.jsonl"];
    let mut damaged = vec![files.clone()];
    for segment in segments {
        let len = files[segment].len();
        for at in (0..len).step_by(61) {
            let [mut cut, mut flipped] = [files.clone(), files.clone()];
            cut.get_mut(segment).expect("it is there").truncate(at);
            flipped.get_mut(segment).expect("it is there")[at] ^= 1;
            damaged.extend([cut, flipped]);
        }
    }
    let mut refused = 0;
    for files in &damaged {
        let world = World::with(files);
        let whole = records_by(&world, usize::MAX);
        refused += usize::from(whole.is_err());
        for piece_bytes in [1, 300, 1_000] {
            assert_eq!(records_by(&world, piece_bytes), whole, "{piece_bytes}");
        }
    }
    let all = records_by(&World::with(&files), 500).expect("it is good");
    assert_eq!(all.len(), 20);
    assert!(refused > damaged.len() / 5 && refused < damaged.len() * 4 / 5, "{refused} of {}", damaged.len());
}

/// Puts a line in the place of another whose checksum is as right as that one's.
fn with_line(text: &[u8], number: usize, from: &str, to: &str) -> Vec<u8> {
    let mut lines: Vec<_> = text.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let line = String::from_utf8(lines[number - 1].clone()).expect("it is a text");
    let rest = line.trim_end().split_once(',').expect("a comma follows the checksum").1;
    assert!(rest.contains(from), "{rest}");
    let rest = rest.replace(from, to);
    lines[number - 1] = format!("{{\"crc\":\"{:08x}\",{rest}\n", crc32fast::hash(rest.as_bytes())).into_bytes();
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
