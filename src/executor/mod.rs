//! HTTP out: makes attempts, and reports what came of each.
//!
//! It knows no jobs and no plans. An attempt comes in by one channel, its report goes out by the
//! other, and no attempt is ever without a report.

mod address;
mod answer;
mod attempt;
mod client;
mod failure;
mod request;
mod resolve;
#[cfg(test)]
mod tests;

use crate::alarm::Alarm;
use crate::engine::{Outcome, Start, Token, Verdict};
use async_channel::{Receiver, Sender};
use attempt::Caller;
use futures_lite::FutureExt;
use jiff::Timestamp;
use resolve::Resolver;
use std::io;
use std::panic::AssertUnwindSafe;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The attempt's.
    pub token: Token,
    /// How it ended.
    pub outcome: Outcome,
    /// From its start to its end, without the wait for a worker.
    pub took: Duration,
}

/// What the executor has to be told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Most attempts under way at once.
    pub workers: usize,
    /// Whether `http_proxy` and its like are obeyed. With a proxy, only addresses that stand in
    /// the URL are checked: names are the proxy's to look up.
    pub proxy_from_env: bool,
    /// Tells what time it is, for a `Retry-After` that is a date.
    pub clock: fn() -> Timestamp,
}

/// The running workers. They live on a thread of their own, so that a busy API delays no callback.
#[derive(Debug)]
pub struct Executor {
    thread: JoinHandle<()>,
}

impl Executor {
    /// Starts the workers. They end when `attempts` is closed, after the attempts that are under
    /// way and those that still wait in the channel.
    ///
    /// # Errors
    ///
    /// If the HTTP client or the thread cannot be started.
    pub fn start(config: &Config, attempts: Receiver<Start>, reports: Sender<Report>) -> io::Result<Self> {
        Self::start_with(config, Resolver::of_system(), attempts, reports)
    }

    fn start_with(
        config: &Config,
        resolver: Resolver,
        attempts: Receiver<Start>,
        reports: Sender<Report>,
    ) -> io::Result<Self> {
        let caller = Caller::new(config, resolver).map_err(io::Error::other)?;
        let workers = config.workers;
        let thread = std::thread::Builder::new()
            .name("ksana-executor".to_owned())
            .spawn(move || work(workers, &caller, &attempts, &reports))?;
        Ok(Self { thread })
    }

    /// Waits for the workers to end.
    ///
    /// # Errors
    ///
    /// What the thread panicked with, which is a bug: a panic of an attempt does not come this far.
    pub fn join(self) -> std::thread::Result<()> {
        self.thread.join()
    }

    /// Whether the thread has ended, which it must not while attempts may still come.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }
}

fn work(workers: usize, caller: &Caller, attempts: &Receiver<Start>, reports: &Sender<Report>) {
    let executor = smol::LocalExecutor::new();
    let tasks: Vec<_> = (0..workers).map(|_| executor.spawn(worker(caller, attempts, reports))).collect();
    // Not the one that looks after the reactor: then the scheduler does that where it waits for its timer, which
    // wakes it without a detour.
    smol::future::block_on(executor.run(async {
        for task in tasks {
            task.await;
        }
    }));
}

/// An idle worker is small: an attempt's state is on the heap while there is one.
async fn worker(caller: &Caller, attempts: &Receiver<Start>, reports: &Sender<Report>) {
    let mut alarm = Alarm::default();
    while let Ok(attempt) = attempts.recv().await {
        let began = Instant::now();
        let made = Box::pin(AssertUnwindSafe(caller.make(&attempt, &mut alarm)).catch_unwind()).await;
        let outcome = made.unwrap_or_else(|_| {
            tracing::error!(job_id = %attempt.spec.id, run_id = %attempt.run_id, "an attempt panicked");
            Outcome::new(Verdict::Final, "internal error")
        });
        let report = Report { token: attempt.token, outcome, took: began.elapsed() };
        // Nobody listens any more: there is nothing left to work for.
        if reports.send(report).await.is_err() {
            return;
        }
    }
}
