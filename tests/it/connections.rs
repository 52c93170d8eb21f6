//! New: connections — many, silent, slow and half.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::{Builder, Connection, Ksana, Receiver, eventually, hourly};

const HALF_A_HEAD: &[u8] = b"POST /jobs HTTP/1.1\r\nHost: x\r\nX-API-Key: test-";
const HALF_A_BODY: &[u8] =
    b"POST /jobs HTTP/1.1\r\nHost: x\r\nX-API-Key: test-key\r\nContent-Length: 100\r\n\r\n{\"name\":";

fn open(ksana: &Ksana, sent: &[u8]) -> Connection {
    let mut connection = Connection::open(ksana.port).expect("it listens");
    connection.send(sent).expect("it reads");
    connection
}

/// Room for the descriptors that a test opens, and for those of the daemon that inherits the limit.
fn room_for_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let enough = limit.maximum.map_or(4096, |most| most.min(4096));
    if limit.current.is_some_and(|current| current < enough) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(enough), maximum: limit.maximum })
            .expect("up to the hard limit");
    }
}

#[test]
fn a_head_may_take_10_s_a_body_30_s_and_an_idle_connection_75_s() {
    let ksana = Ksana::start();
    let begun = Instant::now();
    let never = open(&ksana, b"");
    let head = open(&ksana, HALF_A_HEAD);
    let body = open(&ksana, HALF_A_BODY);
    let mut idle = open(&ksana, &ksana.call("GET", "/health").bytes());
    idle.response("GET").expect("a whole answer").expect("an answer").expect(200);
    let bounds = [(head, 8..25), (body, 28..45), (idle, 70..95)];
    thread::scope(|scope| {
        for (mut connection, bounds) in bounds {
            scope.spawn(move || {
                connection.patience(Duration::from_secs(100));
                connection.read_until_closed().expect("it is closed");
                let took = begun.elapsed().as_secs();
                assert!(bounds.contains(&took), "closed after {took} s, not {bounds:?}");
            });
        }
        scope.spawn(move || {
            let mut never = never;
            never.patience(Duration::from_secs(100));
            never.read_until_closed().expect("who never says anything is closed too");
        });
    });
    ksana.get("/health").expect(200);
}

#[test]
fn at_the_cap_the_longest_without_a_whole_request_gives_way() {
    let ksana = Ksana::with("MAX_CONNECTIONS", "8");
    let mut first = open(&ksana, b"");
    let crowd: Vec<Connection> = (0..40)
        .map(|number| {
            let connection = open(&ksana, if number % 2 == 0 { b"" } else { HALF_A_HEAD });
            if number % 10 == 9 {
                ksana.get("/health").expect(200);
            }
            connection
        })
        .collect();
    ksana.get("/jobs").expect(200);
    first.patience(Duration::from_secs(5));
    let closed = first.read_until_closed();
    assert!(closed.is_ok(), "the first had to go: {closed:?}");
    drop(crowd);
}

#[test]
fn half_open_clients_shut_nobody_out() {
    let ksana = Builder::new().env("MAX_CONNECTIONS", "50").start();
    let _halves: Vec<Connection> = (0..200)
        .filter_map(|number| {
            let mut connection = Connection::open(ksana.port).ok()?;
            connection.send([HALF_A_HEAD, HALF_A_BODY, b""][number % 3]).ok()?;
            Some(connection)
        })
        .collect();
    for _ in 0..5 {
        ksana.get("/jobs").expect(200);
        ksana.create(&hourly("http://127.0.0.1:9/"));
    }
}

#[test]
fn half_open_clients_do_not_hold_up_sigterm() {
    let mut ksana = Ksana::start();
    let _halves: Vec<Connection> =
        [HALF_A_HEAD, HALF_A_BODY, b"".as_slice()].iter().cycle().take(12).map(|sent| open(&ksana, sent)).collect();
    let mut idle = open(&ksana, &ksana.call("GET", "/health").bytes());
    idle.response("GET").expect("a whole answer").expect("an answer").expect(200);
    assert_eq!(ksana.stop(), 0);
}

#[test]
fn one_dribbling_client_costs_no_memory() {
    let ksana = Ksana::start();
    ksana.get("/health").expect(200);
    let before = ksana.memory_kib();
    let mut heads = open(&ksana, b"GET /health HTTP/1.1\r\nHost: x\r\nX-Dribble: ");
    let mut bodies = open(&ksana, HALF_A_BODY);
    let mut chunks =
        open(&ksana, b"POST /jobs HTTP/1.1\r\nHost: x\r\nX-API-Key: test-key\r\nTransfer-Encoding: chunked\r\n\r\n");
    for _ in 0..90 {
        for connection in [&mut heads, &mut bodies] {
            connection.send(b"d").expect("it reads");
        }
        chunks.send(b"1\r\n \r\n").expect("it reads");
        // What makes it a dribble: each byte comes alone.
        thread::sleep(Duration::from_millis(2));
    }
    ksana.get("/health").expect(200);
    let after = ksana.memory_kib();
    assert!(after < before + 32 * 1024, "from {before} to {after} KiB");
}

#[test]
fn a_head_that_is_too_long_is_refused() {
    let ksana = Ksana::start();
    let before = ksana.memory_kib();
    let mut connection = open(&ksana, b"GET /health HTTP/1.1\r\nHost: x\r\nX-Long: ");
    // The answer comes at once; what is sent after it is dropped for a moment, so that it arrives.
    eventually("the connection is closed", || connection.send(&[b'x'; 4096]).is_err().then_some(()));
    match connection.response("GET") {
        Ok(Some(answer)) => assert!((400..500).contains(&answer.status), "{}", answer.status),
        Ok(None) => {}
        Err(error) => assert_ne!(error.kind(), ErrorKind::WouldBlock, "neither answered nor closed"),
    }
    assert!(ksana.memory_kib() < before + 32 * 1024);
}

#[test]
fn what_is_no_http_disturbs_nobody() {
    let ksana = Ksana::start();
    for rubbish in [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /jobs HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"\r\n\r\n\r\n\r\n",
        b"\0\0\0\0",
    ] {
        let mut connection = open(&ksana, rubbish);
        connection.patience(Duration::from_millis(300));
        // Whatever comes, or nothing: only that the others are served counts.
        let _ = connection.response("GET");
        ksana.get("/jobs").expect(200);
    }
}

#[test]
fn callbacks_work_with_1100_descriptors_open() {
    room_for_descriptors();
    let receiver = Receiver::start();
    let ksana = Builder::new().env("MAX_CONNECTIONS", "2000").start();
    let crowd: Vec<TcpStream> =
        (0..1100).map(|_| TcpStream::connect(("127.0.0.1", ksana.port)).expect("there is room for one more")).collect();
    // Each answer comes from behind the crowd, so the crowd has been let in.
    ksana.get("/health").expect(200);
    let descriptors = format!("/proc/{}/fd", ksana.pid().as_raw_nonzero());
    let open = crate::support::eventually("the crowd to be let in", || {
        let count = std::fs::read_dir(&descriptors).expect("the daemon runs").count();
        (count >= 1100).then_some(count)
    });
    assert!(open >= crowd.len());
    for path in ["/one", "/two", "/three"] {
        let id = ksana.create_id(&hourly(&receiver.url(path)));
        ksana.run_now(&id);
        let done = ksana.await_job(&id, "an end", |job| job["last_status"] != "");
        assert_eq!(done["last_status"], "success", "{}", done["last_error"]);
    }
}
