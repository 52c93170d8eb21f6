//! Bad lines of the journal: what was never finished is cut off and told, what was on the disk
//! before and is damaged stops the start.

use super::world::{Files, World, delete, progress, put};

const FIRST: &str = "journal-000001.jsonl";
const SECOND: &str = "journal-000002.jsonl";

/// The line ends of a segment.
fn ends(text: &[u8]) -> Vec<usize> {
    (0..text.len()).filter(|at| text[*at] == b'\n').map(|at| at + 1).collect()
}

/// Four turns in one segment, the first two fsynced as the third says; and the jobs after each line.
fn four_turns() -> (Files, Vec<String>) {
    let world = World::new();
    let mut up = world.open();
    let mut states = vec![up.names()];
    let mut turn = |up: &mut super::world::Up, records: &[_], is_synced| {
        for record in records {
            up.engine.apply(Clone::clone(record));
            states.push(up.names());
        }
        up.turn(records);
        if is_synced {
            up.sync();
        }
    };
    turn(&mut up, &[put("a", "1"), put("b", "1")], true);
    turn(&mut up, &[progress("a", "broken")], true);
    turn(&mut up, &[delete("b"), put("c", "1")], false);
    turn(&mut up, &[put("a", "2")], false);
    up.kill();
    (world.files(), states)
}

/// How many of the lines belong to whole turns, where so many are whole.
fn in_whole_turns(lines: usize) -> usize {
    [0, 2, 3, 5, 6].into_iter().filter(|end| *end <= lines).max().expect("none is whole")
}

/// Up to where the segment says that it was on the disk: the end of its third line.
const SYNCED_LINES: usize = 3;

#[test]
fn a_segment_cut_at_every_byte_keeps_the_whole_turns_before_it() {
    let (files, states) = four_turns();
    let whole = &files[FIRST];
    let ends = ends(whole);
    for cut in 0..=whole.len() {
        let mut files = files.clone();
        files.insert(FIRST.to_owned(), whole[..cut].to_vec());
        let world = World::with(&files);
        let lines = in_whole_turns(ends.iter().filter(|end| **end <= cut).count());
        let kept = if lines == 0 { 0 } else { ends[lines - 1] };
        let up = world.open();
        assert_eq!(up.names(), states[lines], "cut at byte {cut}");
        assert_eq!(up.replayed, lines);
        if kept == 0 {
            assert!(!world.names().contains(&FIRST.to_owned()), "a segment goes in which nothing stands");
        } else {
            assert_eq!(world.read(FIRST).len(), kept, "what is not whole is gone from the disk too");
        }
        match &up.cut {
            Some(told) => assert!(told.starts_with(&format!("{} bytes from byte {kept} of ", cut - kept)), "{told}"),
            None => assert_eq!(cut, kept),
        }
        up.kill();
        let again = world.open();
        assert_eq!((again.names(), again.cut.as_ref()), (states[lines].clone(), None), "and once more");
    }
}

#[test]
fn a_flipped_byte_that_was_on_the_disk_stops_the_start_by_file_and_line() {
    let (files, _) = four_turns();
    let whole = &files[FIRST];
    let ends = ends(whole);
    for at in 0..ends[SYNCED_LINES - 1] {
        let mut files = files.clone();
        files.get_mut(FIRST).expect("it is there")[at] ^= 1;
        let told = World::with(&files).refused();
        let line = ends.iter().filter(|end| **end <= at).count() + 1;
        assert!(told.contains(FIRST) && told.contains(&format!("at line {line}:")), "byte {at}: {told}");
    }
}

