//! What becomes of attempts that nobody waits for any more.

use super::*;
use std::sync::atomic::AtomicBool;

/// Holds every request until it is told to answer.
struct Holder {
    target: Target,
    arrivals: Receiver<()>,
    gate: Sender<()>,
}

impl Holder {
    fn new(answer: &'static str) -> Self {
        let (arrived, arrivals) = async_channel::bounded(1);
        let (gate, opened) = async_channel::bounded(1);
        let target = Target::new(move |_, stream| {
            let _ = arrived.send_blocking(());
            // An answer a word; without the test, one to all.
            let _ = opened.recv_blocking();
            stream.write_all(answer.as_bytes()).is_ok()
        });
        Self { target, arrivals, gate }
    }

    fn answer(&self) {
        self.gate.send_blocking(()).expect("the target listens");
    }
}

fn numbered(token: u64, target: &Target) -> Start {
    Start { token: Token(token), ..attempt(get(target.url("/")), "1m") }
}

fn answering() -> Target {
    Target::new(|_, stream| stream.write_all(OK.as_bytes()).is_ok())
}

fn cancelled() -> Outcome {
    Outcome::new(Verdict::Final, "cancelled")
}

impl Bench {
    /// Has an attempt made, up to where its target holds the request.
    fn hold(&self, token: u64, holder: &Holder) {
        self.attempts.send_blocking(numbered(token, &holder.target)).expect("the executor listens");
        holder.arrivals.recv_blocking().expect("the request arrives");
    }

    fn cancel(&self, token: u64) {
        self.cancels.send_blocking(Token(token)).expect("the executor listens");
    }

    fn wait_until_heard(&self) {
        while !self.cancels.is_empty() {
            std::thread::yield_now();
        }
    }

    /// The next report: whose it is, and what came of it.
    fn next(&self) -> (u64, Outcome) {
        let report = self.reports.recv_blocking().expect("every attempt is reported");
        (report.token.0, report.outcome)
    }
}

#[test]
fn a_cancelled_attempt_frees_its_worker_at_once() {
    let (holder, target) = (Holder::new(OK), answering());
    let bench = Bench::new(&config(1), Resolver::of_system());
    bench.hold(1, &holder);
    bench.cancel(1);
    assert_eq!(bench.next(), (1, cancelled()));
    bench.attempts.send_blocking(numbered(2, &target)).expect("the executor listens");
    assert_eq!(bench.next(), (2, Outcome::success()));
    bench.end();
}

#[test]
fn an_attempt_that_waits_is_never_made() {
    let (holder, target) = (Holder::new(OK), answering());
    let bench = Bench::new(&config(1), Resolver::of_system());
    bench.hold(1, &holder);
    for token in [2, 3] {
        bench.attempts.send_blocking(numbered(token, &target)).expect("the executor listens");
    }
    bench.cancel(2);
    holder.answer();
    assert_eq!(bench.next(), (1, Outcome::success()));
    assert_eq!(bench.next(), (2, cancelled()));
    assert_eq!(bench.next(), (3, Outcome::success()));
    bench.end();
    target.only_request();
}

#[test]
fn a_cancellation_that_has_arrived_counts_before_it_is_heard() {
    let target = answering();
    let (attempts, incoming) = async_channel::bounded(1);
    let (cancels, cancelled_tokens) = async_channel::bounded(1);
    let (outgoing, reports) = async_channel::bounded(1);
    attempts.send_blocking(numbered(1, &target)).expect("there is room");
    cancels.send_blocking(Token(1)).expect("there is room");
    let executor = Executor::start_with(&config(1), Resolver::of_system(), incoming, cancelled_tokens, outgoing)
        .expect("it starts");
    let bench = Bench { attempts, cancels, reports, executor };
    assert_eq!(bench.next(), (1, cancelled()));
    bench.end();
    assert_eq!(target.connections.load(Ordering::SeqCst), 0);
}

