//! A disk in memory that dies in the middle of an operation, loses power, is full or fails its fsyncs.

use std::collections::BTreeMap;
use std::io;
use std::mem;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::disk::{Disk, DiskFile};

/// The device, which outlasts the processes.
#[derive(Clone, Debug)]
pub(super) struct Device(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    dice: Dice,
    /// Counts the processes; the operations of dead ones fail.
    life: u64,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    contents: Vec<Content>,
    dies_in: Option<u64>,
    is_full: bool,
    syncs_fail: bool,
    changes: u64,
    reads: u64,
}

#[derive(Clone, Debug, Default)]
struct Content {
    seen: Vec<u8>,
    durable: Vec<u8>,
    /// What was done since the fsync.
    loose: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    SetLen(usize),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(offset, written) => {
                let end = offset + written.len();
                bytes.resize(bytes.len().max(end), 0);
                bytes[*offset..end].copy_from_slice(written);
            }
            Self::SetLen(len) => bytes.resize(*len, 0),
        }
    }
}

impl Device {
    pub(super) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            dice: Dice(seed),
            life: 0,
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            contents: Vec::new(),
            dies_in: None,
            is_full: false,
            syncs_fail: false,
            changes: 0,
            reads: 0,
        })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("nothing panics")
    }

    /// The disk as a process gets it that dies in this operation, if in any.
    pub(super) fn mount(&self, dies_in: Option<u64>) -> Arc<dyn Disk> {
        let mut inner = self.inner();
        inner.life += 1;
        inner.dies_in = dies_in;
        Arc::new(Mount { device: self.clone(), life: inner.life })
    }

    /// The disk as somebody beside the present process sees it.
    pub(super) fn look(&self) -> Arc<dyn Disk> {
        Arc::new(Mount { device: self.clone(), life: self.inner().life })
    }

    pub(super) fn is_dead(&self) -> bool {
        self.inner().dies_in == Some(0)
    }

    /// Of what no fsync put on the disk, some is there and some is not.
    pub(super) fn cut_power(&self) {
        let inner = &mut *self.inner();
        inner.life += 1;
        let all: Vec<_> = inner.names.keys().chain(inner.durable_names.keys()).cloned().collect();
        for name in all {
            let kept = if inner.dice.below(2) == 0 { &inner.names } else { &inner.durable_names };
            match kept.get(&name).copied() {
                Some(content) => drop(inner.durable_names.insert(name, content)),
                None => drop(inner.durable_names.remove(&name)),
            }
        }
        inner.names = inner.durable_names.clone();
        for content in &mut inner.contents {
            for change in content.loose.drain(..).collect::<Vec<_>>() {
                if inner.dice.below(2) == 0 {
                    change.apply(&mut content.durable);
                }
            }
            content.seen = content.durable.clone();
        }
    }

    pub(super) fn set_full(&self, is_full: bool) {
        self.inner().is_full = is_full;
    }

    pub(super) fn set_syncs_fail(&self, syncs_fail: bool) {
        self.inner().syncs_fail = syncs_fail;
    }

    /// How many operations changed something.
    pub(super) fn changes(&self) -> u64 {
        self.inner().changes
    }

    /// How many files were read.
    pub(super) fn reads(&self) -> u64 {
        self.inner().reads
    }

    pub(super) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let inner = self.inner();
        inner.names.iter().map(|(name, content)| (name.clone(), inner.contents[*content].seen.clone())).collect()
    }

    pub(super) fn edit(&self, name: &str, edit: impl FnOnce(&mut Vec<u8>)) {
        let inner = &mut *self.inner();
        let content = &mut inner.contents[inner.names[name]];
        edit(&mut content.seen);
        content.durable = content.seen.clone();
    }
}

#[derive(Debug)]
struct Mount {
    device: Device,
    life: u64,
}

/// What is left of an operation.
enum Fate {
    Done,
    /// The process dies in it; so many of 256 parts are done.
    Dies(u64),
}

fn gone() -> io::Error {
    io::Error::other("the process is dead")
}

