//! A data folder of a test's own, and a store on it that does what it is told, step by step.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_lite::future::block_on;
use jiff::Timestamp;
use serde_json::json;

use super::super::{Directory, DiskEvent, OpenError, Store, Written};
use super::odd::{Notes, Odd};
use crate::clock::Now;
use crate::disk::Disk;
use crate::engine::{Engine, Record};
use crate::job::{Defaults, GoDuration, Job, JobId, Progress, stored_job};
use crate::ledger::{Bounds, Ledger};
use crate::limits::Bites;

pub(super) const DEFAULTS: Defaults =
    Defaults { timeout: GoDuration::from_secs(10), max_retries: 3, retry_backoff: GoDuration::from_secs(5) };

static NEXT: AtomicUsize = AtomicUsize::new(0);

pub(super) fn id(text: &str) -> JobId {
    JobId::parse(text).expect("an id of a test is one")
}

/// A job that differs from others of its id by its name.
pub(super) fn job(id: &str, name: &str) -> Job {
    let schedule = json!({"kind": "every", "every": "1h"});
    let text = json!({"id": id, "name": name, "http": {"url": "http://127.0.0.1:9/"}, "schedule": schedule});
    stored_job(&mut serde_json::Deserializer::from_str(&text.to_string()), &DEFAULTS).expect("a job of a test is one")
}

/// A moment at which a snapshot begins.
pub(super) fn now() -> Now {
    Now { wall: Timestamp::UNIX_EPOCH, steady: Instant::now() }
}

pub(super) fn put(id: &str, name: &str) -> Record {
    Record::Put(job(id, name))
}

pub(super) fn delete(text: &str) -> Record {
    Record::Delete(id(text))
}

/// What became of a job, told apart by its last error.
pub(super) fn progress(text: &str, error: &str) -> Record {
    let progress = Progress { enabled: true, last_error: error.into(), ..Progress::default() };
    Record::Progress { id: id(text), progress: Box::new(progress) }
}

/// All files of a folder by name, but for the lock.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// The folder.
pub(super) struct World {
    path: PathBuf,
}

/// A history in the folder of a disk.
pub(crate) fn ledger_beside(disk: &dyn Disk) -> Arc<Ledger> {
    let bounds = Bounds { bytes: u64::MAX, age: Duration::MAX };
    let runs = Directory::look(&disk.path("runs"));
    Ledger::open(Arc::new(runs), bounds).expect("own folder").into()
}

