//! The process: wires its parts, keeps them while it runs, ends them in reverse order.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use async_io::Timer;
use async_signal::{Signal, Signals};
use futures_lite::future::block_on;
use futures_lite::{FutureExt, Stream};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::api::{Api, Server};
use crate::clock::{self, Clock, Machine};
use crate::config::{Config, Problem};
use crate::engine::Engine;
use crate::executor::{self, Executor};
use crate::inbox::inbox;
use crate::job::Defaults;
use crate::keys::{self, KeyWatcher};
use crate::limits::{
    Bites, CONNECTIONS_DEFAULT, LOG_FLUSH_MILLIS, PARTS_LOOK_SECS, SHUTDOWN_ATTEMPTS_SECS, SHUTDOWN_REQUESTS_SECS,
};
use crate::log::{self, Log};
use crate::review;
use crate::scheduler::{self, Fatal, Order};
use crate::shared::share;
use crate::store::{Directory, OpenError, Opened, Store};
use crate::vitals::Vitals;

/// `EX_CONFIG` of BSD's sysexits: the settings or the files are wrong, and a restart would not
/// mend that.
pub(crate) const EXIT_CONFIG: u8 = 78;

/// Runs the service until it is told to stop, and says how the process is to end.
pub fn serve() -> ExitCode {
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
    let code = match Daemon::start(&config) {
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

/// Why the service does not start.
#[derive(Debug)]
enum StartError {
    /// The data folder cannot be used.
    Store(OpenError),
    /// The address cannot be bound.
    Bind(SocketAddr, io::Error),
    /// The machine refuses a thread or a descriptor.
    Part(&'static str, io::Error),
}

impl StartError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Store(OpenError::Held(_)) | Self::Bind(..) | Self::Part(..) => ExitCode::FAILURE,
            Self::Store(OpenError::Io(..) | OpenError::Read(_)) => ExitCode::from(EXIT_CONFIG),
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Bind(address, error) => write!(f, "cannot listen on {address}: {error}; HOST and PORT say where"),
            Self::Part(part, error) => write!(f, "cannot start {part}: {error}"),
        }
    }
}

/// The running parts, in the order in which they were started.
struct Daemon {
    vitals: Arc<Vitals>,
    keys: KeyWatcher,
    executor: Executor,
    scheduler: Scheduler,
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
    fn start(config: &Config) -> Result<Self, StartError> {
        let descriptors = raise_descriptor_limit();
        let signals =
            Signals::new([Signal::Term, Signal::Int]).map_err(|error| StartError::Part("the signal handler", error))?;
        if config.keys_file.is_default {
            keys::ensure_default(&config.keys_file.path);
        }
        let (ring, keys) =
            keys::start(&config.keys_file.path).map_err(|error| StartError::Part("the key watcher", error))?;
        let defaults = defaults(config);
        let mut engine = Engine::loading(config.workers);
        let directory = Directory::hold(&config.data_dir).map_err(StartError::Store)?;
        let opened = Store::open(Arc::new(directory), &defaults, Bites::default(), Machine.now().steady, |record| {
            engine.apply(record)
        })
        .map_err(StartError::Store)?;
        tell_opened(&opened);
        tracing::info!(jobs = engine.len(), "jobs loaded");
        let (starts, attempts) = async_channel::bounded(config.workers);
        let (reporter, reports) = async_channel::bounded(config.workers);
        let executor_config =
            executor::Config { workers: config.workers, proxy_from_env: config.proxy_from_env, clock: clock::now };
        let executor = Executor::start(&executor_config, attempts, reporter)
            .map_err(|error| StartError::Part("the executor", error))?;
        let vitals = Arc::new(Vitals::new());
        let (engine, view) = share(engine);
        let (client, letters) = inbox(view);
        let (orders, received) = async_channel::bounded(2);
        let parts = scheduler::Parts {
            clock: Box::new(Machine),
            engine,
            disk: opened.events,
            store: opened.store,
            letters,
            reports,
            starts,
            orders: received,
            vitals: Arc::clone(&vitals),
            late_warn: config.late_warn.to_std(),
            bites: Bites::default(),
        };
        let api = Api { keys: ring, vitals: Arc::clone(&vitals), jobs: client.clone(), defaults };
        let connections = config.max_connections.unwrap_or_else(|| connections_default(descriptors));
        let host = config.host.to_string();
        let scheduler = scheduler::Scheduler::new(parts);
        // Bound before anything fires, so that a process on a taken port calls nobody. By then the folder is
        // ready for it: the journal's unfinished end is cut, the note written, a segment begun.
        let server = smol::block_on(Server::start(&host, config.port, connections, &api))
            .map_err(|error| StartError::Bind((config.host, config.port).into(), error))?;
        let scheduler =
            Scheduler::start(scheduler, orders).map_err(|error| StartError::Part("the scheduler", error))?;
        let address = server.address();
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            address = %address,
            port = address.port(),
            data_dir = %config.data_dir.display(),
            workers = config.workers,
            max_connections = connections,
            "listening"
        );
        let review = review::start(client).map_err(|error| StartError::Part("the review of the jobs", error))?;
        Ok(Self { vitals, keys, executor, scheduler, server, review, signals })
    }

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
            let Self { vitals, keys, executor, scheduler, server, review, mut signals } = self;
            let second = async {
                let signal = next_signal(&mut signals).await;
                tracing::warn!(signal = ?signal, "ended at once by a second signal; the journal holds what happened");
                log.flush(Duration::from_millis(LOG_FLUSH_MILLIS));
                ExitCode::FAILURE
            };
            shut_down(&vitals, keys, executor, scheduler, server, review).or(second).await
        })
    }

    /// Waits for a reason to end. Channels tell when the scheduler dies; the others are looked at
    /// now and then.
    async fn wait(&mut self) -> End {
        loop {
            let signal = async { End::Signal(next_signal(&mut self.signals).await) };
            let scheduler = async { End::Scheduler(self.scheduler.ended.recv().await.unwrap_or(Err(Fatal::Panicked))) };
            let look = async {
                Timer::after(Duration::from_secs(PARTS_LOOK_SECS)).await;
                End::Died("none")
            };
            match signal.or(scheduler).or(look).await {
                End::Died(_) if !self.keys.is_running() => return End::Died("the key watcher"),
                End::Died(_) if self.executor.is_finished() => return End::Died("the executor"),
                End::Died(_) => {}
                end => return end,
            }
        }
    }
}

