//! What an attempt tells of its target.

use super::*;
use crate::job::{ErrorClass, Times};
use crate::limits::ANSWER_EXCERPT_BYTES_MAX;

fn seen_with(config: &Config, resolver: Resolver, http: HttpCall, timeout: &str) -> Seen {
    let bench = Bench::new(config, resolver);
    let Report { seen, took, .. } = bench.report(attempt(http, timeout));
    bench.end();
    let total = seen.times.total.expect("every attempt takes its time");
    assert_eq!(total.as_micros(), took.as_micros());
    let Times { name_lookup, connect, tls, first_byte, total: _ } = seen.times;
    for part in [name_lookup, connect, tls, first_byte].into_iter().flatten() {
        assert!(part <= total && part.subsec_nanos() % 1_000 == 0, "{:?}", seen.times);
    }
    seen
}

fn seen(http: HttpCall) -> Seen {
    seen_with(&config(1), Resolver::of_system(), http, "10s")
}

/// What is seen of one that says these bytes and closes.
fn seen_of(bytes: impl Into<Vec<u8>>) -> Seen {
    seen(get(Target::saying(bytes).url("/")))
}

/// What is seen of one that says these bytes and then nothing more.
fn seen_before_silence(bytes: impl Into<Vec<u8>>) -> Seen {
    let bytes = bytes.into();
    let target = Target::new(move |_, stream| {
        let _ = stream.write_all(&bytes);
        // Holds the connection until the other side leaves.
        let _ = stream.read(&mut [0]);
        false
    });
    seen_with(&config(1), Resolver::of_system(), get(target.url("/")), "150ms")
}

/// The classes of failures that bring no status.
fn is_unanswered(seen: &Seen, class: ErrorClass) {
    assert_eq!((seen.http_status, seen.error, &*seen.body), (None, Some(class), ""), "{seen:?}");
    assert_eq!((seen.times.connect, seen.times.tls, seen.times.first_byte), (None, None, None), "{seen:?}");
}

fn check(seen: &Seen, status: u16, error: Option<ErrorClass>, body: &str) {
    assert_eq!((seen.http_status, seen.error, &*seen.body), (Some(status), error, body), "{seen:?}");
    assert!(seen.times.first_byte.is_some(), "{seen:?}");
}

