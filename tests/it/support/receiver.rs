//! A real callback target: records what comes and answers as scripted.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt::Write as _;
use std::io::{self, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;

use super::answer::{Answer, Shape};
use super::http::{self, Framing, Headers};
use super::{Call, eventually, in_background, now};

/// An endless body is given up here, in case nobody closes the connection.
const ENDLESS_BYTES_MAX: usize = 256 << 20;

/// Between the bytes of a dripping body: never silent for long, never done.
const DRIP_EVERY: Duration = Duration::from_millis(20);

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) at: Timestamp,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
    pub(crate) connection: usize,
}

impl Request {
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        http::header(&self.headers, name)
    }

    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(given, _)| given.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    #[track_caller]
    pub(crate) fn run_id(&self) -> &str {
        self.header("X-Ksana-Run-Id").expect("every callback has a run id")
    }

    #[track_caller]
    pub(crate) fn attempt(&self) -> u32 {
        let text = self.header("X-Ksana-Attempt").expect("every callback has an attempt");
        text.parse().expect("attempts are numbers")
    }

    #[track_caller]
    pub(crate) fn scheduled_at(&self) -> Timestamp {
        let text = self.header("X-Ksana-Scheduled-At").expect("every callback has its planned instant");
        text.parse().expect("a planned instant is a time")
    }
}

#[derive(Default)]
struct State {
    requests: Vec<Request>,
    scripts: HashMap<String, VecDeque<Answer>>,
    released: HashSet<String>,
    /// Paths whose endless or dripping body the client broke off, with the bytes that had been written.
    broken_off: Vec<(String, usize)>,
    connections: usize,
    connections_open: usize,
    in_flight: usize,
    in_flight_most: usize,
    stopping: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

pub(crate) struct Receiver {
    port: u16,
    shared: Arc<Shared>,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let shared = Arc::new(Shared::default());
        let for_thread = Arc::clone(&shared);
        in_background("receiver", move || accept(&listener, &for_thread));
        Self { port, shared }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// From now on `path` answers these in turn, and the last one for ever.
    pub(crate) fn script(&self, path: &str, answers: impl IntoIterator<Item = Answer>) {
        self.state().scripts.insert(path.to_owned(), answers.into_iter().collect());
    }

    /// Lets every held answer of `path` go, present and future.
    pub(crate) fn release(&self, path: &str) {
        self.state().released.insert(path.to_owned());
        self.shared.changed.notify_all();
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.state().requests.clone()
    }

    pub(crate) fn at(&self, path: &str) -> Vec<Request> {
        self.state().requests.iter().filter(|request| request.path() == path).cloned().collect()
    }

    /// Waits for `count` requests in all.
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Request> {
        eventually(&format!("{count} requests"), || Some(self.requests()).filter(|seen| seen.len() >= count))
    }

    /// Waits for `count` requests at `path`.
    pub(crate) fn wait_for_path(&self, path: &str, count: usize) -> Vec<Request> {
        eventually(&format!("{count} requests at {path}"), || Some(self.at(path)).filter(|seen| seen.len() >= count))
    }

    /// Waits until the client breaks off an endless body of `path`, and tells how much was written.
    pub(crate) fn wait_until_broken_off(&self, path: &str) -> usize {
        eventually(&format!("the client to break off {path}"), || {
            self.state().broken_off.iter().find(|(at, _)| at == path).map(|(_, bytes)| *bytes)
        })
    }

    pub(crate) fn connections(&self) -> usize {
        self.state().connections
    }

    /// Waits until everything is recorded that a client sent who is gone now, and counts it: what comes later
    /// comes from another one.
    pub(crate) fn await_silence(&self) -> usize {
        // Whoever connected before this is accepted before it.
        Call::new(self.port, "GET", "/silence").send().expect(200);
        eventually("a target to have no client", || (self.state().connections_open == 0).then_some(()));
        self.requests().len()
    }

