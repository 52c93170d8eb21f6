//! The data folder: its files, its lock, its directory entries.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::snapshot::Sum;

/// The snapshot, for people and for restarts.
const SNAPSHOT: &str = "jobs.json";
/// What a snapshot is until it is whole.
const SNAPSHOT_UNFINISHED: &str = "jobs.json.tmp";
/// Which contents of the snapshot are the service's own, while segments of the journal stand on it.
const SUMS: &str = "jobs.json.sum";
const SUMS_UNFINISHED: &str = "jobs.json.sum.tmp";
const LOCK: &str = ".lock";

/// The folder, held by this process alone while this lives.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// The folder itself, opened early: a busy process may be out of descriptors when it has to
    /// be fsynced, and a failed fsync ends it.
    handle: File,
    _lock: File,
}

/// Why a folder cannot be held.
#[derive(Debug)]
pub(super) enum HoldError {
    /// Another process holds it.
    Held,
    /// It cannot be made or opened.
    Io(PathBuf, io::Error),
}

impl Folder {
    /// Makes the folder where it is missing, and takes its lock.
    pub(super) fn hold(path: &Path) -> Result<Self, HoldError> {
        let failed = |path: &Path| {
            let path = path.to_path_buf();
            move |error| HoldError::Io(path, error)
        };
        std::fs::create_dir_all(path).map_err(failed(path))?;
        let lock_path = path.join(LOCK);
        let lock =
            OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path).map_err(failed(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {
                let handle = File::open(path).map_err(failed(path))?;
                Ok(Self { path: path.to_path_buf(), handle, _lock: lock })
            }
            Err(TryLockError::WouldBlock) => Err(HoldError::Held),
            Err(TryLockError::Error(error)) => Err(HoldError::Io(lock_path, error)),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn snapshot(&self) -> PathBuf {
        self.path.join(SNAPSHOT)
    }

    pub(super) fn snapshot_unfinished(&self) -> PathBuf {
        self.path.join(SNAPSHOT_UNFINISHED)
    }

    pub(super) fn segment(&self, number: u64) -> PathBuf {
        self.path.join(format!("journal-{number:06}.jsonl"))
    }

    /// Removes a segment, if nobody else has.
    pub(super) fn remove_segment(&self, number: u64) -> io::Result<()> {
        remove_if_there(&self.segment(number))
    }

    /// The numbers of the journal's segments, in their order. A file that only looks like one is
    /// somebody else's.
    pub(super) fn segments(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            let digits = name.to_str().and_then(|name| name.strip_prefix("journal-")?.strip_suffix(".jsonl"));
            let number = digits.and_then(|digits| digits.parse::<u64>().ok()).filter(|number| *number < u64::MAX);
            numbers.extend(number.filter(|number| self.segment(*number).file_name() == Some(&name)));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Puts the names of the folder on the disk (fsync of a directory, as POSIX has it).
    pub(super) fn sync(&self) -> io::Result<()> {
        let held = self.handle.metadata()?;
        match std::fs::metadata(&self.path) {
            // Somebody put another one in its place.
            Ok(there) if (held.dev(), held.ino()) != (there.dev(), there.ino()) => File::open(&self.path)?.sync_all(),
            _ => self.handle.sync_all(),
        }
    }

    /// The contents of the snapshot that the service itself wrote or began with; `None` where no
    /// such note lies there.
    pub(super) fn sums(&self) -> io::Result<Option<String>> {
        match std::fs::read_to_string(self.path.join(SUMS)) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Notes them, one a line. It is on the disk when this returns.
    pub(super) fn write_sums(&self, sums: &[Option<Sum>]) -> io::Result<()> {
        let unfinished = self.path.join(SUMS_UNFINISHED);
        let text: String = sums.iter().map(|sum| sum_line(*sum) + "\n").collect();
        let mut file = File::create(&unfinished)?;
        io::Write::write_all(&mut file, text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&unfinished, self.path.join(SUMS))?;
        self.sync()
    }

    /// Takes the note away: without segments nothing stands on the snapshot, and anyone may edit it.
    pub(super) fn remove_sums(&self) -> io::Result<()> {
        remove_if_there(&self.path.join(SUMS))
    }

    /// Makes the file that becomes the snapshot. It holds what jobs send, secrets among it, so only
    /// the owner may read it, unless he gave the present one other permissions.
    pub(super) fn create_snapshot(&self) -> io::Result<File> {
        let path = self.snapshot_unfinished();
        let file = private().create(true).truncate(true).write(true).open(&path)?;
        if let Ok(present) = std::fs::metadata(self.snapshot()) {
            file.set_permissions(present.permissions())?;
        }
        Ok(file)
    }

    /// Removes what an interrupted snapshot left.
    pub(super) fn remove_unfinished(&self) -> io::Result<()> {
        remove_if_there(&self.snapshot_unfinished())?;
        remove_if_there(&self.path.join(SUMS_UNFINISHED))
    }
}

/// A file that only its owner reads.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

/// One line of the note; a snapshot that is not there has one too.
pub(super) fn sum_line(sum: Option<Sum>) -> String {
    sum.map_or_else(|| "none".to_owned(), |sum| sum.to_string())
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
