//! A key file as Kubernetes mounts it: a link into a folder that is swapped as a whole.

use std::cell::Cell;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use rustix::process::{getgid, getuid};

use super::ksana::NOBODY;

/// Does to a folder what the kubelet does to the volume of a Secret with `fsGroup`, call by call as it was traced.
pub(crate) struct SecretVolume {
    folder: PathBuf,
    revision: Cell<u32>,
}

impl SecretVolume {
    const FILE: &'static str = "api_keys.txt";
    /// The `defaultMode` of the volume: the group reads, which the daemon's is once it was given the file.
    const MODE: u32 = 0o440;

    pub(crate) fn new(folder: PathBuf) -> Self {
        fs::create_dir_all(&folder).expect("a folder can be made");
        Self { folder, revision: Cell::new(0) }
    }

    /// The path that the daemon is given: a link to a link.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.join(Self::FILE)
    }

    /// The Secret holds this. The group gets the file before the swap.
    pub(crate) fn publish(&self, content: &str) {
        self.swap(Some(content), Self::MODE, |revision| self.give_to_the_group(revision));
    }

    /// The Secret holds this, of a kubelet that swaps first: until [`Self::permit`] the daemon may not read it.
    pub(crate) fn publish_unreadable(&self, content: &str) {
        // Who is not root runs the daemon as himself, and an owner needs no group.
        let mode = if getuid().is_root() { Self::MODE } else { 0 };
        self.swap(Some(content), mode, |_| ());
    }

    /// The permissions that such a kubelet sets afterwards.
    pub(crate) fn permit(&self) {
        let name = fs::read_link(self.folder.join("..data")).expect("a revision is published");
        self.give_to_the_group(&self.folder.join(name));
    }

    /// The Secret has lost the name, or is itself deleted, where the volume is optional.
    pub(crate) fn publish_nothing(&self) {
        self.swap(None, Self::MODE, |revision| self.give_to_the_group(revision));
    }

    /// Publishes a revision: a new folder, the payload, the link where it is new, the swap of `..data`, the link
    /// gone where its file is, the old folder gone.
    fn swap(&self, content: Option<&str>, mode: u32, before: impl FnOnce(&Path)) {
        let data = self.folder.join("..data");
        let old = fs::read_link(&data).ok();
        self.revision.set(self.revision.get() + 1);
        let name = format!("..2025_09_19_11_05_00.{}", self.revision.get());

        let revision = self.folder.join(&name);
        DirBuilder::new().mode(0o700).create(&revision).expect("a revision is new");
        fs::set_permissions(&revision, Permissions::from_mode(0o755)).expect("own folder");
        if let Some(content) = content {
            let payload = revision.join(Self::FILE);
            let mut file =
                OpenOptions::new().write(true).create_new(true).mode(mode).open(&payload).expect("it is new");
            file.write_all(content.as_bytes()).expect("the payload can be written");
            fs::set_permissions(&payload, Permissions::from_mode(mode)).expect("own file");
            if !self.file().is_symlink() {
                symlink(format!("..data/{}", Self::FILE), self.file()).expect("a link can be made");
            }
        }
        before(&revision);

        let fresh = self.folder.join("..data_tmp");
        symlink(&name, &fresh).expect("a link can be made");
        fs::rename(&fresh, &data).expect("the swap is one rename");
        if content.is_none() && self.file().is_symlink() {
            fs::remove_file(self.file()).expect("own link");
        }
        if let Some(old) = old {
            fs::remove_dir_all(self.folder.join(old)).expect("own folder");
        }
    }

    /// What `fsGroup` does, from the file up.
    fn give_to_the_group(&self, revision: &Path) {
        let group = if getuid().is_root() { NOBODY } else { getgid().as_raw() };
        let payload = revision.join(Self::FILE);
        let modes = [(payload.as_path(), Self::MODE), (revision, 0o2755), (&self.folder, 0o3777)];
        for (path, mode) in modes.into_iter().filter(|(path, _)| path.exists()) {
            chown(path, None, Some(group)).expect("it is ours");
            fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is ours");
        }
    }
}
