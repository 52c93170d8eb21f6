//! One life of the service: the real scheduler, engine and store between channels that the
//! simulation holds the other ends of.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Deref;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use futures_lite::FutureExt;
use futures_lite::future::{block_on, poll_once};
use ksana::clock::Clock;
use ksana::engine::{Engine, Start};
use ksana::events::Events;
use ksana::executor::Report;
use ksana::inbox::Letter;
use ksana::job::{Defaults, GoDuration, Job};
use ksana::ledger::{Bounds, Ledger};
use ksana::limits::Bites;
use ksana::metrics::Metrics;
use ksana::scheduler::{Fatal, Order, Parts, Scheduler, Wake};
use ksana::shared::{View, share};
use ksana::store::{DiskEvent, Finished, OpenError, Store};
use ksana::vitals::Vitals;

use crate::clock::Clocks;
use crate::disk::{Device, Mount, Runs};
use crate::gate::{Gate, Helper};

pub(crate) const DEFAULTS: Defaults =
    Defaults { timeout: GoDuration::from_secs(10), max_retries: 3, retry_backoff: GoDuration::from_secs(5) };

/// More than a simulation ever has under way.
const ROOM: usize = 256;

#[derive(Debug)]
pub(crate) struct Process {
    /// First, because the scheduler's end waits for the helpers.
    gate: OpenAtLast,
    pub(crate) scheduler: Scheduler,
    clocks: Clocks,
    /// What the helpers have told.
    told: Receiver<DiskEvent>,
    /// The same, in the simulation's hands.
    pub(crate) events: VecDeque<DiskEvent>,
    /// Which helpers wait for leave.
    waiting: [bool; 3],
    /// What of it reaches the scheduler.
    disk: Sender<DiskEvent>,
    pub(crate) letters: Sender<Letter>,
    pub(crate) view: View,
    pub(crate) reports: Sender<Report>,
    orders: Sender<Order>,
    starts: Receiver<Start>,
    /// Until when the loop sleeps where nothing arrives.
    pub(crate) wakes_at: Instant,
    /// It was ordered to start nothing more.
    pub(crate) rests: bool,
}

impl Process {
    pub(crate) fn start(device: &Device, clocks: &Clocks, workers: usize, bites: Bites) -> Result<Self, OpenError> {
        let mount = device.mount();
        let gate = OpenAtLast(mount.gate.clone());
        let mut engine = Engine::loading(workers);
        let now = clocks.now();
        let ledger = open_ledger(mount.clone());
        let opened = Store::open(Arc::new(mount), ledger, &DEFAULTS, bites, now, |record| engine.apply(record))?;
        let (disk, disk_end) = async_channel::bounded(ROOM);
        let (letters, letters_end) = async_channel::bounded(ROOM);
        let (reports, reports_end) = async_channel::bounded(ROOM);
        let (orders, orders_end) = async_channel::bounded(2);
        let (starts_end, starts) = async_channel::bounded(workers);
        let (engine, view) = share(engine);
        let scheduler = Scheduler::new(Parts {
            clock: Box::new(clocks.clone()),
            engine,
            disk: disk_end,
            store: opened.store,
            letters: letters_end,
            reports: reports_end,
            starts: starts_end,
            cancels: async_channel::bounded(workers).0,
            orders: orders_end,
            vitals: Arc::new(Vitals::new()),
            metrics: Arc::new(Metrics::new(clocks.now().wall, workers)),
            events: Events::new(clocks.now().wall, 0),
            late_warn: Duration::from_secs(1),
            bites,
        });
        let told = opened.events;
        let events = VecDeque::new();
        let clocks = clocks.clone();
        Ok(Self {
            gate,
            scheduler,
            clocks,
            told,
            events,
            waiting: [false; 3],
            disk,
            letters,
            view,
            reports,
            orders,
            starts,
            wakes_at: now.steady,
            rests: false,
        })
    }

    /// The jobs as the process holds them.
    pub(crate) fn jobs(&self) -> BTreeMap<String, Job> {
        self.scheduler.engine().jobs().map(|job| (job.spec.id.to_string(), job.clone())).collect()
    }

    /// What has arrived, as the loop would notice it.
    pub(crate) fn arrival(&self) -> Option<Wake> {
        block_on(poll_once(self.scheduler.arrival()))
    }

    /// Whether nothing that was sent waits for the loop.
    pub(crate) fn has_taken_all(&self) -> bool {
        self.disk.is_empty() && self.letters.is_empty() && self.reports.is_empty() && self.orders.is_empty()
    }

    /// One turn of the loop, up to where its records are handed to whoever writes them.
    pub(crate) fn turn(&mut self, wake: Wake) -> Result<(), Fatal> {
        self.scheduler.turn(wake)
    }

    /// They are written, with all that is to be written after them. So many words of the disk's arrive meanwhile.
    pub(crate) fn write(&mut self, mut meanwhile: usize) -> Result<(), Fatal> {
        // Where the disk refuses, fires go on unrecorded.
        let mut is_written = self.scheduler.store().refusal().is_some();
        while self.is_writing() {
            match block_on(self.word()) {
                Word::Finished(finished) => {
                    self.scheduler.take_finished(finished)?;
                    is_written = true;
                }
                Word::Knock(Helper::Journal) => {
                    assert!(is_written || self.starts.is_empty(), "an attempt is made before its record is written");
                    self.tell_meanwhile(&mut meanwhile)?;
                    self.gate.let_through(Helper::Journal);
                }
                word => self.take(word),
            }
        }
        self.wakes_at = self.clocks.now().steady + self.scheduler.sleep().unwrap_or_default();
        Ok(())
    }

