//! The threads that wait for the disk, so that the scheduler does not: one for fsyncs, one for
//! snapshots, and beside them the one that writes the journal.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::folder::{Basis, Folder};
use super::snapshot;
use super::writer::Writer;
use crate::disk::DiskFile;
use crate::disk::Failure;
use crate::job::Job;
use crate::ledger::{Ledger, Position};
use crate::limits::HISTORY_WAIT_BYTES_MAX;

/// What the helpers tell the owner of the store.
#[derive(Debug)]
pub enum DiskEvent {
    /// A segment is on the disk up to this byte.
    Synced {
        /// Which segment.
        segment: u64,
        /// Up to where.
        len: u64,
        /// How long that took.
        took: Duration,
    },
    /// An fsync failed, and nobody knows what is on the disk.
    SyncFailed(io::Error),
    /// The snapshot wants its next chunk of jobs.
    ChunkWanted,
    /// The snapshot is done, or it is not there.
    Snapshot(Result<SnapshotDone, Failure>),
    /// The history has what it was to have, or not yet.
    History(Result<(), Failure>),
}

/// A snapshot that is on the disk.
#[derive(Debug)]
pub struct SnapshotDone {
    pub(super) basis: Basis,
    /// Segments that it covers and that are still there.
    pub(super) left: Vec<u64>,
    /// Why something is left that nobody needs any more. It does no harm, and the next snapshot
    /// removes it.
    pub untidy: Option<io::Error>,
}

/// At most one fsync, one chunk or word of the history, one result and a panic are told at a time.
const EVENTS_MAX: usize = 4;

/// What is to be fsynced.
pub(super) struct SyncRequest {
    /// Older segments whose end is not on the disk yet: they go first.
    pub(super) before: Vec<Arc<dyn DiskFile>>,
    /// The segment is new: its name goes to the disk too.
    pub(super) is_new: bool,
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) segment: u64,
    pub(super) len: u64,
}

/// What the thread is to do that writes what nobody waits for.
pub(super) enum Request {
    Snapshot(SnapshotRequest),
    /// The journal is on the disk up to there: the history may have it too.
    History {
        upto: Position,
        now: Timestamp,
    },
}

/// A snapshot that is to be written.
pub(super) struct SnapshotRequest {
    /// The chunks of jobs, ended by an empty one. Where the channel ends before that, the owner is
    /// gone and the snapshot is given up.
    pub(super) chunks: Receiver<Chunk>,
    pub(super) updated_at: Timestamp,
    /// The segments that the snapshot covers, and the first that it does not.
    pub(super) covers: Vec<u64>,
    pub(super) from: u64,
    /// The last one of this process: no segment is left, and the note goes too.
    pub(super) is_last: bool,
}

/// A piece of a snapshot.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) jobs: Vec<Job>,
    /// Up to where the journal is on the disk: the history does not wait for the end of a long snapshot.
    pub(super) synced: Position,
}

/// The threads and the ways to them.
#[derive(Debug)]
pub(super) struct Helpers {
    syncs: Option<SyncSender<SyncRequest>>,
    snapshots: Option<SyncSender<Request>>,
    threads: Vec<JoinHandle<()>>,
    pub(super) writer: Writer,
}

impl Helpers {
    /// Starts them; `present` is what the journal stands on.
    pub(super) fn start(
        folder: &Arc<Folder>,
        ledger: &Arc<Ledger>,
        present: Basis,
    ) -> io::Result<(Self, async_channel::Receiver<DiskEvent>)> {
        let (events, received) = async_channel::bounded(EVENTS_MAX);
        let (syncs, sync_requests) = sync_channel::<SyncRequest>(1);
        let (snapshots, snapshot_requests) = sync_channel::<Request>(1);
        let writer = Writer::start(folder, events.clone())?;
        let syncer = {
            let (folder, events) = (Arc::clone(folder), events.clone());
            thread::Builder::new()
                .name("ksana-sync".into())
                .spawn(move || run_syncs(&folder, &sync_requests, &events))?
        };
        let snapshotter = {
            let (folder, ledger) = (Arc::clone(folder), Arc::clone(ledger));
            thread::Builder::new()
                .name("ksana-snapshot".into())
                .spawn(move || run_snapshots(&folder, &ledger, present, &snapshot_requests, &events))?
        };
        let helpers =
            Self { syncs: Some(syncs), snapshots: Some(snapshots), threads: vec![syncer, snapshotter], writer };
        Ok((helpers, received))
    }

