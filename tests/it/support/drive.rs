//! A file system with a disk beneath it that can lose its power.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::getuid;

use super::namespace::{Namespace, not_tried, works};
use super::{Builder, eventually};

/// What the image of a drive holds at most; xfs takes no less. It is sparse.
const DRIVE_MIB: u32 = 320;

/// A file system of that kind in a file, mounted where only the daemon sees it.
pub(crate) struct Drive {
    namespace: Namespace,
    image: PathBuf,
    data: PathBuf,
}

impl Drive {
    /// Puts the data folder of a daemon on a new drive, and the daemon where it sees it; nothing, and a word
    /// about it, where this machine does not let us.
    pub(crate) fn under(builder: Builder, kind: &str) -> Option<(Self, Builder)> {
        let (image, data) = (builder.path("drive"), builder.path("data"));
        let give_up = |why: &str| {
            not_tried(&format!("a power cut on {kind}: {why}"));
            None
        };
        if !getuid().is_root() {
            return give_up("only root may mount it");
        }
        if !works(Command::new("xfs_io").arg("-V")) {
            return give_up("there is no xfs_io, of xfsprogs, which pulls the plug of both kinds");
        }
        let make = format!("truncate -s {DRIVE_MIB}M '{0}' && mkfs.{kind} -q '{0}'", image.display());
        if !works(Command::new("sh").args(["-c", &make])) {
            return give_up(&format!("there is no mkfs.{kind}, of e2fsprogs or xfsprogs"));
        }
        let Some(namespace) = Namespace::open(false, &mount(&image, &data)) else {
            return give_up("this machine does not let it be mounted");
        };
        let builder = namespace.around(builder);
        Some((Self { namespace, image, data }, builder))
    }

    /// The data folder as the daemon sees it.
    pub(crate) fn data(&self) -> PathBuf {
        self.namespace.see(&self.data)
    }

    /// A hand on the plug, so that pulling takes no time.
    pub(crate) fn plug(&self) -> Plug {
        let mut command = self.namespace.command(&format!("exec xfs_io -x '{}'", self.data.display()));
        let hand = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Plug { hand: hand.expect("it was there before") }
    }

    /// Mounts again what is on the disk, once nobody has a file of it open.
    pub(crate) fn power_on(&self) {
        let data = self.data.display();
        // A process that has ended may hold its files for a moment longer.
        eventually("the drive to be let go", || self.namespace.run(&format!("umount '{data}'")).then_some(()));
        assert!(self.namespace.run(&mount(&self.image, &self.data)), "a file system survives a power cut");
    }
}

/// The plug of a drive, held by a process that waits for the word.
pub(crate) struct Plug {
    hand: Child,
}

impl Plug {
    /// Pulls it: from now on every call fails, and what is not on the disk never gets there.
    pub(crate) fn pull(mut self) {
        let mut word = self.hand.stdin.take().expect("it is piped");
        word.write_all(b"shutdown\n").expect("it listens");
        drop(word);
        let pulled = self.hand.wait().expect("it is our child");
        assert!(pulled.success(), "the plug did not come out");
    }
}

fn mount(image: &Path, data: &Path) -> String {
    format!("mount -o loop '{}' '{}'", image.display(), data.display())
}
