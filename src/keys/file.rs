//! One look at the key file, and what it shows of itself before.

use std::fs::{Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;
#[cfg(target_os = "linux")]
use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, makedev, statx};

use super::keeper::{Look, Without};
use super::set::KeySet;
use crate::limits::KEY_FILE_BYTES_MAX;

/// What is there now, and where it has keys, what it showed of itself before they were read.
pub(super) fn look(path: &Path) -> (Look, Option<Stamp>) {
    let look = match read(path) {
        Ok((bytes, stamp)) => match KeySet::parse(&bytes) {
            Ok(keys) if keys.is_empty() => Look::Without(Without::Empty),
            Ok(keys) => return (Look::Keys(keys), Some(stamp)),
            Err(reason) => Look::Unusable(reason),
        },
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Look::Without(Without::Absent)
        }
        Err(error) => Look::Unusable(error.to_string()),
    };
    (look, None)
}

/// Whether something is mounted on the file itself, as `docker run -v …/api_keys.txt:…` and a `subPath` of Kubernetes
/// do: the name then stands for one file, whatever becomes of it outside. Linux tells this from 5.8 on.
#[cfg(target_os = "linux")]
pub fn is_mount_point(path: &Path) -> bool {
    statx(CWD, path, AtFlags::empty(), StatxFlags::empty())
        .is_ok_and(|stat| stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// Elsewhere nobody knows.
#[cfg(not(target_os = "linux"))]
pub fn is_mount_point(_path: &Path) -> bool {
    false
}

/// Links are followed. A FIFO or a device is refused without waiting for it.
fn read(path: &Path) -> io::Result<(Vec<u8>, Stamp)> {
    let flags = i32::try_from((OFlags::NONBLOCK | OFlags::NOCTTY).bits()).expect("open flags are small");
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(KEY_FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > KEY_FILE_BYTES_MAX {
        return Err(io::Error::other(format!("it is larger than {KEY_FILE_BYTES_MAX} bytes")));
    }
    Ok((bytes, Stamp::of_open(&found)))
}

/// What a file shows of itself without being opened: while it stays as it is, so does the content. Each opening is
/// an event of the watched folder, and wakes a thread for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    /// When it was last written, in seconds and nanoseconds of its file system's clock.
    modified: (i64, i64),
    /// When that, its owner or its mode last changed.
    changed: (i64, i64),
}

impl Stamp {
    /// The present one; `None` where there is none to be had, and the file has to be read. A network's file system
    /// has to ask its server, as it would for an opening.
    #[cfg(target_os = "linux")]
    pub(super) fn of(path: &Path) -> Option<Self> {
        let stat = statx(CWD, path, AtFlags::STATX_FORCE_SYNC, StatxFlags::BASIC_STATS).ok()?;
        let has_all = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::BASIC_STATS);
        has_all.then(|| Self {
            device: makedev(stat.stx_dev_major, stat.stx_dev_minor),
            inode: stat.stx_ino,
            bytes: stat.stx_size,
            modified: (stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec.into()),
            changed: (stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec.into()),
        })
    }

    /// Elsewhere the file is read each time.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn of(_path: &Path) -> Option<Self> {
        None
    }

    fn of_open(found: &Metadata) -> Self {
        Self {
            device: found.dev(),
            inode: found.ino(),
            bytes: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }
}
