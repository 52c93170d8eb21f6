//! The real daemon: started on a free port in a folder of its own, watched, stopped, killed, started again.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::chown;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicUsize;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use jiff::Timestamp;
use rustix::process::{Pid, Signal, getuid, kill_process};
use serde_json::Value;

use super::log::Log;
use super::namespace::{not_tried, works};
use super::{Call, Folder, eventually, eventually_within, now};

/// The key that every daemon of these tests accepts unless its test says otherwise.
pub(crate) const KEY: &str = "test-key";

/// Whom the daemon runs as where a test needs permissions to count and is itself run by root.
pub(super) const NOBODY: u32 = 65534;

/// A daemon that is not started yet.
pub(crate) struct Builder {
    folder: Folder,
    env: BTreeMap<String, String>,
    program: PathBuf,
    arguments: Vec<String>,
    user: Option<u32>,
    /// What the daemon inherits as its descriptor 3.
    socket: Option<OwnedFd>,
}

impl Builder {
    pub(crate) fn new() -> Self {
        let folder = Folder::new();
        fs::create_dir_all(folder.join("data")).expect("own folder");
        fs::create_dir_all(folder.join("config")).expect("own folder");
        fs::write(folder.join("config/api_keys.txt"), format!("{KEY}\n")).expect("own folder");
        let path = |name: &str| folder.join(name).display().to_string();
        let env = [
            ("PORT", "0".to_owned()),
            ("HOST", "127.0.0.1".to_owned()),
            ("LOG_FORMAT", "json".to_owned()),
            ("DATA_DIR", path("data")),
            ("AUTH_KEYS_FILE", path("config/api_keys.txt")),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value)).into();
        Self {
            folder,
            env,
            program: env!("CARGO_BIN_EXE_ksana").into(),
            arguments: Vec::new(),
            user: None,
            socket: None,
        }
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.env.insert(name.to_owned(), value.as_ref().to_owned());
        self
    }

    pub(crate) fn unset(mut self, name: &str) -> Self {
        self.env.remove(name);
        self
    }

    pub(crate) fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Where `name` lies in the daemon's working directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A file in the daemon's working directory, there before the start.
    pub(crate) fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("own folder");
        fs::write(path, content).expect("own folder");
        self
    }

    pub(crate) fn without_key_file(self) -> Self {
        fs::remove_file(self.path("config/api_keys.txt")).expect("it was just made");
        self
    }

    pub(crate) fn jobs_json(self, content: impl AsRef<[u8]>) -> Self {
        self.file("data/jobs.json", content)
    }

    /// Gives the daemon a mount that nobody else sees and that goes with it; nothing, and a word about
    /// it, where this machine lets nobody make one.
    pub(crate) fn with_a_mount(mut self, mount: &str) -> Option<Self> {
        if !works(Command::new("unshare").args(["-rm", "sh", "-c", mount])) {
            not_tried(&format!("this machine lets nobody run {mount:?} in a namespace of its own"));
            return None;
        }
        let program = std::mem::replace(&mut self.program, "unshare".into()).display().to_string();
        let script = format!("{mount} && exec \"$0\"");
        self.arguments = ["-rm", "sh", "-c", &script, &program].map(str::to_owned).into();
        Some(self.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"))
    }

    /// Runs the daemon through another program that becomes it.
    pub(crate) fn through(mut self, command: &[&str]) -> Self {
        let (program, arguments) = command.split_first().expect("a command has a name");
        let inner = std::mem::replace(&mut self.program, program.into()).display().to_string();
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).chain([inner]);
        self.arguments.splice(0..0, arguments);
        self.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
    }

    /// Hands an open descriptor over, as systemd hands over a socket.
    pub(crate) fn with_socket(mut self, socket: impl Into<OwnedFd>) -> Self {
        self.socket = Some(socket.into());
        self.through(&["sh", "-c", "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\""])
    }

    /// Watches some system calls of the daemon, and tampers with them where `inject` says so; nothing, and
    /// a word about it, where there is no strace or where it may not.
    pub(crate) fn traced(self, calls: &str, inject: Option<&str>) -> Option<Self> {
        if !works(Command::new("strace").args(["-D", "-f", "-o", "/dev/null", "true"])) {
            not_tried("there is no strace on this machine, or it may not trace");
            return None;
        }
        let (output, calls) = (self.path("trace").display().to_string(), format!("trace={calls}"));
        let inject = inject.map(|inject| format!("inject={inject}"));
        let mut command = vec!["strace", "-D", "-f", "-qq", "-o", &output, "-e", &calls];
        command.extend(inject.iter().flat_map(|inject| ["-e", inject]));
        Some(self.through(&command))
    }

    /// Makes file permissions count for the daemon, also where root runs the tests.
    pub(crate) fn run_by_nobody(mut self) -> Self {
        if getuid().is_root() {
            // The build's own folder may be closed to others. The copy is made by another process, because a file that
            // this one writes cannot be run while a child of another test still has the descriptor.
            let program = self.path("ksana");
            assert!(works(Command::new("cp").args([&self.program, &program])), "the binary can be read");
            self.program = program;
            for name in ["data", "config"] {
                chown(self.path(name), Some(NOBODY), Some(NOBODY)).expect("root may give away");
            }
            self.user = Some(NOBODY);
        }
        self
    }

    /// Starts and waits until it listens.
    pub(crate) fn start(self) -> Ksana {
        let mut ksana = self.launch();
        ksana.await_listening();
        ksana
    }

    /// Starts where nothing but the end is awaited, and gives the exit code beside the rest.
    pub(crate) fn run_to_the_end(self) -> (i32, Ksana) {
        let mut ksana = self.launch();
        (ksana.await_exit(), ksana)
    }

    /// Starts and waits for nothing.
    pub(crate) fn launch(self) -> Ksana {
        let port = self.env.get("PORT").and_then(|port| port.parse().ok()).unwrap_or(0);
        let mut ksana = Ksana {
            builder: self,
            child: None,
            readers: Vec::new(),
            log: Log::default(),
            port,
            launched_at: now(),
            log_begin: 0,
            fences: AtomicUsize::new(0),
        };
        ksana.spawn();
        ksana
    }
}

