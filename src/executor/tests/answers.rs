//! What comes of what a target says.

use super::*;

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
