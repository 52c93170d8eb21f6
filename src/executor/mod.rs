//! HTTP out: makes attempts, and reports what came of each.
//!
//! It knows no jobs and no plans. An attempt comes in by one channel, its report goes out by
//! another, and no attempt is ever without a report. A third one tells of attempts that nobody waits
//! for any more.

mod address;
mod answer;
mod attempt;
mod cancel;
mod client;
mod failure;
mod request;
mod resolve;
mod sight;
#[cfg(test)]
mod tests;
mod workers;

use crate::engine::{Outcome, Start, Token};
use crate::job::Seen;
use async_channel::{Receiver, Sender};
use attempt::Caller;
use jiff::Timestamp;
use resolve::Resolver;
use std::io;
use std::thread::JoinHandle;
use std::time::Duration;

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The attempt's.
    pub token: Token,
    /// How it ended.
    pub outcome: Outcome,
    /// What it saw of its target; of one that nobody waits for any more only how long it took.
    pub seen: Seen,
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
    /// A token on `cancels` names an attempt that nobody waits for any more; attempts must come in
    /// growing order of theirs. One that waits is not made, and one under way is let go of: both are
    /// reported at once. The transfer of the latter lingers until it ends by itself or the workers
    /// end, and where as many linger as there are workers, its worker waits for it. A token of an
    /// attempt that is over is passed over.
    ///
    /// # Errors
    ///
    /// If the HTTP client or the thread cannot be started.
    pub fn start(
        config: &Config,
        attempts: Receiver<Start>,
        cancels: Receiver<Token>,
        reports: Sender<Report>,
    ) -> io::Result<Self> {
        Self::start_with(config, Resolver::of_system(), attempts, cancels, reports)
    }

    fn start_with(
        config: &Config,
        resolver: Resolver,
        attempts: Receiver<Start>,
        cancels: Receiver<Token>,
        reports: Sender<Report>,
    ) -> io::Result<Self> {
        let caller = Caller::new(config, resolver).map_err(io::Error::other)?;
        let workers = config.workers;
        let thread = std::thread::Builder::new()
            .name("ksana-executor".to_owned())
            .spawn(move || workers::work(workers, &caller, &attempts, cancels, &reports))?;
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
