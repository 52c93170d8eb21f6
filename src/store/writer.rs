//! The thread that writes the journal. Whoever owns the store hands it the journal with something
//! to do, and has it back with what came of that: a disk that stalls holds up what waits for this
//! write, and not the owner.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::folder::{Basis, Folder};
use super::helper::{Alarm, DiskEvent};
use super::journal::Journal;
use crate::disk::Failure;
use crate::engine::Record;
use crate::limits::ROOM_BYTES;

/// What is done as soon as a turn's write is over, whether it worked or not.
pub(super) type Then = Box<dyn FnOnce() + Send>;

/// What is to be done with the journal.
pub(super) enum Task {
    /// Write the records of a turn, then let go what waits for that.
    Append(Vec<Record>, Then),
    /// Begin the next segment.
    Segment(NewSegment),
    /// See whether there is room behind the last turn.
    LookForRoom,
}

/// The segment that is to follow.
#[derive(Debug)]
pub(super) struct NewSegment {
    pub(super) wanted_for: WantedFor,
    pub(super) number: u64,
    /// How long the one before it is.
    pub(super) after: Option<u64>,
    /// The name of the one before it may not be on the disk yet, and has to be first.
    pub(super) is_after_loose_name: bool,
    /// The note of what the journal stands on is there.
    pub(super) is_noted: bool,
    pub(super) basis: Basis,
}

/// Who needs a segment.
#[derive(Clone, Copy, Debug)]
pub(super) enum WantedFor {
    /// A snapshot, which covers those before it.
    Snapshot,
    /// Changes, where a full disk has had no room for one.
    Room,
}

/// The journal is back.
#[derive(Debug)]
pub struct Finished {
    pub(super) journal: Option<Journal>,
    pub(super) done: Done,
    /// How long it was away.
    pub(super) took: Duration,
}

/// What came of a task.
#[derive(Debug)]
pub(super) enum Done {
    /// The records, again in the owner's hands.
    Append(Vec<Record>, io::Result<()>),
    Segment {
        wanted_for: WantedFor,
        /// The note is there.
        is_noted: bool,
        /// Where the journal that came back is the new segment, the one before it.
        result: Result<Option<Journal>, Failure>,
    },
    LookForRoom(io::Result<()>),
}

/// The thread and the ways to and from it.
pub(super) struct Writer {
    orders: Option<SyncSender<(Option<Journal>, Task)>>,
    finished: async_channel::Receiver<Finished>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts it; `events` learns of a panic.
    pub(super) fn start(folder: &Arc<Folder>, events: async_channel::Sender<DiskEvent>) -> io::Result<Self> {
        let (orders, received) = sync_channel(1);
        let (sender, finished) = async_channel::bounded(1);
        let folder = Arc::clone(folder);
        let thread = thread::Builder::new().name("ksana-journal".into()).spawn(move || {
            let _alarm = Alarm { events: &events, event: DiskEvent::SyncFailed };
            run(&folder, &received, &sender);
        })?;
        Ok(Self { orders: Some(orders), finished, thread: Some(thread) })
    }

    /// Hands the journal over. There is one, so it is asked for one thing at a time.
    pub(super) fn order(&self, journal: Option<Journal>, task: Task) {
        let orders = self.orders.as_ref().expect("taken only when the store is dropped");
        orders.try_send((journal, task)).unwrap_or_else(|_| panic!("the journal's thread ended or was asked twice"));
    }

    /// What the thread gives back.
    pub(super) fn finished(&self) -> &async_channel::Receiver<Finished> {
        &self.finished
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            // A panic there was told by the panic hook; here is nobody left to tell.
            let _ = thread.join();
        }
    }
}

fn run(folder: &Folder, orders: &Receiver<(Option<Journal>, Task)>, finished: &async_channel::Sender<Finished>) {
    while let Ok((mut journal, task)) = orders.recv() {
        let began = Instant::now();
        let done = match task {
            Task::Append(records, then) => {
                let result = present(&mut journal).and_then(|journal| journal.append(&records));
                then();
                Done::Append(records, result)
            }
            Task::Segment(segment) => begin(folder, &mut journal, &segment),
            Task::LookForRoom => {
                Done::LookForRoom(present(&mut journal).and_then(|journal| journal.try_room(ROOM_BYTES)))
            }
        };
        if finished.send_blocking(Finished { journal, done, took: began.elapsed() }).is_err() {
            return;
        }
    }
}

fn present(journal: &mut Option<Journal>) -> io::Result<&mut Journal> {
    journal.as_mut().ok_or_else(|| io::Error::other("there is no segment of the journal"))
}

fn begin(folder: &Folder, journal: &mut Option<Journal>, segment: &NewSegment) -> Done {
    let mut is_noted = segment.is_noted;
    let result = try_begin(folder, journal.as_mut(), segment, &mut is_noted).map(|new| journal.replace(new));
    Done::Segment { wanted_for: segment.wanted_for, is_noted, result }
}

fn try_begin(
    folder: &Folder,
    present: Option<&mut Journal>,
    segment: &NewSegment,
    is_noted: &mut bool,
) -> Result<Journal, Failure> {
    // A segment that others follow must not end in half a line: that is what damage looks like.
    present.map_or(Ok(()), Journal::cut_back)?;
    if segment.is_after_loose_name {
        folder.sync()?;
    }
    if !*is_noted {
        folder.write_note(&[segment.basis])?;
        *is_noted = true;
    }
    Ok(Journal::new(folder.create_segment(segment.number)?, segment.number, segment.after))
}
