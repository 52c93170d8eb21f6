//! A client that sends exactly the bytes that it is told to, and servers for it.

use std::fmt::{Debug, Write as _};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tracing::field::{Field, Visit};
use tracing::instrument::WithSubscriber;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use trillium::{Conn, Handler, Info, Upgrade};

use super::guard::{Deadlines, Guard};
use super::{Api, History, Server};
use crate::clock;
use crate::config::Host;
use crate::engine::{self, Engine};
use crate::events::Events;
use crate::inbox::inbox;
use crate::job::{Defaults, GoDuration, stored_job};
use crate::keys::KeyRing;
use crate::ledger::{Bounds, Ledger};
use crate::listen::{self, Address, Listener};
use crate::metrics::Metrics;
use crate::shared::share;
use crate::store::Directory;
use crate::vitals::Vitals;

pub(super) const KEY: &str = "correct-horse";

/// Longer than anything here takes on the slowest machine; only a test that fails waits for it.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Jobs `a`, `ab` and `a.b_c~d-e`.
pub(super) fn api() -> Api {
    let defaults =
        Defaults { timeout: GoDuration::from_secs(10), max_retries: 3, retry_backoff: GoDuration::from_secs(5) };
    let mut engine = Engine::new(1);
    for id in ["a", "ab", "a.b_c~d-e"] {
        let schedule = serde_json::json!({"kind": "every", "every": "1h"});
        let job = serde_json::json!({"id": id, "name": "n", "http": {"url": "http://a/"}, "schedule": schedule});
        engine.apply(engine::Record::Put(stored_job(job, &defaults).expect("a job of a file")));
    }
    // Nothing lies there, and nothing is written.
    let disk = Directory::look(Path::new("/nonexistent/runs"));
    let bounds = Bounds { bytes: u64::MAX, age: Duration::MAX };
    let ledger = Ledger::open(Arc::new(disk), bounds).expect("nothing lies there");
    Api {
        keys: KeyRing::fixed([KEY].into_iter().collect()),
        vitals: Arc::new(Vitals::new()),
        metrics: Arc::new(Metrics::new(Timestamp::UNIX_EPOCH, 1)),
        guard: Guard::new(Deadlines::default(), 100),
        // Nobody reads these letters: whoever writes one is told that the service is about to end.
        jobs: inbox(share(engine).1).0,
        events: Events::new(Timestamp::UNIX_EPOCH, 0),
        history: History::new(Arc::new(ledger)),
        defaults,
        clock: clock::now,
    }
}

/// The service as it is in production, on a port of its own.
pub(super) fn served(api: &Api) -> Server {
    Server::start(vec![free_port()], api).expect("it listens")
}

/// A handler of the test's own behind a guard of the test's own.
pub(super) fn guarded(guard: &Guard, handler: impl Handler) -> Server {
    Server::start_guarded(vec![free_port()], guard.clone(), handler).expect("it listens")
}

fn free_port() -> Listener {
    listen::bind(&Host::Ip(Ipv4Addr::LOCALHOST.into()), 0).expect("port 0 is always free")
}

impl Server {
    /// Where tests find it.
    pub(super) fn address(&self) -> SocketAddr {
        match self.addresses() {
            [Address::Tcp(address)] => *address,
            others => panic!("a test's server listens on {others:?}"),
        }
    }
}

/// Deadlines that no test reaches, except for those that it sets.
pub(super) fn patient() -> Deadlines {
    Deadlines {
        head: PATIENCE * 2,
        body: PATIENCE * 2,
        idle: PATIENCE * 2,
        stall: PATIENCE * 2,
        ending: Duration::ZERO,
    }
}

