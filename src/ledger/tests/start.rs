//! What a start makes of the files that it finds and of the journal beside them.

use super::super::Ledger;
use super::device::Device;
use super::world::{BOUNDS, all, at, large, open, position, record, with_status, write};
use crate::job::Status;

#[test]
fn what_a_power_cut_took_out_of_the_middle_is_written_again() {
    let device = Device::new(1);
    write(&open(&device), (1..=9).map(record), at(0));
    device.edit("runs-0000000000000001.jsonl", |text| {
        let line = text.len() / 9;
        text[3 * line..5 * line].fill(0);
    });
    let ledger = open(&device);
    assert_eq!(all(&ledger, 100), [9, 8, 7, 3, 2, 1], "the line behind a hole has lost its begin");
    (1..=10).for_each(|seq| ledger.found(record(seq)));
    assert_eq!(ledger.figures().pending, 4);
    for is_written in [false, true] {
        if is_written {
            ledger.write(position(0, 0), at(0)).expect("there is room");
        }
        assert_eq!(all(&ledger, 3), (1..=10).rev().collect::<Vec<_>>());
    }
    assert_eq!(ledger.next_seq(), 11);
    let ledger = open(&device);
    (1..=10).for_each(|seq| ledger.found(record(seq)));
    assert_eq!(ledger.figures().pending, 0);
    assert_eq!(all(&ledger, 3), (1..=10).rev().collect::<Vec<_>>());
}

#[test]
fn one_that_begins_anew_has_numbers_above_all_and_the_next_start_finds_both() {
    let device = Device::new(1);
    write(&open(&device), (1..=3).map(record), at(0));
    let ledger = Ledger::anew(device.mount(None), BOUNDS, at(1_000));
    assert_eq!((all(&ledger, 9), ledger.next_seq()), (vec![], 1_000_000_000));
    ledger.found(record(4));
    write(&ledger, [record(1_000_000_000)], at(0));
    assert_eq!(all(&ledger, 9), [1_000_000_000, 4]);
    let ledger = open(&device);
    assert_eq!((all(&ledger, 9), ledger.next_seq()), (vec![1_000_000_000, 4, 3, 2, 1], 1_000_000_001));
}

#[test]
fn a_segment_that_others_follow_has_all_its_records() {
    let device = Device::new(1);
    write(&open(&device), (1..=10).map(|seq| large(seq, 20_000)), at(0));
    let names: Vec<_> = device.files().into_keys().collect();
    assert_eq!(names.len(), 4, "{names:?}");
    let ledger = open(&device);
    (1..=10).for_each(|seq| ledger.found(large(seq, 20_000)));
    ledger.found(with_status(11, Status::Failed));
    assert_eq!(ledger.figures().pending, 1, "of the other stream nothing is there");
}

#[test]
fn half_a_line_at_the_end_is_cut_before_the_next_one() {
    let device = Device::new(1);
    write(&open(&device), [record(1), record(2)], at(0));
    let name = "runs-0000000000000001.jsonl";
    let whole = device.files()[name].clone();
    let line = whole.len() / 2;
    for left in line..2 * line {
        device.edit(name, |text| *text = whole[..left].to_vec());
        let ledger = open(&device);
        assert_eq!(all(&ledger, 9), [1], "{left}");
        assert_eq!(device.files()[name].len(), left, "a start changes nothing");
        ledger.found(record(1));
        ledger.found(record(2));
        ledger.write(position(0, 0), at(0)).expect("there is room");
        assert_eq!(device.files()[name], whole, "{left}");
    }
}

#[test]
fn numbers_go_on_from_the_journal_and_from_the_files_and_their_names() {
    let device = Device::new(1);
    let ledger = open(&device);
    assert_eq!(ledger.next_seq(), 1);
    write(&ledger, [record(1), with_status(2, Status::Failed), record(3)], at(0));
    assert_eq!(open(&device).next_seq(), 4);
    let ledger = open(&device);
    ledger.found(record(3));
    assert_eq!(ledger.next_seq(), 4);
    ledger.found(record(8));
    assert_eq!(ledger.next_seq(), 9);
}

/// The machine forgets what a failed fsync could not write, and shows it until the power is gone.
#[test]
fn what_a_failed_fsync_left_in_memory_only_is_written_again_by_the_next_process() {
    let device = Device::new(1);
    let ledger = open(&device);
    ledger.settle(1, at(0)).expect("there is room");
    write(&ledger, [record(1), record(2)], at(0));
    device.set_syncs_fail(true);
    ledger.settle(2, at(0)).expect_err("the fsync fails");
    device.set_syncs_fail(false);
    let ledger = open(&device);
    [1, 2].map(record).into_iter().for_each(|record| ledger.found(record));
    ledger.settle(2, at(0)).expect("there is room");
    device.cut_power();
    assert_eq!(all(&open(&device), 9), [2, 1]);
}

#[test]
fn what_was_found_is_on_the_disk_before_the_journal_lets_go_of_it() {
    for seed in 0..20 {
        let device = Device::new(seed);
        write(&open(&device), (1..=9).map(record), at(0));
        let ledger = open(&device);
        (1..=9).for_each(|seq| ledger.found(record(seq)));
        ledger.settle(2, at(0)).expect("there is room");
        device.cut_power();
        assert_eq!(all(&open(&device), 9), (1..=9).rev().collect::<Vec<_>>());
    }
}

#[test]
fn a_file_of_somebody_else_is_left_alone() {
    let device = Device::new(1);
    let foreign = ["runs-1.jsonl", "runs-0000000000000001.jsonl.bak", "notes", "other-0000000000000001.jsonl"];
    for name in foreign {
        device.mount(None).create(name).expect("there is room");
    }
    let ledger = open(&device);
    write(&ledger, [record(1)], at(0));
    assert_eq!(all(&open(&device), 9), [1]);
    assert!(foreign.iter().all(|name| device.files()[*name].is_empty()));
}
