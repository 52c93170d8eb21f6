//! The service: the release binary, started in a folder of its own.

use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::client::{Connection, request};
use crate::folder::Folder;
use crate::process::Process;

/// The key of every daemon here.
pub(crate) const KEY: &str = "bench-key";

/// A start or an end that takes longer does not happen.
const PATIENCE: Duration = Duration::from_mins(2);
/// Between two looks at something that is awaited.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// What of the log is kept for the case that something goes wrong.
const LOG_BYTES_KEPT: usize = 16 * 1024;

/// A daemon that runs.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
    reader: Option<JoinHandle<()>>,
    log: Arc<Mutex<Vec<u8>>>,
    data: PathBuf,
    pub(crate) port: u16,
    /// From the start of the process to its first answer that shows jobs.
    pub(crate) start: Duration,
}

impl Daemon {
    /// Starts on the folder `data` in `folder`, which may hold a `jobs.json`, and waits for the first answer.
    pub(crate) fn start(folder: &Folder, settings: &[(&str, &str)]) -> Self {
        let (data, keys) = (folder.join("data"), folder.join("api_keys.txt"));
        fs::create_dir_all(&data).expect("own folder");
        fs::write(&keys, KEY).expect("own folder");
        let port = free_port();
        let mut command = Command::new(env!("CARGO_BIN_EXE_ksana"));
        command.env_clear().env("HOST", "127.0.0.1").env("PORT", port.to_string()).env("LOG_FORMAT", "json");
        command.env("DATA_DIR", &data).env("AUTH_KEYS_FILE", &keys).envs(settings.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let began = Instant::now();
        let mut child = command.spawn().expect("the binary starts");
        let log = Arc::<Mutex<Vec<u8>>>::default();
        let output = child.stdout.take().expect("it is piped");
        let reader = Some(keep_tail(output, Arc::clone(&log)));
        let mut daemon = Self { child, reader, log, data, port, start: Duration::ZERO };
        daemon.await_first_answer(began);
        daemon
    }

    fn await_first_answer(&mut self, began: Instant) {
        let list = request("GET", "/jobs?limit=1", "");
        loop {
            if let Ok(mut connection) = Connection::open(self.port) {
                connection.expect(200, &list);
                self.start = began.elapsed();
                return;
            }
            let ended = self.child.try_wait().expect("it is our child");
            assert!(ended.is_none(), "the service ended at its start: {ended:?}");
            assert!(began.elapsed() < PATIENCE, "the service does not start");
            thread::sleep(LOOK_EVERY);
        }
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.port).expect("the service listens")
    }

    /// A file of the data folder.
    pub(crate) fn data(&self, name: &str) -> PathBuf {
        self.data.join(name)
    }

    /// Whether a snapshot is being written now.
    pub(crate) fn is_snapshotting(&self) -> bool {
        self.data("jobs.json.tmp").exists()
    }

    pub(crate) fn process(&self) -> Process {
        Process(self.child.id())
    }

    /// Stops it as an operator would.
    pub(crate) fn stop(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("the service runs");
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                break status;
            }
            assert!(began.elapsed() < PATIENCE, "the service does not end");
            thread::sleep(LOOK_EVERY);
        };
        assert!(status.success(), "the service ended with {status}");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Either fails only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        if thread::panicking() {
            let log = self.log.lock().expect("its only writer does not panic");
            eprintln!("the end of the service's log:\n{}", String::from_utf8_lossy(&log));
        }
    }
}

/// Reads the log as a log shipper would, and keeps its end.
fn keep_tail(mut output: ChildStdout, log: Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    let work = move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = output.read(&mut buffer) {
            let mut log = log.lock().expect("its readers do not panic");
            log.extend_from_slice(&buffer[..read]);
            let surplus = log.len().saturating_sub(LOG_BYTES_KEPT);
            log.drain(..surplus);
        }
    };
    thread::Builder::new().name("log".to_owned()).spawn(work).expect("the machine has room for a thread")
}

/// A port that was free a moment ago: to ask the log for one would be part of the start's time.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}
