//! What the store and the ledger ask of a file system: of the machine's, or of a simulation's that fails and
//! loses power on purpose.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// One folder of files. What is done to its names is on the disk for sure after [`Disk::sync`].
pub trait Disk: fmt::Debug + Send + Sync {
    /// The names of what lies in it.
    fn names(&self) -> io::Result<Vec<String>>;

    /// The content of a file.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;

    /// The same, to be read a piece at a time.
    fn reader(&self, name: &str) -> io::Result<Box<dyn io::Read + Send>> {
        Ok(Box::new(io::Cursor::new(self.read(name)?)))
    }

    /// How many bytes a file has.
    fn len(&self, name: &str) -> io::Result<u64>;

    /// Makes a file that must not be there yet.
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Makes an empty file that is to take the place of another, with that one's permissions.
    fn create_for(&self, name: &str, place: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens a file that is there.
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Puts a file into the place of another.
    fn rename(&self, name: &str, place: &str) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Puts the names on the disk (fsync of a directory, as POSIX has it).
    fn sync(&self) -> io::Result<()>;

    /// Where a file lies, for people.
    fn path(&self, name: &str) -> PathBuf;
}

/// An open file. What is done to it is on the disk for sure after [`DiskFile::sync`].
pub trait DiskFile: fmt::Debug + Send + Sync {
    /// Writes all bytes from `offset` on. Where it fails, some of them may be there.
    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Cuts the file at `len`.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Puts content and length on the disk.
    fn sync(&self) -> io::Result<()>;
}

/// Why something was not done in a folder.
#[derive(Debug)]
pub enum Failure {
    /// An fsync failed. The machine tells it once, so a later one that works says nothing of
    /// what this one was for: nobody knows what of it is on the disk.
    Sync(io::Error),
    /// Anything else: it can be tried again.
    Other(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Other(error)
    }
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        let (Failure::Sync(error) | Failure::Other(error)) = failure;
        error
    }
}

/// Whether something failed for want of room.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
