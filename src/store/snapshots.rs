//! When a snapshot is made, of what, and what it makes needless.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::folder::Basis;
use super::helper::{Chunk, Request, SnapshotDone, SnapshotRequest};
use super::journal::Journal;
use super::writer::{NewSegment, Task, WantedFor};
use super::{End, Position, Refusal, Store, Written, note_synced};
use crate::clock::Now;
use crate::engine::{Engine, Filter};
use crate::job::JobId;
use crate::limits::{
    SNAPSHOT_DELAY_MILLIS, SNAPSHOT_JOURNAL_BYTES_MIN, SNAPSHOT_REFUSED_REST_SECS_MAX, SNAPSHOT_REST_FACTOR,
    SNAPSHOT_RETRY_MILLIS,
};

#[derive(Debug)]
pub(super) struct Snapshots {
    pub(super) running: Option<Running>,
    /// One begins as soon as its segment is there.
    pub(super) is_beginning: bool,
    /// What the journal stands on.
    pub(super) basis: Basis,
    /// The note of that is there, without which no segment may stand on it.
    pub(super) is_noted: bool,
    pub(super) segment: Segment,
    /// When the first change came that no snapshot covers.
    pub(super) uncovered_since: Option<Instant>,
    pub(super) last_end: Instant,
    pub(super) last_took: Duration,
    pub(super) last_failed: bool,
}

/// What the present segment is to the next snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    /// One to be covered, and followed by another.
    Covered,
    /// It was begun for a snapshot that failed, and serves its next try: else each try would leave
    /// a segment behind.
    Begun,
    /// The folder was gone, or nothing could be made in it: it may be nowhere.
    Doubtful,
}

#[derive(Debug)]
pub(super) struct Running {
    pub(super) began: Instant,
    pub(super) chunks: SyncSender<Chunk>,
    /// The last job that was handed over.
    pub(super) after: Option<JobId>,
    /// All were, and the end of the list waits for the end of a write.
    pub(super) waits_for_write: bool,
    pub(super) covers: Vec<u64>,
}

impl Store {
    /// When the next snapshot is due: a moment after the first change that none covers, but so
    /// that writing takes no more than its share of the time, unless the journal outgrows it.
    pub fn snapshot_due(&self) -> Option<Instant> {
        let is_free = self.snapshot.running.is_none() && !self.history.is_running;
        let since = self.snapshot.uncovered_since.filter(|_| is_free)?;
        if self.has_loose_name() && self.sync.is_running {
            // The next segment would have to wait for the same disk, and all fires with it.
            return None;
        }
        let retry = Duration::from_millis(SNAPSHOT_RETRY_MILLIS);
        let rest = self.snapshot.last_took * SNAPSHOT_REST_FACTOR;
        if self.refusal.as_ref().is_some_and(|refusal| matches!(refusal.ends, End::Snapshot)) {
            // Clients wait for it.
            let rest = self.snapshot.last_took.min(Duration::from_secs(SNAPSHOT_REFUSED_REST_SECS_MAX));
            return Some(self.snapshot.last_end + rest.max(retry));
        }
        if self.snapshot.last_failed {
            return Some(self.snapshot.last_end + rest.max(retry));
        }
        let rested = self.snapshot.last_end + rest;
        let grown = self.snapshot.basis.sum.map_or(0, |sum| sum.len).max(SNAPSHOT_JOURNAL_BYTES_MIN);
        let outgrown = self.end.len > grown;
        let soon = since + Duration::from_millis(SNAPSHOT_DELAY_MILLIS);
        Some(if outgrown { soon } else { soon.max(rested) })
    }

    /// Whether the name of the present segment may not be on the disk yet. A power cut could take it and leave the
    /// next one, which would be replayed without what it stands on.
    pub fn has_loose_name(&self) -> bool {
        let is_fixed = self.sync.done.segment == self.end.segment && self.sync.done.len > 0;
        self.end.len > 0 && !is_fixed && self.snapshot.segment != Segment::Doubtful
    }