/// A daemon and what it has said so far.
pub(crate) struct Ksana {
    builder: Builder,
    child: Option<Child>,
    readers: Vec<JoinHandle<()>>,
    pub(crate) log: Log,
    pub(crate) port: u16,
    pub(crate) launched_at: Timestamp,
    /// Where the log of the present process begins.
    log_begin: usize,
    pub(super) fences: AtomicUsize,
}

impl Ksana {
    pub(crate) fn start() -> Self {
        Builder::new().start()
    }

    pub(crate) fn with(name: &str, value: &str) -> Self {
        Builder::new().env(name, value).start()
    }

    fn spawn(&mut self) {
        let builder = &self.builder;
        let mut command = Command::new(&builder.program);
        command.args(&builder.arguments).env_clear().envs(&builder.env).current_dir(builder.folder.path());
        let socket = builder.socket.as_ref().map(|socket| socket.try_clone().expect("descriptors are left"));
        command.stdin(socket.map_or_else(Stdio::null, Stdio::from)).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(user) = builder.user {
            command.uid(user).gid(user);
        }
        self.launched_at = now();
        self.log_begin = self.log.mark();
        let mut child = command.spawn().expect("the binary starts");
        self.readers.push(self.log.follow(child.stdout.take().expect("it is piped")));
        self.readers.push(self.log.follow(child.stderr.take().expect("it is piped")));
        self.child = Some(child);
    }

    /// Waits until it listens or has ended, and says which.
    pub(crate) fn has_come_to_listen(&mut self) -> bool {
        eventually("the daemon to listen or to end", || {
            let port = self.log.since(self.log_begin).iter().find_map(super::Line::listening_port);
            self.port = port.unwrap_or(self.port);
            if port.is_some() { Some(true) } else { self.has_ended().then_some(false) }
        })
    }

