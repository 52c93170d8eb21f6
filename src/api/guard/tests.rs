//! The guard against clients that take their time, over real sockets.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use futures_lite::AsyncReadExt;
use trillium::{Conn, Method};

use super::*;
use crate::api::Server;
use crate::api::testing::{Client, PATIENCE, eventually, guarded, patient};

mod ending;

/// A deadline that a test waits for.
const SHORT: Duration = Duration::from_millis(100);

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const HALF_HEAD: &str = "GET / HTTP/1.1\r\nHo";
const HALF_BODY: &str = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc";

/// Answers with its path, after having read the body of a POST. Marks its answers as ours do.
async fn echo(mut conn: Conn) -> Conn {
    if conn.method() == Method::Post && conn.request_body().read_bytes().await.is_err() {
        return conn.with_status(500);
    }
    let path = conn.path().to_owned();
    conn.with_response_header("Access-Control-Allow-Origin", "*").ok(path)
}

fn guard(deadlines: Deadlines) -> Guard {
    Guard::new(deadlines, 100)
}

/// Ends each client that sends this and then nothing, and no sooner than after the deadline.
fn check_ended(deadlines: Deadlines, sent: &str) {
    let guard = guard(deadlines);
    let server = guarded(&guard, echo);
    let mut client = Client::to(server.address());
    let begun = Instant::now();
    client.send(sent);
    assert!(client.is_ended(), "{sent:?}");
    assert!(begun.elapsed() >= SHORT, "{sent:?} too soon");
    eventually("the place is free", || guard.open() == 0);
}

#[test]
fn silent_is_ended() {
    check_ended(Deadlines { idle: SHORT, ..patient() }, "");
}

#[test]
fn half_a_head_is_ended() {
    check_ended(Deadlines { head: SHORT, ..patient() }, HALF_HEAD);
}

#[test]
fn half_a_body_is_ended() {
    check_ended(Deadlines { body: SHORT, ..patient() }, HALF_BODY);
}

#[test]
fn half_a_body_that_nobody_reads_is_ended_after_the_answer() {
    let guard = guard(Deadlines { idle: SHORT, head: SHORT, ..patient() });
    let server = guarded(&guard, echo);
    let mut client = Client::to(server.address());
    client.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc");
    assert_eq!(client.answer().status, 200);
    assert!(client.is_ended());
}

#[test]
fn half_a_body_that_was_called_for_is_ended() {
    let guard = guard(Deadlines { body: SHORT, ..patient() });
    let server = guarded(&guard, echo);
    let mut client = Client::to(server.address());
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.head().status, 100);
    assert!(client.send("a").is_ended());
}

#[test]
fn idle_between_requests_is_ended() {
    let guard = guard(Deadlines { idle: SHORT, ..patient() });
    let server = guarded(&guard, echo);
    let mut client = Client::to(server.address());
    assert_eq!(client.send(GET).answer().status, 200);
    assert!(client.is_ended());
}

/// The deadline of a head counts from its first byte, not from its last.
#[test]
fn dribbling_a_head_gains_no_time() {
    let guard = guard(Deadlines { head: SHORT, ..patient() });
    let server = guarded(&guard, echo);
    let mut client = Client::to(server.address());
    let begun = Instant::now();
    client.send("GET / HTTP/1.1\r\nX: ");
    eventually("it is let in", || guard.open() == 1);
    while client.try_send("x") {
        assert!(begun.elapsed() < PATIENCE, "it may go on for ever");
        std::thread::sleep(SHORT / 20);
    }
    eventually("the place is free", || guard.open() == 0);
}

#[test]
fn dribbling_a_body_gains_no_time() {
    let guard = guard(Deadlines { body: SHORT, ..patient() });
    let server = guarded(&guard, echo);
    let mut client = Client::to(server.address());
    let begun = Instant::now();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    while client.try_send("1\r\nx\r\n") {
        assert!(begun.elapsed() < PATIENCE, "it may go on for ever");
        std::thread::sleep(SHORT / 20);
    }
    eventually("the place is free", || guard.open() == 0);
}

