//! The workers, and the transfers that outlive their attempts.

use super::Report;
use super::attempt::Caller;
use super::cancel::{Cancels, Slot};
use super::sight::{Ended, Sight, whole_micros};
use crate::alarm::Alarm;
use crate::engine::{Outcome, Start, Token, Verdict};
use crate::job::{ErrorClass, Seen};
use async_channel::{Receiver, Sender};
use futures_lite::{FutureExt, future};
use smol::LocalExecutor;
use std::cell::Cell;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::time::Instant;

/// An attempt while it is made. It gives back its worker's alarm.
type Transfer<'a> = Pin<Box<dyn Future<Output = (Outcome, Seen, Alarm)> + 'a>>;

/// Lets so many workers work until `attempts` is closed and what is under way has ended. That does
/// not wait for transfers of cancelled attempts: they are dropped, and the client after them, which
/// closes their sockets.
pub(super) fn work(
    workers: usize,
    caller: &Caller,
    attempts: &Receiver<Start>,
    cancels: Receiver<Token>,
    reports: &Sender<Report>,
) {
    let (cancels, lingering) = (Cancels::new(workers, cancels), Lingering::new(workers));
    let shared = Shared { caller, attempts, reports, cancels: &cancels, lingering: &lingering };
    let executor = LocalExecutor::new();
    let tasks: Vec<_> = cancels.slots().iter().map(|slot| executor.spawn(worker(shared, slot))).collect();
    executor.spawn(cancels.listen()).detach();
    let ended = async {
        for task in tasks {
            task.await;
        }
    };
    // Not the one that looks after the reactor: then the scheduler does that where it waits for its timer, which
    // wakes it without a detour.
    smol::future::block_on(executor.run(future::or(ended, lingering.run(&executor))));
}

/// What all workers use.
#[derive(Clone, Copy)]
struct Shared<'a, 'w> {
    caller: &'a Caller,
    attempts: &'a Receiver<Start>,
    reports: &'a Sender<Report>,
    cancels: &'w Cancels,
    lingering: &'w Lingering<'a>,
}

/// An idle worker is small: an attempt's state is on the heap while there is one.
async fn worker(shared: Shared<'_, '_>, slot: &Slot) {
    let Shared { caller, attempts, reports, cancels, lingering } = shared;
    let mut alarm = Alarm::default();
    while let Ok(attempt) = attempts.recv().await {
        let (token, began) = (attempt.token, Instant::now());
        let transfer = cancels
            .begin(slot, token)
            .then(|| -> Transfer<'_> { Box::pin(make(caller, attempt, began, std::mem::take(&mut alarm))) });
        let ended = match transfer {
            Some(transfer) => until_let_go(transfer, slot, lingering).await,
            None => None,
        };
        let (outcome, mut seen) = if let Some((outcome, seen, returned)) = ended {
            alarm = returned;
            (outcome, seen)
        } else {
            let seen = Seen { error: Some(ErrorClass::Cancelled), ..Seen::default() };
            (Outcome::new(Verdict::Final, "cancelled"), seen)
        };
        let took = began.elapsed();
        seen.times.total = Some(whole_micros(took));
        let report = Report { token, outcome, seen, took };
        // Nobody listens any more: there is nothing left to work for.
        if reports.send(report).await.is_err() {
            return;
        }
    }
}

/// What a transfer comes to. `None` as soon as it is cancelled and lingers.
async fn until_let_go<'a>(
    mut transfer: Transfer<'a>,
    slot: &Slot,
    lingering: &Lingering<'a>,
) -> Option<(Outcome, Seen, Alarm)> {
    if let Some(ended) = slot.unless_cancelled(&mut transfer).await {
        return Some(ended);
    }
    match lingering.take(transfer) {
        Ok(()) => None,
        Err(transfer) => Some(transfer.await),
    }
}

async fn make(caller: &Caller, attempt: Start, began: Instant, mut alarm: Alarm) -> (Outcome, Seen, Alarm) {
    let mut sight = Sight::since(began);
    let made = AssertUnwindSafe(caller.make(&attempt, &mut alarm, &mut sight)).catch_unwind().await;
    let Ended { outcome, error } = made.unwrap_or_else(|_| {
        tracing::error!(job_id = %attempt.spec.id, run_id = %attempt.run_id, "an attempt panicked");
        Ended::failure(Verdict::Final, ErrorClass::Protocol, "internal error")
    });
    (outcome, sight.seen(error), alarm)
}

/// The transfers of cancelled attempts, each run to its end for nobody.
///
/// The HTTP client keeps the socket of a transfer that is dropped until its timeout, and does not
/// say when it is gone. So they are counted: there are no more of them than there are workers.
struct Lingering<'a> {
    free: Cell<usize>,
    sender: Sender<Transfer<'a>>,
    receiver: Receiver<Transfer<'a>>,
}

impl<'a> Lingering<'a> {
    fn new(most: usize) -> Self {
        let (sender, receiver) = async_channel::bounded(most);
        Self { free: Cell::new(most), sender, receiver }
    }

    /// Takes a transfer over, unless there are too many.
    fn take(&self, transfer: Transfer<'a>) -> Result<(), Transfer<'a>> {
        let Some(free) = self.free.get().checked_sub(1) else { return Err(transfer) };
        self.free.set(free);
        self.sender.try_send(transfer).expect("there is room for as many as may linger");
        Ok(())
    }

    /// Runs what is taken over, for ever.
    async fn run<'e>(&'e self, executor: &LocalExecutor<'e>) {
        while let Ok(transfer) = self.receiver.recv().await {
            let lingers = async {
                transfer.await;
                self.free.set(self.free.get() + 1);
            };
            executor.spawn(lingers).detach();
        }
    }
}