    /// Asks for an fsync. One is asked for at a time, so there is always room.
    pub(super) fn sync(&self, request: SyncRequest) {
        let syncs = self.syncs.as_ref().expect("taken only when the store is dropped");
        syncs.try_send(request).unwrap_or_else(|_| panic!("the fsync thread ended or was asked twice"));
    }

    /// Asks for a snapshot, or for the history. One is asked for at a time, so there is always room.
    pub(super) fn snapshot(&self, request: Request) {
        let snapshots = self.snapshots.as_ref().expect("taken only when the store is dropped");
        snapshots.try_send(request).unwrap_or_else(|_| panic!("the snapshot thread ended or was asked twice"));
    }
}

impl Drop for Helpers {
    fn drop(&mut self) {
        self.syncs = None;
        self.snapshots = None;
        for thread in self.threads.drain(..) {
            // A panic there was told by the panic hook; here is nobody left to tell.
            let _ = thread.join();
        }
    }
}

/// Tells, when its thread panics, what the owner would else wait for in vain.
pub(super) struct Alarm<'a> {
    pub(super) events: &'a async_channel::Sender<DiskEvent>,
    pub(super) event: fn(io::Error) -> DiskEvent,
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            // Where nobody listens, nobody waits.
            let _ = self.events.send_blocking((self.event)(io::Error::other("its thread ended by a bug")));
        }
    }
}

fn run_syncs(folder: &Folder, requests: &Receiver<SyncRequest>, events: &async_channel::Sender<DiskEvent>) {
    let _alarm = Alarm { events, event: DiskEvent::SyncFailed };
    while let Ok(request) = requests.recv() {
        let began = Instant::now();
        let event = match sync(folder, &request) {
            Ok(()) => DiskEvent::Synced { segment: request.segment, len: request.len, took: began.elapsed() },
            Err(error) => DiskEvent::SyncFailed(error),
        };
        if events.send_blocking(event).is_err() {
            return;
        }
    }
}

fn sync(folder: &Folder, request: &SyncRequest) -> io::Result<()> {
    for file in &request.before {
        folder.sync_segment(&**file)?;
    }
    if request.is_new {
        folder.sync()?;
    }
    folder.sync_segment(&*request.file)
}

fn run_snapshots(
    folder: &Folder,
    ledger: &Ledger,
    present: Basis,
    requests: &Receiver<Request>,
    events: &async_channel::Sender<DiskEvent>,
) {
    let _alarm = Alarm { events, event: |error| DiskEvent::Snapshot(Err(Failure::Sync(error))) };
    let mut possible = vec![present];
    while let Ok(request) = requests.recv() {
        let request = match request {
            Request::Snapshot(request) => request,
            Request::History { upto, now } => {
                if events.send_blocking(DiskEvent::History(ledger.write(upto, now))).is_err() {
                    return;
                }
                continue;
            }
        };
        let result = write_snapshot(folder, ledger, &request, events, &mut possible).and_then(|basis| {
            let mut left = request.covers.clone();
            let untidy = match tidy(folder, ledger, &mut left, basis, &request) {
                Ok(()) => None,
                Err(Failure::Other(error)) => Some(error),
                Err(failure @ Failure::Sync(_)) => return Err(failure),
            };
            Ok(SnapshotDone { basis, left, untidy })
        });
        if result.is_err() {
            // The next try truncates it anyway; until then it may be what fills the disk.
            let _ = folder.remove_unfinished_snapshot();
        }
        drop(request);
        if events.send_blocking(DiskEvent::Snapshot(result)).is_err() {
            return;
        }
    }
}

