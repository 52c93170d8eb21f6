//! A mount that outlives the daemon that uses it, in a namespace that nobody else sees.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::Builder;

/// Says that a test needs what this machine does not give. Where `CI` is set that is a failure: there
/// nobody reads what a passing test prints.
#[expect(clippy::disallowed_methods, reason = "what the tests are allowed to pass over is told by the environment")]
pub(crate) fn not_tried(what: &str) {
    assert!(std::env::var_os("CI").is_none(), "not tried, and CI must try everything: {what}");
    eprintln!("not tried: {what}");
}

/// Whether a command can be had and does well.
pub(crate) fn works(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// A small file system for a data folder. Lives until it is dropped, whoever starts and ends on it.
pub(crate) struct Disk {
    /// Waits for the end of its input and holds the namespace open until then.
    keeper: Child,
    data: PathBuf,
}

impl Disk {
    /// Puts the data folder of a daemon on a file system of its own with these options, and the daemon
    /// where it sees it; nothing, and a word about it, where this machine does not let us.
    pub(crate) fn under(builder: Builder, options: &str) -> Option<(Self, Builder)> {
        let data = builder.path("data");
        let script = format!("mount -t tmpfs -o {options} none '{}' && echo mounted && exec cat", data.display());
        let keeper = Command::new("unshare")
            .args(["-rm", "sh", "-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut keeper) = keeper else {
            not_tried("there is no unshare on this machine");
            return None;
        };
        let mut word = String::new();
        let told = BufReader::new(keeper.stdout.take().expect("it is piped")).read_line(&mut word);
        if told.is_err() || word != "mounted\n" {
            // It has ended already.
            let _ = keeper.wait();
            not_tried("this machine lets nobody mount in a namespace of his own");
            return None;
        }
        let namespace = keeper.id().to_string();
        let directory = format!("--wd={}", builder.path("").display());
        let builder = builder.through(&["nsenter", "-t", &namespace, "-U", "-m", "--preserve-credentials", &directory]);
        Some((Self { keeper, data }, builder))
    }

    /// The data folder as the daemon sees it.
    pub(crate) fn data(&self) -> PathBuf {
        let inside = self.data.strip_prefix("/").expect("it is absolute");
        Path::new("/proc").join(self.keeper.id().to_string()).join("root").join(inside)
    }

    /// Leaves no byte.
    pub(crate) fn fill(&self) {
        let path = self.data().join("ballast");
        let mut ballast = OpenOptions::new().create(true).append(true).open(path).expect("there is a name left");
        while ballast.write_all(&[0; 4096]).is_ok() {}
    }

    /// Leaves no name for another file.
    pub(crate) fn fill_names(&self) {
        let names = (0..).map(|number| self.data().join(format!("ballast-{number}")));
        let _ = names.map_while(|name| OpenOptions::new().create_new(true).append(true).open(name).ok()).count();
    }

    /// Gives everything back.
    pub(crate) fn free(&self) {
        for entry in fs::read_dir(self.data()).expect("it is there").flatten() {
            if entry.file_name().to_string_lossy().starts_with("ballast") {
                fs::remove_file(entry.path()).expect("it is ours");
            }
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // The end of its input ends it; where it has ended already, that is what is wanted.
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}