/// A handler that goes on after a read has failed must not get another try with the next.
#[test]
fn expiry_is_sticky() {
    let guard = guard(Deadlines { body: SHORT, ..patient() });
    let (tell, told) = async_channel::bounded(3);
    let server = guarded(&guard, move |mut conn: Conn| {
        let tell = tell.clone();
        async move {
            for _ in 0..3 {
                let outcome = conn.request_body().read(&mut [0]).await;
                tell.send(outcome.map_err(|error| error.kind())).await.expect("the test listens");
            }
            conn.ok("")
        }
    });
    let told = || {
        let mut outcome = None;
        eventually("a read has ended", || {
            outcome = told.try_recv().ok();
            outcome.is_some()
        });
        outcome.expect("it has ended")
    };
    let mut client = Client::to(server.address());
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\na");
    assert_eq!(told(), Ok(1));
    assert_eq!(told(), Err(ErrorKind::TimedOut));
    client.try_send("a");
    assert_eq!(told(), Err(ErrorKind::TimedOut));
    assert!(client.is_ended());
}

#[test]
fn working_on_an_answer_has_no_deadline() {
    let guard = guard(Deadlines { head: SHORT, body: SHORT, idle: SHORT, stall: SHORT, ending: SHORT });
    let server = guarded(&guard, async |conn: Conn| {
        async_io::Timer::after(SHORT * 3).await;
        conn.ok("late")
    });
    let mut client = Client::to(server.address());
    assert_eq!(client.send(GET).answer().status, 200);
}

/// Answers with more than the kernel keeps for a client.
async fn flood(conn: Conn) -> Conn {
    conn.ok(vec![b'x'; FLOOD_BYTES])
}

const FLOOD_BYTES: usize = 64 * 1024 * 1024;

#[test]
fn an_answer_that_nobody_takes_is_ended() {
    let guard = guard(Deadlines { stall: SHORT, ..patient() });
    let server = guarded(&guard, flood);
    let mut client = Client::to(server.address());
    assert_eq!(client.send(GET).head().status, 200);
    eventually("the place is free", || guard.open() == 0);
}

/// The deadline counts from the last byte that was taken.
#[test]
fn an_answer_that_is_taken_slowly_is_not_ended() {
    let stall = SHORT * 5;
    let guard = guard(Deadlines { stall, ..patient() });
    let server = guarded(&guard, flood);
    let mut client = Client::to(server.address());
    let begun = Instant::now();
    client.send(GET).head();
    for _ in 0..32 {
        client.take(FLOOD_BYTES / 32);
        std::thread::sleep(stall / 16);
    }
    assert!(begun.elapsed() > stall);
}

#[test]
fn pipelined_requests_are_answered_in_turn() {
    let guard = guard(patient());
    let server = guarded(&guard, echo);
    let mut client = Client::to(server.address());
    client.send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\nPOST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n");
    client.send("abGET /3 HTTP/1.1\r\nHost: x\r\n\r\n");
    for path in ["/1", "/2", "/3"] {
        assert_eq!(client.answer().body, path.as_bytes());
    }
}

#[test]
fn expect_continue_is_served() {
    let guard = guard(patient());
    let server = guarded(&guard, echo);
    let mut client = Client::to(server.address());
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.head().status, 100);
    assert_eq!(client.send("ab").answer().status, 200);
    assert_eq!(client.send(GET).answer().status, 200);
}

#[test]
fn http2_by_prior_knowledge_is_refused() {
    let guard = guard(patient());
    let server = guarded(&guard, echo);
    let mut client = Client::to(server.address());
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    let answer = client.answer();
    assert!(matches!(answer.status, 400 | 501 | 505), "{answer:?}");
    assert!(answer.head.starts_with("HTTP/1.1 "), "{answer:?}");
    assert!(client.is_ended());
}

