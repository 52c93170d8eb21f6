//! One turn of the loop: what has arrived is decided on and has its records written; once they are, what
//! stands on them is made true.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use async_channel::Sender;
use jiff::Timestamp;

use super::{Fatal, Order, Reply, Scheduler, Waiting, Wake, Writing, measure, publish, tell};
use crate::clock::Now;
use crate::engine::{Command, Engine, Event, Planned, Record, Refusal, Start, Turn};
use crate::events::Happening;
use crate::executor::Report;
use crate::inbox::Letter;
use crate::job::{Job, JobId};
use crate::limits::{DISK_HANGS_SECS, TURN_BODY_BYTES_MAX, TURN_DISK_EVENTS_MAX, TURN_FIRES_MAX, WRITE_STALL_MILLIS};
use crate::metrics::Metrics;
use crate::store::{DiskEvent, Finished, Written};

/// What has arrived since the last turn.
#[derive(Default)]
struct Arrived {
    letters: Vec<Letter>,
    reports: Vec<Report>,
}

/// A command that can be done, once its record is written.
#[derive(Debug)]
pub(super) struct Ready {
    /// How many records it has, and so whether it changes something: the change itself, and behind it outcomes.
    records: usize,
    reply: Reply,
    job: Job,
    /// What is to be told of it.
    events: Vec<Event>,
    /// What those who listen are told of its job.
    happening: Option<fn(&Job) -> Happening>,
}

impl Scheduler {
    /// One turn: drains, decides, has it written, answers. Where the last turn's records are still being
    /// written it decides nothing.
    ///
    /// # Errors
    ///
    /// Why the process has to end at once.
    pub fn turn(&mut self, wake: Wake) -> Result<(), Fatal> {
        let arrived = self.drain(wake)?;
        if let Some(finished) = self.parts.store.writing_since().and_then(|_| self.parts.store.try_finished()) {
            self.take_finished(finished)?;
        }
        if self.parts.store.writing_since().is_some() {
            self.keep(arrived);
            return Ok(());
        }
        let bites = self.parts.bites;
        let now = self.parts.clock.now();
        self.turned_at = now.steady;
        let mut turn = Turn::default();
        // Those who look would go before each step that asks for the engine anew.
        let mut engine = self.parts.engine.write();
        let landed = land(&mut engine, arrived.reports, now.wall, &self.parts.metrics);
        if self.order.is_none() {
            self.more_due = engine.fire_due(now.wall, bites.fires, &mut turn);
            engine.dispatch(now.wall, TURN_FIRES_MAX, &mut turn);
        } else {
            self.more_due = false;
        }
        // Those that were put off come first.
        let commands: Vec<Letter> = self.deferred.drain(..).chain(arrived.letters).collect();
        if self.parts.store.refusal().is_none() {
            for letter in &commands {
                engine.hasten(letter.command.id());
            }
        }
        // At the end the last snapshot holds what is late.
        let late = if matches!(self.order, Some(Order::End(_))) { 0 } else { bites.late_records };
        let mut records = engine.take_records(late, now.wall, &mut turn);
        drop(engine);
        let own = records.len();
        let changes = self.plan(commands, now, &mut records);
        self.writing = Writing { own, changes };
        let written = self.write(records, turn.starts, now)?;
        for (event, took) in landed {
            tell::event(&event, Some(took), &self.parts.metrics);
        }
        for event in turn.events {
            tell::event(&event, None, &self.parts.metrics);
        }
        if let Some(written) = written {
            self.conclude(written, now)?;
        }
        self.parts.vitals.turned();
        Ok(())
    }

    /// It waits for the end of a write.
    fn keep(&mut self, arrived: Arrived) {
        self.landed = arrived.reports;
        self.deferred.extend(arrived.letters);
        let now = self.parts.clock.now();
        if self.hangs(now).is_some() {
            let refusal = self.tell_refusal(now);
            for Letter { reply, .. } in self.deferred.drain(..) {
                answer(&reply, Err(Refusal::Disk(refusal.clone().unwrap_or_default())));
            }
        }
        self.parts.vitals.turned();
    }

