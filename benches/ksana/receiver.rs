//! The target of all calls: notes when each arrives and for when it was meant, and answers 200.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use ksana::clock;

use crate::client::{end_of_head, header};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
/// A thousand connections take a thousand of them.
const STACK_BYTES: usize = 128 * 1024;
/// Between two looks at something that is awaited.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// The daemon.
    Service,
    /// What stands beside it.
    Bare,
}

/// A call that came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) caller: Caller,
    /// When it was to be made.
    pub(crate) due: Timestamp,
    /// When its first bytes were there, by the wall clock.
    pub(crate) at: Timestamp,
}

/// Listens until the process ends.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) port: u16,
    arrivals: Arc<Mutex<Vec<Arrival>>>,
}

impl Caller {
    /// The path that tells them apart.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Service => "/service",
            Self::Bare => "/bare",
        }
    }
}

impl Arrival {
    /// How late it came. What comes too early was not measured but wrong.
    pub(crate) fn lateness(&self) -> Duration {
        let late = self.at.duration_since(self.due);
        late.try_into().unwrap_or_else(|_| panic!("a call that is due at {} came at {}", self.due, self.at))
    }
}

impl Receiver {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let arrivals = Arc::<Mutex<Vec<Arrival>>>::default();
        let shared = Arc::clone(&arrivals);
        in_background("receiver", move || {
            for stream in listener.incoming() {
                let (stream, arrivals) = (stream.expect("the listener stands"), Arc::clone(&shared));
                in_background("connection", move || serve(stream, &arrivals));
            }
        });
        Self { port, arrivals }
    }

    pub(crate) fn url(&self, caller: Caller) -> String {
        format!("http://127.0.0.1:{}{}", self.port, caller.path())
    }

    /// Forgets what has come so far.
    pub(crate) fn clear(&self) {
        self.arrivals.lock().expect("no connection panics").clear();
    }

    /// How many calls have come.
    pub(crate) fn len(&self, caller: Caller) -> usize {
        let arrivals = self.arrivals.lock().expect("no connection panics");
        arrivals.iter().filter(|arrival| arrival.caller == caller).count()
    }

    /// Waits until so many calls have come, and ends the run when they do not.
    pub(crate) fn await_calls(&self, caller: Caller, count: usize, patience: Duration) {
        let began = Instant::now();
        while self.len(caller) < count {
            let seen = self.len(caller);
            assert!(began.elapsed() < patience, "of {count} calls of {caller:?} only {seen} came in {patience:?}");
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Hands over what has come so far.
    pub(crate) fn take(&self) -> Vec<Arrival> {
        std::mem::take(&mut *self.arrivals.lock().expect("no connection panics"))
    }
}

/// Answers one connection until it is closed.
fn serve(mut stream: TcpStream, arrivals: &Mutex<Vec<Arrival>>) {
    stream.set_nodelay(true).expect("a socket takes the option");
    let mut buffer = vec![0; 16 * 1024];
    let mut filled = 0;
    let mut at = None;
    loop {
        let Ok(read @ 1..) = stream.read(&mut buffer[filled..]) else { return };
        let at_of_request = *at.get_or_insert_with(clock::now);
        filled += read;
        let Some(head_len) = end_of_head(&buffer[..filled]) else { continue };
        let head = std::str::from_utf8(&buffer[..head_len]).expect("these heads are ASCII");
        let body_len = header(head, "Content-Length").map_or(0, |len| len.parse().expect("a length is a number"));
        if filled < head_len + body_len {
            continue;
        }
        let arrival = arrival(head, at_of_request);
        if stream.write_all(ANSWER).is_err() {
            return;
        }
        arrivals.lock().expect("no connection panics").push(arrival);
        (filled, at) = (0, None);
    }
}

fn arrival(head: &str, at: Timestamp) -> Arrival {
    let is_service = head.split(' ').nth(1) == Some(Caller::Service.path());
    let due =
        header(head, "X-Ksana-Scheduled-At").and_then(|due| due.parse().ok()).expect("every call tells its due time");
    Arrival { caller: if is_service { Caller::Service } else { Caller::Bare }, due, at }
}

/// A thread that ends when its socket or its work does.
pub(crate) fn in_background<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    let builder = thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES);
    builder.spawn(work).expect("the machine has room for a thread")
}
