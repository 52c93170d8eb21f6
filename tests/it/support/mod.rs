//! What the tests stand on: the real daemon, a client that speaks raw HTTP, and real callback targets.

mod answer;
mod calls;
mod client;
mod crowd;
mod dice;
mod drive;
mod fault;
mod folder;
mod http;
mod jobs;
mod ksana;
mod log;
mod manager;
mod namespace;
mod page;
mod receiver;
mod secret_volume;
mod selftest;
mod sse;
mod wall_clock;

use std::thread;
use std::time::{Duration, Instant};

pub(crate) use answer::Answer;
pub(crate) use client::{Call, Connection, Response};
pub(crate) use crowd::Crowd;
pub(crate) use dice::Dice;
pub(crate) use drive::Drive;
pub(crate) use fault::Fault;
pub(crate) use folder::Folder;
pub(crate) use jobs::{every, hourly, once, time, with};
pub(crate) use ksana::{Builder, KEY, Ksana, free_port};
pub(crate) use log::Line;
pub(crate) use manager::Manager;
pub(crate) use namespace::{Disk, not_tried};
pub(crate) use page::Page;
pub(crate) use receiver::{Receiver, Request};
pub(crate) use secret_volume::SecretVolume;
pub(crate) use sse::Stream;
pub(crate) use wall_clock::WallClock;

use jiff::Timestamp;

/// How long anything that must come may take; far beyond what a loaded machine needs.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Waits until `probe` gives something, and names `what` when it never does.
pub(crate) fn eventually<T>(what: &str, probe: impl FnMut() -> Option<T>) -> T {
    eventually_within(PATIENCE, what, probe)
}

/// As [`eventually`], for the few things that take longer by contract.
pub(crate) fn eventually_within<T>(patience: Duration, what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(begun.elapsed() < patience, "waited {patience:?} in vain for: {what}");
        thread::sleep(LOOK_EVERY);
    }
}

/// Whether this machine has IPv6; where it has none, a word about it.
pub(crate) fn has_ipv6() -> bool {
    let has = std::net::TcpListener::bind("[::1]:0").is_ok();
    if !has {
        not_tried("this machine has no IPv6");
    }
    has
}

/// The wall clock, which is also what the daemon plans by.
#[expect(clippy::disallowed_methods, reason = "the one place where the tests ask the machine for the time")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// The wall clock `millis` from now.
pub(crate) fn ahead(millis: u64) -> Timestamp {
    now() + Duration::from_millis(millis)
}

/// The wall clock `millis` ago.
pub(crate) fn ago(millis: u64) -> Timestamp {
    now() - Duration::from_millis(millis)
}

/// Waits until the wall clock has passed `instant`.
pub(crate) fn await_clock(instant: Timestamp) {
    eventually(&format!("the clock to pass {instant}"), || (now() > instant).then_some(()));
}

/// A thread that has a name and whose end nobody awaits: it ends when its socket or pipe does.
pub(crate) fn in_background(name: &str, work: impl FnOnce() + Send + 'static) -> thread::JoinHandle<()> {
    thread::Builder::new().name(name.to_owned()).spawn(work).expect("the machine has room for a thread")
}
