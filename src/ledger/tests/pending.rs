//! What waits in memory: for its place in the journal, for room, and not without end.

use super::super::pending::Pending;
use super::super::{Query, Reader};
use super::device::Device;
use super::world::{all, at, large, open, position, record, seqs, with_status};
use crate::disk::Failure;
use crate::job::Status;
use crate::limits::LEDGER_PENDING_BYTES_MAX;

#[test]
fn what_was_lost_before_it_came_here_is_counted_too() {
    let ledger = open(&Device::new(1));
    ledger.count_lost(2);
    ledger.count_lost(1);
    assert_eq!(ledger.figures().lost, 3);
}

#[test]
fn what_the_journal_may_lose_is_not_written() {
    let device = Device::new(1);
    let ledger = open(&device);
    ledger.push([record(1).into()], position(1, 10));
    ledger.push([record(2).into(), with_status(3, Status::Failed).into()], position(1, 20));
    ledger.push([record(4).into()], position(2, 5));
    let reader = Reader::new(device.look());
    let written = || seqs(&reader.page(&Query { limit: 9, ..Query::default() }).expect("it can be read"));
    ledger.write(position(1, 9), at(0)).expect("there is room");
    assert!(written().is_empty());
    ledger.write(position(1, 19), at(0)).expect("there is room");
    assert_eq!(written(), [1]);
    ledger.settle(2, at(0)).expect("there is room");
    assert_eq!(written(), [3, 2, 1]);
    assert_eq!(all(&ledger, 9), [4, 3, 2, 1]);
}

#[test]
fn one_write_a_stream_takes_all_that_is_due() {
    let device = Device::new(1);
    let ledger = open(&device);
    ledger.push([record(1).into(), with_status(2, Status::Failed).into()], position(1, 1));
    ledger.write(position(1, 1), at(0)).expect("there is room");
    let before = device.changes();
    let turns = (3..=50).map(|seq| if seq % 2 == 0 { with_status(seq, Status::Failed) } else { record(seq) });
    ledger.push(turns.map(Into::into), position(1, 2));
    ledger.write(position(1, 2), at(0)).expect("there is room");
    assert_eq!(device.changes() - before, 2);
    ledger.write(position(1, 2), at(0)).expect("there is room");
    assert_eq!(device.changes() - before, 2, "nothing is due");
}

#[test]
fn a_full_disk_costs_nothing_until_too_much_waits() {
    let device = Device::new(1);
    let ledger = open(&device);
    ledger.push((1..=9).map(|seq| record(seq).into()), position(1, 1));
    ledger.write(position(1, 1), at(0)).expect("there is room");
    device.set_full(true);
    ledger.push((10..=20).map(|seq| record(seq).into()), position(1, 2));
    for _ in 0..3 {
        assert!(matches!(ledger.write(position(1, 2), at(0)), Err(Failure::Other(_))));
        assert!(matches!(ledger.settle(2, at(0)), Err(Failure::Other(_))));
        assert_eq!(all(&ledger, 4), (1..=20).rev().collect::<Vec<_>>());
        let lens: u64 = device.files().values().map(|content| content.len() as u64).sum();
        assert_eq!(lens, ledger.figures().bytes, "what was written in part is cut");
    }
    device.set_full(false);
    ledger.write(position(1, 2), at(0)).expect("there is room");
    assert_eq!(all(&ledger, 4), (1..=20).rev().collect::<Vec<_>>());
    assert_eq!(all(&open(&device), 4), (1..=20).rev().collect::<Vec<_>>());
    assert_eq!(ledger.figures().lost, 0);
}

#[test]
fn the_oldest_go_when_too_much_waits_and_are_counted() {
    let device = Device::new(1);
    let ledger = open(&device);
    let mib = 1024 * 1024;
    let fitting = u64::try_from(LEDGER_PENDING_BYTES_MAX / mib).expect("it is small") - 1;
    for seq in 1..=fitting + 5 {
        ledger.push([large(seq, mib).into()], position(1, seq));
        assert_eq!(ledger.figures().lost, seq.saturating_sub(fitting));
    }
    assert_eq!(seqs(&ledger.since(0, 1).expect("it can be read")), [6]);
    assert_eq!(ledger.figures().pending as u64, fitting);
    assert_eq!(ledger.next_seq(), fitting + 6);
    ledger.write(position(1, u64::MAX), at(0)).expect("there is room");
    assert_eq!(ledger.figures().pending, 0);
    // The memory is there again.
    ledger.push([large(fitting + 6, mib).into()], position(2, 1));
    assert_eq!(ledger.figures().lost, 5);
}

#[test]
fn what_is_being_written_is_not_given_up() {
    let mut pending = Pending::default();
    let half = LEDGER_PENDING_BYTES_MAX / 2;
    pending.add(large(1, half).into(), position(1, 1));
    assert_eq!(pending.begin(|_| true, half).len(), 1);
    assert_eq!(pending.add(large(2, half).into(), position(1, 2)), 1);
    assert_eq!(pending.records().map(|record| record.seq).collect::<Vec<_>>(), [1]);
    pending.end();
    assert_eq!(pending.add(large(3, half).into(), position(1, 3)), 1);
    assert_eq!(pending.records().map(|record| record.seq).collect::<Vec<_>>(), [3]);
}

#[test]
fn after_a_failed_fsync_nothing_counts() {
    let device = Device::new(1);
    let ledger = open(&device);
    ledger.push([record(1).into()], position(1, 1));
    device.set_syncs_fail(true);
    assert!(matches!(ledger.settle(2, at(0)), Err(Failure::Sync(_))));
    device.set_syncs_fail(false);
    assert!(matches!(ledger.settle(2, at(0)), Err(Failure::Sync(_))));
    assert!(matches!(ledger.write(position(9, 9), at(0)), Err(Failure::Sync(_))));
}
