//! What the loop waits for, and how long.

use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_lite::{FutureExt, future};

use super::{Order, Scheduler, Wake};
use crate::alarm::Alarm;
use crate::limits::{NAP_MICROS_MAX, REPORT_REST_MICROS, TURN_SLEEP_MILLIS_MAX};

impl Scheduler {
    /// Waits for whatever comes first. The sleep is bounded, because wall clocks step and
    /// machines sleep, and no timer tells of either.
    pub(super) fn wait(&mut self) -> Wake {
        let mut alarm = std::mem::take(&mut self.alarm);
        let wake = self.wait_with(&mut alarm);
        self.alarm = alarm;
        wake
    }

    fn wait_with(&self, alarm: &mut Alarm) -> Wake {
        let is_writing = self.parts.store.writing_since().is_some();
        let sleep = self.sleep();
        // Where nobody waits for the end of a write, whatever comes next finds it at its end and saves a wake-up.
        let is_awaited = is_writing && (sleep.is_none() || self.waits_for_write());
        let bound = Duration::from_millis(TURN_SLEEP_MILLIS_MAX);
        let Some(sleep) = (if is_awaited { Some(bound) } else { sleep }) else {
            return future::block_on(future::poll_once(self.arrival())).unwrap_or(Wake::Time);
        };
        let deadline = Instant::now() + sleep;
        let written = async {
            let finished = if is_awaited { self.parts.store.finished().await.ok() } else { None };
            finished.map(Wake::Written)
        };
        let mut others = pin!(or_never(written).or(self.others()));
        if let Some(reports_at) = self.reports_at() {
            if let Some(wake) = self.naps.until(reports_at.min(deadline), &mut others) {
                return wake;
            }
            if deadline <= reports_at {
                return Wake::Time;
            }
        }
        let mut arrival = pin!(self.report().or(others));
        if sleep <= Duration::from_micros(NAP_MICROS_MAX) || sleep == bound {
            return self.naps.until(deadline, &mut arrival).unwrap_or(Wake::Time);
        }
        let time = future::poll_fn(|cx| {
            let is_time = alarm.has_rung(deadline, cx);
            if is_time { Poll::Ready(Wake::Time) } else { Poll::Pending }
        });
        async_io::block_on(arrival.or(time))
    }

    /// Until when what comes back waits for a turn that is made anyway; `None` where it is taken at once, because
    /// a run waits for its worker, or the end for it.
    fn reports_at(&self) -> Option<Instant> {
        let is_awaited = self.parts.engine.read().queued() > 0 || self.order.is_some();
        let at = self.turned_at + Duration::from_micros(REPORT_REST_MICROS);
        Some(at).filter(|_| !is_awaited && self.parts.engine.read().in_flight() > 0)
    }

    /// Whether something cannot go on before the write that is under way has ended.
    pub(super) fn waits_for_write(&self) -> bool {
        // Only when the journal is back the next fsync can be asked for; one that runs wakes the loop at its end.
        let waits_for_fsync = !self.waiting.is_empty() && !self.parts.store.is_syncing();
        waits_for_fsync
            || self.parts.store.snapshot_waits_for_write()
            || !self.writing.changes.is_empty()
            || !self.landed.is_empty()
            || self.order.is_some()
    }

    /// Whether one more letter is taken. What was put off counts too: where all are for one job, or a write does
    /// not end, more wait in their connections.
    pub(super) fn takes_letters(&self, arrived: usize) -> bool {
        arrived + self.deferred.len() < self.parts.bites.letters
    }

    /// Waits for whatever arrives first.
    pub async fn arrival(&self) -> Wake {
        self.report().or(self.others()).await
    }

    // A closed channel wakes nobody: its other end is gone, and whoever held it says so elsewhere.

    async fn report(&self) -> Wake {
        or_never(async { self.parts.reports.recv().await.ok().map(Wake::Report) }).await
    }

    async fn others(&self) -> Wake {
        let letter = async {
            let letter = if self.takes_letters(0) { self.parts.letters.recv().await.ok() } else { None };
            letter.map(Wake::Letter)
        };
        let disk = async { self.parts.disk.recv().await.ok().map(Wake::Disk) };
        let order = async { self.parts.orders.recv().await.ok().map(Wake::Order) };
        or_never(disk).or(or_never(order)).or(or_never(letter)).await
    }

    /// How long nothing has to be done; `None` where there is something to do now.
    pub fn sleep(&self) -> Option<Duration> {
        if self.more_due || !self.deferred.is_empty() {
            return None;
        }
        let bound = Duration::from_millis(TURN_SLEEP_MILLIS_MAX);
        let now = self.parts.clock.now();
        let due = self.parts.engine.read().next_wake(now.wall).filter(|_| self.order.is_none());
        let until_due = due.map_or(bound, |due| due.duration_since(now.wall).try_into().unwrap_or(Duration::ZERO));
        // At the end only the last snapshot is left to be made, after the loop.
        let is_ending = matches!(self.order, Some(Order::End(_)));
        let snapshot = self.parts.store.snapshot_due().filter(|_| !is_ending);
        let until_snapshot = snapshot.map_or(bound, |due| due.saturating_duration_since(now.steady));
        let room = self.parts.store.room_look_due().filter(|_| !is_ending);
        let until_room = room.map_or(bound, |due| due.saturating_duration_since(now.steady));
        let until_tell = self.busy.tell_due().map_or(bound, |due| due.saturating_duration_since(now.steady));
        Some(until_due.min(until_snapshot).min(until_room).min(until_tell).min(bound)).filter(|sleep| !sleep.is_zero())
    }
}

async fn or_never(wake: impl Future<Output = Option<Wake>>) -> Wake {
    match wake.await {
        Some(wake) => wake,
        None => std::future::pending().await,
    }
}
