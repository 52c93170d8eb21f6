//! Which fsync stands for what, and what one that fails takes with it.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::super::{DiskEvent, Failure};
use super::world::{World, put};

#[test]
fn what_was_not_synced_is_not_taken_for_synced_because_another_segment_follows() {
    let world = World::new();
    let mut up = world.open();
    up.turn(&[put("a", "1")]);
    let position = up.store.position();
    up.begin_snapshot().expect("there is room");
    assert!(up.store.synced() < position, "nobody fsynced it yet");
    up.sync();
    assert!(up.store.synced() > position);
    up.await_snapshot().expect("there is room");
}

#[test]
fn the_first_fsync_of_a_segment_needs_no_path_to_its_folder() {
    let world = World::new();
    let mut up = world.open();
    let away = world.path().with_extension("away");
    fs::rename(world.path(), &away).expect("own folder");
    up.synced_turn(&[put("a", "1")]);
    fs::rename(&away, world.path()).expect("own folder");
    up.kill();
    assert_eq!(world.open().names(), "a=1");
}

#[test]
fn a_failed_fsync_of_the_folder_ends_the_service_in_whatever_a_snapshot_needed_it_for() {
    let world = World::new();
    for nth in 1..=4 {
        let notes = Arc::default();
        let mut up = world.open_odd(&notes);
        up.synced_turn(&[put("a", "1")]);
        up.begin_snapshot().expect("there is room");
        notes.folder_fails_in.store(nth, Ordering::Relaxed);
        // The name of the new segment needs it: this fsync of its own would be told that all is well.
        assert_eq!(up.await_failed_sync().to_string(), "EIO", "fsync {nth}");
    }
}

/// Seed 1795717418744982317, as the clients asked then. The machine tells a failed fsync to one that asks, here the
/// snapshot's; the journal's own fsync came next, was told that all is well, and changes were answered on it.
#[test]
fn no_fsync_counts_after_one_that_failed_for_somebody_else() {
    let world = World::new();
    let notes = Arc::default();
    let mut up = world.open_odd(&notes);
    up.synced_turn(&[put("a", "1")]);
    up.begin_snapshot().expect("there is room");
    up.turn(&[put("b", "1")]);
    notes.segment_fails_in.store(1, Ordering::Relaxed);
    let failed = up.await_event(|event| matches!(event, DiskEvent::Snapshot(_)));
    assert!(matches!(failed, DiskEvent::Snapshot(Err(Failure::Sync(_)))), "{failed:?}");
    up.store.sync(true, Instant::now());
    let next = up.await_event(|_| true);
    assert!(matches!(next, DiskEvent::SyncFailed(_)), "{next:?}");
}