/// An older library doubled its buffer with each read: 61 bytes, one at a time, took gigabytes.
#[test]
fn single_bytes_cost_no_memory() {
    let guard = guard(patient());
    let server = guarded(&guard, echo);
    let mut client = Client::to(server.address());
    assert_eq!(client.send(GET).answer().status, 200);
    let before = peak_kib();
    for byte in format!("GET /{} HTTP/1.1\r\nHost: x\r\n", "x".repeat(61)).bytes() {
        client.send([byte]);
        // So that each byte is a read of its own.
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(client.send("\r\n").answer().status, 200);
    let grown = peak_kib() - before;
    assert!(grown < 200 * 1024, "61 bytes took {grown} KiB");
}

/// The most memory that this process has ever held. Other tests run beside, hence the wide bound.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells this");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("Linux tells this");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number of KiB")
}

#[test]
fn at_the_cap_the_longest_silent_gives_way() {
    let guard = Guard::new(patient(), 4);
    let server = guarded(&guard, echo);
    let connect = |sent: &str, open| {
        let mut client = Client::to(server.address());
        client.send(sent);
        eventually("it is let in", || guard.open() == open);
        client
    };
    let mut silent = connect("", 1);
    let mut idle = connect(GET, 2);
    assert_eq!(idle.answer().status, 200);
    let mut half_head = connect(HALF_HEAD, 3);
    let mut half_body = connect(HALF_BODY, 4);
    // The half body was the last to come, but an answered request counts from its answer.
    assert_eq!(idle.send(GET).answer().status, 200);
    for gone in [&mut silent, &mut half_head, &mut half_body] {
        let mut newcomer = Client::to(server.address());
        assert!(gone.is_ended());
        assert_eq!(newcomer.send(GET).answer().status, 200);
        std::mem::forget(newcomer);
    }
    assert!(idle.is_silent());
    assert_eq!(idle.send(GET).answer().status, 200);
    assert_eq!(guard.open(), 4);
}

#[test]
fn at_the_cap_who_is_being_answered_stays() {
    let guard = Guard::new(patient(), 2);
    let (go, gone) = async_channel::bounded::<()>(1);
    let server = held(&guard, gone);
    let mut busy = Client::to(server.address());
    busy.send("GET /held HTTP/1.1\r\nHost: x\r\n\r\n");
    eventually("it is being answered", || server.held.lock().is_ok_and(|held| *held == 1));
    for _ in 0..5 {
        let mut newcomer = Client::to(server.server.address());
        assert_eq!(newcomer.send(GET).answer().status, 200);
        std::mem::forget(newcomer);
    }
    // Nor does an answer that is still leaving protect its connection more than work does.
    let mut slow = Client::to(server.address());
    assert_eq!(slow.send("GET /flood HTTP/1.1\r\nHost: x\r\n\r\n").head().status, 200);
    assert_eq!(Client::to(server.address()).send(GET).answer().status, 200);
    drop(go);
    assert_eq!(busy.answer().status, 200);
}

/// A server whose `/held` is answered when the channel is closed.
struct Held {
    server: Server,
    held: Arc<Mutex<u32>>,
}

impl Held {
    fn address(&self) -> SocketAddr {
        self.server.address()
    }
}

fn held(guard: &Guard, gone: async_channel::Receiver<()>) -> Held {
    let held = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&held);
    let server = guarded(guard, move |conn: Conn| {
        let (gone, counted) = (gone.clone(), Arc::clone(&counted));
        async move {
            if conn.path() == "/held" {
                *counted.lock().expect("nobody panics with it") += 1;
                let _closed = gone.recv().await;
            }
            if conn.path() == "/flood" { flood(conn).await } else { echo(conn).await }
        }
    });
    Held { server, held }
}
