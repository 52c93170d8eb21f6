//! The end: who is waited for, and for how long.

use futures_lite::FutureExt;
use futures_lite::future::{block_on, poll_once};

use super::{GET, HALF_BODY, HALF_HEAD, SHORT, echo, flood, guard, held};
use crate::api::guard::Deadlines;
use crate::api::testing::{Client, PATIENCE, eventually, guarded, patient};

/// Idle, silent and half-open clients hold up no shutdown, and whole requests are answered.
#[test]
fn shutdown_waits_for_whole_requests_only() {
    let guard = guard(patient());
    let (go, gone) = async_channel::bounded::<()>(1);
    let server = held(&guard, gone);
    let mut others = ["", GET, HALF_HEAD, HALF_BODY].map(|sent| {
        let mut client = Client::to(server.address());
        client.send(sent);
        if sent == GET {
            client.answer();
        }
        client
    });
    let mut pipelined = Client::to(server.address());
    pipelined.send([GET, HALF_HEAD].concat()).answer();
    let mut busy = Client::to(server.address());
    busy.send("GET /held HTTP/1.1\r\nHost: x\r\n\r\n");
    eventually("it is being answered", || server.held.lock().is_ok_and(|held| *held == 1));

    let address = server.address();
    let mut shut_down = Box::pin(server.server.shut_down(PATIENCE));
    let poll = |shut_down: &mut std::pin::Pin<Box<_>>| block_on(poll_once(shut_down));
    assert_eq!(poll(&mut shut_down), None);
    for client in others.iter_mut().chain([&mut pipelined]) {
        assert!(client.is_ended());
    }
    assert_eq!(poll(&mut shut_down), None, "a whole request waits for its answer");
    drop(go);
    assert!(block_on(shut_down), "in time");
    assert_eq!(busy.answer().status, 200);
    assert!(busy.is_ended());
    assert!(std::net::TcpStream::connect(address).is_err(), "nobody listens any more");
}

/// Who has just come has a moment: a restart behind a socket that stays open refuses nobody.
#[test]
fn what_has_just_begun_is_finished_after_the_end_has_begun() {
    let deadlines = Deadlines { ending: PATIENCE * 2, ..patient() };
    for (before, after) in [("", GET), (GET.split_at(20)), (HALF_BODY, &"d".repeat(997))] {
        let guard = guard(deadlines);
        let server = guarded(&guard, echo);
        let mut idle = Client::to(server.address());
        assert_eq!(idle.send(GET).answer().status, 200);
        let mut client = Client::to(server.address());
        client.send(before);
        eventually("both have come", || guard.open() == 2);
        let mut shut_down = Box::pin(server.shut_down(PATIENCE * 2));
        assert_eq!(block_on(poll_once(&mut shut_down)), None);
        assert_eq!(idle.send(GET).answer().status, 200, "it has just had an answer");
        let answer = client.send(after).answer();
        assert_eq!(answer.status, 200, "{before:?}");
        drop((idle, client));
        assert!(block_on(shut_down));
    }
}

/// A body whose last bytes come after the shutdown began is not waited for.
#[test]
fn nothing_is_waited_for_after_the_end_has_begun() {
    let guard = guard(patient());
    let server = guarded(&guard, echo);
    let mut late = Client::to(server.address());
    eventually("it is let in", || guard.open() == 1);
    guard.end();
    late.try_send(HALF_BODY);
    assert!(late.is_ended());
}

#[test]
fn a_shutdown_has_a_deadline() {
    let guard = guard(patient());
    let server = guarded(&guard, flood);
    let mut busy = Client::to(server.address());
    busy.send(GET).head();
    let outcome = server.shut_down(SHORT).or(async {
        async_io::Timer::after(PATIENCE).await;
        panic!("no deadline")
    });
    assert!(!block_on(outcome));
    eventually("what was not answered is cut off", || guard.open() == 0);
}