impl World {
    pub(super) fn new() -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ksana-store-{}-{number}", process::id()));
        fs::create_dir_all(&path).expect("the temporary folder takes another one");
        Self { path }
    }

    /// A folder in which these lie.
    pub(super) fn with(files: &Files) -> Self {
        let world = Self::new();
        for (name, content) in files {
            world.write(name, content);
        }
        world
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(super) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.join(name), content).expect("own folder");
    }

    pub(super) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.join(name)).expect("it is there")
    }

    pub(super) fn remove(&self, name: &str) {
        fs::remove_file(self.join(name)).expect("it is there");
    }

    pub(super) fn files(&self) -> Files {
        let entries = fs::read_dir(&self.path).expect("own folder").map(|entry| entry.expect("own folder"));
        let files = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
        let files = files.map(|file| file.file_name().into_string().expect("names are texts"));
        files.filter(|name| name != ".lock").map(|name| (name.clone(), self.read(&name))).collect()
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.files().into_keys().collect()
    }

    pub(super) fn try_open(&self) -> Result<Up, OpenError> {
        self.open_by(Bites::default())
    }

    /// With chunks and pieces of another size.
    pub(super) fn open_by(&self, bites: Bites) -> Result<Up, OpenError> {
        Self::try_open_on(Arc::new(Directory::hold(&self.path)?), bites)
    }

    /// The same, where something does not work or is counted.
    pub(super) fn open_odd(&self, notes: &Arc<Notes>) -> Up {
        let directory = Directory::hold(&self.path).expect("own folder");
        let opened = Self::try_open_on(Arc::new(Odd { directory, notes: Arc::clone(notes) }), Bites::default());
        opened.unwrap_or_else(|error| panic!("{error}"))
    }

    fn try_open_on(disk: Arc<dyn Disk>, bites: Bites) -> Result<Up, OpenError> {
        let mut engine = Engine::new(1);
        let ledger = ledger_beside(&*disk);
        let opened = Store::open(disk, ledger, &DEFAULTS, bites, now(), |record| engine.apply(record))?;
        let (store, events) = (opened.store, opened.events);
        Ok(Up { engine, replayed: opened.replayed, cut: opened.cut, events, store, ended: None })
    }

    pub(super) fn open(&self) -> Up {
        self.try_open().unwrap_or_else(|error| panic!("{error}"))
    }

    /// Checks that a start is refused and leaves every byte as it is; gives what it says.
    #[track_caller]
    pub(super) fn refused(&self) -> String {
        let before = self.files();
        let error = match self.try_open() {
            Ok(up) => panic!("it starts with {:?}", up.names()),
            Err(error) => error.to_string(),
        };
        assert!(before == self.files(), "the refusal changed the folder: {error}");
        error
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // What cannot be removed lies in the temporary folder and harms nobody.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// A store that is open, with the jobs as they live.
pub(super) struct Up {
    pub(super) engine: Engine,
    pub(super) replayed: usize,
    pub(super) cut: Option<String>,
    /// Before the store: a helper that waits to tell something must learn that nobody listens.
    events: async_channel::Receiver<DiskEvent>,
    pub(super) store: Store,
    /// What became of the snapshot that was begun last.
    ended: Option<io::Result<()>>,
}

impl Up {
    /// One turn of the owner.
    pub(super) fn turn(&mut self, records: &[Record]) {
        self.try_turn(records).expect("there is room");
    }

    pub(super) fn try_turn(&mut self, records: &[Record]) -> Result<(), String> {
        let written = self.store.append(records.to_vec(), Instant::now(), || ());
        let Written::Turn { records, result, .. } = self.await_written(written) else { panic!("a turn was written") };
        result?;
        for record in records {
            self.engine.apply(record);
        }
        Ok(())
    }

    /// What came of something that was to be written, where that is not known yet.
    fn await_written(&mut self, written: Option<Written>) -> Written {
        written.unwrap_or_else(|| {
            let finished = block_on(self.store.finished()).expect("the journal's thread lives");
            self.store.take_finished(finished, now()).expect("every fsync works")
        })
    }

    /// Begins a snapshot, or says why there is no segment for it.
    pub(super) fn begin_snapshot(&mut self) -> io::Result<()> {
        let written = self.store.begin_snapshot(now());
        let Written::Snapshot(result) = self.await_written(written) else { panic!("a snapshot was to begin") };
        result
    }

    pub(super) fn look_for_room(&mut self) {
        self.store.look_for_room(Instant::now());
        let Written::Room = self.await_written(None) else { panic!("it was looked for room") };
    }

    /// A turn, and the fsync that covers it.
    pub(super) fn synced_turn(&mut self, records: &[Record]) {
        self.turn(records);
        self.sync();
    }

    pub(super) fn sync(&mut self) {
        let end = self.store.position();
        while self.store.synced() < end {
            self.store.sync(true, Instant::now());
            self.take_event();
        }
    }

    pub(super) fn await_history(&mut self) {
        while self.store.is_writing_history() {
            self.take_event();
        }
    }

    /// A whole snapshot.
    pub(super) fn snapshot(&mut self) -> io::Result<()> {
        self.await_history();
        self.begin_snapshot()?;
        self.await_snapshot()
    }

    pub(super) fn await_snapshot(&mut self) -> io::Result<()> {
        loop {
            if let Some(result) = self.ended.take() {
                return result;
            }
            self.take_event();
        }
    }

    pub(super) fn take_event(&mut self) {
        let event = self.events.recv_blocking().expect("the helpers live");
        let told = self.store.take_event(event, &self.engine, now()).expect("every fsync works");
        self.ended = told.map(|result| result.map(drop)).or(self.ended.take());
    }

    /// Takes what the helpers tell up to this one, of which the store does not learn yet.
    pub(super) fn await_event(&mut self, is_last: impl Fn(&DiskEvent) -> bool) -> DiskEvent {
        loop {
            let event = self.events.recv_blocking().expect("the helpers live");
            if is_last(&event) {
                return event;
            }
            self.store.take_event(event, &self.engine, now()).expect("every fsync works");
        }
    }

    /// Waits for the fsync that fails.
    pub(super) fn await_failed_sync(mut self) -> io::Error {
        loop {
            let event = self.events.recv_blocking().expect("the helpers live");
            match self.store.take_event(event, &self.engine, now()) {
                Ok(None) => {}
                Ok(Some(result)) => panic!("the snapshot ended: {result:?}"),
                Err(error) => return error,
            }
        }
    }

    /// The end of a shutdown.
    pub(super) fn finish(mut self) {
        self.await_history();
        self.store.begin_last_snapshot(now()).expect("own folder");
        if self.store.is_snapshotting() {
            self.await_snapshot().expect("there is room");
        }
    }

    /// What kill -9 leaves: nothing is written at the end.
    pub(super) fn kill(self) {
        drop(self.store);
    }

    pub(super) fn jobs(&self) -> Vec<Job> {
        self.engine.jobs().cloned().collect()
    }

    /// The jobs as `id=name`, with the last error behind a slash where there is one.
    pub(super) fn names(&self) -> String {
        let names = self.engine.jobs().map(|job| {
            let error = &job.progress.last_error;
            let error = if error.is_empty() { String::new() } else { format!("/{error}") };
            format!("{}={}{error}", job.spec.id, job.spec.name)
        });
        names.collect::<Vec<_>>().join(" ")
    }
}