    /// Waits for the line that tells the port, or, where the test chose one, for an answer.
    fn await_listening(&mut self) {
        let chosen = self.builder.env.get("PORT").is_some_and(|port| port != "0");
        eventually("the daemon to listen", || {
            if let Some(status) = self.child.as_mut()?.try_wait().expect("it is our child") {
                panic!("the daemon ended with {status}");
            }
            if chosen {
                return Call::new(self.port, "GET", "/health").try_send().ok().map(drop);
            }
            self.port = self.log.since(self.log_begin).iter().find_map(super::Line::listening_port)?;
            Some(())
        });
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.builder.path(name)
    }

    pub(crate) fn key_file(&self) -> PathBuf {
        self.path("config/api_keys.txt")
    }

    pub(crate) fn jobs_file(&self) -> PathBuf {
        self.path("data/jobs.json")
    }

    /// `jobs.json` as it lies there.
    pub(crate) fn jobs_on_disk(&self) -> Value {
        let text = fs::read_to_string(self.jobs_file()).expect("jobs.json is there");
        serde_json::from_str(&text).expect("jobs.json is whole")
    }

    /// What is known of the system calls of a daemon that is traced.
    pub(crate) fn trace(&self) -> String {
        fs::read_to_string(self.path("trace")).unwrap_or_default()
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(self.child.as_ref().expect("the daemon runs"))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("the daemon runs");
    }

    /// Waits for the end: the exit code, or 128 and the signal.
    pub(crate) fn await_exit(&mut self) -> i32 {
        self.await_exit_within(Duration::from_secs(20))
    }

    pub(crate) fn await_exit_within(&mut self, patience: Duration) -> i32 {
        let child = self.child.as_mut().expect("the daemon runs");
        let status = eventually_within(patience, "the daemon to end", || child.try_wait().expect("it is our child"));
        self.child = None;
        for reader in self.readers.drain(..) {
            reader.join().expect("a reader of a log does not panic");
        }
        status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_none_or(|child| child.try_wait().expect("it is our child").is_some())
    }

    /// SIGTERM, and the exit code.
    pub(crate) fn stop(&mut self) -> i32 {
        self.signal(Signal::TERM);
        self.await_exit()
    }

    /// SIGKILL: nothing is saved that was not saved before.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.await_exit();
    }

    /// Starts again on the same folder.
    pub(crate) fn start_again(&mut self) {
        self.launch_again();
        self.await_listening();
    }

    /// Starts again and waits for nothing.
    pub(crate) fn launch_again(&mut self) {
        assert!(self.child.is_none(), "the daemon still runs");
        self.spawn();
    }

    pub(crate) fn restart(&mut self) {
        assert_eq!(self.stop(), 0, "a daemon that is asked to stop ends well");
        self.start_again();
    }

    /// A second daemon on the folder of this one, with its own keys; it is expected to refuse.
    pub(crate) fn rival(&self) -> Builder {
        Builder::new().env("DATA_DIR", self.path("data").display().to_string())
    }

    /// A number of `/proc/<pid>/status`, in KiB.
    pub(crate) fn memory_kib(&self) -> u64 {
        let status = fs::read_to_string(Path::new("/proc").join(self.pid().to_string()).join("status"));
        let status = status.expect("the daemon runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux tells the memory");
        line.trim().trim_end_matches(" kB").parse().expect("it is a number")
    }
}

/// What a client does.
impl Ksana {
    /// A request without a key.
    pub(crate) fn bare(&self, method: &str, target: &str) -> Call {
        Call::new(self.port, method, target)
    }

    /// A request with the key.
    pub(crate) fn call(&self, method: &str, target: &str) -> Call {
        self.bare(method, target).header("X-API-Key", KEY)
    }
}

impl Drop for Ksana {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Either may fail only because the daemon has ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
        if thread::panicking() {
            eprintln!("the daemon's log:\n{}", self.log.text());
        }
    }
}

/// A port that was free a moment ago, for the few tests that must choose one.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}
