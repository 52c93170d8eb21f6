//! What is asked of a history whose records wait in memory.

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_lite::future::{block_on, poll_once};
use jiff::Timestamp;

use super::*;
use crate::api::testing::eventually;
use crate::job::{Attempt, JobId, Origin, Seen, Status, Trigger};
use crate::ledger::{Bounds, Position};
use crate::store::Directory;

/// One whose records wait in memory.
fn history(seqs: RangeInclusive<u64>, body_bytes: usize) -> History {
    let bounds = Bounds { bytes: u64::MAX, age: Duration::MAX };
    let ledger = Ledger::open(Arc::new(Directory::look(Path::new("/nonexistent/runs"))), bounds);
    let ledger = ledger.expect("nothing lies there");
    let body = "x".repeat(body_bytes);
    ledger.push(seqs.map(|seq| Arc::new(record(seq, &body))), Position::default());
    History::new(Arc::new(ledger))
}

fn record(seq: u64, body: &str) -> RunRecord {
    let at = Timestamp::UNIX_EPOCH;
    let seen = Seen { body: body.into(), ..Seen::default() };
    RunRecord {
        seq,
        run_id: Uuid::from_u128(seq.into()),
        job_id: JobId::parse("a").expect("an id"),
        trigger: Trigger::Schedule,
        origin: Origin::default(),
        scheduled_at: at,
        stretch: None,
        started_at: Some(at),
        ended_at: at,
        lateness_us: Some(0),
        status: Status::Success,
        reason: "".into(),
        attempts: vec![Attempt { number: 1, started_at: at, reason: "".into(), seen }],
    }
}

fn missed_seqs(history: &History, seq: u64) -> Vec<u64> {
    block_on(history.missed(seq)).iter().map(|record| record.seq).collect()
}

#[test]
fn of_what_was_missed_the_latest_comes_in_its_order() {
    let last = EVENTS_MISSED_MAX as u64 + 1_000;
    let history = history(1..=last, 0);
    assert_eq!(missed_seqs(&history, last - 3), [last - 2, last - 1, last]);
    assert_eq!(missed_seqs(&history, 7), (1_001..=last).collect::<Vec<_>>());
    assert!(missed_seqs(&history, last).is_empty());
}

#[test]
fn a_number_that_was_never_given_is_from_before_they_began_anew() {
    let history = history(1..=3, 0);
    assert_eq!(missed_seqs(&history, 4), [1, 2, 3]);
}

#[test]
fn a_page_of_the_latest_runs_never_waits_for_those_who_look_for_one() {
    let history = history(1..=1, 0);
    let begun = Arc::new(AtomicUsize::new(0));
    let (release, released) = async_channel::bounded::<()>(HISTORY_QUESTIONS_MAX);
    let search = || {
        let (history, begun, released) = (history.clone(), Arc::clone(&begun), released.clone());
        Box::pin(async move {
            let question = move |_: &Ledger| {
                begun.fetch_add(1, Ordering::SeqCst);
                released.recv_blocking().map_err(io::Error::other)
            };
            history.ask(Reading::Search, question).await.is_ok()
        })
    };
    let mut searches: Vec<_> = (0..HISTORY_QUESTIONS_MAX).map(|_| search()).collect();
    for search in &mut searches {
        assert_eq!(block_on(poll_once(search)), None);
    }
    eventually("the searches have begun", || begun.load(Ordering::SeqCst) == HISTORY_SEARCHES_MAX);
    assert!(history.questions.try_acquire().is_some(), "one place is left");
    let page = block_on(history.page(Query { limit: 1, ..Query::default() }));
    assert_eq!(page.expect("it can be read").lines.len(), 1);
    for _ in 0..HISTORY_QUESTIONS_MAX {
        release.send_blocking(()).expect("it is waited for");
    }
    assert!(searches.into_iter().all(block_on), "they are answered");
}

#[test]
fn what_was_missed_is_bounded_in_size_too() {
    let bytes = EVENTS_MISSED_BYTES_MAX / 8;
    let seqs = missed_seqs(&history(1..=20, bytes), 0);
    assert_eq!(seqs, (14..=20).collect::<Vec<_>>(), "eight of them and their heads are too much");
}

#[test]
fn a_few_questions_are_looked_for_at_a_time_and_one_that_nobody_waits_for_keeps_its_place() {
    let history = history(1..=1, 0);
    let begun = Arc::new(AtomicUsize::new(0));
    let (release, released) = async_channel::bounded::<()>(HISTORY_QUESTIONS_MAX + 1);
    let ask = || {
        let (history, begun, released) = (history.clone(), Arc::clone(&begun), released.clone());
        Box::pin(async move {
            let question = move |_: &Ledger| {
                begun.fetch_add(1, Ordering::SeqCst);
                released.recv_blocking().map_err(io::Error::other)
            };
            history.ask(Reading::Page, question).await.is_ok()
        })
    };
    let mut questions: Vec<_> = (0..HISTORY_QUESTIONS_MAX).map(|_| ask()).collect();
    for question in &mut questions {
        assert_eq!(block_on(poll_once(question)), None);
    }
    eventually("all places are taken", || begun.load(Ordering::SeqCst) == HISTORY_QUESTIONS_MAX);
    drop(questions);
    assert!(history.questions.try_acquire().is_none(), "their places are still taken");
    let mut waits = ask();
    assert_eq!(block_on(poll_once(&mut waits)), None);
    assert_eq!(begun.load(Ordering::SeqCst), HISTORY_QUESTIONS_MAX);
    for _ in 0..=HISTORY_QUESTIONS_MAX {
        release.send_blocking(()).expect("it is waited for");
    }
    assert!(block_on(waits), "it is answered");
}