#[test]
fn an_answer_is_told_with_its_status_and_body() {
    check(&seen_of(OK), 200, None, "ok");
    let busy = "HTTP/1.1 503 Busy\r\nContent-Length: 10\r\n\r\nbusy \"now\"";
    check(&seen_of(busy), 503, Some(ErrorClass::Status), "busy \"now\"");
    check(&seen_of("HTTP/1.1 302 F\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"), 302, Some(ErrorClass::Status), "");
    check(&seen_of("HTTP/1.1 204 No Content\r\n\r\n"), 204, None, "");
    check(&seen_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"), 200, None, "hi");
    check(&seen_of("HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), 200, None, "");
}

#[test]
fn a_body_is_told_up_to_the_last_character_that_fits() {
    let body = "é".repeat(4_096);
    for before in ["", "x"] {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", before.len() + body.len());
        let fits = format!("{before}{}", "é".repeat((ANSWER_EXCERPT_BYTES_MAX - before.len()) / 2));
        check(&seen_of(format!("{head}{before}{body}")), 200, None, &fits);
    }
    let binary = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\0x";
    check(&seen_of(binary), 200, None, "\u{1f}\u{fffd}\0x");
}

#[test]
fn a_failed_look_up_is_dns() {
    let dead = Resolver::new(Box::new(|_| Err(io::Error::other("Name or service not known"))));
    let seen = seen_with(&config(1), dead, get("http://dead.test/"), "10s");
    is_unanswered(&seen, ErrorClass::Dns);
    assert!(seen.times.name_lookup.is_some(), "{seen:?}");
}

#[test]
fn no_connection_and_one_that_is_not_allowed_are_connect() {
    let seen = seen(get(format!("http://127.0.0.1:{}/", dead_port())));
    is_unanswered(&seen, ErrorClass::Connect);
    assert_eq!(seen.times.name_lookup, None, "nothing was looked up");
    is_unanswered(&self::seen(get("http://169.254.169.254/")), ErrorClass::Connect);
    let metadata = names(vec![Ipv4Addr::new(169, 254, 169, 254).into()]);
    let seen = seen_with(&config(1), metadata, get("http://metadata.test/"), "10s");
    is_unanswered(&seen, ErrorClass::Connect);
    assert!(seen.times.name_lookup.is_some(), "{seen:?}");
}

#[test]
fn a_failed_handshake_is_tls() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    thread(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        let _ = stream.read(&mut [0; 4_096]);
    });
    is_unanswered(&seen(get(format!("https://127.0.0.1:{port}/"))), ErrorClass::Tls);
}

#[test]
fn a_broken_answer_is_protocol_and_shows_what_came_of_it() {
    for bytes in ["", "HTTP/1.1 503 Ser", "<html>an HTTP/0.9 answer</html>", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n"] {
        is_unanswered(&seen_of(bytes), ErrorClass::Protocol);
    }
    let protocol = Some(ErrorClass::Protocol);
    check(&seen_of("HTTP/1.1 404 No\r\nContent-Length: 10\r\n\r\ncut"), 404, protocol, "cut");
    check(&seen_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"), 200, protocol, "hel");
}

#[test]
fn what_cannot_be_sent_is_protocol() {
    is_unanswered(&seen(get("ftp://127.0.0.1/")), ErrorClass::Protocol);
    let seen = seen_with(&config(1), Resolver::of_system(), get("http://127.0.0.1/"), "0s");
    is_unanswered(&seen, ErrorClass::Protocol);
}

#[test]
fn a_timeout_shows_what_came_before_it() {
    is_unanswered(&seen_before_silence(""), ErrorClass::Timeout);
    let timeout = Some(ErrorClass::Timeout);
    check(&seen_before_silence("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"), 200, timeout, "abc");
    check(&seen_before_silence("HTTP/1.1 500 X\r\n\r\nlong"), 500, timeout, "long");
}

#[test]
fn a_look_up_that_does_not_end_took_no_time_of_its_own() {
    let (_word, gate) = std::sync::mpsc::sync_channel::<()>(1);
    let gate = Mutex::new(gate);
    let stuck = Resolver::new(Box::new(move |_| {
        let _ = gate.lock().expect("nobody else looks up").recv();
        Ok(vec![])
    }));
    let seen = seen_with(&config(1), stuck, get("http://stuck.test/"), "50ms");
    is_unanswered(&seen, ErrorClass::Timeout);
    assert_eq!(seen.times.name_lookup, None);
}

#[test]
fn the_times_are_those_of_the_parts() {
    let pause = Duration::from_millis(30);
    let target = Target::new(move |_, stream| {
        std::thread::sleep(pause);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no");
        std::thread::sleep(pause);
        stream.write_all(b"k").is_ok()
    });
    let slow = Resolver::new(Box::new(move |_| {
        std::thread::sleep(pause);
        Ok(vec![Ipv4Addr::LOCALHOST.into()])
    }));
    let bench = Bench::new(&config(1), slow);
    let times = || {
        let seen = bench.report(attempt(get(format!("http://named.test:{}/", target.port)), "10s")).seen;
        check(&seen, 200, None, "ok");
        seen.times
    };
    let Times { name_lookup, connect, tls, first_byte, total } = times();
    let [name_lookup, connect, first_byte, total] =
        [name_lookup, connect, first_byte, total].map(|time| time.expect("it came to pass"));
    assert!(name_lookup >= pause && connect > Duration::ZERO);
    assert!(first_byte >= name_lookup + connect + pause, "{first_byte:?} {name_lookup:?} {connect:?}");
    assert!(total >= first_byte + pause, "{total:?} {first_byte:?}");
    assert_eq!(tls, None);
    let kept = times();
    assert!(kept.name_lookup.is_some_and(|cached| cached < pause), "{kept:?}");
    assert!(kept.first_byte.is_some_and(|took| took >= pause), "{kept:?}");
    assert_eq!((kept.connect, kept.tls), (None, None));
    bench.end();
    assert_eq!(target.connections.load(Ordering::SeqCst), 1);
}

#[test]
fn a_panic_is_protocol_and_shows_the_answer_that_it_came_of() {
    let broken_clock: fn() -> Timestamp = || panic!("planted");
    let late =
        Target::saying("HTTP/1.1 503 X\r\nRetry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 2\r\n\r\nhi");
    let config = Config { clock: broken_clock, ..config(1) };
    let seen = seen_with(&config, Resolver::of_system(), get(late.url("/")), "10s");
    check(&seen, 503, Some(ErrorClass::Protocol), "hi");
}

#[test]
fn nobody_waited_is_cancelled() {
    let (arrived, arrivals) = async_channel::bounded(1);
    let target = Target::new(move |_, stream| {
        let _ = arrived.send_blocking(());
        let _ = stream.read(&mut [0]);
        false
    });
    let bench = Bench::new(&config(1), Resolver::of_system());
    bench.attempts.send_blocking(attempt(get(target.url("/")), "1m")).expect("the executor listens");
    arrivals.recv_blocking().expect("the request arrives");
    bench.cancels.send_blocking(Token(7)).expect("the executor listens");
    let seen = bench.reports.recv_blocking().expect("every attempt is reported").seen;
    is_unanswered(&seen, ErrorClass::Cancelled);
    assert!(seen.times.total.is_some());
    bench.end();
}
