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

/// A mount namespace that lives until this is dropped, and its mounts with it: also where the tests are killed.
pub(super) struct Namespace {
    /// Waits for the end of its input and holds the namespace open until then.
    keeper: Child,
    /// It belongs to a user namespace in which we are root.
    has_users: bool,
}

impl Namespace {
    /// Opens one in which `script` was done, as root of a user namespace where `has_users`; nothing where this
    /// machine does not let us.
    pub(super) fn open(has_users: bool, script: &str) -> Option<Self> {
        let script = format!("{script} && echo done && exec cat");
        let keeper = Command::new("unshare")
            .args([if has_users { "-rm" } else { "-m" }, "sh", "-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut namespace = Self { keeper: keeper.ok()?, has_users };
        let mut word = String::new();
        let told = BufReader::new(namespace.keeper.stdout.take().expect("it is piped")).read_line(&mut word);
        (told.is_ok() && word == "done\n").then_some(namespace)
    }

    /// The command that lets another one run inside, in that folder.
    fn entrance(&self, folder: &Path) -> Vec<String> {
        let users: &[&str] = if self.has_users { &["-U", "--preserve-credentials"] } else { &[] };
        let (keeper, folder) = (self.keeper.id().to_string(), format!("--wd={}", folder.display()));
        let entrance = ["nsenter", "-t", &keeper, "-m", &folder];
        entrance.iter().chain(users).map(|&word| word.to_owned()).collect()
    }

    /// Puts a daemon inside.
    pub(super) fn around(&self, builder: Builder) -> Builder {
        let entrance = self.entrance(&builder.path(""));
        builder.through(&entrance.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// A script of the shell that is to run inside.
    pub(super) fn command(&self, script: &str) -> Command {
        let entrance = self.entrance(Path::new("/"));
        let mut command = Command::new(&entrance[0]);
        command.args(&entrance[1..]).args(["sh", "-c", script]);
        command
    }

    /// Runs a script inside; says whether it did well.
    pub(super) fn run(&self, script: &str) -> bool {
        works(&mut self.command(script))
    }

    /// A path of inside, from outside.
    pub(super) fn see(&self, path: &Path) -> PathBuf {
        let inside = path.strip_prefix("/").expect("it is absolute");
        Path::new("/proc").join(self.keeper.id().to_string()).join("root").join(inside)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The end of its input ends it; where it has ended already, that is what is wanted.
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// A small file system for a data folder. Lives until it is dropped, whoever starts and ends on it.
pub(crate) struct Disk {
    namespace: Namespace,
    data: PathBuf,
}

impl Disk {
    /// Puts the data folder of a daemon on a file system of its own with these options, and the daemon
    /// where it sees it; nothing, and a word about it, where this machine does not let us.
    pub(crate) fn under(builder: Builder, options: &str) -> Option<(Self, Builder)> {
        let data = builder.path("data");
        let Some(namespace) = Namespace::open(true, &format!("mount -t tmpfs -o {options} none '{}'", data.display()))
        else {
            not_tried("this machine lets nobody mount in a namespace of his own");
            return None;
        };
        let builder = namespace.around(builder);
        Some((Self { namespace, data }, builder))
    }

    /// Lays the folder over itself, so that from now on no name in it can be made, changed or removed; files
    /// that are open stay as they are. The whole file system cannot be made so while one is open to be written to.
    pub(crate) fn make_read_only(&self) {
        let data = self.data.display();
        let script = format!("mount --bind '{data}' '{data}' && mount -o remount,bind,ro '{data}'");
        assert!(self.namespace.run(&script), "root of a namespace may mount in it");
    }

    /// Takes that back.
    pub(crate) fn make_writable(&self) {
        assert!(self.namespace.run(&format!("mount -o remount,bind,rw '{}'", self.data.display())));
    }

    /// The data folder as the daemon sees it.
    pub(crate) fn data(&self) -> PathBuf {
        self.namespace.see(&self.data)
    }

    /// Leaves no byte.
    pub(crate) fn fill(&self) {
        let path = self.data().join("ballast");
        let mut ballast = OpenOptions::new().create(true).append(true).open(path).expect("there is a name left");
        while ballast.write_all(&[0; 4096]).is_ok() {}
    }

    /// Gives some bytes of a full one back.
    pub(crate) fn leave(&self, bytes: u64) {
        let ballast = OpenOptions::new().write(true).open(self.data().join("ballast")).expect("it was filled");
        let length = ballast.metadata().expect("it is there").len();
        ballast.set_len(length.saturating_sub(bytes)).expect("it is ours");
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
