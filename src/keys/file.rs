//! One look at the key file.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

use super::keeper::{Look, Without};
use super::set::KeySet;
use crate::limits::KEY_FILE_BYTES_MAX;

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
