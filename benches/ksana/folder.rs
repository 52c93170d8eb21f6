//! A folder of its own for each daemon, on the disk that the build lies on: a temporary folder is
//! often memory, where an fsync costs nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Is removed with all that is in it when it is dropped.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let name = format!("bench-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = Self::parent().join(name);
        fs::create_dir_all(&path).expect("the target folder can be written to");
        Self(path)
    }

    /// Where all of them lie.
    pub(crate) fn parent() -> &'static Path {
        Path::new(env!("CARGO_TARGET_TMPDIR"))
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("{} is left behind: {error}", self.0.display());
        }
    }
}