    /// Begins a snapshot: has all jobs written, beside a segment that it does not cover. Where that is
    /// there already it is known at once that it has begun.
    pub fn begin_snapshot(&mut self, now: Now) -> Option<Written> {
        let is_there = self.journal.as_ref().is_some_and(|journal| match self.snapshot.segment {
            Segment::Begun => true,
            // One that nothing was written to serves as the new one.
            Segment::Covered => journal.len() == 0,
            Segment::Doubtful => false,
        });
        if is_there {
            return Some(Written::Snapshot(self.begin_snapshot_with(Ok(()), now)));
        }
        self.snapshot.is_beginning = true;
        let segment = self.new_segment(WantedFor::Snapshot);
        self.write(segment, now.steady);
        None
    }

    /// The segment is there, or not: then it is tried again. Where the folder itself is the cause, changes are
    /// refused until then, because what is appended now may be nowhere after a restart.
    pub(super) fn begin_snapshot_with(&mut self, segment: io::Result<()>, now: Now) -> io::Result<()> {
        self.snapshot.is_beginning = false;
        if let Err(error) = segment {
            self.snapshot.last_end = now.steady;
            self.snapshot.last_took = Duration::ZERO;
            self.snapshot.last_failed = true;
            if is_unusable(&error) {
                self.doubt_folder(&error);
            }
            return Err(error);
        }
        let present = self.journal.as_ref().map(Journal::number);
        let covers = self.segments.iter().copied().filter(|segment| Some(*segment) != present).collect();
        // Where its segment is older than this try, it goes only with the next one.
        let is_new = self.journal.as_ref().is_some_and(|journal| journal.len() == 0);
        self.start_snapshot(now, covers, false);
        self.snapshot.uncovered_since = Some(now.steady).filter(|_| !is_new);
        Ok(())
    }

    /// Something changed that no snapshot covers, and that may never be written to the journal.
    pub fn uncover(&mut self, now: Instant) {
        self.snapshot.uncovered_since.get_or_insert(now);
    }

    pub(super) fn new_segment(&self, wanted_for: WantedFor) -> Task {
        let Snapshots { is_noted, basis, .. } = self.snapshot;
        let number = self.segments.last().map_or(self.end.segment, |last| last + 1);
        let after = self.journal.as_ref().map(Journal::len).or(self.found_len);
        let has_fixed_name = |journal: &Journal| self.sync.done.segment == journal.number() && self.sync.done.len > 0;
        let is_after_loose_name = self.journal.as_ref().is_some_and(|journal| !has_fixed_name(journal));
        Task::Segment(NewSegment { wanted_for, number, after, is_after_loose_name, is_noted, basis })
    }

    /// The journal goes on in a new segment behind `old`.
    pub(super) fn begin_segment(&mut self, old: Option<Journal>) {
        let number = self.journal.as_ref().expect("it is the new segment").number();
        self.segments.push(number);
        self.snapshot.segment = Segment::Begun;
        self.sync.is_new = true;
        let old = old.map(|mut old| {
            note_synced(&mut old, self.sync.done);
            old
        });
        match old.filter(Journal::is_loose) {
            Some(old) => self.sync.before.push(Arc::clone(old.file())),
            // Up to the start of the new segment there is nothing left to wait for.
            None if self.sync.before.is_empty() => self.sync.done = Position { segment: number, len: 0 },
            None => {}
        }
    }

    /// Ends the journal: where `jobs.json` does not show the present yet, begins the last snapshot
    /// of this process; no segment is left. Nothing may be appended after it.
    ///
    /// # Errors
    ///
    /// A segment cannot be removed. It does no harm where it is.
    pub fn begin_last_snapshot(&mut self, now: Now) -> io::Result<()> {
        if self.snapshot.uncovered_since.is_some() {
            let covers = self.segments.clone();
            self.start_snapshot(now, covers, true);
            return Ok(());
        }
        self.ledger.settle(u64::MAX, now.wall)?;
        self.folder.remove_segments(&mut self.segments)?;
        self.folder.remove_note()?;
        Ok(self.folder.sync()?)
    }