impl Mount {
    fn change(&self) -> io::Result<(MutexGuard<'_, Inner>, Fate)> {
        let mut inner = self.device.inner();
        if inner.life != self.life || inner.dies_in == Some(0) {
            return Err(gone());
        }
        inner.changes += 1;
        let Some(left) = &mut inner.dies_in else { return Ok((inner, Fate::Done)) };
        *left -= 1;
        let fate = if *left == 0 { Fate::Dies(inner.dice.below(257)) } else { Fate::Done };
        Ok((inner, fate))
    }

    /// Something that is done whole or not at all.
    fn at_once<T>(&self, change: impl FnOnce(&mut Inner) -> io::Result<T>) -> io::Result<T> {
        let (mut inner, fate) = self.change()?;
        match fate {
            Fate::Done => change(&mut inner),
            Fate::Dies(part) if part > 128 => change(&mut inner).and(Err(gone())),
            Fate::Dies(_) => Err(gone()),
        }
    }

    fn content(&self, name: &str) -> io::Result<usize> {
        self.device.inner().names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn file(&self, content: usize) -> Arc<dyn DiskFile> {
        Arc::new(Handle { mount: Self { device: self.device.clone(), life: self.life }, content })
    }
}

impl Disk for Mount {
    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.device.inner().names.keys().cloned().collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let content = self.content(name)?;
        let mut inner = self.device.inner();
        inner.reads += 1;
        Ok(inner.contents[content].seen.clone())
    }

    fn len(&self, name: &str) -> io::Result<u64> {
        let content = self.content(name)?;
        Ok(self.device.inner().contents[content].seen.len() as u64)
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let content = self.at_once(|inner| {
            if inner.is_full {
                return Err(io::ErrorKind::StorageFull.into());
            }
            if inner.names.contains_key(name) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            inner.contents.push(Content::default());
            inner.names.insert(name.to_owned(), inner.contents.len() - 1);
            Ok(inner.contents.len() - 1)
        })?;
        Ok(self.file(content))
    }

    fn create_for(&self, _: &str, _: &str) -> io::Result<Arc<dyn DiskFile>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.file(self.content(name)?))
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.at_once(|inner| inner.names.remove(name).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into()))
    }

    fn sync(&self) -> io::Result<()> {
        self.at_once(|inner| {
            if inner.syncs_fail {
                return Err(io::Error::other("EIO"));
            }
            inner.durable_names = inner.names.clone();
            Ok(())
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        name.into()
    }
}

#[derive(Debug)]
struct Handle {
    mount: Mount,
    content: usize,
}

impl Handle {
    fn make(inner: &mut Inner, content: usize, change: Change) {
        let content = &mut inner.contents[content];
        change.apply(&mut content.seen);
        content.loose.push(change);
    }
}

impl DiskFile for Handle {
    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let (mut inner, fate) = self.mount.change()?;
        let offset = usize::try_from(offset).expect("it is in memory");
        let (part, result) = match fate {
            Fate::Dies(part) => (usize::try_from(part).expect("it is small"), Err(gone())),
            Fate::Done if inner.is_full => (128, Err(io::ErrorKind::StorageFull.into())),
            Fate::Done => (256, Ok(())),
        };
        let written = bytes[..bytes.len() * part / 256].to_vec();
        Self::make(&mut inner, self.content, Change::Write(offset, written));
        result
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let change = Change::SetLen(usize::try_from(len).expect("it is in memory"));
        self.mount.at_once(|inner| {
            Self::make(inner, self.content, change);
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.mount.at_once(|inner| {
            let content = &mut inner.contents[self.content];
            if inner.syncs_fail {
                // The machine takes for written what it could not write.
                content.loose.clear();
                return Err(io::Error::other("EIO"));
            }
            for change in mem::take(&mut content.loose) {
                change.apply(&mut content.durable);
            }
            Ok(())
        })
    }
}

/// Numbers that look random and follow from a seed.
#[derive(Clone, Debug)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    /// A step of an odd constant, and the bits mixed until each hangs on all.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        let mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        (mixed ^ (mixed >> 32)) % bound
    }
}