#[test]
fn a_hole_behind_what_was_synced_is_cut_together_with_the_whole_lines_behind_it() {
    let (files, states) = four_turns();
    let whole = &files[FIRST];
    let ends = ends(whole);
    for line in SYNCED_LINES + 1..ends.len() {
        // The line that says so itself must be whole, or nobody knows.
        let mut files = files.clone();
        let text = files.get_mut(FIRST).expect("it is there");
        text[ends[line - 1]..ends[line] - 1].fill(0);
        let world = World::with(&files);
        let up = world.open();
        let kept = in_whole_turns(line);
        assert_eq!(up.names(), states[kept]);
        assert!(up.cut.is_some());
        assert_eq!(world.read(FIRST), whole[..ends[kept - 1]]);
    }
}

/// Two segments, the second begun by a snapshot that never came to its end.
fn two_segments(second_says_synced: bool) -> (Files, String) {
    let world = World::new();
    let mut up = world.open();
    up.synced_turn(&[put("a", "1")]);
    up.turn(&[put("a", "2")]);
    // A folder in the place of its file keeps the snapshot from being written.
    std::fs::create_dir(world.join("jobs.json.tmp")).expect("own folder");
    up.snapshot().expect_err("it has no place");
    up.turn(&[put("b", "1")]);
    if second_says_synced {
        up.sync();
        up.turn(&[put("c", "1")]);
    }
    let names = up.names();
    up.kill();
    std::fs::remove_dir(world.join("jobs.json.tmp")).expect("own folder");
    (world.files(), names)
}

#[test]
fn all_segments_are_replayed_in_their_order() {
    let (files, names) = two_segments(true);
    assert!(files.contains_key(FIRST) && files.contains_key(SECOND), "{:?}", files.keys());
    let world = World::with(&files);
    assert_eq!(world.open().names(), names);
}

#[test]
fn a_bad_end_of_an_earlier_segment_cuts_the_later_ones_where_none_was_synced() {
    let (mut files, _) = two_segments(false);
    files.get_mut(FIRST).expect("it is there").pop();
    let world = World::with(&files);
    let up = world.open();
    assert_eq!(up.names(), "a=1");
    assert!(up.cut.as_ref().is_some_and(|told| told.contains(FIRST)), "{:?}", up.cut);
    assert!(!world.names().contains(&SECOND.to_owned()) || world.read(SECOND).is_empty());
    up.kill();
    assert_eq!(world.open().names(), "a=1");
}

#[test]
fn a_bad_end_of_an_earlier_segment_stops_the_start_where_a_later_one_was_synced() {
    let (mut files, _) = two_segments(true);
    files.get_mut(FIRST).expect("it is there").pop();
    let told = World::with(&files).refused();
    assert!(told.contains(FIRST) && told.contains("at line 2:"), "{told}");
}

#[test]
fn a_lost_segment_stops_the_start_where_a_later_one_was_synced() {
    let (mut files, _) = two_segments(true);
    files.remove(FIRST);
    let told = World::with(&files).refused();
    assert!(told.contains(FIRST), "{told}");
}

#[test]
fn a_lost_first_segment_cuts_the_later_ones_where_none_was_synced() {
    let (mut files, _) = two_segments(false);
    files.remove(FIRST);
    let world = World::with(&files);
    let mut up = world.open();
    assert_eq!(up.names(), "", "what follows it stands on nothing");
    assert!(up.cut.as_ref().is_some_and(|told| told.contains("missing")), "{:?}", up.cut);
    up.synced_turn(&[super::world::put("c", "1")]);
    up.turn(&[super::world::put("c", "2")]);
    up.kill();
    assert_eq!(world.open().names(), "c=2", "the journal has begun anew");
}

#[test]
fn files_that_only_look_like_segments_are_left_alone() {
    let (mut files, names) = two_segments(true);
    let strange = ["journal-+00003.jsonl", "journal-3.jsonl", "journal-18446744073709551615.jsonl", "journal-x.jsonl"];
    for name in strange {
        files.insert(name.to_owned(), b"not ours\n".to_vec());
    }
    let world = World::with(&files);
    let up = world.open();
    assert_eq!(up.names(), names);
    up.finish();
    for name in strange {
        assert_eq!(world.read(name), b"not ours\n", "{name}");
    }
}