    /// How long the last snapshot took, whether it is on the disk or failed.
    pub fn last_snapshot_took(&self) -> Duration {
        self.snapshot.last_took
    }

    /// Whether a snapshot is being written.
    pub fn is_snapshotting(&self) -> bool {
        self.snapshot.running.is_some()
    }

    /// Whether one has all jobs and waits until they are written to the journal too.
    pub fn snapshot_waits_for_write(&self) -> bool {
        self.snapshot.running.as_ref().is_some_and(|running| running.waits_for_write)
    }

    /// Hands the snapshot its next jobs; an empty chunk is the end of the list. That comes only when nothing is being
    /// written: the snapshot has the journal fsynced before it gets its name, and what a power cut leaves of that must
    /// hold every definition that the jobs show. A progress for which there was no room may be missing.
    pub(super) fn hand_over_chunk(&mut self, engine: &Engine) {
        let Some(running) = &mut self.snapshot.running else { return };
        let after = running.after.as_ref().map(JobId::as_str);
        let page = engine.page(after, &Filter::default(), self.bites.chunk_jobs, self.bites.chunk_jobs);
        running.after = page.jobs.last().map(|job| job.spec.id.clone()).or(running.after.take());
        running.waits_for_write = page.jobs.is_empty() && self.writing.is_some();
        if running.waits_for_write {
            return;
        }
        // The helper asks for one at a time; if it is gone, its result says why.
        let _ = running.chunks.try_send(Chunk { jobs: page.jobs, synced: self.sync.done });
    }

    /// Nothing is being written any more, so the end of the list may come.
    pub(super) fn hand_over_end(&mut self) {
        if let Some(running) = self.snapshot.running.as_mut().filter(|running| running.waits_for_write) {
            running.waits_for_write = false;
            // As with a chunk.
            let _ = running.chunks.try_send(Chunk { jobs: Vec::new(), synced: self.sync.done });
        }
    }

    fn start_snapshot(&mut self, now: Now, covers: Vec<u64>, is_last: bool) {
        let (chunks, received) = sync_channel(1);
        let (updated_at, covered) = (now.wall, covers.clone());
        let from = covers.last().map_or(self.end.segment, |last| last + 1);
        let request = SnapshotRequest { chunks: received, updated_at, covers: covered, from, is_last };
        self.helpers.snapshot(Request::Snapshot(request));
        self.snapshot.uncovered_since = None;
        self.snapshot.running =
            Some(Running { began: now.steady, chunks, after: None, waits_for_write: false, covers });
    }

    pub(super) fn end_snapshot(&mut self, result: &io::Result<SnapshotDone>, now: Instant) {
        let running = self.snapshot.running.take().expect("a result comes from a snapshot that was begun");
        self.snapshot.last_end = now;
        self.snapshot.last_took = now.saturating_duration_since(running.began);
        self.snapshot.last_failed = result.is_err();
        match result {
            Ok(done) => {
                self.snapshot.basis = done.basis;
                self.snapshot.is_noted = true;
                self.snapshot.segment = Segment::Covered;
                self.segments.retain(|segment| !running.covers.contains(segment) || done.left.contains(segment));
                self.refusal.take_if(|refusal| matches!(refusal.ends, End::Snapshot));
            }
            Err(error) => {
                self.snapshot.uncovered_since.get_or_insert(now);
                if error.kind() == io::ErrorKind::NotFound {
                    // The folder is gone, and the journal with it.
                    self.doubt_folder(error);
                }
            }
        }
    }

    fn doubt_folder(&mut self, error: &io::Error) {
        self.snapshot.segment = Segment::Doubtful;
        self.refusal = Some(Refusal::new(error, End::Snapshot));
    }
}

/// Whether nothing can be made in the folder, be there room or not.
fn is_unusable(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem};
    matches!(error.kind(), NotFound | NotADirectory | PermissionDenied | ReadOnlyFilesystem)
}
