//! The executor against real sockets on loopback.

use super::*;
use crate::engine::Verdict;
use crate::job::{GoDuration, HttpCall, JobId, Schedule, Spec};
use crate::limits::ANSWER_BODY_BYTES_MAX;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use uuid::Uuid;

mod answers;
mod cancels;
mod connections;
mod requests;
mod seen;

/// Says what a connection gets for a request; false closes it.
type Behaviour = dyn Fn(&str, &mut TcpStream) -> bool + Send + Sync;

/// A receiver of calls that behaves as badly as it is told to.
struct Target {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
}

impl Target {
    fn new(behaviour: impl Fn(&str, &mut TcpStream) -> bool + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let target = Self { port, requests: Arc::default(), connections: Arc::default() };
        let (requests, connections) = (Arc::clone(&target.requests), Arc::clone(&target.connections));
        let behaviour: Arc<Behaviour> = Arc::new(behaviour);
        thread(move || {
            for stream in listener.incoming() {
                let (mut stream, behaviour, requests) =
                    (stream.expect("a connection"), Arc::clone(&behaviour), Arc::clone(&requests));
                connections.fetch_add(1, Ordering::SeqCst);
                thread(move || {
                    while let Some(request) = read_request(&mut stream) {
                        requests.lock().expect("no panic above").push(request.clone());
                        if !behaviour(&request, &mut stream) {
                            break;
                        }
                    }
                });
            }
        });
        target
    }

    /// Says the same to everybody and closes.
    fn saying(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::new(move |_, stream| {
            let _ = stream.write_all(&bytes);
            false
        })
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn only_request(&self) -> String {
        let requests = self.requests.lock().expect("no panic above");
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests[0].clone()
    }
}

fn thread(body: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().spawn(body).expect("a thread");
}

/// A head and as much of a body as it announces.
fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4_096];
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
            let length = head.split("\r\ncontent-length: ").nth(1).map_or(0, |rest| {
                rest.lines().next().and_then(|digits| digits.parse().ok()).expect("a length is a number")
            });
            if bytes.len() >= end + 4 + length {
                return Some(String::from_utf8_lossy(&bytes).into_owned());
            }
        }
        match stream.read(&mut buffer) {
            Ok(count) if count > 0 => bytes.extend(&buffer[..count]),
            _ => return None,
        }
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn clock() -> Timestamp {
    "1994-11-06T08:49:00Z".parse().expect("a time")
}

fn config(workers: usize) -> Config {
    Config { workers, proxy_from_env: false, clock }
}

fn get(url: impl AsRef<str>) -> HttpCall {
    HttpCall { method: "GET".into(), url: url.as_ref().into(), headers: vec![], body: "".into() }
}

fn attempt(http: HttpCall, timeout: &str) -> Start {
    let spec = Spec {
        id: JobId::parse("job-1").expect("an id"),
        name: "a job".into(),
        http,
        schedule: Schedule::Once { run_at: clock() },
        timeout: timeout.parse().expect(timeout),
        max_retries: 0,
        retry_backoff: GoDuration::ZERO,
        policy: crate::job::OwnPolicy::default(),
    };
    Start {
        token: Token(7),
        spec: Arc::new(spec),
        run_id: Uuid::from_u128(0x1234),
        trigger: crate::job::Trigger::Schedule,
        attempt: 2,
        scheduled_at: "2025-09-19T11:05:00Z".parse().expect("a time"),
        replay_of: None,
        lateness: jiff::SignedDuration::ZERO,
    }
}

/// A running executor and its channels.
struct Bench {
    attempts: Sender<Start>,
    cancels: Sender<Token>,
    reports: Receiver<Report>,
    executor: Executor,
}

impl Bench {
    fn new(config: &Config, resolver: Resolver) -> Self {
        let (attempts, incoming) = async_channel::bounded(1_000);
        let (cancels, cancelled) = async_channel::bounded(1_000);
        let (outgoing, reports) = async_channel::bounded(1_000);
        let executor = Executor::start_with(config, resolver, incoming, cancelled, outgoing).expect("it starts");
        Self { attempts, cancels, reports, executor }
    }

    fn report(&self, attempt: Start) -> Report {
        self.attempts.send_blocking(attempt).expect("the executor listens");
        self.reports.recv_blocking().expect("every attempt is reported")
    }

    fn end(self) {
        drop(self.attempts);
        self.executor.join().expect("no panic reaches the thread");
    }
}

fn outcome_with(config: &Config, resolver: Resolver, http: HttpCall, timeout: &str) -> Outcome {
    let bench = Bench::new(config, resolver);
    let report = bench.report(attempt(http, timeout));
    assert_eq!(report.token, Token(7));
    bench.end();
    report.outcome
}

fn outcome(http: HttpCall) -> Outcome {
    outcome_with(&config(1), Resolver::of_system(), http, "10s")
}

/// The outcome of a GET to one that says these bytes and closes.
fn outcome_of(bytes: impl Into<Vec<u8>>) -> Outcome {
    outcome(get(Target::saying(bytes).url("/")))
}

fn names(addresses: Vec<IpAddr>) -> Resolver {
    Resolver::new(Box::new(move |_| Ok(addresses.clone())))
}

/// A port of loopback that nobody listens on.
fn dead_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("it is bound").port()
}
