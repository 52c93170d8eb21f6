//! The owner of the engine and the store: one thread that waits, drains what has arrived, reads
//! the clock once, decides, has it written with one write, and starts what is due.
//!
//! It waits for no disk. While a write is under way it decides nothing, since all decisions stand
//! on what is written before them, but it serves snapshots; who only looks asks nobody.

mod end;
mod measure;
mod nap;
mod publish;
mod tell;
#[cfg(test)]
mod tests;
mod turn;
mod wait;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::{Arc, RwLockReadGuard};
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};

use crate::alarm::Alarm;
use crate::clock::Clock;
use crate::engine::{Engine, Refusal, Start, Token};
use crate::events::Events;
use crate::executor::Report;
use crate::inbox::Letter;
use crate::job::Job;
use crate::limits::{Bites, CHANGES_WAITING_MAX};
use crate::metrics::Metrics;
use crate::shared::Owned;
use crate::store::{DiskEvent, Finished, Position, Store};
use crate::vitals::Vitals;
use nap::Naps;
use tell::{BusyWatch, LateWatch, SnapshotWatch};
use turn::Ready;

/// What the scheduler is made of and connected to.
#[derive(Debug)]
pub struct Parts {
    /// Tells the time.
    pub clock: Box<dyn Clock>,
    /// The jobs, as the store's records made them.
    pub engine: Owned,
    /// What the store's helpers tell.
    pub disk: Receiver<DiskEvent>,
    /// The files.
    pub store: Store,
    /// What clients want changed.
    pub letters: Receiver<Letter>,
    /// What came of attempts.
    pub reports: Receiver<Report>,
    /// Attempts to be made; holds as many as there are workers.
    pub starts: Sender<Start>,
    /// Attempts that nobody waits for any more.
    pub cancels: Sender<Token>,
    /// When to stop.
    pub orders: Receiver<Order>,
    /// Signs of life.
    pub vitals: Arc<Vitals>,
    /// What is counted and measured.
    pub metrics: Arc<Metrics>,
    /// Those who listen.
    pub events: Events,
    /// How late a fire is worth a warning.
    pub late_warn: Duration,
    /// How much a turn takes.
    pub bites: Bites,
}

/// The two steps of a shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Start nothing any more; commands are still done.
    Rest,
    /// Let attempts in flight end, but not past this instant; then save and return.
    End(Instant),
}

/// Why the scheduler cannot go on. The process must end.
#[derive(Debug)]
pub enum Fatal {
    /// An fsync failed, and nobody knows what is on the disk; a restart reads what is.
    Sync(io::Error),
    /// The last snapshot failed. The journal is there.
    Save(io::Error),
    /// The executor is gone.
    Executor,
    /// The scheduler's thread panicked; the log says where.
    Panicked,
}

impl fmt::Display for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sync(error) => {
                write!(f, "an fsync of the journal failed, so what is on the disk is unknown: {error}")
            }
            Self::Save(error) => write!(f, "jobs.json could not be written at the end: {error}"),
            Self::Executor => f.write_str("the executor ended unexpectedly"),
            Self::Panicked => f.write_str("the scheduler ended by a bug"),
        }
    }
}

/// What ends a wait.
#[derive(Debug)]
pub enum Wake {
    /// A client wants something changed.
    Letter(Letter),
    /// An attempt came back.
    Report(Report),
    /// A helper of the store has something to tell.
    Disk(DiskEvent),
    /// What was to be written is, or cannot be.
    Written(Finished),
    /// A step of the shutdown.
    Order(Order),
    /// A time has come.
    Time,
}

/// Takes what came of a change.
type Reply = Sender<Result<Job, Refusal>>;

/// A change that is written down and waits for the fsync that covers it.
#[derive(Debug)]
struct Waiting {
    position: Position,
    reply: Reply,
    job: Job,
}

/// A turn that is decided, and whose records are being written.
#[derive(Debug, Default)]
struct Writing {
    /// How many of them say what happened by itself; those of the changes follow.
    own: usize,
    changes: Vec<Ready>,
}

/// The owner. [`run`] is how it lives; a simulation goes through the same steps by itself.
#[derive(Debug)]
pub struct Scheduler {
    parts: Parts,
    alarm: Alarm,
    naps: Naps,
    /// What stands on the records that are being written.
    writing: Writing,
    waiting: VecDeque<Waiting>,
    /// How many of them there may be.
    waiting_max: usize,
    /// Commands for a job that another command of their turn was for, or for which that had no room.
    deferred: VecDeque<Letter>,
    /// When the last turn was made.
    turned_at: Instant,
    /// Attempts that came back while something was being written.
    landed: Vec<Report>,
    /// More jobs were due than one turn takes.
    more_due: bool,
    order: Option<Order>,
    /// Why the disk refuses, as it was last told.
    told_refusal: Option<String>,
    late: LateWatch,
    busy: BusyWatch,
    snapshots: SnapshotWatch,
}

/// Runs the scheduler on the calling thread until it is ordered to end. Gives how many attempts
/// were still in flight then.
///
/// # Errors
///
/// Why the process has to end at once.
pub fn run(mut scheduler: Scheduler) -> Result<usize, Fatal> {
    scheduler.naps = Naps::default();
    let ended = scheduler.live();
    if ended.is_err() {
        // The process ends. Dropping would wait for the store's helpers, and one may hang at the same disk.
        std::mem::forget(scheduler);
    }
    ended
}

impl Scheduler {
    /// Takes over, and looks at what passed since the last process wrote something down: from here on the jobs
    /// may be shown. Nothing fires yet.
    pub fn new(parts: Parts) -> Self {
        let late = LateWatch::new(parts.late_warn);
        let turned_at = parts.clock.now().steady;
        let mut scheduler = Self {
            parts,
            alarm: Alarm::default(),
            naps: Naps::default(),
            writing: Writing::default(),
            waiting: VecDeque::new(),
            waiting_max: CHANGES_WAITING_MAX,
            deferred: VecDeque::new(),
            turned_at,
            landed: Vec::new(),
            more_due: false,
            order: None,
            told_refusal: None,
            late,
            busy: BusyWatch::default(),
            snapshots: SnapshotWatch::default(),
        };
        scheduler.recover();
        scheduler
    }

    /// The jobs, to look at.
    pub fn engine(&self) -> RwLockReadGuard<'_, Engine> {
        self.parts.engine.read()
    }

    /// The files, to look at.
    pub fn store(&self) -> &Store {
        &self.parts.store
    }

    fn recover(&mut self) {
        let now = self.parts.clock.now();
        if self.parts.engine.write().recover(now.wall) {
            self.parts.store.uncover(now.steady);
        }
        self.tell_refusal(now);
        self.measure();
    }

    fn live(&mut self) -> Result<usize, Fatal> {
        while !self.has_ended() {
            let wake = self.wait();
            self.turn(wake)?;
        }
        async_io::block_on(self.finish())
    }

    /// Whether it was ordered to end and may.
    pub fn has_ended(&self) -> bool {
        let is_quiet = self.parts.engine.read().in_flight() == 0
            && self.deferred.is_empty()
            && self.parts.store.writing_since().is_none();
        matches!(self.order, Some(Order::End(deadline)) if is_quiet || self.parts.clock.now().steady >= deadline)
    }
}