/// Waits until something is so.
pub(super) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub(super) struct Client {
    stream: TcpStream,
    /// What has come after the last answer.
    rest: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Client {
    pub(super) fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("the time is not zero");
        stream.set_write_timeout(Some(PATIENCE)).expect("the time is not zero");
        stream.set_nodelay(true).expect("the socket is open");
        Self { stream, rest: Vec::new() }
    }

    pub(super) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.stream.write_all(bytes.as_ref()).expect("the server takes it");
        self
    }

    /// Sends without minding whether anybody takes it.
    pub(super) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// One request with a key and without a body.
    pub(super) fn ask(&mut self, line: &str) -> Answer {
        self.send(format!("{line} HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\n\r\n"));
        if line.starts_with("HEAD ") { self.head() } else { self.answer() }
    }

    /// The next answer, with its body.
    pub(super) fn answer(&mut self) -> Answer {
        let mut answer = self.head();
        let length = answer.header("Content-Length").map_or(0, |length| length.parse().expect("a number"));
        while self.rest.len() < length {
            assert!(self.more(), "the connection ended within a body: {answer:?}");
        }
        answer.body = self.rest.drain(..length).collect();
        answer
    }

    /// The next answer's head.
    pub(super) fn head(&mut self) -> Answer {
        let end = loop {
            if let Some(end) = self.rest.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            assert!(self.more(), "the connection ended before an answer: {:?}", String::from_utf8_lossy(&self.rest));
        };
        let head = String::from_utf8(self.rest.drain(..end).collect()).expect("a head is ASCII");
        let status = head[9..12].parse().expect("a status is a number");
        Answer { status, head, body: Vec::new() }
    }

    /// The next block of a stream of events, with the empty line that ends it.
    pub(super) fn block(&mut self) -> String {
        let end = loop {
            if let Some(end) = self.rest.windows(2).position(|window| window == b"\n\n") {
                break end + 2;
            }
            assert!(self.more(), "the stream ended");
        };
        String::from_utf8(self.rest.drain(..end).collect()).expect("a stream is text")
    }

    /// Takes so many bytes of what comes.
    pub(super) fn take(&mut self, count: usize) {
        while self.rest.len() < count {
            assert!(self.more(), "the connection ended");
        }
        self.rest.drain(..count);
    }

    /// Whether the server ends the connection, one way or the other, without another byte.
    pub(super) fn is_ended(&mut self) -> bool {
        self.rest.is_empty() && !self.more()
    }

    /// Whether nothing can be read for now, the end included.
    pub(super) fn is_silent(&mut self) -> bool {
        self.stream.set_nonblocking(true).expect("the socket is open");
        let outcome = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).expect("the socket is open");
        outcome.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    fn more(&mut self) -> bool {
        let mut chunk = [0; 16 * 1024];
        match self.stream.read(&mut chunk) {
            Ok(count) => {
                self.rest.extend_from_slice(&chunk[..count]);
                count > 0
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("the server does nothing for {PATIENCE:?}")
            }
            Err(_) => false,
        }
    }
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "))
            .find_map(|(known, value)| known.eq_ignore_ascii_case(name).then_some(value))
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A handler whose lines of log are kept.
pub(super) struct Overheard<H> {
    pub(super) handler: H,
    pub(super) lines: Lines,
}

/// Lines of log, as `LEVEL field=value …`.
#[derive(Clone, Default)]
pub(super) struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    pub(super) fn all(&self) -> Vec<String> {
        self.0.lock().expect("nobody panics with it").clone()
    }
}

impl<H: Handler> Handler for Overheard<H> {
    async fn run(&self, conn: Conn) -> Conn {
        self.handler.run(conn).with_subscriber(self.lines.clone()).await
    }

    async fn before_send(&self, conn: Conn) -> Conn {
        self.handler.before_send(conn).with_subscriber(self.lines.clone()).await
    }

    async fn init(&mut self, info: &mut Info) {
        self.handler.init(info).await;
    }

    fn has_upgrade(&self, upgrade: &Upgrade) -> bool {
        self.handler.has_upgrade(upgrade)
    }

    async fn upgrade(&self, upgrade: Upgrade) {
        self.handler.upgrade(upgrade).with_subscriber(self.lines.clone()).await;
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("ksana")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().expect("nobody panics with it").push(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a string cannot fail.
        let _ = write!(self.0, " {field}={value:?}");
    }
}