    fn drain(&mut self, wake: Wake) -> Result<Arrived, Fatal> {
        let mut arrived = Arrived { reports: std::mem::take(&mut self.landed), ..Arrived::default() };
        match wake {
            Wake::Letter(letter) => arrived.letters.push(letter),
            Wake::Report(report) => arrived.reports.push(report),
            Wake::Disk(event) => self.take_event(event)?,
            Wake::Written(finished) => self.take_finished(finished)?,
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
        while self.takes_letters(arrived.letters.len())
            && let Ok(letter) = self.parts.letters.try_recv()
        {
            arrived.letters.push(letter);
        }
        Ok(arrived)
    }

    fn take_event(&mut self, event: DiskEvent) -> Result<(), Fatal> {
        measure::disk(&self.parts.metrics, &event);
        let now = self.parts.clock.now();
        let result = self.parts.store.take_event(event, &self.parts.engine.read(), now).map_err(Fatal::Sync)?;
        match result {
            Some(Ok(done)) => self.snapshot_done(&done),
            Some(Err(error)) => self.snapshot_failed(&error),
            None => {}
        }
        self.answer_synced();
        Ok(())
    }

    /// Plans at most one command for a job, so that each is planned on a state that is true. Their records
    /// come behind those that are there.
    fn plan(&mut self, commands: Vec<Letter>, now: Now, records: &mut Vec<Record>) -> Vec<Ready> {
        let mut ready = Vec::new();
        let mut touched: HashSet<JobId> = HashSet::new();
        let mut body_bytes = 0;
        for letter in commands {
            if touched.contains(letter.command.id()) || body_bytes >= TURN_BODY_BYTES_MAX {
                self.deferred.push_back(letter);
                continue;
            }
            let Letter { command, reply } = letter;
            let planned = self.parts.engine.read().plan(&command, now.wall);
            let planned = planned.and_then(|planned| match self.refusal(ready.len(), now) {
                Some(reason) if planned.record.is_some() || self.is_crowded(ready.len()) => Err(Refusal::Disk(reason)),
                _ => Ok(planned),
            });
            match planned {
                Ok(mut planned) => {
                    touched.insert(command.id().clone());
                    body_bytes += body_bytes_of(&command, &planned.job);
                    let own = planned.take_records(now.wall);
                    let Planned { job, events, .. } = planned;
                    let happening = publish::of(&command);
                    ready.push(Ready { records: own.len(), reply, job, events, happening });
                    records.extend(own);
                }
                Err(refusal) => answer(&reply, Err(refusal)),
            }
        }
        ready
    }

    /// Why no change is taken, where so many of this turn are taken already.
    fn refusal(&self, ready: usize, now: Now) -> Option<String> {
        let refusal = self.parts.store.refusal().map(str::to_owned);
        let crowded = || format!("the disk hangs: {} changes wait for an fsync", self.waiting_max);
        refusal.or_else(|| self.hangs(now)).or_else(|| self.is_crowded(ready).then(crowded))
    }

    /// Whether as many changes wait for an fsync as may, those included that change nothing and wait all the same.
    fn is_crowded(&self, ready: usize) -> bool {
        self.waiting.len() + ready >= self.waiting_max
    }

    /// Says that the write which is under way does not end.
    fn hangs(&self, now: Now) -> Option<String> {
        let since = self.parts.store.writing_since()?;
        let hangs = now.steady.saturating_duration_since(since) >= Duration::from_secs(DISK_HANGS_SECS);
        hangs.then(|| format!("the disk hangs: a write has not ended after {DISK_HANGS_SECS} s"))
    }

    /// Has the records written, and then the attempts made: a killed process must know what it had begun.
    pub(super) fn write(
        &mut self,
        records: Vec<Record>,
        starts: Vec<Start>,
        now: Now,
    ) -> Result<Option<Written>, Fatal> {
        for start in &starts {
            let were_busy = self.busy.due().is_some();
            self.late.started(start, were_busy, now.steady);
            measure::start(&self.parts.metrics, start);
        }
        if !starts.is_empty() && self.parts.starts.is_closed() {
            return Err(Fatal::Executor);
        }
        let (executor, events) = (self.parts.starts.clone(), self.parts.events.clone());
        Ok(self.parts.store.append(records, now.steady, move || {
            for start in starts {
                publish::start(&events, &start, now.wall);
                // The channel holds as many as there are workers, and the engine starts no more. Where it is
                // closed, the next turn says so.
                let _ = executor.try_send(start);
            }
        }))
    }

    /// Something was written, or could not be.
    ///
    /// # Errors
    ///
    /// Why the process has to end at once.
    pub fn take_finished(&mut self, finished: Finished) -> Result<(), Fatal> {
        let now = self.parts.clock.now();
        let written = self.parts.store.take_finished(finished, now).map_err(Fatal::Sync)?;
        self.conclude(written, now)
    }

    /// Makes true what stands on it, and sees what is to be written next.
    pub(super) fn conclude(&mut self, written: Written, now: Now) -> Result<(), Fatal> {
        match written {
            Written::Turn { records, result, took } => {
                measure::write(&self.parts.metrics, took);
                if took >= Duration::from_millis(WRITE_STALL_MILLIS) {
                    self.late.disk_stalled(now.steady);
                    tracing::warn!(took_ms = tell::millis(took), "a write to the journal stalled");
                }
                self.settle(records, &result);
            }
            Written::Snapshot(Err(error)) => self.snapshot_failed(&error),
            Written::Snapshot(Ok(())) | Written::Room => {}
        }
        self.keep_up(now)
    }

    /// Makes the commands true that are written down, and refuses the others.
    fn settle(&mut self, mut records: Vec<Record>, written: &Result<(), String>) {
        let Writing { own, changes } = std::mem::take(&mut self.writing);
        let mut commands = records.split_off(own).into_iter();
        let mut engine = self.parts.engine.write();
        let position = self.parts.store.position();
        if written.is_ok() {
            publish::ended(&self.parts.events, &records);
        } else {
            engine.unwritten(records);
        }
        for Ready { records, reply, job, events, happening } in changes {
            let own: Vec<Record> = commands.by_ref().take(records).collect();
            if !own.is_empty() {
                if let Err(reason) = written {
                    answer(&reply, Err(Refusal::Disk(reason.clone())));
                    continue;
                }
                publish::ended(&self.parts.events, &own);
                for record in own {
                    engine.apply(record);
                }
                for event in &events {
                    tell::event(event, None, &self.parts.metrics);
                }
                if let Some(happening) = happening {
                    self.parts.events.publish(happening(&job));
                }
            }
            self.waiting.push_back(Waiting { position, reply, job });
        }
        for job in engine.take_switched() {
            self.parts.events.publish(Happening::JobChanged(job));
        }
        let let_go = engine.take_let_go();
        drop(engine);
        for token in let_go {
            // One that finds no room only holds its worker for longer; and where nobody listens the process ends.
            let _ = self.parts.cancels.try_send(token);
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

    /// Looks after the files and after what others are told.
    fn keep_up(&mut self, now: Now) -> Result<(), Fatal> {
        let Self { parts, .. } = self;
        let is_due = |due: Option<Instant>| due.is_some_and(|due| due <= now.steady);
        let is_wanted = parts.store.has_loose_name() && is_due(parts.store.snapshot_due());
        parts.store.sync(!self.waiting.is_empty() || is_wanted, now.steady);
        let is_ending = matches!(self.order, Some(Order::End(_)));
        // It would show what a crash could not tell any more.
        let is_early = parts.store.refusal().is_none() && parts.engine.read().owes_outcomes();
        if is_due(parts.store.snapshot_due()) && !is_ending && !is_early {
            if let Some(written) = parts.store.begin_snapshot(now) {
                return self.conclude(written, now);
            }
        } else if is_due(parts.store.room_look_due()) && !is_ending {
            parts.store.look_for_room(now.steady);
        }
        let is_well = parts.store.refusal().is_none();
        if is_well && parts.engine.read().has_unwritten() {
            parts.engine.write().write_again();
        }
        parts.store.keep_history(now);
        let lost = if is_well { 0 } else { parts.engine.write().take_lost_runs() };
        if lost > 0 {
            parts.store.count_lost(lost);
            tracing::error!(
                records = lost,
                "the disk takes nothing and memory holds no more records of runs: they are lost"
            );
        }
        self.tell_refusal(now);
        let Self { parts, .. } = self;
        let is_waiting = parts.engine.read().waits_for_worker() && self.order.is_none();
        let is_busy = self.busy.look(is_waiting, parts.engine.read().in_flight(), now.steady);
        parts.vitals.set_workers_busy(is_busy);
        self.measure();
        Ok(())
    }

    /// Tells where changes begin or cease to be refused, and gives why they are.
    pub(super) fn tell_refusal(&mut self, now: Now) -> Option<String> {
        let refusal = self.refusal(0, now);
        if refusal != self.told_refusal {
            tell::refusal(refusal.as_deref());
            self.parts.vitals.set_store_refusal(refusal.clone());
            self.parts.metrics.store.refusing.set(refusal.is_some().into());
            self.told_refusal.clone_from(&refusal);
        }
        refusal
    }
}

/// Takes what came of attempts; gives what is to be told of it, and how long each took.
pub(super) fn land(
    engine: &mut Engine,
    reports: Vec<Report>,
    now: Timestamp,
    metrics: &Metrics,
) -> Vec<(Event, Duration)> {
    let mut turn = Turn::default();
    let mut told = Vec::new();
    for mut report in reports {
        let seen = std::mem::take(&mut report.seen);
        let was_awaited = engine.ended(report.token, &report.outcome, seen, now, &mut turn);
        measure::attempt(metrics, &report, was_awaited);
        told.extend(turn.events.drain(..).map(|event| (event, report.took)));
    }
    told
}

/// How much of a turn's record is the body of a call.
fn body_bytes_of(command: &Command, planned: &Job) -> usize {
    match command {
        Command::Create { .. } | Command::Patch { .. } => planned.spec.http.body.len(),
        Command::RunNow { asked, .. } => {
            let body = asked.overrides.as_ref().and_then(|overrides| overrides.body.as_ref());
            body.map_or(0, |body| body.len())
        }
        _ => 0,
    }
}

/// Sends an answer. One who does not wait for it any more misses nothing.
fn answer<T>(reply: &Sender<T>, value: T) {
    let _ = reply.try_send(value);
}
