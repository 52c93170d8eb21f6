//! A key file as Kubernetes mounts it: a link into a folder that is swapped as a whole.

use std::cell::Cell;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

/// Does to a folder what the kubelet does to a Secret volume, step by step.
pub(crate) struct SecretVolume {
    folder: PathBuf,
    revision: Cell<u32>,
}

impl SecretVolume {
    const FILE: &'static str = "api_keys.txt";

    pub(crate) fn new(folder: PathBuf) -> Self {
        fs::create_dir_all(&folder).expect("a folder can be made");
        Self { folder, revision: Cell::new(0) }
    }

    /// The path that the daemon is given: a link to a link.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.join(Self::FILE)
    }

    /// Publishes a revision: a new folder, the payload, the swap of `..data`, the link, the old folder gone.
    pub(crate) fn publish(&self, content: &str, mode: u32) {
        let data = self.folder.join("..data");
        let old = fs::read_link(&data).ok();
        self.revision.set(self.revision.get() + 1);
        let name = format!("..2025_09_19_11_05_00.{}", self.revision.get());

        let revision = self.folder.join(&name);
        fs::create_dir(&revision).expect("a revision is new");
        fs::set_permissions(&revision, Permissions::from_mode(0o755)).expect("own folder");
        let payload = revision.join(Self::FILE);
        fs::write(&payload, content).expect("the payload can be written");
        fs::set_permissions(&payload, Permissions::from_mode(mode)).expect("own file");

        let fresh = self.folder.join("..data_tmp");
        symlink(&name, &fresh).expect("a link can be made");
        fs::rename(&fresh, &data).expect("the swap is one rename");
        if !self.file().is_symlink() {
            symlink(format!("..data/{}", Self::FILE), self.file()).expect("a link can be made");
        }
        if let Some(old) = old {
            fs::remove_dir_all(self.folder.join(old)).expect("own folder");
        }
    }

    /// The permissions that some kubelets set only after the swap.
    pub(crate) fn open_up(&self) {
        fs::set_permissions(self.file(), Permissions::from_mode(0o444)).expect("own file");
    }
}
