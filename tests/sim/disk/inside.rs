//! A folder in the data folder, on the same disk.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use ksana::disk::{Disk, DiskFile};

use super::mount::Mount;

/// The folder of the history.
#[derive(Debug)]
pub(crate) struct Runs(pub(crate) Mount);

impl Runs {
    const NAME: &str = "runs/";

    fn whole(name: &str) -> String {
        format!("{}{name}", Self::NAME)
    }
}

impl Disk for Runs {
    fn names(&self) -> io::Result<Vec<String>> {
        let names = self.0.device.files();
        Ok(names.iter().filter_map(|name| name.strip_prefix(Self::NAME)).map(str::to_owned).collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.0.read(&Self::whole(name))
    }

    fn len(&self, name: &str) -> io::Result<u64> {
        self.0.len(&Self::whole(name))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.0.create(&Self::whole(name))
    }

    fn create_for(&self, name: &str, place: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.0.create_for(&Self::whole(name), &Self::whole(place))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.0.open(&Self::whole(name))
    }

    fn rename(&self, name: &str, place: &str) -> io::Result<()> {
        self.0.rename(&Self::whole(name), &Self::whole(place))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(&Self::whole(name))
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path(&Self::whole(name))
    }
}