/// Puts a new `jobs.json` in the place of the present one, of which `possible` says what it may
/// hold: more than one thing after a rename of which nobody knows whether it is on the disk.
fn write_snapshot(
    folder: &Folder,
    ledger: &Ledger,
    request: &SnapshotRequest,
    events: &async_channel::Sender<DiskEvent>,
    possible: &mut Vec<Basis>,
) -> Result<Basis, Failure> {
    let file = folder.create_snapshot()?;
    let out = Appended { file: Arc::clone(&file), len: 0 };
    let mut jobs = Chunks { request, events, ledger, chunk: Vec::new().into_iter(), end: None };
    let sum = snapshot::write(out, request.updated_at, &mut jobs)?;
    match jobs.end {
        Some(End::Whole) => {}
        Some(End::Failed(error)) => return Err(Failure::Sync(error)),
        Some(End::GivenUp) | None => return Err(io::Error::other("given up: its jobs stopped coming").into()),
    }
    file.sync()?;
    // What a power cut leaves of these is replayed over the new content, so they must not end before it.
    folder.sync_segments(request.from)?;
    // Those that it covers hold runs that the history does not have yet.
    folder.sync_covered(&request.covers)?;
    let basis = Basis { sum: Some(sum), from: request.from };
    let both = [possible.as_slice(), &[basis]].concat();
    folder.write_note(&both)?;
    folder.finish_snapshot()?;
    *possible = both;
    folder.sync()?;
    *possible = vec![basis];
    Ok(basis)
}

/// Removes what a snapshot covers, once the history has what it has to have of that, and narrows the note down to it:
/// an older content, put back by hand, must not pass for what the next segments stand on.
fn tidy(
    folder: &Folder,
    ledger: &Ledger,
    left: &mut Vec<u64>,
    basis: Basis,
    request: &SnapshotRequest,
) -> Result<(), Failure> {
    let before = if request.is_last { u64::MAX } else { request.from };
    match ledger.settle(before, request.updated_at) {
        Err(Failure::Other(error)) if folder.bytes_of(left) > HISTORY_WAIT_BYTES_MAX => {
            // They must not take the room that the jobs need.
            tracing::error!(%error, "the history of runs cannot be written, and the journal waits for it no longer: runs are lost");
            ledger.give_up(before);
        }
        result => result?,
    }
    folder.remove_segments(left)?;
    if request.is_last {
        folder.remove_note()?;
        return folder.sync();
    }
    folder.write_note(&[basis])
}

/// A file that is written from its begin to its end.
struct Appended {
    file: Arc<dyn DiskFile>,
    len: u64,
}

impl Write for Appended {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes, self.len)?;
        self.len += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The jobs of a snapshot, fetched from the owner a chunk at a time.
struct Chunks<'a> {
    request: &'a SnapshotRequest,
    events: &'a async_channel::Sender<DiskEvent>,
    ledger: &'a Ledger,
    chunk: std::vec::IntoIter<Job>,
    end: Option<End>,
}

/// How a list of jobs came to its end.
enum End {
    Whole,
    GivenUp,
    Failed(io::Error),
}

impl Chunks<'_> {
    fn fetch(&self) -> Option<Chunk> {
        self.events.send_blocking(DiskEvent::ChunkWanted).ok()?;
        self.request.chunks.recv().ok()
    }
}

impl Iterator for Chunks<'_> {
    type Item = Job;

    fn next(&mut self) -> Option<Job> {
        if let Some(job) = self.chunk.next() {
            return Some(job);
        }
        if self.end.is_some() {
            return None;
        }
        match self.fetch() {
            None => self.end = Some(End::GivenUp),
            Some(Chunk { jobs, synced }) => {
                let written =
                    if self.ledger.waits(synced) { self.ledger.write(synced, self.request.updated_at) } else { Ok(()) };
                match written {
                    Err(Failure::Sync(error)) => self.end = Some(End::Failed(error)),
                    // What cannot be written waits.
                    _ if jobs.is_empty() => self.end = Some(End::Whole),
                    _ => self.chunk = jobs.into_iter(),
                }
            }
        }
        self.chunk.next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_panics_says_so() {
        let (events, received) = async_channel::bounded(EVENTS_MAX);
        let thread = thread::Builder::new().spawn(move || {
            let _alarm = Alarm { events: &events, event: DiskEvent::SyncFailed };
            panic!("meant");
        });
        thread.expect("the machine has room for a thread").join().expect_err("it panicked");
        assert!(matches!(received.recv_blocking(), Ok(DiskEvent::SyncFailed(_))));
    }
}