    /// The most requests that were being answered at one moment.
    pub(crate) fn in_flight_most(&self) -> usize {
        self.state().in_flight_most
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.state().in_flight
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.lock()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.state().stopping = true;
        self.shared.changed.notify_all();
        // Wakes the thread that accepts, so that it sees the end.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }

    /// Waits until `path` is released or the target ends.
    fn wait_for_release(&self, path: &str) {
        let held = |state: &mut State| !state.stopping && !state.released.contains(path);
        drop(self.changed.wait_while(self.lock(), held).expect("no holder panics"));
    }

    fn wait_for_end(&self) {
        drop(self.changed.wait_while(self.lock(), |state| !state.stopping).expect("no holder panics"));
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        let number = {
            let mut state = shared.lock();
            if state.stopping {
                return;
            }
            state.connections += 1;
            state.connections_open += 1;
            state.connections
        };
        let for_thread = Arc::clone(shared);
        in_background("target", move || {
            // A connection that breaks is the client's business; the tests look at what was recorded.
            let _ = stream.and_then(|stream| serve(stream, number, &for_thread));
            for_thread.lock().connections_open -= 1;
        });
    }
}

fn serve(stream: TcpStream, connection: usize, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    while let Some(head) = http::read_head(&mut reader)? {
        let body = http::read_body(&mut reader, &http::framing(&head.headers, Framing::None))?;
        let mut words = head.start.split(' ').map(str::to_owned);
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let request = Request { at: now(), method, target, headers: head.headers, body, connection };
        let answer = shared.record(request.clone());
        thread::sleep(answer.delay);
        if answer.held {
            shared.wait_for_release(request.path());
        }
        // Counted out before the first byte of the answer, or else a client that is quicker than this
        // thread would seem to have one more in flight than it has.
        let counts_to_the_end = !matches!(answer.shape, Shape::Whole);
        if !counts_to_the_end {
            shared.lock().in_flight -= 1;
        }
        let stays = play(reader.get_mut(), &request, &answer, shared);
        if counts_to_the_end {
            shared.lock().in_flight -= 1;
        }
        if !stays? {
            return Ok(());
        }
    }
    Ok(())
}

impl Shared {
    /// Writes a request down and says what it is answered.
    fn record(&self, request: Request) -> Answer {
        let mut state = self.lock();
        let answer = match state.scripts.get_mut(request.path()) {
            Some(script) if script.len() > 1 => script.pop_front(),
            Some(script) => script.front().cloned(),
            None => None,
        };
        state.requests.push(request);
        state.in_flight += 1;
        state.in_flight_most = state.in_flight_most.max(state.in_flight);
        answer.unwrap_or_else(Answer::ok)
    }
}

/// Answers; says whether the connection stays.
fn play(stream: &mut TcpStream, request: &Request, answer: &Answer, shared: &Shared) -> io::Result<bool> {
    let head = head_of(answer);
    match answer.shape {
        Shape::Whole => {
            let body = if request.method == "HEAD" || matches!(answer.status, 204 | 304) { "" } else { "ok" };
            let length = if answer.status == 204 { String::new() } else { "Content-Length: 2\r\n".to_owned() };
            stream.write_all(format!("{head}{length}\r\n{body}").as_bytes())?;
            Ok(!answer.closes)
        }
        Shape::Hang => {
            shared.wait_for_end();
            Ok(false)
        }
        Shape::Drop => Ok(false),
        Shape::Garbage => {
            stream.write_all(b"\x00\x01 this is not the protocol\r\n\r\n")?;
            Ok(false)
        }
        Shape::CutBody => {
            stream.write_all(format!("{head}Content-Length: 100\r\n\r\nonly this").as_bytes())?;
            Ok(false)
        }
        Shape::HeaderBomb => {
            stream.write_all(head.as_bytes())?;
            let line = format!("X-Bomb: {}\r\n", "b".repeat(1000));
            for _ in 0..4096 {
                stream.write_all(line.as_bytes())?;
            }
            stream.write_all(b"Content-Length: 0\r\n\r\n")?;
            Ok(true)
        }
        Shape::Endless => {
            write_for_ever(stream, request, &head, &[b'e'; 16 << 10], Duration::ZERO, shared);
            Ok(false)
        }
        Shape::Drip => {
            write_for_ever(stream, request, &head, b"d", DRIP_EVERY, shared);
            Ok(false)
        }
    }
}

/// Writes chunk after chunk until the client has had enough, and notes that.
fn write_for_ever(
    stream: &mut TcpStream,
    request: &Request,
    head: &str,
    chunk: &[u8],
    pause: Duration,
    shared: &Shared,
) {
    let mut piece = format!("{:x}\r\n", chunk.len()).into_bytes();
    piece.extend(chunk);
    piece.extend(b"\r\n");
    let mut written = 0;
    let mut result = stream.write_all(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes());
    while result.is_ok() && written < ENDLESS_BYTES_MAX && !shared.lock().stopping {
        thread::sleep(pause);
        result = stream.write_all(&piece);
        written += chunk.len();
    }
    if result.is_err() {
        shared.lock().broken_off.push((request.path().to_owned(), written));
    }
}

fn head_of(answer: &Answer) -> String {
    let mut head = format!("HTTP/1.1 {} Scripted\r\n", answer.status);
    for (name, value) in &answer.headers {
        write!(head, "{name}: {value}\r\n").expect("a text takes all");
    }
    head
}
