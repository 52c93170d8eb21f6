//! The executor against real sockets on loopback.

use super::*;
use crate::job::{GoDuration, HttpCall, JobId, Schedule, Spec};
use crate::limits::ANSWER_BODY_BYTES_MAX;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use uuid::Uuid;

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
    };
    Start {
        token: Token(7),
        spec: Arc::new(spec),
        run_id: Uuid::from_u128(0x1234),
        attempt: 2,
        scheduled_at: "2025-09-19T11:05:00Z".parse().expect("a time"),
        lateness: jiff::SignedDuration::ZERO,
    }
}

/// A running executor and its two channels.
struct Bench {
    attempts: Sender<Start>,
    reports: Receiver<Report>,
    executor: Executor,
}

impl Bench {
    fn new(config: &Config, resolver: Resolver) -> Self {
        let (attempts, incoming) = async_channel::bounded(1_000);
        let (outgoing, reports) = async_channel::bounded(1_000);
        let executor = Executor::start_with(config, resolver, incoming, outgoing).expect("it starts");
        Self { attempts, reports, executor }
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

#[test]
fn the_status_decides() {
    let check = |status: &str, verdict: Verdict, error: &str| {
        let outcome = outcome_of(format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nhi"));
        assert_eq!(outcome, Outcome::new(verdict, error));
    };
    check("200 OK", Verdict::Success, "");
    check("201 Whatever", Verdict::Success, "");
    check("404 Nope", Verdict::Final, "404 Not Found");
    check("503 Busy", Verdict::Retryable, "503 Service Unavailable");
    assert_eq!(outcome_of("HTTP/1.1 204 No Content\r\n\r\n"), Outcome::success());
    assert_eq!(outcome_of("HTTP/1.0 200 OK\r\n\r\nuntil the end"), Outcome::success());
    assert_eq!(outcome_of("HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"), Outcome::success());
}

#[test]
fn retry_after_comes_with_a_retryable_status() {
    let check = |value: &str| {
        outcome_of(format!("HTTP/1.1 503 X\r\nRetry-After: {value}\r\nContent-Length: 0\r\n\r\n")).retry_after
    };
    assert_eq!(check("17"), Some(GoDuration::from_secs(17)));
    assert_eq!(check("Sun, 06 Nov 1994 08:49:37 GMT"), Some(GoDuration::from_secs(37)));
}

#[test]
fn a_redirect_is_told_and_not_followed() {
    let elsewhere = Target::saying(OK);
    let target = Target::saying(format!("HTTP/1.1 302 F\r\nLocation: {}\r\n\r\n", elsewhere.url("/x?t=s3cret")));
    let outcome = outcome(get(target.url("/")));
    let error = format!("302 Found: it points to {}…, redirects are not followed", elsewhere.url("/x"));
    assert_eq!(outcome, Outcome::new(Verdict::Final, error));
    assert_eq!(elsewhere.connections.load(Ordering::SeqCst), 0);
}

#[test]
fn a_broken_answer_is_retried() {
    let check = |bytes: Vec<u8>, detail: &str| {
        let outcome = outcome_of(bytes);
        assert_eq!(outcome.verdict, Verdict::Retryable, "{}", outcome.error);
        assert!(outcome.error.starts_with("broken answer: "), "{}", outcome.error);
        assert!(outcome.error.contains(detail), "{}", outcome.error);
    };
    check(b"".to_vec(), "closed before a status came");
    check(b"HTTP/1.1 503 Ser".to_vec(), "closed before a status came");
    check(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nX-Cut".to_vec(), "body was cut short");
    check(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\ncut".to_vec(), "body was cut short");
    check(b"HTTP/1.1 404 No\r\nContent-Length: 10\r\n\r\ncut".to_vec(), "body was cut short");
    check(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel".to_vec(), "body was cut short");
    check(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello".to_vec(), "the body is not valid HTTP");
    check(b"<html>an HTTP/0.9 answer</html>".to_vec(), "it is not HTTP");
    check(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), "it is not HTTP");
    check(b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n".to_vec(), "head is not valid HTTP");
    check(b"HTTP/1.1 200 OK\r\nB\xc3\xa4d Name: x\r\n\r\n".to_vec(), "header line is not valid HTTP");
    check(b"HTTP/1.1 9 OK\r\n\r\n".to_vec(), "it is not HTTP");
    let bomb = format!("HTTP/1.1 200 OK\r\n{}\r\n", format!("X-A: {}\r\n", "a".repeat(10_000)).repeat(100));
    check(bomb.into_bytes(), "");
}

#[test]
fn no_connection_is_retried() {
    let port = dead_port();
    let outcome = outcome(get(format!("http://127.0.0.1:{port}/?s3cret")));
    let error = format!("could not connect to 127.0.0.1:{port}: connection refused or host unreachable");
    assert_eq!(outcome, Outcome::new(Verdict::Retryable, error));
}

#[test]
fn a_failed_handshake_is_no_connection() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    thread(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        let _ = stream.read(&mut [0; 4_096]);
    });
    let outcome = outcome(get(format!("https://127.0.0.1:{port}/")));
    assert_eq!(outcome.verdict, Verdict::Retryable, "{}", outcome.error);
    let error = format!("could not connect to 127.0.0.1:{port}: TLS: the handshake failed");
    assert_eq!(*outcome.error, error);
}

#[test]
fn the_timeout_bounds_every_part() {
    let slow = |url: String, resolver: Resolver| {
        let bench = Bench::new(&config(1), resolver);
        let report = bench.report(attempt(get(url), "150ms"));
        assert_eq!(report.outcome, Outcome::new(Verdict::TimedOut, "timed out after 150ms"));
        // Generous above, because machines are busy; nothing may end early.
        assert!(report.took >= Duration::from_millis(149), "{:?}", report.took);
        assert!(report.took < Duration::from_secs(5), "{:?}", report.took);
        bench.end();
    };
    let hang = |said: &'static str, drip: bool| {
        Target::new(move |_, stream| {
            let _ = stream.write_all(said.as_bytes());
            while drip && stream.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(20));
            }
            // Holds the connection until the other side leaves.
            let _ = stream.read(&mut [0]);
            false
        })
    };
    slow(hang("", false).url("/"), Resolver::of_system());
    slow(hang("HTTP/1.1 200 OK\r\nX-", false).url("/"), Resolver::of_system());
    slow(hang("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", false).url("/"), Resolver::of_system());
    slow(hang("HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", true).url("/"), Resolver::of_system());
    slow(hang("HTTP/1.1 200 OK\r\nX-Drip: ", true).url("/"), Resolver::of_system());
    slow(hang("", false).url("/").replace("http:", "https:"), Resolver::of_system());
    let (_word, gate) = std::sync::mpsc::sync_channel::<()>(1);
    let gate = Mutex::new(gate);
    let stuck = Resolver::new(Box::new(move |_| {
        let _ = gate.lock().expect("nobody else looks up").recv();
        Ok(vec![])
    }));
    slow("http://stuck.test/".to_owned(), stuck);
}

#[test]
fn a_late_answer_in_time_is_an_answer() {
    let target = Target::new(|_, stream| {
        std::thread::sleep(Duration::from_millis(50));
        stream.write_all(OK.as_bytes()).is_ok()
    });
    assert_eq!(outcome(get(target.url("/"))), Outcome::success());
}

#[test]
fn a_timeout_that_leaves_no_time_says_so() {
    for timeout in ["0s", "-1s"] {
        let outcome = outcome_with(&config(1), Resolver::of_system(), get("http://127.0.0.1/"), timeout);
        assert_eq!(outcome.verdict, Verdict::Final);
        assert!(outcome.error.contains(&format!("a timeout of {timeout} leaves no time")), "{}", outcome.error);
    }
}

#[test]
fn of_an_endless_body_the_status_decides() {
    for (status, verdict) in [("200 OK", Verdict::Success), ("500 X", Verdict::Retryable), ("404 X", Verdict::Final)] {
        let (closed, closing) = async_channel::bounded(1);
        let target = Target::new(move |_, stream| {
            let _ = stream.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes());
            let mut sent = 0;
            while stream.write_all(&[b'x'; 8_192]).is_ok() {
                sent += 8_192;
            }
            let _ = closed.try_send(sent);
            false
        });
        assert_eq!(outcome(get(target.url("/"))).verdict, verdict);
        let sent = closing.recv_blocking().expect("the connection was closed");
        assert!(sent >= ANSWER_BODY_BYTES_MAX, "{sent}");
    }
}

#[test]
fn a_connection_is_used_again() {
    let target = Target::new(|_, stream| stream.write_all(OK.as_bytes()).is_ok());
    let bench = Bench::new(&config(1), Resolver::of_system());
    for _ in 0..5 {
        assert_eq!(bench.report(attempt(get(target.url("/")), "10s")).outcome, Outcome::success());
    }
    bench.end();
    assert_eq!(target.connections.load(Ordering::SeqCst), 1);
    assert_eq!(target.requests.lock().expect("no panic above").len(), 5);
}

#[test]
fn a_body_of_the_most_that_is_read_keeps_the_connection() {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {ANSWER_BODY_BYTES_MAX}\r\n\r\n");
    let answer = [head.into_bytes(), vec![b'x'; ANSWER_BODY_BYTES_MAX]].concat();
    let target = Target::new(move |_, stream| stream.write_all(&answer).is_ok());
    let bench = Bench::new(&config(1), Resolver::of_system());
    for _ in 0..2 {
        assert_eq!(bench.report(attempt(get(target.url("/")), "10s")).outcome, Outcome::success());
    }
    bench.end();
    assert_eq!(target.connections.load(Ordering::SeqCst), 1);
}

#[test]
fn a_request_carries_what_it_should() {
    let target = Target::new(|_, stream| stream.write_all(OK.as_bytes()).is_ok());
    let header = |name: &str, value: &str| (name.into(), value.into());
    let http = HttpCall {
        method: "post".into(),
        url: target.url("/p/%C3%A4?a={b}|\"c'd<e>`^").into(),
        headers: vec![
            header("X-Token", "abc"),
            header("x-empty", ""),
            header("Content-Length", "999"),
            header("Transfer-Encoding", "chunked"),
            header("Connection", "close"),
            header("Keep-Alive", "timeout=1"),
            header("Proxy-Connection", "close"),
            header("Upgrade", "h2c"),
            header("TE", "trailers"),
            header("Trailer", "X"),
            header("X-Ksana-Run-Id", "forged"),
            header("x-ksana-other", "forged"),
        ],
        body: r#"{"a": 1}"#.into(),
    };
    assert_eq!(outcome(http), Outcome::success());
    let request = target.only_request();
    let (head, body) = request.split_once("\r\n\r\n").expect("a head ends");
    let mut lines: Vec<_> = head.lines().collect();
    assert_eq!(lines.remove(0), "POST /p/%C3%A4?a={b}|%22c%27d%3Ce%3E`^ HTTP/1.1");
    lines.sort_unstable();
    let host = format!("Host: 127.0.0.1:{}", target.port);
    let expected = [
        "Accept: */*",
        "Content-Length: 8",
        "Content-Type: application/json",
        &host,
        concat!("User-Agent: ksana/", env!("CARGO_PKG_VERSION")),
        "X-Empty:",
        "X-Ksana-Attempt: 2",
        "X-Ksana-Job-Id: job-1",
        "X-Ksana-Run-Id: 00000000-0000-0000-0000-000000001234",
        "X-Ksana-Scheduled-At: 2025-09-19T11:05:00Z",
        "X-Token: abc",
    ];
    assert_eq!(lines, expected);
    assert_eq!(body, r#"{"a": 1}"#);
}

#[test]
fn a_job_s_own_headers_win() {
    let target = Target::saying(OK);
    let header = |name: &str, value: &str| (name.into(), value.into());
    let http = HttpCall {
        headers: vec![
            header("user-agent", "mine/1"),
            header("CONTENT-TYPE", "text/csv"),
            header("Authorization", "Bearer t"),
            header("Host", "elsewhere.test"),
        ],
        body: "{}".into(),
        ..get(target.url("/").replace("http://", "http://user:pass@"))
    };
    assert_eq!(outcome(http), Outcome::success());
    let request = target.only_request();
    for line in ["User-Agent: mine/1", "Content-Type: text/csv", "Authorization: Bearer t", "Host: elsewhere.test"] {
        assert!(request.contains(&format!("\r\n{line}\r\n")), "{request}");
    }
    assert_eq!(request.to_ascii_lowercase().matches("\r\nauthorization: ").count(), 1);
    assert_eq!(request.to_ascii_lowercase().matches("\r\nhost: ").count(), 1);
    assert_eq!(request.to_ascii_lowercase().matches("\r\nuser-agent: ").count(), 1);
}

#[test]
fn userinfo_is_sent_as_basic_auth() {
    let target = Target::saying(OK);
    assert_eq!(outcome(get(target.url("/").replace("http://", "http://us%65r:p%40ss@"))), Outcome::success());
    let request = target.only_request();
    assert!(request.contains("\r\nAuthorization: Basic dXNlcjpwQHNz\r\n"), "{request}");
}

#[test]
fn bodies_go_with_any_method() {
    let check = |method: &str, body: &str, expected: &[&str], absent: &[&str]| {
        let no_body = if method == "HEAD" { "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" } else { OK };
        let target = Target::saying(no_body);
        let http = HttpCall { method: method.into(), body: body.into(), ..get(target.url("/")) };
        assert_eq!(outcome(http), Outcome::success(), "{method} {body}");
        let request = target.only_request();
        assert!(request.starts_with(&format!("{method} / HTTP/1.1\r\n")), "{request}");
        for line in expected {
            assert!(request.contains(line), "{method}: {line} is missing: {request}");
        }
        for line in absent {
            assert!(!request.contains(line), "{method}: {line} is too much: {request}");
        }
    };
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"] {
        let text = ["\r\nContent-Length: 2\r\n", "\r\nContent-Type: text/plain\r\n", "\r\n\r\nhi"];
        check(method, "hi", &text, &["Transfer-Encoding", "Expect"]);
    }
    for method in ["POST", "PUT", "PATCH"] {
        check(method, "", &["\r\nContent-Length: 0\r\n"], &["Content-Type", "Transfer-Encoding"]);
    }
    for method in ["GET", "DELETE", "OPTIONS", "HEAD", "PURGE"] {
        check(method, "", &[], &["Content-Length", "Content-Type", "Transfer-Encoding"]);
    }
    check("HEAD", "hi", &[], &["Content-Length"]);
    check("POST", "12", &["\r\nContent-Type: application/json\r\n"], &[]);
    let long = "x".repeat(ANSWER_BODY_BYTES_MAX + 1);
    check("PUT", &long, &["\r\nContent-Length: 1048577\r\n"], &["Expect"]);
}

#[test]
fn no_other_scheme_is_ever_sent() {
    for url in ["file://localhost/etc/passwd", "file:///etc/passwd", "mqtt://127.0.0.1/a", "ftp://127.0.0.1/", "x"] {
        let outcome = outcome(get(url));
        assert_eq!(outcome.verdict, Verdict::Final, "{url}");
        assert!(outcome.error.contains("accepted are absolute http and https URLs"), "{}", outcome.error);
    }
}

#[test]
fn what_cannot_be_sent_fails_with_the_reason() {
    let target = Target::saying(OK);
    let header =
        |name: &str, value: &str| HttpCall { headers: vec![(name.into(), value.into())], ..get(target.url("/")) };
    for (http, reason) in [
        (header("bad name", "x"), "\"bad name\" is not a header name"),
        (header("X-A", "a\r\nb"), "the value of the header \"X-A\""),
        (header("X-A", "é"), "the value of the header \"X-A\""),
        (HttpCall { method: "CONNECT".into(), ..get(target.url("/")) }, "\"CONNECT\" is not a method"),
    ] {
        let outcome = outcome(http);
        assert_eq!(outcome.verdict, Verdict::Final);
        assert!(outcome.error.starts_with(reason), "{}", outcome.error);
    }
    assert_eq!(target.connections.load(Ordering::SeqCst), 0);
}

#[test]
fn link_local_addresses_are_refused() {
    for host in
        ["169.254.169.254", "[::ffff:169.254.169.254]", "0xa9fea9fe", "169.254.43518", "[fe80::1]", "[fd00:ec2::254]"]
    {
        let outcome = outcome(get(format!("http://{host}/latest/meta-data")));
        assert_eq!(outcome.verdict, Verdict::Final, "{host}");
        assert!(outcome.error.starts_with("refused: "), "{host}: {}", outcome.error);
    }
    let metadata = names(vec![Ipv4Addr::new(169, 254, 169, 254).into()]);
    let outcome = outcome_with(&config(1), metadata, get("http://metadata.test/"), "10s");
    let error = "refused: metadata.test is at 169.254.169.254, and link-local and metadata addresses are not called";
    assert_eq!(outcome, Outcome::new(Verdict::Final, error));
    // A proxy must not be a way round it.
    let proxied = Config { proxy_from_env: true, ..config(1) };
    let outcome = outcome_with(&proxied, Resolver::of_system(), get("http://169.254.169.254/"), "10s");
    assert!(outcome.error.starts_with("refused: "), "{}", outcome.error);
}

#[test]
fn the_next_address_is_tried_when_one_refuses() {
    let target = Target::saying(OK);
    let addresses: Vec<IpAddr> =
        vec![Ipv4Addr::new(169, 254, 169, 254).into(), Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()];
    let url = format!("http://two.test:{}/", target.port);
    assert_eq!(outcome_with(&config(1), names(addresses), get(url), "10s"), Outcome::success());
    let request = target.only_request();
    assert!(request.contains(&format!("\r\nHost: two.test:{}\r\n", target.port)), "{request}");
}

#[test]
fn a_failed_look_up_is_retried() {
    let dead = Resolver::new(Box::new(|_| Err(io::Error::other("Name or service not known"))));
    let outcome = outcome_with(&config(1), dead, get("http://dead.test/"), "10s");
    let error = "name look-up of dead.test failed: name or service not known";
    assert_eq!(outcome, Outcome::new(Verdict::Retryable, error));
}

#[test]
fn hanging_calls_delay_nobody_while_a_worker_is_free() {
    let (left, leaving) = async_channel::bounded::<()>(1);
    let hang = Target::new(move |_, stream| {
        // Hangs until the test has what it wants.
        let _ = leaving.recv_blocking();
        stream.write_all(OK.as_bytes()).is_ok()
    });
    let quick = Target::new(|_, stream| stream.write_all(OK.as_bytes()).is_ok());
    let bench = Bench::new(&config(65), Resolver::of_system());
    for _ in 0..64 {
        bench.attempts.send_blocking(attempt(get(hang.url("/")), "1m")).expect("the executor listens");
    }
    for token in (100..110).map(Token) {
        let report = bench.report(Start { token, ..attempt(get(quick.url("/")), "1m") });
        assert_eq!((report.token, report.outcome), (token, Outcome::success()));
    }
    drop(left);
    for _ in 0..64 {
        assert_eq!(bench.reports.recv_blocking().expect("every attempt is reported").outcome, Outcome::success());
    }
    bench.end();
}

#[test]
fn closing_the_channel_lets_attempts_end() {
    let (word, gate) = async_channel::bounded::<()>(1);
    let target = Target::new(move |_, stream| {
        let _ = gate.recv_blocking();
        stream.write_all(OK.as_bytes()).is_ok()
    });
    let Bench { attempts, reports, executor } = Bench::new(&config(4), Resolver::of_system());
    attempts.send_blocking(attempt(get(target.url("/")), "1m")).expect("the executor listens");
    drop(attempts);
    assert!(!executor.is_finished());
    drop(word);
    assert_eq!(reports.recv_blocking().expect("it is reported").outcome, Outcome::success());
    executor.join().expect("no panic");
    assert!(reports.recv_blocking().is_err(), "there was one attempt");
}

#[test]
fn a_panic_is_a_report() {
    let broken_clock: fn() -> Timestamp = || panic!("planted");
    let late =
        Target::saying("HTTP/1.1 503 X\r\nRetry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\n\r\n");
    let fine = Target::saying(OK);
    let bench = Bench::new(&Config { clock: broken_clock, ..config(1) }, Resolver::of_system());
    let report = bench.report(attempt(get(late.url("/")), "10s"));
    assert_eq!(report.outcome, Outcome::new(Verdict::Final, "internal error"));
    assert_eq!(bench.report(attempt(get(fine.url("/")), "10s")).outcome, Outcome::success());
    bench.end();
}
