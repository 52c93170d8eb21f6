//! Whom a call reaches, and who waits for whom.

use super::*;

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
    let Bench { attempts, cancels: _cancels, reports, executor } = Bench::new(&config(4), Resolver::of_system());
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
