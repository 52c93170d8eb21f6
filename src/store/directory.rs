//! The machine's file system: a directory that this process alone holds.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::OpenError;
use crate::disk::{Disk, DiskFile};

const LOCK: &str = ".lock";

/// A data folder, held by this process while this lives.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// The folder itself, opened early: a busy process may be out of descriptors when it has to
    /// be fsynced, and a failed fsync ends it.
    handle: OnceLock<File>,
    /// It is one in a data folder, and may be missing.
    is_inside: bool,
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
                Ok(Self {
                    path: path.to_path_buf(),
                    handle: handle.into(),
                    is_inside: false,
                    lock: Some(Arc::new(lock)),
                })
            }
            Err(TryLockError::WouldBlock) => Err(OpenError::Held(path.to_path_buf())),
            Err(TryLockError::Error(error)) => Err(OpenError::Io(lock_path, error)),
        }
    }

    /// The folder of that name in it. It is made for its owner alone when a file is made in it.
    #[must_use]
    pub fn inside(&self, name: &str) -> Self {
        let path = self.path.join(name);
        Self { handle: opened(&path), path, is_inside: true, lock: self.lock.clone() }
    }

    /// A folder that another process may hold, to be looked at only.
    pub fn look(path: &Path) -> Self {
        Self { handle: opened(path), path: path.to_path_buf(), is_inside: true, lock: None }
    }

    /// Makes the folder, and has its name on the disk.
    fn make(&self) -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => result?,
        }
        let outer = self.path.parent().unwrap_or(Path::new("/"));
        File::open(outer).and_then(|outer| outer.sync_all()).inspect_err(|_| {
            // What is made next in it would rely on its name.
            let _ = fs::remove_dir(&self.path);
        })
    }

    /// The folder itself; `None` while there is none.
    fn handle(&self) -> io::Result<Option<&File>> {
        if let Some(handle) = self.handle.get() {
            return Ok(Some(handle));
        }
        match File::open(&self.path) {
            Ok(handle) => Ok(Some(self.handle.get_or_init(|| handle))),
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.is_inside => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn opened(path: &Path) -> OnceLock<File> {
    File::open(path).map(OnceLock::from).unwrap_or_default()
}

impl Disk for Directory {
    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        let entries = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.is_inside => return Ok(names),
            entries => entries?,
        };
        for entry in entries {
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
        let create = || private().create_new(true).write(true).open(self.path.join(name));
        let file = match create() {
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.is_inside => {
                self.make()?;
                create()?
            }
            file => file?,
        };
        Ok(Arc::new(file))
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
        let Some(handle) = self.handle()? else { return Ok(()) };
        let held = handle.metadata()?;
        match fs::metadata(&self.path) {
            // Somebody put another one in its place.
            Ok(there) if (held.dev(), held.ino()) != (there.dev(), there.ino()) => File::open(&self.path)?.sync_all(),
            _ => handle.sync_all(),
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
