//! The history is bounded in size and in age, and failures outlive what went its way.

use std::collections::BTreeSet;

use super::super::{Ledger, Query};
use super::device::Device;
use super::world::{BOUNDS, all, at, large, open, position, record, seqs, with_status, write};
use crate::job::{RunRecord, Status};

fn bytes(device: &Device) -> u64 {
    device.files().values().map(|content| content.len() as u64).sum()
}

fn count(ledger: &Ledger, status: Status) -> usize {
    let query = Query { status: Some(status), limit: 10_000, ..Query::default() };
    ledger.page(&query).expect("it can be read").lines.len()
}

#[test]
fn the_files_never_take_more_than_their_bound() {
    let device = Device::new(1);
    let ledger = open(&device);
    for seq in 1..=300 {
        write(&ledger, [large(seq, 40_000)], at(0));
        assert!(bytes(&device) <= BOUNDS.bytes, "{}", bytes(&device));
        assert_eq!(ledger.figures().bytes, bytes(&device));
    }
    let shown = all(&ledger, 20);
    let oldest = *shown.last().expect("there are some");
    assert_eq!(shown, (oldest..=300).rev().collect::<Vec<_>>(), "the newest stay");
    assert!(bytes(&device) > BOUNDS.bytes * 9 / 10, "no more goes than must");
}

#[test]
fn rare_failures_stay_when_many_successes_go() {
    let device = Device::new(1);
    let ledger = open(&device);
    write(&ledger, (1..=20).map(|seq| RunRecord { status: Status::Failed, ..large(seq, 20_000) }), at(0));
    for seq in 21..=300 {
        write(&ledger, [large(seq, 40_000)], at(0));
    }
    assert_eq!(count(&ledger, Status::Failed), 20);
    // Many failures go themselves, and leave their half to the rest.
    for seq in 301..=600 {
        write(&ledger, [RunRecord { status: Status::Failed, ..large(seq, 40_000) }], at(0));
    }
    let runs = ledger.page(&Query { status: Some(Status::Success), limit: 10_000, ..Query::default() });
    assert!(!runs.expect("it can be read").lines.is_empty());
    assert!(bytes(&device) <= BOUNDS.bytes);
}

#[test]
fn failures_are_kept_three_times_as_long() {
    let device = Device::new(1);
    let ledger = open(&device);
    let hour = 3_600;
    write(&ledger, [record(1), with_status(2, Status::Skipped), with_status(3, Status::Failed)], at(3));
    let after = |second| {
        ledger.write(position(1, 1), at(second)).expect("there is room");
        all(&ledger, 9)
    };
    assert_eq!(after(hour + 2), [3, 2, 1]);
    assert_eq!(after(hour + 3), [3]);
    assert_eq!(after(3 * hour + 3), [3]);
    assert!(after(3 * hour + 4).is_empty());
    assert_eq!(bytes(&device), 0);
    assert_eq!(device.files().len(), 2, "their names keep the numbers");
    assert_eq!(open(&device).next_seq(), 5);
    assert!(all(&open(&device), 9).is_empty());
}

#[test]
fn what_went_for_its_age_does_not_come_back_from_the_journal() {
    let device = Device::new(1);
    let ledger = open(&device);
    write(&ledger, [record(1), record(2)], at(2));
    ledger.write(position(1, 1), at(5_000)).expect("there is room");
    let ledger = open(&device);
    [1, 2].map(record).into_iter().for_each(|record| ledger.found(record));
    assert_eq!(ledger.figures().pending, 0);
    ledger.found(record(3));
    assert_eq!(all(&ledger, 9), [3]);
}

#[test]
fn a_power_cut_after_all_went_for_its_age_leaves_the_numbers() {
    for seed in 0..20 {
        let device = Device::new(seed);
        let ledger = open(&device);
        write(&ledger, [record(1), record(2)], at(2));
        ledger.settle(2, at(2)).expect("there is room");
        ledger.write(position(1, 1), at(5_000)).expect("there is room");
        device.cut_power();
        assert!(open(&device).next_seq() >= 3);
    }
}

#[test]
fn a_slow_service_does_not_keep_records_for_ever() {
    let device = Device::new(1);
    let ledger = open(&device);
    // A run each minute fits into one segment for days.
    for minute in 1..=600 {
        write(&ledger, [record(minute * 60)], at(i64::try_from(minute * 60).expect("it is small")));
        let shown = all(&ledger, 1_000);
        assert!(shown.len() <= 68, "{shown:?}");
        assert!(shown.len() as u64 >= minute.min(60));
        assert!(device.files().len() <= 12);
    }
}

/// A month of a job each second, at a hundredth of the bounds.
#[test]
fn a_long_history_keeps_the_disk_flat() {
    let device = Device::new(1);
    let ledger = open(&device);
    let (mut most_files, mut most_bytes) = (0, 0);
    for minute in 0..300 {
        let turn = (1..=100).map(|offset| {
            let seq = minute * 100 + offset;
            if seq % 97 == 0 { with_status(seq, Status::Failed) } else { record(seq) }
        });
        write(&ledger, turn, at(i64::try_from(minute * 100).expect("it is small") + 100));
        most_files = most_files.max(device.files().len());
        most_bytes = most_bytes.max(bytes(&device));
    }
    assert!(most_files < 40, "{most_files}");
    assert!(most_bytes < 2 * 1024 * 1024, "{most_bytes}");
}

#[test]
fn segments_of_an_earlier_process_go_as_well() {
    let device = Device::new(1);
    write(&open(&device), (1..=10).map(|seq| large(seq, 20_000)), at(10));
    let ledger = open(&device);
    ledger.write(position(1, 1), at(5_000)).expect("there is room");
    assert_eq!(device.files().len(), 1);
    assert_eq!(bytes(&device), 0);
    assert!(all(&ledger, 9).is_empty());
}

#[test]
fn numbers_of_a_page_go_on_where_its_records_have_gone() {
    let ledger = open(&Device::new(1));
    write(&ledger, (1..=10).map(|seq| large(seq, 20_000)), at(10));
    let page = |after| ledger.page(&Query { after, limit: 4, ..Query::default() }).expect("it can be read");
    let first = page(None);
    assert_eq!(seqs(&first), [10, 9, 8, 7]);
    ledger.write(position(1, 1), at(3_606)).expect("there is room");
    let left: BTreeSet<_> = seqs(&page(first.next)).into_iter().collect();
    assert!(left.iter().all(|seq| *seq < 7), "{left:?}");
}

/// Nothing of it is lost: what found no room waits.
#[test]
fn on_a_full_disk_the_oldest_segment_makes_room_one_at_a_time() {
    let device = Device::new(1);
    let ledger = open(&device);
    for seq in 1..=20 {
        write(&ledger, [large(seq, 40_000)], at(0));
    }
    let before = device.files().len();
    device.set_full(true);
    for round in 1..=3 {
        ledger.push([record(20 + round).into()], position(20 + round, 1));
        ledger.write(position(20 + round, 1), at(0)).expect_err("others have taken the room");
        assert_eq!(device.files().len(), before - usize::try_from(round).expect("a few"));
    }
    device.set_full(false);
    ledger.write(position(30, 1), at(0)).expect("there is room");
    assert_eq!(all(&ledger, 9)[..4], [23, 22, 21, 20]);
}
