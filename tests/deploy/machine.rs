//! A machine of its own: a real systemd, booted in namespaces that end when this process does.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Output, Stdio};
use std::thread;

use rustix::process::getuid;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::support::{eventually, has, not_tried};

/// A small Debian with systemd, of the suite of this machine, made by `.ci/run`.
const ROOT: &str = "/var/cache/ksana-ci/root";

/// Whoever has this one shared keeps `.ci/run` from putting another root there.
const ROOT_LOCK: &str = "/var/cache/ksana-ci/root.lock";

/// Boots the root $1, and what is written stays in memory. The end of the input ends everything, however it comes,
/// and so nothing else may: a ^C of the terminal reaches this script too. The root is booted in a cgroup $2 of
/// systemd's own kind, which outlives its processes and is removed last.
const KEEPER: &str = r#"
trap '' INT TERM
mount -t tmpfs none /run
mkdir /run/root /run/upper /run/work
mount -t overlay -o "lowerdir=$1,upperdir=/run/upper,workdir=/run/work" none /run/root
umount -R /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
ip link set lo up
mkdir "/sys/fs/cgroup/$2"
unshare --pid --fork --mount-proc sh -ec '
    echo 0 > "/sys/fs/cgroup/$1/cgroup.procs"
    systemd-nspawn --quiet --directory=/run/root --machine="$1" --boot --register=no --keep-unit --console=pipe \
        --resolv-conf=off --timezone=off --link-journal=no --rlimit="RLIMIT_NOFILE=$(ulimit -Hn)" < /dev/null &
    cat
' sh "$2" || true
find "/sys/fs/cgroup/$2" -depth -type d -exec rmdir {} +
"#;

pub(crate) struct Machine {
    keeper: Child,
    /// Its process 1, as we see it.
    init: u32,
    /// Held until all else has ended.
    _root_lock: File,
}

impl Machine {
    /// Boots one and waits until all of it is up; nothing, and a word about it, where this machine lacks what it
    /// takes.
    pub(crate) fn boot(name: &str) -> Option<Self> {
        if !has(&["systemd-nspawn", "unshare", "nsenter", "ip"]) {
            return None;
        }
        if !getuid().is_root() {
            not_tried("only root may boot a machine");
            return None;
        }
        let lock = File::open(ROOT_LOCK).and_then(|lock| lock.lock_shared().map(|()| lock));
        let (Ok(root_lock), true) = (lock, Path::new(ROOT).is_dir()) else {
            not_tried(&format!("there is no {ROOT}, which .ci/run makes"));
            return None;
        };
        let console = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("console-{name}"));
        let console = File::create(console).expect("own folder");
        let name = format!("ksana-{name}-{}", process::id());
        let mut command = Command::new("unshare");
        command.args(["--mount", "--net", "--propagation", "private", "sh", "-ec", KEEPER, "sh", ROOT, &name]);
        let stderr = console.try_clone().expect("a file has room for two");
        let keeper = command.stdin(Stdio::piped()).stdout(console).stderr(stderr).spawn().expect("it is there");
        let mut machine = Self { keeper, init: 0, _root_lock: root_lock };
        machine.init = eventually("systemd to start", || {
            let ended = machine.keeper.try_wait().expect("it is our child");
            assert!(ended.is_none(), "the machine does not boot");
            init_below(machine.keeper.id())
        });
        eventually("systemd to be up", || {
            let output = machine.command(&["systemctl", "is-system-running"]).output().expect("it is there");
            (output.stdout == b"running\n").then_some(())
        });
        Some(machine)
    }

    /// A path of inside, from outside.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        Path::new("/proc").join(self.init.to_string()).join("root").join(path.trim_start_matches('/'))
    }

    /// A command that is to run inside.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.init.to_string(), "-m", "-u", "-i", "-n", "-p", "-C", "--"]).args(words);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").stdin(Stdio::null());
        command
    }

    pub(crate) fn output(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("it is there")
    }

    /// Runs a command of inside that has to succeed, and gives what it printed, without the last newline.
    #[track_caller]
    pub(crate) fn run(&self, words: &[&str]) -> String {
        crate::support::run(&mut self.command(words)).trim_end().to_owned()
    }

    /// Does something on a thread of its own, whose sockets are those of the machine.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let network = File::open(format!("/proc/{}/ns/net", self.init)).expect("it runs");
        thread::scope(|scope| {
            let worker = scope.spawn(|| {
                move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).expect("root may");
                work()
            });
            worker.join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if thread::panicking() && self.init != 0 {
            let output = self.output(&["journalctl", "--no-pager", "-n", "100"]);
            eprintln!("the end of its journal:\n{}", String::from_utf8_lossy(&output.stdout));
        }
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// The first process called systemd among those that stem from `ancestor`: it has started all others of its machine.
fn init_below(ancestor: u32) -> Option<u32> {
    let processes = fs::read_dir("/proc").expect("Linux has it").flatten();
    let mut pids: Vec<u32> = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.retain(|&pid| field(pid, "Name").as_deref() == Some("systemd"));
    let stems = |&pid: &u32| std::iter::successors(Some(pid), |&pid| parent(pid)).any(|pid| pid == ancestor);
    pids.into_iter().filter(stems).min()
}

fn parent(pid: u32) -> Option<u32> {
    field(pid, "PPid")?.parse().ok().filter(|&parent| parent != 0)
}

/// A field of `/proc/<pid>/status`; nothing where the process has gone.
fn field(pid: u32, name: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(value.trim().to_owned())
}
