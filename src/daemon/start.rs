//! From settings to running parts.

use std::fmt;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use async_channel::Sender;
use async_signal::{Signal, Signals};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{Daemon, EXIT_CONFIG, Scheduler};
use crate::api::guard::{Deadlines, Guard};
use crate::api::{Api, History, Server};
use crate::clock::{self, Clock, Machine};
use crate::config::Config;
use crate::disk::Disk;
use crate::engine::Engine;
use crate::events::Events;
use crate::executor::{self, Executor};
use crate::inbox::inbox;
use crate::job::Defaults;
use crate::keys;
use crate::ledger::{self, Bounds, Ledger};
use crate::limits::{Bites, CONNECTIONS_DEFAULT, TURN_SLEEP_MILLIS_MAX};
use crate::listen::{self, Address, ListenError, Listener};
use crate::metrics::Metrics;
use crate::review;
use crate::scheduler::{self, Order};
use crate::shared::share;
use crate::store::{Directory, OpenError, Opened, Store};
use crate::systemd::Manager;
use crate::vitals::Vitals;

/// Why the service does not start.
#[derive(Debug)]
pub(super) enum StartError {
    /// The data folder cannot be used.
    Store(OpenError),
    /// There is nothing to listen on.
    Listen(ListenError),
    /// The machine refuses a thread or a descriptor.
    Part(&'static str, io::Error),
}

impl StartError {
    pub(super) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Store(OpenError::Held(_)) | Self::Listen(ListenError::Bind(..)) | Self::Part(..) => ExitCode::FAILURE,
            Self::Store(OpenError::Io(..) | OpenError::Read(_)) | Self::Listen(ListenError::Inherited(_)) => {
                ExitCode::from(EXIT_CONFIG)
            }
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Listen(error) => error.fmt(f),
            Self::Part(part, error) => write!(f, "cannot start {part}: {error}"),
        }
    }
}

impl Daemon {
    pub(super) fn start(config: &Config, inherited: Result<Vec<Listener>, ListenError>) -> Result<Self, StartError> {
        let descriptors = raise_descriptor_limit();
        let mut listeners = inherited.map_err(StartError::Listen)?;
        let vitals = Arc::new(Vitals::told_to(manager()));
        let metrics = Arc::new(Metrics::new(clock::now(), config.workers));
        let signals = Signals::new([Signal::Term, Signal::Int, Signal::Hup])
            .map_err(|error| StartError::Part("the signal handler", error))?;
        if config.keys_file.is_default {
            keys::ensure_default(&config.keys_file.path);
        }
        let (ring, keys) =
            keys::start(&config.keys_file.path).map_err(|error| StartError::Part("the key watcher", error))?;
        let defaults = defaults(config);
        let mut engine = Engine::loading(config.workers);
        let directory = Directory::hold(&config.data_dir).map_err(StartError::Store)?;
        let ledger = open_ledger(&directory, config);
        let now = Machine.now();
        let opened =
            Store::open(Arc::new(directory), Arc::clone(&ledger), &defaults, Bites::default(), now, |record| {
                engine.apply(record)
            })
            .map_err(StartError::Store)?;
        let events = Events::new(clock::now(), ledger.next_seq() - 1);
        tell_opened(&opened);
        tracing::info!(jobs = engine.len(), "jobs loaded");
        let (starts, attempts) = async_channel::bounded(config.workers);
        // A cancellation that finds no room is left out: its attempt only holds a worker for longer.
        let (cancels, cancelled) = async_channel::bounded(config.workers);
        let (reporter, reports) = async_channel::bounded(config.workers);
        let executor_config =
            executor::Config { workers: config.workers, proxy_from_env: config.proxy_from_env, clock: clock::now };
        let executor = Executor::start(&executor_config, attempts, cancelled, reporter)
            .map_err(|error| StartError::Part("the executor", error))?;
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
            cancels,
            orders: received,
            vitals: Arc::clone(&vitals),
            metrics: Arc::clone(&metrics),
            events: events.clone(),
            late_warn: config.late_warn.to_std(),
            bites: Bites::default(),
        };
        let connections = config.max_connections.unwrap_or_else(|| connections_default(descriptors));
        let api = Api {
            keys: ring,
            vitals: Arc::clone(&vitals),
            metrics,
            guard: Guard::new(Deadlines::default(), connections),
            jobs: client.clone(),
            events: events.clone(),
            history: History::new(ledger),
            defaults,
            clock: clock::now,
        };
        let scheduler = scheduler::Scheduler::new(parts);
        // Bound before anything fires, so that a process on a taken port calls nobody. By then the folder is
        // ready for it: the journal's unfinished end is cut, the note written, a segment begun.
        if listeners.is_empty() {
            listeners.push(listen::bind(&config.host, config.port).map_err(StartError::Listen)?);
        }
        let server = Server::start(listeners, &api).map_err(|error| StartError::Part("the server", error))?;
        let scheduler =
            Scheduler::start(scheduler, orders).map_err(|error| StartError::Part("the scheduler", error))?;
        let address = server.addresses().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            address,
            port = server.addresses().iter().find_map(Address::port),
            data_dir = %config.data_dir.display(),
            workers = config.workers,
            max_connections = connections,
            "listening"
        );
        vitals.manager().status(format_args!("listening on {address}"));
        vitals.manager().ready();
        let review = review::start(client).map_err(|error| StartError::Part("the review of the jobs", error))?;
        Ok(Self { vitals, keys, executor, scheduler, events, server, review, signals })
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

/// The history of runs, in a folder of its own. What is wrong with it stops no job.
fn open_ledger(directory: &Directory, config: &Config) -> Arc<Ledger> {
    let disk: Arc<dyn Disk> = Arc::new(directory.inside(ledger::FOLDER));
    let bounds = bounds(config);
    Arc::new(Ledger::open(Arc::clone(&disk), bounds).unwrap_or_else(|error| {
        let path = disk.path("");
        tracing::error!(
            path = %path.display(),
            %error,
            "the history of runs cannot be read; it begins anew, and what is there is shown again after a start that can read it"
        );
        Ledger::anew(disk, bounds, clock::now())
    }))
}

/// How much history is kept.
pub(crate) fn bounds(config: &Config) -> Bounds {
    Bounds { bytes: config.history_max_bytes, age: config.history_max_age.to_std() }
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

/// Whoever started this process.
fn manager() -> Manager {
    let manager = Manager::from_env();
    let turn = Duration::from_millis(TURN_SLEEP_MILLIS_MAX);
    if let Some(watchdog) = manager.watchdog().filter(|watchdog| *watchdog < 2 * turn) {
        let (watchdog, least) = (format!("{watchdog:?}"), format!("{:?}", 2 * turn));
        tracing::warn!(watchdog, least, "the watchdog is set so tight that it may end a healthy service");
    }
    manager
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