    /// The attempts that are to be made.
    pub(crate) fn take_starts(&self) -> Vec<Start> {
        std::iter::from_fn(|| self.starts.try_recv().ok()).collect()
    }

    /// While something is being written the loop turns for what the disk tells, and for nothing else.
    fn tell_meanwhile(&mut self, words: &mut usize) -> Result<(), Fatal> {
        self.waiting[Helper::Journal as usize] = true;
        // Of what else has arrived the simulation would not know in which turn it was taken.
        while *words > 0 && self.letters.is_empty() && self.reports.is_empty() {
            let Some(event) = self.events.pop_front() else { break };
            *words -= 1;
            self.scheduler.turn(Wake::Disk(event))?;
            self.settle();
        }
        self.waiting[Helper::Journal as usize] = false;
        Ok(())
    }

    /// Whether the records of a turn are on their way to the disk.
    pub(crate) fn is_writing(&self) -> bool {
        self.scheduler.store().writing_since().is_some()
    }

    pub(crate) fn order(&mut self, order: Order) {
        self.rests = true;
        self.orders.try_send(order).expect("there are two orders in a life");
    }

    /// Hands the oldest word of a helper over to the loop.
    pub(crate) fn deliver_event(&mut self) {
        let event = self.events.pop_front().expect("somebody looked");
        self.disk.try_send(event).expect("the loop takes them all");
    }

    /// Waits until each helper waits for leave, has told something, or has nothing to do: from
    /// here the seed decides what comes next.
    pub(crate) fn settle(&mut self) {
        while !self.is_settled() {
            let word = block_on(self.word());
            self.take(word);
        }
    }

    async fn word(&self) -> Word {
        let finished = async {
            match self.scheduler.store().finished().await {
                Ok(finished) => Word::Finished(finished),
                Err(error) => panic!("{error}"),
            }
        };
        finished.or(word(&self.told, &self.gate)).await
    }

    fn take(&mut self, word: Word) {
        match word {
            Word::Told(event) => self.events.push_back(event),
            Word::Knock(helper) => self.waiting[helper as usize] = true,
            Word::Finished(_) => unreachable!("who writes waits for leave before it has finished"),
        }
    }

    fn is_settled(&self) -> bool {
        let told = |helper| self.events.iter().any(|event| teller(event) == helper);
        let store = self.scheduler.store();
        let is_snapshotting = store.is_snapshotting() && !store.snapshot_waits_for_write();
        let busy = [store.is_syncing(), is_snapshotting || store.is_writing_history(), self.is_writing()];
        Helper::ALL.into_iter().all(|helper| !busy[helper as usize] || self.waiting[helper as usize] || told(helper))
    }

    /// The helpers that could do something if they were let.
    pub(crate) fn waiting_helpers(&self) -> Vec<Helper> {
        Helper::ALL.into_iter().filter(|helper| self.waiting[*helper as usize]).collect()
    }

    /// Lets a helper do one operation.
    pub(crate) fn let_through(&mut self, helper: Helper) {
        self.waiting[helper as usize] = false;
        self.gate.let_through(helper);
        self.settle();
    }

    /// Saves and ends. The helpers are let through as they come.
    pub(crate) fn save(self) -> Result<usize, Fatal> {
        // The gate last, so that it goes first: the scheduler's end waits for an fsync that nobody else waits for.
        let Self { scheduler, told, events, waiting, disk, gate, .. } = self;
        for event in events {
            disk.try_send(event).expect("there is room");
        }
        for helper in Helper::ALL.into_iter().filter(|helper| waiting[*helper as usize]) {
            gate.let_through(helper);
        }
        let help = async {
            loop {
                let event = told.recv().await.expect("the helpers live");
                disk.try_send(event).expect("there is room");
            }
        };
        thread::scope(|scope| {
            // The end of the save waits for who is still at the gate then.
            scope.spawn(|| gate.let_all_through());
            let saved = block_on(scheduler.save().or(help));
            gate.open();
            saved
        })
    }
}

/// What comes from the helpers.
enum Word {
    Told(DiskEvent),
    Knock(Helper),
    /// The journal is back.
    Finished(Finished),
}

async fn word(told: &Receiver<DiskEvent>, gate: &Gate) -> Word {
    let event = async { Word::Told(told.recv().await.expect("the helpers live")) };
    let knock = async { Word::Knock(gate.knocks().recv().await.expect("the gate is not open yet")) };
    event.or(knock).await
}

/// However a process ends, nobody waits for leave any more.
#[derive(Debug)]
struct OpenAtLast(Gate);

impl Deref for OpenAtLast {
    type Target = Gate;

    fn deref(&self) -> &Gate {
        &self.0
    }
}

impl Drop for OpenAtLast {
    fn drop(&mut self) {
        self.0.open();
    }
}

fn teller(event: &DiskEvent) -> Helper {
    match event {
        DiskEvent::Synced { .. } | DiskEvent::SyncFailed(_) => Helper::Sync,
        DiskEvent::ChunkWanted | DiskEvent::Snapshot(_) | DiskEvent::History(_) => Helper::Snapshot,
    }
}

/// The history of a disk.
pub(crate) fn open_ledger(mount: Mount) -> Arc<Ledger> {
    let bounds = Bounds { bytes: u64::MAX, age: Duration::MAX };
    let ledger = Ledger::open(Arc::new(Runs(mount)), bounds).expect("nothing fails to be read");
    Arc::new(ledger)
}
