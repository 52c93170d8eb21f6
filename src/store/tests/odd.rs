//! A folder of the machine's in which something is counted, written down, or does not work.

use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use super::super::Directory;
use crate::disk::{Disk, DiskFile};

/// What a test sees of it, and asks of it.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// How many bytes of segments were read.
    pub(super) read: AtomicU64,
    /// After so many fsyncs of the folder the last of them fails; 0 is none.
    pub(super) folder_fails_in: AtomicU64,
    /// The same of segments.
    pub(super) segment_fails_in: AtomicU64,
    /// No segment can be begun.
    pub(super) has_no_inodes: AtomicBool,
    /// A segment takes nothing and cannot be cut.
    is_full: AtomicBool,
    /// Whoever writes to a segment waits.
    writes: Latch,
    /// Whoever fsyncs one waits.
    syncs: Latch,
    /// What was removed and fsynced, in that order.
    steps: Mutex<Vec<String>>,
}

impl Notes {
    pub(super) fn set_full(&self, is_full: bool) {
        self.is_full.store(is_full, Ordering::Relaxed);
    }

    /// Has writes to a segment hang, or go on.
    pub(crate) fn set_held(&self, is_held: bool) {
        self.writes.set(is_held);
    }

    /// The same with its fsyncs.
    pub(crate) fn set_syncs_held(&self, is_held: bool) {
        self.syncs.set(is_held);
    }

    pub(super) fn steps(&self) -> Vec<String> {
        std::mem::take(&mut *self.steps.lock().expect("nothing panics"))
    }

    fn note(&self, step: &str) {
        self.steps.lock().expect("nothing panics").push(step.to_owned());
    }
}

/// Holds who comes by, or lets him pass.
#[derive(Debug, Default)]
struct Latch {
    is_held: Mutex<bool>,
    let_go: Condvar,
}

impl Latch {
    fn set(&self, is_held: bool) {
        *self.is_held.lock().expect("nothing panics") = is_held;
        self.let_go.notify_all();
    }

    fn pass(&self) {
        let is_held = self.is_held.lock().expect("nothing panics");
        drop(self.let_go.wait_while(is_held, |is_held| *is_held).expect("nothing panics"));
    }
}

#[derive(Debug)]
pub(crate) struct Odd {
    pub(crate) directory: Directory,
    pub(crate) notes: Arc<Notes>,
}

impl Odd {
    fn file(&self, name: &str, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        if name.starts_with("journal-") { Arc::new(Segment { file, notes: Arc::clone(&self.notes) }) } else { file }
    }
}

impl Disk for Odd {
    fn names(&self) -> io::Result<Vec<String>> {
        self.directory.names()
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.directory.read(name)
    }

    fn reader(&self, name: &str) -> io::Result<Box<dyn Read + Send>> {
        let reader = self.directory.reader(name)?;
        let notes = Arc::clone(&self.notes);
        Ok(if name.starts_with("journal-") { Box::new(Counted { reader, notes }) } else { reader })
    }

    fn len(&self, name: &str) -> io::Result<u64> {
        self.directory.len(name)
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        if name.starts_with("journal-") && self.notes.has_no_inodes.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(self.file(name, self.directory.create(name)?))
    }

    fn create_for(&self, name: &str, place: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.directory.create_for(name, place)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.file(name, self.directory.open(name)?))
    }

    fn rename(&self, name: &str, place: &str) -> io::Result<()> {
        self.directory.rename(name, place)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.notes.note(name);
        self.directory.remove(name)
    }

    fn sync(&self) -> io::Result<()> {
        self.notes.note("fsync");
        count_down(&self.notes.folder_fails_in)?;
        self.directory.sync()
    }

    fn path(&self, name: &str) -> PathBuf {
        Disk::path(&self.directory, name)
    }
}

struct Counted {
    reader: Box<dyn Read + Send>,
    notes: Arc<Notes>,
}

impl Read for Counted {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(out)?;
        self.notes.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

#[derive(Debug)]
struct Segment {
    file: Arc<dyn DiskFile>,
    notes: Arc<Notes>,
}

impl Segment {
    fn has_room(&self) -> io::Result<()> {
        if self.notes.is_full.load(Ordering::Relaxed) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

impl DiskFile for Segment {
    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.notes.writes.pass();
        self.has_room()?;
        self.file.write(bytes, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.has_room()?;
        self.file.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.notes.syncs.pass();
        count_down(&self.notes.segment_fails_in)?;
        self.file.sync()
    }
}

/// Fails when it comes to the last.
fn count_down(fails_in: &AtomicU64) -> io::Result<()> {
    let left = fails_in.load(Ordering::Relaxed);
    fails_in.store(left.saturating_sub(1), Ordering::Relaxed);
    if left == 1 { Err(io::Error::other("EIO")) } else { Ok(()) }
}
