//! The disk as a process has it: an operation at a time, each of which may fail or be the last.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, MutexGuard};

use ksana::disk::{Disk, DiskFile};

use super::{Change, Content, DIES_HERE, Device, NameChange, State, Trouble};
use crate::gate::{Gate, Helper};

/// The disk as one process has it.
#[derive(Clone, Debug)]
pub(crate) struct Mount {
    pub(super) device: Device,
    pub(super) life: u64,
    pub(crate) gate: Gate,
}

impl Mount {
    /// Begins an operation that changes something: waits for its turn, and meets the trouble.
    fn begin(&self, is_sync: bool) -> io::Result<MutexGuard<'_, State>> {
        self.gate.pass();
        let mut state = self.device.lock();
        if let Some(left) = state.dies_in.filter(|_| state.life == self.life) {
            state.dies_in = Some(left.saturating_sub(1));
            if left <= 1 {
                state.life += 1;
                state.dies_in = Some(0);
                return Err(DIES_HERE.into());
            }
        }
        if state.life != self.life {
            return Err(io::Error::other("the process is dead"));
        }
        if is_sync {
            return Ok(state);
        }
        let trouble = state.trouble;
        match trouble {
            Trouble::ReadOnly => Err(io::ErrorKind::ReadOnlyFilesystem.into()),
            Trouble::Flaky if state.random.below(3) == 0 => Err(io::Error::other("EIO")),
            _ => Ok(state),
        }
    }

    /// The same for what takes room.
    fn begin_taking(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.begin(false)?;
        if state.trouble == Trouble::Full && state.random.per_mille(700) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(state)
    }

    /// The same for what one trouble forbids.
    fn begin_but_for(&self, trouble: Trouble) -> io::Result<MutexGuard<'_, State>> {
        let state = self.begin(false)?;
        if state.trouble == trouble { Err(io::Error::other("EIO")) } else { Ok(state) }
    }

    fn file(&self, name: &str, index: usize) -> Arc<dyn DiskFile> {
        Arc::new(OpenFile { mount: self.clone(), index, is_segment: name.starts_with("journal-") })
    }
}

impl Disk for Mount {
    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.device.files().into_iter().filter(|name| !name.contains('/')).collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let state = self.device.lock();
        let index = *state.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(state.contents[index].seen.clone())
    }

    fn len(&self, name: &str) -> io::Result<u64> {
        Ok(self.read(name)?.len() as u64)
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.begin_taking()?;
        if state.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let index = state.contents.len();
        state.contents.push(Content::default());
        state.names.insert(name.to_owned(), index);
        state.name_changes.push(NameChange::Link(name.to_owned(), index));
        Ok(self.file(name, index))
    }

    fn create_for(&self, name: &str, _place: &str) -> io::Result<Arc<dyn DiskFile>> {
        let present = self.device.lock().names.get(name).copied();
        let Some(index) = present else { return self.create(name) };
        self.begin(false)?.contents[index].change(Change::SetLen(0));
        Ok(self.file(name, index))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let index = *self.device.lock().names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.file(name, index))
    }

    fn rename(&self, name: &str, place: &str) -> io::Result<()> {
        let mut state = self.begin_but_for(Trouble::NoRename)?;
        let index = state.names.remove(name).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(place.to_owned(), index);
        state.name_changes.push(NameChange::Rename(name.to_owned(), place.to_owned(), index));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        if !self.device.lock().names.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let mut state = self.begin_but_for(Trouble::NoRemoval)?;
        state.names.remove(name);
        state.name_changes.push(NameChange::Remove(name.to_owned()));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.begin(true)?;
        let state = &mut *state;
        if std::mem::take(&mut state.sync_fails) {
            return Err(io::Error::other("EIO"));
        }
        state.durable_names.clone_from(&state.names);
        state.name_changes.clear();
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from("/simulated").join(name)
    }
}

#[derive(Debug)]
struct OpenFile {
    mount: Mount,
    index: usize,
    is_segment: bool,
}

impl OpenFile {
    /// Only what the owner has written to a segment is a turn's.
    fn note(&self, worked: bool) {
        if self.is_segment && matches!(Helper::present(), None | Some(Helper::Journal)) {
            self.mount.device.lock().written = Some(worked);
        }
    }

    fn write_some(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let offset = usize::try_from(offset).expect("it fits into memory");
        let result = self.mount.begin(false);
        let mut state = match result {
            Ok(state) => state,
            Err(error) => {
                // A process that dies at a write, and a write that fails, leave a piece of it.
                let mut state = self.mount.device.lock();
                let fails_here = state.life == self.mount.life && state.trouble == Trouble::Flaky;
                if error.kind() == DIES_HERE || fails_here {
                    let len = state.random.index(bytes.len());
                    state.contents[self.index].change(Change::Write { offset, bytes: bytes[..len].to_vec() });
                }
                return Err(error);
            }
        };
        // What only takes the place of other bytes needs no room.
        let is_longer = offset + bytes.len() > state.contents[self.index].seen.len();
        if is_longer && matches!(state.trouble, Trouble::Full | Trouble::LastByte) {
            let most = bytes.len().saturating_sub(1);
            let len = if state.trouble == Trouble::Full { state.random.index(bytes.len().max(1)) } else { most };
            state.contents[self.index].change(Change::Write { offset, bytes: bytes[..len].to_vec() });
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.contents[self.index].change(Change::Write { offset, bytes: bytes.to_vec() });
        Ok(())
    }
}

impl DiskFile for OpenFile {
    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let result = self.write_some(bytes, offset);
        self.note(result.is_ok());
        result
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).expect("it fits into memory");
        let begun = self.mount.begin_but_for(Trouble::LastByte);
        let result = begun.map(|mut state| state.contents[self.index].change(Change::SetLen(len)));
        // A turn that cannot first take back what the last one left is not written.
        if result.is_err() {
            self.note(false);
        }
        result
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.mount.begin(true)?;
        let State { random, contents, sync_fails, .. } = &mut *state;
        if std::mem::take(sync_fails) {
            contents[self.index].fail_sync(random);
            return Err(io::Error::other("EIO"));
        }
        contents[self.index].sync();
        Ok(())
    }
}
