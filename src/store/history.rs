//! When the history of runs is written: behind the journal, by the thread that makes the snapshots, for nobody.

use std::io;
use std::time::{Duration, Instant};

use super::Store;
use super::helper::Request;
use crate::clock::Now;
use crate::disk::Failure;
use crate::limits::HISTORY_LOOK_SECS;

#[derive(Debug)]
pub(super) struct History {
    /// The thread is at it.
    pub(super) is_running: bool,
    /// When it was last.
    pub(super) looked_at: Instant,
    /// It could not write, and that was told.
    is_told: bool,
}

impl History {
    pub(super) fn new(now: Instant) -> Self {
        Self { is_running: false, looked_at: now, is_told: false }
    }

    /// Takes what came of it. What was not written waits for the next time.
    pub(super) fn ended(&mut self, result: Result<(), Failure>) {
        self.is_running = false;
        let was_told = std::mem::replace(&mut self.is_told, result.is_err());
        match result {
            Err(failure) if !was_told => {
                let error = io::Error::from(failure);
                tracing::error!(%error, "the history of runs cannot be written; it is tried again and again");
            }
            Ok(()) if was_told => tracing::info!("the history of runs is written again"),
            Ok(()) | Err(_) => {}
        }
    }
}

impl Store {
    /// Has the history written as far as the journal is on the disk, unless the thread is busy: a snapshot writes it too.
    pub(super) fn write_history(&mut self, now: Now) {
        // A snapshot that is due writes it too.
        let is_first = self.snapshot_due().is_none_or(|due| due > now.steady);
        if is_first && self.is_thread_free() && self.ledger.waits(self.sync.done) {
            self.look_at_history(now);
        }
    }

    /// Has what is too old removed now and then, also where nothing is written.
    pub fn keep_history(&mut self, now: Now) {
        let is_due =
            now.steady.saturating_duration_since(self.history.looked_at) >= Duration::from_secs(HISTORY_LOOK_SECS);
        if is_due && self.is_thread_free() {
            self.look_at_history(now);
        }
    }

    fn is_thread_free(&self) -> bool {
        !self.history.is_running && self.snapshot.running.is_none() && !self.snapshot.is_beginning
    }

    fn look_at_history(&mut self, now: Now) {
        self.history.is_running = true;
        self.history.looked_at = now.steady;
        self.helpers.snapshot(Request::History { upto: self.sync.done, now: now.wall });
    }

    /// Counts runs that found no room in memory while the journal had none.
    pub fn count_lost(&self, count: u64) {
        self.ledger.count_lost(count);
    }

    /// Whether the thread is at the history.
    pub fn is_writing_history(&self) -> bool {
        self.history.is_running
    }
}
