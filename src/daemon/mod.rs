//! The process: wires its parts, keeps them while it runs, ends them in reverse order.

mod start;
mod stop;

use std::future::poll_fn;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use async_channel::{Receiver, Sender};
use async_io::Timer;
use async_signal::{Signal, Signals};
use futures_lite::future::block_on;
use futures_lite::{FutureExt, Stream};

use crate::api::Server;
use crate::config::{Config, Problem};
use crate::events::Events;
use crate::executor::Executor;
use crate::keys::KeyWatcher;
use crate::limits::{LOG_FLUSH_MILLIS, PARTS_LOOK_SECS};
use crate::listen;
use crate::log::{self, Log};
use crate::scheduler::{Fatal, Order};
use crate::vitals::Vitals;
pub(crate) use start::{bounds, defaults};
use stop::{shut_down, told};

/// `EX_CONFIG` of BSD's sysexits: the settings or the files are wrong, and a restart would not
/// mend that.
pub(crate) const EXIT_CONFIG: u8 = 78;

/// Runs the service until it is told to stop, and says how the process is to end.
pub fn serve() -> ExitCode {
    // Before all else, which might take a descriptor of theirs.
    let inherited = listen::inherited();
    let config = match Config::from_env() {
        Ok(config) => config,
        Err(problems) => return refuse_config(&problems),
    };
    let log = match log::init(config.log_level, config.log_format) {
        Ok(log) => log,
        Err(error) => {
            eprintln!("ksana: the log cannot be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    tell_panics(&log);
    let code = match Daemon::start(&config, inherited) {
        Ok(daemon) => daemon.run(&log),
        Err(error) => {
            tracing::error!("{error}");
            error.exit_code()
        }
    };
    log.flush(Duration::from_millis(LOG_FLUSH_MILLIS));
    code
}

fn refuse_config(problems: &[Problem]) -> ExitCode {
    if let Ok(log) = log::init(log::Level::Info, log::Format::Auto) {
        for problem in problems {
            tracing::error!("{problem}");
        }
        log.flush(Duration::from_millis(LOG_FLUSH_MILLIS));
    }
    ExitCode::from(EXIT_CONFIG)
}

/// A panic is a bug; it goes to the log like everything else, and what depends on the thread that
/// died notices by its closed channels.
fn tell_panics(log: &Log) {
    let log = log.clone();
    std::panic::set_hook(Box::new(move |panic| {
        let thread = thread::current();
        let thread = thread.name().unwrap_or("unnamed");
        let location = panic.location().map(ToString::to_string);
        // What it said stays out: it may hold anything that a client sent.
        tracing::error!(thread, location, "a bug: a thread panicked");
        log.flush(Duration::from_millis(LOG_FLUSH_MILLIS));
    }));
}

/// The running parts, in the order in which they were started.
struct Daemon {
    vitals: Arc<Vitals>,
    keys: KeyWatcher,
    executor: Executor,
    scheduler: Scheduler,
    events: Events,
    server: Server,
    review: JoinHandle<()>,
    signals: Signals,
}

/// The scheduler's thread and the ways to it.
struct Scheduler {
    thread: JoinHandle<()>,
    orders: Sender<Order>,
    /// Gives what the thread ended with.
    ended: Receiver<Result<usize, Fatal>>,
}

impl Daemon {
    fn run(mut self, log: &Log) -> ExitCode {
        // Not one that polls the reactor: what comes for the server would wake this thread, and that wake the server's.
        block_on(async {
            match self.wait().await {
                End::Signal(signal) => tracing::info!(signal = ?signal, "shutting down"),
                End::Scheduler(result) => return told(result),
                End::Died(part) => {
                    tracing::error!(part, "a part of the service died; the process ends");
                    return ExitCode::FAILURE;
                }
            }
            let Self { vitals, keys, executor, scheduler, events, server, review, mut signals } = self;
            let second = async {
                let signal = next_end(&mut signals).await;
                tracing::warn!(signal = ?signal, "ended at once by a second signal; the journal holds what happened");
                log.flush(Duration::from_millis(LOG_FLUSH_MILLIS));
                ExitCode::FAILURE
            };
            // An answer without an end would be waited for.
            events.end();
            shut_down(&vitals, keys, executor, scheduler, server, review).or(second).await
        })
    }

    /// Waits for a reason to end, and reads the key file where a SIGHUP asks for it. Channels tell when the scheduler
    /// dies; the others are looked at now and then.
    async fn wait(&mut self) -> End {
        loop {
            let signal = async { Wake::Signal(next_signal(&mut self.signals).await) };
            let reloaded = async {
                self.keys.read().await;
                Wake::Reloaded
            };
            let scheduler =
                async { Wake::Scheduler(self.scheduler.ended.recv().await.unwrap_or(Err(Fatal::Panicked))) };
            let look = async {
                Timer::after(Duration::from_secs(PARTS_LOOK_SECS)).await;
                Wake::Time
            };
            match signal.or(scheduler).or(reloaded).or(look).await {
                Wake::Signal(Signal::Hup) => {
                    self.vitals.manager().reloading();
                    self.keys.ask();
                }
                Wake::Signal(signal) => return End::Signal(signal),
                Wake::Reloaded => {
                    tracing::info!(signal = ?Signal::Hup, "the key file was looked at");
                    self.vitals.manager().ready();
                }
                Wake::Scheduler(result) => return End::Scheduler(result),
                Wake::Time if !self.keys.is_running() => return End::Died("the key watcher"),
                Wake::Time if self.executor.is_finished() => return End::Died("the executor"),
                Wake::Time => {}
            }
        }
    }
}

/// What the main thread waits for.
enum Wake {
    Signal(Signal),
    /// The key file has been read, as a SIGHUP asked.
    Reloaded,
    Scheduler(Result<usize, Fatal>),
    Time,
}

/// Why the service ends.
enum End {
    Signal(Signal),
    Scheduler(Result<usize, Fatal>),
    Died(&'static str),
}

/// The next signal that is not a SIGHUP: there is nothing to read any more.
async fn next_end(signals: &mut Signals) -> Signal {
    loop {
        match next_signal(signals).await {
            Signal::Hup => {}
            signal => return signal,
        }
    }
}

async fn next_signal(signals: &mut Signals) -> Signal {
    let mut signals = pin!(signals);
    loop {
        match poll_fn(|cx| signals.as_mut().poll_next(cx)).await {
            Some(Ok(signal)) => return signal,
            Some(Err(error)) => tracing::warn!(%error, "a signal was lost"),
            None => return std::future::pending().await,
        }
    }
}
