//! Who reads while others write and remove, in this process and beside it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::{env, process, thread};

use super::super::{Ledger, Query, Reader};
use super::world::{BOUNDS, all, at, large, position, record, seqs, with_status, write};
use crate::job::{RunRecord, Status};
use crate::store::Directory;

static NEXT: AtomicUsize = AtomicUsize::new(0);

/// A data folder on the machine's disk.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(env::temp_dir().join(format!("ksana-ledger-{}-{number}", process::id())))
    }

    fn open(&self) -> Ledger {
        let directory = Directory::hold(&self.0).expect("own folder").inside("runs");
        Ledger::open(Arc::new(directory), BOUNDS).expect("it can be read")
    }

    fn runs(&self) -> PathBuf {
        self.0.join("runs")
    }

    fn reader(&self) -> Reader {
        Reader::new(Arc::new(Directory::look(&self.runs())))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed lies in the temporary folder and harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

#[test]
fn the_folder_and_its_files_are_their_owners_alone() {
    let folder = Folder::new();
    write(&folder.open(), [record(1), with_status(2, Status::Failed)], at(0));
    assert_eq!(mode(&folder.runs()), 0o700);
    let files: Vec<_> =
        fs::read_dir(folder.runs()).expect("own folder").map(|file| file.expect("one").path()).collect();
    assert_eq!(files.len(), 2);
    assert!(files.iter().all(|file| mode(file) == 0o600), "{files:?}");
    assert_eq!(all(&folder.open(), 9), [2, 1]);
}

#[test]
fn a_folder_inside_holds_the_lock_of_the_one_around_it() {
    let folder = Folder::new();
    let inside = Directory::hold(&folder.0).expect("own folder").inside("runs");
    Directory::hold(&folder.0).expect_err("it is held");
    drop(inside);
    Directory::hold(&folder.0).expect("nobody holds it");
}

#[test]
fn a_reader_beside_the_service_sees_what_is_written() {
    let folder = Folder::new();
    let ledger = folder.open();
    let reader = folder.reader();
    let page = |limit| reader.page(&Query { limit, ..Query::default() }).expect("it can be read");
    assert!(seqs(&page(9)).is_empty());
    write(&ledger, (1..=9).map(|seq| large(seq, 20_000)), at(0));
    ledger.push([record(10).into()], position(2, 1));
    assert_eq!(seqs(&page(4)), [9, 8, 7, 6]);
    assert_eq!(page(4).next, Some(6));
    // A line of which half is written is none yet.
    let newest = folder.runs().join("runs-0000000000000007.jsonl");
    let mut text = fs::read(&newest).expect("it is there");
    text.truncate(text.len() - 10);
    fs::write(&newest, text).expect("own folder");
    assert_eq!(seqs(&page(2)), [8, 7]);
}

#[test]
fn files_that_somebody_removed_hold_nothing_up() {
    let folder = Folder::new();
    write(&folder.open(), (1..=9).map(|seq| large(seq, 20_000)), at(0));
    let ledger = folder.open();
    for file in fs::read_dir(folder.runs()).expect("own folder") {
        fs::remove_file(file.expect("one").path()).expect("it is there");
    }
    assert!(all(&ledger, 3).is_empty());
    ledger.settle(2, at(0)).expect("there is room");
    write(&ledger, [record(10)], at(10));
    assert_eq!(all(&ledger, 3), [10]);
    drop(ledger);
    assert_eq!(all(&folder.open(), 3), [10]);
}

#[test]
fn a_segment_that_somebody_removed_is_made_anew() {
    let folder = Folder::new();
    let ledger = folder.open();
    write(&ledger, [record(1)], at(0));
    fs::remove_dir_all(folder.runs()).expect("own folder");
    write(&ledger, [record(2)], at(0));
    ledger.settle(u64::MAX, at(0)).expect("there is room");
    drop(ledger);
    assert_eq!(all(&folder.open(), 3), [2], "what is written after that is not nowhere");
}

/// Asks for the newest again and again, and checks the answers, while turns are written.
fn ask_beside_turns(ledger: &Ledger, turns: u64, record: impl Fn(u64) -> RunRecord, also: impl Fn() + Sync) {
    let has_ended = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !has_ended.load(Ordering::Relaxed) {
                also();
            }
        });
        for _ in 0..2 {
            scope.spawn(|| {
                while !has_ended.load(Ordering::Relaxed) {
                    let shown = seqs(&ledger.page(&Query { limit: 60, ..Query::default() }).expect("it can be read"));
                    let newest = shown.first().copied().unwrap_or(0);
                    let expected: Vec<_> = (1..=newest).rev().take(shown.len()).collect();
                    assert_eq!(shown, expected);
                }
            });
        }
        for turn in 0..turns {
            ledger.push((1..=3).map(|offset| record(turn * 3 + offset).into()), position(1, turn));
            if turn % 2 == 0 {
                ledger.write(position(1, turn.saturating_sub(1)), at(0)).expect("there is room");
            }
        }
        has_ended.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_question_is_answered_as_of_one_moment() {
    let folder = Folder::new();
    let ledger = folder.open();
    let any = |seq| if seq % 5 == 0 { with_status(seq, Status::Failed) } else { large(seq, 5_000) };
    ask_beside_turns(&ledger, 250, any, || {
        let newest = ledger.since(0, 10).expect("it can be read");
        assert_eq!(seqs(&newest), (1..=newest.lines.len() as u64).collect::<Vec<_>>());
    });
    assert!(ledger.figures().bytes < BOUNDS.bytes, "nothing had to go");
}

#[test]
fn what_goes_while_somebody_reads_is_passed_over() {
    let folder = Folder::new();
    let ledger = folder.open();
    write(&ledger, [large(1, 20_000)], at(0));
    let reader = folder.reader();
    ask_beside_turns(
        &ledger,
        400,
        |seq| large(seq + 1, 20_000),
        || {
            reader.page(&Query { limit: 100, ..Query::default() }).expect("what has gone is passed over");
        },
    );
    assert!(ledger.figures().bytes <= BOUNDS.bytes);
}