/// Why the service ends.
enum End {
    Signal(Signal),
    Scheduler(Result<usize, Fatal>),
    Died(&'static str),
}

/// Takes no more requests, starts nothing, lets attempts in flight end, saves.
async fn shut_down(
    vitals: &Vitals,
    keys: KeyWatcher,
    executor: Executor,
    scheduler: Scheduler,
    server: Server,
    review: JoinHandle<()>,
) -> ExitCode {
    let deadline = Instant::now() + Duration::from_secs(SHUTDOWN_ATTEMPTS_SECS);
    vitals.set_shutting_down();
    // Where the scheduler is gone already, `ended` says why.
    let _ = scheduler.orders.send(Order::Rest).await;
    if !server.shut_down(Duration::from_secs(SHUTDOWN_REQUESTS_SECS)).await {
        tracing::warn!("requests that were still being answered were cut off");
    }
    let _ = scheduler.orders.send(Order::End(deadline)).await;
    let result = scheduler.ended.recv().await.unwrap_or(Err(Fatal::Panicked));
    let is_clean = matches!(result, Ok(0));
    let code = told(result);
    if is_clean {
        // The scheduler's end closed their channels, and nothing is in flight: they end at once.
        let _ = scheduler.thread.join();
        let _ = executor.join();
        let _ = review.join();
        keys.stop(Duration::from_millis(LOG_FLUSH_MILLIS));
    }
    code
}

fn told(result: Result<usize, Fatal>) -> ExitCode {
    match result {
        Ok(in_flight) => {
            if in_flight > 0 {
                tracing::warn!(in_flight, "attempts that did not end in time are left to the next start");
            }
            tracing::info!("stopped");
            ExitCode::SUCCESS
        }
        Err(fatal) => {
            tracing::error!("{fatal}");
            ExitCode::FAILURE
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

impl Scheduler {
    fn start(scheduler: scheduler::Scheduler, orders: Sender<Order>) -> io::Result<Self> {
        let (end, ended) = async_channel::bounded(1);
        let thread = thread::Builder::new().name("ksana-scheduler".into()).spawn(move || {
            let result = scheduler::run(scheduler);
            // Nobody listens only where the process is ending already.
            let _ = end.try_send(result);
        })?;
        Ok(Self { thread, orders, ended })
    }
}

/// What a job has where it names nothing.
pub(crate) fn defaults(config: &Config) -> Defaults {
    Defaults {
        timeout: config.default_timeout,
        max_retries: i64::from(config.max_retries),
        retry_backoff: config.retry_backoff,
    }
}

fn tell_opened(opened: &Opened) {
    if let Some(cut) = &opened.cut {
        tracing::warn!(
            cut,
            "the end of the journal was never finished and was cut off; nothing in it was acknowledged"
        );
    }
    if opened.replayed > 0 {
        tracing::info!(records = opened.replayed, "the journal of an unclean stop was replayed");
    }
}

/// As many descriptors as the system allows, because every connection and every callback takes
/// one. Gives how many there are now.
fn raise_descriptor_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum.unwrap_or(u64::MAX),
        Err(_) => limit.current.unwrap_or(u64::MAX),
    }
}

/// The default of `MAX_CONNECTIONS`: a quarter of the descriptors stays free for callbacks and files.
fn connections_default(descriptors: u64) -> usize {
    let most = CONNECTIONS_DEFAULT.min((descriptors / 4).saturating_mul(3)).max(1);
    usize::try_from(most).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_cannot_be_bound_is_told_apart_from_its_port() {
        let address = "[::1]:7100".parse().expect("an address");
        let error = StartError::Bind(address, io::ErrorKind::AddrInUse.into());
        assert!(error.to_string().starts_with("cannot listen on [::1]:7100: "), "{error}");
    }
}
