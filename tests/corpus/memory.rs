//! Files in memory, for reading alone.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;

use ksana::disk::{Disk, DiskFile};

/// A folder of files.
#[derive(Debug)]
pub(crate) struct Memory(BTreeMap<String, Vec<u8>>);

impl Memory {
    pub(crate) fn new(files: &[(&str, &[u8])]) -> Self {
        Self(files.iter().map(|(name, content)| ((*name).to_owned(), content.to_vec())).collect())
    }

    fn content(&self, name: &str) -> io::Result<&Vec<u8>> {
        self.0.get(name).ok_or_else(|| ErrorKind::NotFound.into())
    }
}

fn refused<T>() -> io::Result<T> {
    Err(ErrorKind::ReadOnlyFilesystem.into())
}

impl Disk for Memory {
    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.0.keys().cloned().collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.content(name).cloned()
    }

    fn len(&self, name: &str) -> io::Result<u64> {
        self.content(name).map(|content| content.len() as u64)
    }

    fn create(&self, _: &str) -> io::Result<Arc<dyn DiskFile>> {
        refused()
    }

    fn create_for(&self, _: &str, _: &str) -> io::Result<Arc<dyn DiskFile>> {
        refused()
    }

    fn open(&self, _: &str) -> io::Result<Arc<dyn DiskFile>> {
        refused()
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        refused()
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        refused()
    }

    fn sync(&self) -> io::Result<()> {
        refused()
    }

    fn path(&self, name: &str) -> PathBuf {
        name.into()
    }
}
