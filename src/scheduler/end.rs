//! The end: what waits is answered, what is over is written down, and `jobs.json` is left as the only file of the jobs.

use std::io;
use std::pin::pin;
use std::time::Duration;

use async_io::Timer;
use futures_lite::FutureExt;

use super::{Fatal, Scheduler, Writing, measure, tell, turn};
use crate::engine::Turn;
use crate::limits::TURN_SLEEP_MILLIS_MAX;
use crate::store::SnapshotDone;

impl Scheduler {
    /// Answers who still waits, and leaves `jobs.json` as the only file.
    ///
    /// # Errors
    ///
    /// What could not be saved.
    pub async fn save(mut self) -> Result<usize, Fatal> {
        self.finish().await
    }

    pub(super) async fn finish(&mut self) -> Result<usize, Fatal> {
        self.parts.letters.close();
        while let Ok(letter) = self.parts.letters.try_recv() {
            drop(letter);
        }
        self.end_writing().await?;
        let now = self.parts.clock.now();
        // What came back behind a write that hung.
        let landed = std::mem::take(&mut self.landed);
        let metrics = &self.parts.metrics;
        for (event, took) in turn::land(&mut self.parts.engine.write(), landed, now.wall, metrics) {
            tell::event(&event, Some(took), metrics);
        }
        self.write_outcomes().await?;
        if self.parts.engine.read().has_unrecorded() {
            self.parts.store.uncover(now.steady);
        }
        while !self.waiting.is_empty() || self.parts.store.is_snapshotting() || self.parts.store.is_writing_history() {
            self.parts.store.sync(true, self.parts.clock.now().steady);
            self.take_disk_event().await?;
        }
        // Where the journal has no room, the history takes them behind the snapshot that shows the jobs. No fsync that is
        // over now has it take them before.
        let runs = self.parts.engine.write().take_held_back();
        self.parts.store.push_runs(runs);
        if let Err(error) = self.parts.store.begin_last_snapshot(self.parts.clock.now()) {
            tracing::warn!(%error, "empty segments of the journal could not be removed");
        }
        while self.parts.store.is_snapshotting() {
            match self.take_disk_event().await? {
                Some(Ok(done)) => self.snapshot_done(&done),
                Some(Err(error)) => return Err(Fatal::Save(error)),
                None => {}
            }
        }
        Ok(self.parts.engine.read().in_flight())
    }

    /// Has what is over written down that is not: the last snapshot tells of jobs alone.
    async fn write_outcomes(&mut self) -> Result<(), Fatal> {
        while self.parts.store.refusal().is_none() {
            let now = self.parts.clock.now();
            let mut turn = Turn::default();
            let bite = self.parts.bites.late_records;
            let records = self.parts.engine.write().take_outcomes(bite, now.wall, &mut turn);
            if records.is_empty() {
                return Ok(());
            }
            self.writing = Writing { own: records.len(), changes: Vec::new() };
            if let Some(written) = self.write(records, Vec::new(), now)? {
                self.conclude(written, now)?;
            }
            self.end_writing().await?;
            for event in turn.events {
                tell::event(&event, None, &self.parts.metrics);
            }
        }
        Ok(())
    }

    /// Waits until nothing is being written.
    ///
    /// # Errors
    ///
    /// Why the process has to end at once.
    pub async fn end_writing(&mut self) -> Result<(), Fatal> {
        while self.parts.store.writing_since().is_some() {
            let finished = self.alive_until(self.parts.store.finished()).await.map_err(Fatal::Sync)?;
            self.take_finished(finished)?;
        }
        Ok(())
    }

    async fn take_disk_event(&mut self) -> Result<Option<io::Result<SnapshotDone>>, Fatal> {
        let event = self.alive_until(self.parts.disk.recv()).await;
        let event = event.expect("the store's helpers live as long as the store");
        measure::disk(&self.parts.metrics, &event);
        let now = self.parts.clock.now();
        let result = self.parts.store.take_event(event, &self.parts.engine.read(), now).map_err(Fatal::Sync)?;
        self.answer_synced();
        Ok(result)
    }

    /// Waits for what the end needs. The loop is over, but its thread still turns, and a disk that is slow is no reason
    /// to end the process before everything is saved.
    async fn alive_until<T>(&self, event: impl Future<Output = T>) -> T {
        let mut event = pin!(event);
        loop {
            self.parts.vitals.turned();
            let turn = async {
                Timer::after(Duration::from_millis(TURN_SLEEP_MILLIS_MAX)).await;
                None
            };
            if let Some(event) = async { Some((&mut event).await) }.or(turn).await {
                return event;
            }
        }
    }
}
