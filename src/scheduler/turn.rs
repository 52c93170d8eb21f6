//! One turn of the loop.

use std::collections::HashSet;
use std::time::Duration;

use async_channel::Sender;
use jiff::Timestamp;

use super::{Fatal, Order, Reply, Scheduler, Waiting, Wake, tell};
use crate::clock::Now;
use crate::engine::{Command, Event, Record, Refusal, Start, Turn};
use crate::executor::Report;
use crate::inbox::Letter;
use crate::job::{Job, JobId};
use crate::limits::{
    PAGE_SCAN_MAX, TURN_BODY_BYTES_MAX, TURN_DISK_EVENTS_MAX, TURN_FIRES_MAX, TURN_SCAN_MAX, WRITE_STALL_MILLIS,
};

/// What has arrived since the last turn.
#[derive(Default)]
struct Arrived {
    letters: Vec<Letter>,
    reports: Vec<Report>,
}

/// A command that can be done, once its record is written.
struct Ready {
    record: Option<Record>,
    reply: Reply,
    job: Job,
}

impl Scheduler {
    /// One turn: drains, decides, writes, starts, answers.
    ///
    /// # Errors
    ///
    /// Why the process has to end at once.
    pub fn turn(&mut self, wake: Wake) -> Result<(), Fatal> {
        let bites = self.parts.bites;
        let arrived = self.drain(wake)?;
        let now = self.parts.clock.now();
        let mut turn = Turn::default();
        self.land(&arrived.reports, now.wall, &mut turn);
        if self.order.is_none() {
            self.more_due = self.parts.engine.fire_due(now.wall, bites.fires, &mut turn);
            self.parts.engine.dispatch(now.wall, TURN_FIRES_MAX, &mut turn);
        } else {
            self.more_due = false;
        }
        let mut records = self.parts.engine.take_records(bites.late_records);
        let own = records.len();
        let (commands, questions) = self.sort(arrived.letters);
        let ready = self.plan(commands, now.wall);
        records.extend(ready.iter().filter_map(|ready| ready.record.clone()));
        let written = self.write(&records, now);
        if written.is_err() {
            self.parts.engine.unwritten(&records[..own]);
        }
        self.start(turn.starts, now)?;
        for event in turn.events.into_iter().chain(self.take_untold()) {
            tell::event(&event, None);
        }
        self.settle(ready, &written);
        self.read(questions);
        self.keep_up(now);
        Ok(())
    }

    fn drain(&mut self, wake: Wake) -> Result<Arrived, Fatal> {
        let mut arrived = Arrived::default();
        match wake {
            Wake::Letter(letter) => arrived.letters.push(letter),
            Wake::Report(report) => arrived.reports.push(report),
            Wake::Disk(event) => self.take_event(event)?,
            Wake::Order(order) => self.order = Some(order),
            Wake::Time => {}
        }
        for _ in 0..TURN_DISK_EVENTS_MAX {
            let Ok(event) = self.parts.disk.try_recv() else { break };
            self.take_event(event)?;
        }
        if let Ok(order) = self.parts.orders.try_recv() {
            self.order = Some(order);
        }
        while arrived.reports.len() < self.parts.bites.reports
            && let Ok(report) = self.parts.reports.try_recv()
        {
            arrived.reports.push(report);
        }
        // What was put off counts too: where all are for one job, more wait in their connections.
        while arrived.letters.len() + self.deferred.len() + self.unread.len() < self.parts.bites.letters
            && let Ok(letter) = self.parts.letters.try_recv()
        {
            arrived.letters.push(letter);
        }
        Ok(arrived)
    }

    fn take_event(&mut self, event: crate::store::DiskEvent) -> Result<(), Fatal> {
        let now = self.parts.clock.now().steady;
        match self.parts.store.take_event(event, &self.parts.engine, now).map_err(Fatal::Sync)? {
            Some(Ok(done)) => self.snapshots.done(&done, self.parts.store.last_snapshot_took()),
            Some(Err(error)) => self.snapshots.failed(&error),
            None => {}
        }
        self.answer_synced();
        Ok(())
    }

    fn take_untold(&mut self) -> Vec<Event> {
        let taken = self.untold.by_ref().take(self.parts.bites.recovery_lines).collect();
        if self.untold.len() == 0 {
            // It may have held a line for every job.
            self.untold = Vec::new().into_iter();
        }
        taken
    }

    fn land(&mut self, reports: &[Report], now: Timestamp, turn: &mut Turn) {
        for report in reports {
            let events = turn.events.len();
            self.parts.engine.ended(report.token, &report.outcome, now, turn);
            for event in turn.events.drain(events..) {
                tell::event(&event, Some(report.took));
            }
        }
    }

    /// Commands that were put off come first; reads are answered at the end of the turn, so that
    /// they see what it has done.
    fn sort(&mut self, letters: Vec<Letter>) -> (Vec<(Command, Reply)>, Vec<Letter>) {
        let mut commands: Vec<_> = self.deferred.drain(..).collect();
        let mut reads = Vec::new();
        for letter in letters {
            match letter {
                Letter::Change { command, reply } => commands.push((command, reply)),
                Letter::Read { .. } | Letter::List { .. } => reads.push(letter),
            }
        }
        (commands, reads)
    }