#[test]
fn as_many_transfers_linger_as_there_are_workers() {
    let (bench, quick) = (Bench::new(&config(2), Resolver::of_system()), answering());
    // Kept, so that nothing that lingers is answered.
    let mut holders = vec![];
    let mut tokens = 1..;
    let mut is_let_go = |holders: &mut Vec<Holder>| {
        let holder = Holder::new(OK);
        let (held, other) = (tokens.next().expect("no end"), tokens.next().expect("no end"));
        bench.hold(held, &holder);
        bench.cancel(held);
        // By the time of this one's report the first worker has been woken, and by the time that somebody hears of a
        // later token it has done what it does.
        bench.attempts.send_blocking(numbered(other, &quick)).expect("the executor listens");
        let mut reports = vec![bench.next()];
        while reports.last() != Some(&(other, Outcome::success())) {
            reports.push(bench.next());
        }
        bench.cancel(held);
        bench.wait_until_heard();
        reports.extend(bench.reports.try_recv().map(|report| (report.token.0, report.outcome)));
        let is_let_go = reports.contains(&(held, cancelled()));
        if !is_let_go {
            holder.answer();
            reports.push(bench.next());
            assert!(reports.contains(&(held, Outcome::success())), "{reports:?}");
        }
        holders.push(holder);
        is_let_go
    };
    assert!(is_let_go(&mut holders));
    assert!(is_let_go(&mut holders));
    assert!(!is_let_go(&mut holders));
    // Once one that lingers has ended there is room again.
    holders[0].answer();
    while !is_let_go(&mut holders) {}
    assert!(!is_let_go(&mut holders));
    bench.end();
}

#[test]
fn a_late_cancellation_cancels_nothing() {
    let (holder, target) = (Holder::new(OK), answering());
    let bench = Bench::new(&config(1), Resolver::of_system());
    bench.attempts.send_blocking(numbered(1, &target)).expect("the executor listens");
    assert_eq!(bench.next(), (1, Outcome::success()));
    bench.hold(2, &holder);
    bench.cancel(1);
    bench.wait_until_heard();
    holder.answer();
    assert_eq!(bench.next(), (2, Outcome::success()));
    bench.end();
}

#[test]
fn without_cancellations_all_goes_on() {
    let target = answering();
    let Bench { attempts, cancels, reports, executor } = Bench::new(&config(1), Resolver::of_system());
    drop(cancels);
    for token in 1..=2 {
        attempts.send_blocking(numbered(token, &target)).expect("the executor listens");
        assert_eq!(reports.recv_blocking().expect("every attempt is reported").outcome, Outcome::success());
    }
    drop(attempts);
    executor.join().expect("no panic reaches the thread");
}

#[test]
fn the_end_waits_for_no_lingering_transfer() {
    let (arrived, arrivals) = async_channel::bounded(1);
    let (left, leaving) = async_channel::bounded(1);
    let target = Target::new(move |_, stream| {
        let _ = arrived.send_blocking(());
        let _ = left.send_blocking(stream.read(&mut [0]).unwrap_or(0));
        false
    });
    let bench = Bench::new(&config(1), Resolver::of_system());
    let endless = Start { token: Token(1), ..attempt(get(target.url("/")), "1h") };
    bench.attempts.send_blocking(endless).expect("the executor listens");
    arrivals.recv_blocking().expect("the request arrives");
    bench.cancel(1);
    assert_eq!(bench.next(), (1, cancelled()));
    bench.end();
    assert_eq!(leaving.recv_blocking(), Ok(0), "the connection is closed");
}

#[test]
fn a_panic_for_nobody_harms_nobody() {
    static ASKED: AtomicBool = AtomicBool::new(false);
    let broken_clock: fn() -> Timestamp = || {
        ASKED.store(true, Ordering::SeqCst);
        panic!("planted")
    };
    let late = Holder::new("HTTP/1.1 503 X\r\nRetry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\n\r\n");
    let holder = Holder::new(OK);
    let bench = Bench::new(&Config { clock: broken_clock, ..config(1) }, Resolver::of_system());
    bench.hold(1, &late);
    bench.cancel(1);
    assert_eq!(bench.next(), (1, cancelled()));
    late.answer();
    while !ASKED.load(Ordering::SeqCst) {
        std::thread::yield_now();
    }
    // It lingers no more: there is room for the next.
    bench.hold(2, &holder);
    bench.cancel(2);
    assert_eq!(bench.next(), (2, cancelled()));
    bench.end();
}
