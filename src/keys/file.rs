//! One look at the key file, and what it shows of itself before.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use jiff::Timestamp;
use rustix::fs::OFlags;
#[cfg(target_os = "linux")]
use rustix::fs::{AtFlags, CWD, StatxFlags, statx};

use super::keeper::{Look, Without};
use super::set::KeySet;
use crate::limits::{KEY_FILE_BYTES_MAX, KEY_STAMP_SETTLES_SECS};

/// What is there now.
pub(super) fn look(path: &Path) -> Look {
    match read(path) {
        Ok(bytes) => match KeySet::parse(&bytes) {
            Ok(keys) if keys.is_empty() => Look::Without(Without::Empty),
            Ok(keys) => Look::Keys(keys),
            Err(reason) => Look::Unusable(reason),
        },
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Look::Without(Without::Absent)
        }
        Err(error) => Look::Unusable(error.to_string()),
    }
}

/// Links are followed. A FIFO or a device is refused without waiting for it.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let flags = i32::try_from((OFlags::NONBLOCK | OFlags::NOCTTY).bits()).expect("open flags are small");
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(KEY_FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > KEY_FILE_BYTES_MAX {
        return Err(io::Error::other(format!("it is larger than {KEY_FILE_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

/// What a file shows of itself without being opened: while it stays as it is, so does the content. Each opening is
/// an event of the watched folder, and wakes a thread for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: (u32, u32),
    inode: u64,
    bytes: u64,
    /// When it was last written, in seconds and nanoseconds of its file system's clock.
    modified: (i64, u32),
    /// When that, its owner or its mode last changed.
    changed: (i64, u32),
}

impl Stamp {
    /// The present one; `None` where there is none to be had, and the file has to be read. A network's file system
    /// has to ask its server, as it would for an opening.
    #[cfg(target_os = "linux")]
    pub(super) fn of(path: &Path) -> Option<Self> {
        let stat = statx(CWD, path, AtFlags::STATX_FORCE_SYNC, StatxFlags::BASIC_STATS).ok()?;
        let has_all = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::BASIC_STATS);
        has_all.then_some(Self {
            device: (stat.stx_dev_major, stat.stx_dev_minor),
            inode: stat.stx_ino,
            bytes: stat.stx_size,
            modified: (stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec),
            changed: (stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec),
        })
    }

    /// Elsewhere the file is read each time.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn of(_path: &Path) -> Option<Self> {
        None
    }

    /// Whether a change from `now` on shows in it. A file system's clock ticks, and what is written within one tick
    /// has one time.
    pub(super) fn is_settled(&self, now: Timestamp) -> bool {
        self.modified.0.max(self.changed.0).saturating_add(KEY_STAMP_SETTLES_SECS) < now.as_second()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_counts_once_its_last_tick_is_over() {
        let settles = |modified: i64, changed: i64, now: i64| {
            let stamp = Stamp { device: (0, 1), inode: 2, bytes: 3, modified: (modified, 4), changed: (changed, 5) };
            stamp.is_settled(Timestamp::from_second(now).expect("a time"))
        };
        assert!(settles(100, 100, 101 + KEY_STAMP_SETTLES_SECS));
        assert!(!settles(100, 100, 100 + KEY_STAMP_SETTLES_SECS));
        assert!(!settles(50, 100, 100), "moved here just now");
        assert!(!settles(200, 100, 150), "its clock runs ahead, so nobody knows");
        assert!(!settles(i64::MAX, 100, 150));
    }
}
