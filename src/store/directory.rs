//! The machine's file system: a directory that this process alone holds.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::OpenError;
use crate::disk::{Disk, DiskFile};

const LOCK: &str = ".lock";

/// A data folder, held by this process while this lives.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// The folder itself, opened early: a busy process may be out of descriptors when it has to
    /// be fsynced, and a failed fsync ends it.
    handle: File,
    /// Held by a folder inside too; `None` of one that is only looked at.
    lock: Option<Arc<File>>,
}

impl Directory {
    /// Makes the folder where it is missing, and takes its lock.
    ///
    /// # Errors
    ///
    /// Another process holds it, or it cannot be made or written to.
    pub fn hold(path: &Path) -> Result<Self, OpenError> {
        let failed = |path: &Path| {
            let path = path.to_path_buf();
            move |error| OpenError::Io(path, error)
        };
        fs::create_dir_all(path).map_err(failed(path))?;
        let lock_path = path.join(LOCK);
        let lock =
            OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path).map_err(failed(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {
                let handle = File::open(path).map_err(failed(path))?;
                Ok(Self { path: path.to_path_buf(), handle, lock: Some(Arc::new(lock)) })
            }
            Err(TryLockError::WouldBlock) => Err(OpenError::Held(path.to_path_buf())),
            Err(TryLockError::Error(error)) => Err(OpenError::Io(lock_path, error)),
        }
    }

    /// The folder of that name in it, made for its owner alone where it is missing; its name is then on the disk.
    pub fn inside(&self, name: &str) -> io::Result<Self> {
        let path = self.path.join(name);
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => result?,
        }
        self.sync()?;
        Ok(Self { handle: File::open(&path)?, path, lock: self.lock.clone() })
    }

    /// A folder that another process may hold, to be looked at only.
    pub fn look(path: &Path) -> io::Result<Self> {
        Ok(Self { handle: File::open(path)?, path: path.to_path_buf(), lock: None })
    }
}

impl Disk for Directory {
    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            // What has no text for a name is somebody else's.
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.path.join(name))
    }

    fn reader(&self, name: &str) -> io::Result<Box<dyn io::Read + Send>> {
        Ok(Box::new(File::open(self.path.join(name))?))
    }

    fn len(&self, name: &str) -> io::Result<u64> {
        Ok(fs::metadata(self.path.join(name))?.len())
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(private().create_new(true).write(true).open(self.path.join(name))?))
    }

    fn create_for(&self, name: &str, place: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = private().create(true).truncate(true).write(true).open(self.path.join(name))?;
        if let Ok(present) = fs::metadata(self.path.join(place)) {
            file.set_permissions(present.permissions())?;
        }
        Ok(Arc::new(file))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(OpenOptions::new().write(true).open(self.path.join(name))?))
    }

    fn rename(&self, name: &str, place: &str) -> io::Result<()> {
        fs::rename(self.path.join(name), self.path.join(place))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync(&self) -> io::Result<()> {
        let held = self.handle.metadata()?;
        match fs::metadata(&self.path) {
            // Somebody put another one in its place.
            Ok(there) if (held.dev(), held.ino()) != (there.dev(), there.ino()) => File::open(&self.path)?.sync_all(),
            _ => self.handle.sync_all(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl DiskFile for File {
    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        File::set_len(self, len)
    }

    /// Of the metadata the length alone, without which the content could not be read (fdatasync).
    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// A file that only its owner reads: jobs hold what they send, secrets among it.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}