    /// Plans at most one command for a job, so that each is planned on a state that is true.
    fn plan(&mut self, commands: Vec<(Command, Reply)>, now: Timestamp) -> Vec<Ready> {
        let mut ready = Vec::new();
        let mut touched: HashSet<JobId> = HashSet::new();
        let mut body_bytes = 0;
        for (command, reply) in commands {
            if touched.contains(command.id()) || body_bytes >= TURN_BODY_BYTES_MAX {
                self.deferred.push_back((command, reply));
                continue;
            }
            let planned = self.parts.engine.plan(&command, now).and_then(|planned| match self.refusal(ready.len()) {
                Some(reason) if planned.record.is_some() || self.hangs(ready.len()) => Err(Refusal::Disk(reason)),
                _ => Ok(planned),
            });
            match planned {
                Ok(planned) => {
                    touched.insert(command.id().clone());
                    if let Some(Record::Put(job)) = &planned.record {
                        body_bytes += job.spec.http.body.len();
                    }
                    ready.push(Ready { record: planned.record, reply, job: planned.job });
                }
                Err(refusal) => answer(&reply, Err(refusal)),
            }
        }
        ready
    }

    /// Why no change is taken, where so many of this turn are taken already.
    fn refusal(&self, ready: usize) -> Option<String> {
        let refusal = self.parts.store.refusal().map(str::to_owned);
        let hangs = || format!("the disk hangs: {} changes wait for an fsync", self.waiting_max);
        refusal.or_else(|| self.hangs(ready).then(hangs))
    }

    /// Whether as many changes wait for an fsync as may, those included that change nothing and wait all the same.
    fn hangs(&self, ready: usize) -> bool {
        self.waiting.len() + ready >= self.waiting_max
    }

    fn write(&mut self, records: &[Record], now: Now) -> Result<(), String> {
        if records.is_empty() {
            return Ok(());
        }
        let began = self.parts.clock.now().steady;
        let written = self.parts.store.append(records, now.steady);
        let ended = self.parts.clock.now().steady;
        let took = ended.saturating_duration_since(began);
        if took >= Duration::from_millis(WRITE_STALL_MILLIS) {
            self.late.disk_stalled(ended);
            tracing::warn!(took_ms = tell::millis(took), "a write to the journal stalled");
        }
        written
    }

    fn start(&mut self, starts: Vec<Start>, now: Now) -> Result<(), Fatal> {
        for start in starts {
            let were_busy = self.busy.due().is_some();
            self.late.started(&start, were_busy, now.steady);
            // The channel holds as many as there are workers, and the engine starts no more.
            self.parts.starts.try_send(start).map_err(|_| Fatal::Executor)?;
        }
        Ok(())
    }

    /// Makes the commands true that are written down, and refuses the others.
    fn settle(&mut self, ready: Vec<Ready>, written: &Result<(), String>) {
        let position = self.parts.store.position();
        for Ready { record, reply, job } in ready {
            if let Some(record) = record {
                if let Err(reason) = written {
                    answer(&reply, Err(Refusal::Disk(reason.clone())));
                    continue;
                }
                self.parts.engine.apply(record);
            }
            self.waiting.push_back(Waiting { position, reply, job });
        }
        self.answer_synced();
    }

    /// Answers every change that an fsync covers by now.
    pub(super) fn answer_synced(&mut self) {
        let synced = self.parts.store.synced();
        while let Some(waiting) = self.waiting.pop_front_if(|waiting| waiting.position <= synced) {
            answer(&waiting.reply, Ok(waiting.job));
        }
    }

    /// Lists that were put off come first. One is begun where a whole piece of it may still be looked at.
    fn read(&mut self, reads: Vec<Letter>) {
        let mut scan_left = TURN_SCAN_MAX;
        for letter in std::mem::take(&mut self.unread).into_iter().chain(reads) {
            match letter {
                Letter::Read { id, reply } => answer(&reply, self.parts.engine.job(&id).cloned()),
                Letter::List { .. } if scan_left < PAGE_SCAN_MAX => self.unread.push(letter),
                Letter::List { after, filter, jobs_max, reply } => {
                    let page = self.parts.engine.page(after.as_deref(), &filter, jobs_max, PAGE_SCAN_MAX);
                    scan_left -= page.scanned;
                    answer(&reply, page);
                }
                Letter::Change { .. } => unreachable!("changes were sorted out"),
            }
        }
    }

    /// What is to be done at the end of each turn.
    fn keep_up(&mut self, now: Now) {
        let Self { parts, .. } = self;
        parts.store.sync(!self.waiting.is_empty(), now.steady);
        let is_due = parts.store.snapshot_due().is_some_and(|due| due <= now.steady);
        if is_due
            && !matches!(self.order, Some(Order::End(_)))
            && let Err(error) = parts.store.begin_snapshot(now)
        {
            self.snapshots.failed(&error);
        }
        let Self { parts, .. } = self;
        if parts.store.room_look_due().is_some_and(|due| due <= now.steady) {
            parts.store.look_for_room(now.steady);
        }
        if parts.store.refusal().is_none() {
            parts.engine.write_again();
        }
        let refusal = self.refusal(0);
        let Self { parts, .. } = self;
        if refusal != self.told_refusal {
            tell::refusal(refusal.as_deref());
            parts.vitals.set_store_refusal(refusal.clone());
            self.told_refusal = refusal;
        }
        let is_waiting = parts.engine.waits_for_worker() && self.order.is_none();
        let is_busy = self.busy.look(is_waiting, parts.engine.in_flight(), now.steady);
        parts.vitals.set_workers_busy(is_busy);
        parts.vitals.turned();
    }
}

/// Sends an answer. One who does not wait for it any more misses nothing.
fn answer<T>(reply: &Sender<T>, value: T) {
    let _ = reply.try_send(value);
}
