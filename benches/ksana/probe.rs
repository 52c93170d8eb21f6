//! How late calls come: jobs at random instants, and beside them a thread that only sleeps and posts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use jiff::Timestamp;
use ksana::clock;

use crate::bare::post_at;
use crate::daemon::Daemon;
use crate::jobs::{Random, once, post};
use crate::load::Load;
use crate::receiver::{Arrival, Caller, Receiver};
use crate::statistics::Sample;

/// How long the last call may take to come.
const PATIENCE: Duration = Duration::from_mins(1);
/// Between two looks at the data folder.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Calls that are planned.
#[derive(Debug)]
pub(crate) struct Probes<'a> {
    receiver: &'a Receiver,
    sleeper: JoinHandle<()>,
    count: usize,
    until: Timestamp,
}

impl<'a> Probes<'a> {
    /// Plans so many calls within a span that begins `ahead` from now, by the service and by the
    /// bare thread, each at instants of its own.
    pub(crate) fn plan(daemon: &Daemon, receiver: &'a Receiver, count: usize, ahead: Duration, span: Duration) -> Self {
        receiver.clear();
        let from = clock::now() + ahead;
        let instants = |seed| {
            let mut random = Random::new(seed);
            let nanos = u64::try_from(span.as_nanos()).expect("a run is shorter than centuries");
            let mut instants: Vec<_> = (0..count).map(|_| from + Duration::from_nanos(random.below(nanos))).collect();
            instants.sort_unstable();
            instants
        };
        let target = receiver.url(Caller::Service);
        // The first are due first: one whose instant has passed would be refused.
        let requests: Vec<_> = instants(1).into_iter().map(|due| post(&once(&target, due))).collect();
        Load::new(daemon.port, 16).send_all(201, &requests);
        Self { receiver, sleeper: post_at(receiver, instants(2)), count, until: from + span }
    }

    /// Waits for all of them.
    pub(crate) fn await_all(self) -> Vec<Arrival> {
        if let Ok(wait) = self.until.duration_since(clock::now()).try_into() {
            thread::sleep(wait);
        }
        self.receiver.await_calls(Caller::Service, self.count, PATIENCE);
        self.sleeper.join().expect("the receiver answers all");
        self.receiver.await_calls(Caller::Bare, self.count, PATIENCE);
        self.receiver.take()
    }

    /// Waits for all of them, and says when meanwhile snapshots were being written.
    pub(crate) fn await_all_and_snapshots(self, daemon: &Daemon) -> (Vec<Arrival>, Vec<(Timestamp, Timestamp)>) {
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let watch = scope.spawn(|| snapshots(daemon, &is_over));
            let arrivals = self.await_all();
            is_over.store(true, Ordering::Relaxed);
            (arrivals, watch.join().expect("looking does not panic"))
        })
    }
}

/// How late the calls of one caller were.
pub(crate) fn lateness<'a>(arrivals: impl IntoIterator<Item = &'a Arrival>, caller: Caller) -> Sample {
    let of_caller = arrivals.into_iter().filter(|arrival| arrival.caller == caller);
    Sample::new(of_caller.map(Arrival::lateness).collect())
}

/// Looks until it is over; a snapshot that has begun is seen to its end.
fn snapshots(daemon: &Daemon, is_over: &AtomicBool) -> Vec<(Timestamp, Timestamp)> {
    let mut seen = Vec::new();
    let mut began = None;
    loop {
        match (daemon.is_snapshotting(), began) {
            (true, None) => began = Some(clock::now()),
            (false, Some(at)) => {
                seen.push((at, clock::now()));
                began = None;
            }
            (false, None) if is_over.load(Ordering::Relaxed) => return seen,
            _ => {}
        }
        thread::sleep(LOOK_EVERY);
    }
}
