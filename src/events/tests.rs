//! The hub and its readers, without a server.

use std::cell::Cell;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use futures_lite::future::block_on;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::job::{Defaults, GoDuration, Job, JobId, Origin, Shown, Status, Trigger, stored_job};
use crate::limits::{
    EVENTS_BYTES_MAX, EVENTS_KEPT_MAX, EVENTS_MADE_UP_BYTES_MAX, EVENTS_MISSED_MAX, EVENTS_READERS_MAX, EVENTS_SCAN_MAX,
};

const START: Timestamp = Timestamp::UNIX_EPOCH;

fn events() -> Events {
    Events::new(START, 0)
}

fn id(text: &str) -> JobId {
    JobId::parse(text).expect("an id of a test is one")
}

fn job(id: &str, body_bytes: usize) -> Job {
    let defaults = Defaults { timeout: GoDuration::from_secs(1), max_retries: 0, retry_backoff: GoDuration::ZERO };
    let schedule = json!({"kind": "every", "every": "1h"});
    let http = json!({"url": "http://a/", "body": "x".repeat(body_bytes)});
    stored_job(json!({"id": id, "name": "n", "http": http, "schedule": schedule}), &defaults).expect("a job of a file")
}

/// That this job is gone: the shortest of all happenings.
fn gone(job: &str) -> Happening {
    Happening::JobDeleted(id(job))
}

fn record(seq: u64, job: &str, status: Status) -> Arc<RunRecord> {
    Arc::new(RunRecord {
        seq,
        run_id: Uuid::from_u128(seq.into()),
        job_id: id(job),
        trigger: Trigger::Schedule,
        origin: Origin::default(),
        scheduled_at: START,
        stretch: None,
        started_at: None,
        ended_at: START,
        lateness_us: None,
        status,
        reason: "".into(),
        attempts: Vec::new(),
    })
}

fn ended(seq: u64, job: &str, status: Status) -> Happening {
    Happening::RunEnded(record(seq, job, status))
}

fn began(run: u64, job: &str) -> Happening {
    Happening::RunBegan(Began {
        run_id: Uuid::from_u128(run.into()),
        job_id: id(job),
        trigger: Trigger::Manual,
        scheduled_at: START,
        started_at: START,
        lateness_us: 1_500,
    })
}

async fn none(_: u64) -> Vec<Arc<RunRecord>> {
    Vec::new()
}

fn listen(events: &Events, filter: Filter, last: Option<EventId>) -> Reader {
    block_on(events.subscribe(filter, last, None, none)).expect("there is room")
}

fn listen_to_all(events: &Events) -> Reader {
    listen(events, Filter::default(), None)
}

/// The next message, if there is one now. Who wants little looks at the ring piece by piece.
fn next(reader: &mut Reader) -> Option<Message> {
    (0..=EVENTS_KEPT_MAX / EVENTS_SCAN_MAX).find_map(|_| poll(reader))
}

fn poll(reader: &mut Reader) -> Option<Message> {
    match pin!(reader.next()).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(message) => Some(message.expect("the stream goes on")),
        Poll::Pending => None,
    }
}

/// All that there is now, by name and seq or id.
fn all(reader: &mut Reader) -> Vec<String> {
    let mut told = Vec::new();
    while let Some(Message { name, data, .. }) = next(reader) {
        let data: Value = serde_json::from_str(&data).expect("it is JSON");
        let what = [&data["seq"], &data["id"]].into_iter().find(|value| !value.is_null());
        told.push(what.map_or_else(|| name.to_owned(), |what| format!("{name} {what}").replace('"', "")));
    }
    told
}

#[test]
fn whoever_listens_is_told_what_happens_from_then_on() {
    let events = events();
    events.publish(gone("before"));
    let mut reader = listen_to_all(&events);
    assert_eq!(next(&mut reader), None);
    events.publish(Happening::JobCreated(job("a", 0)));
    events.publish(began(7, "a"));
    events.publish(ended(5, "a", Status::Success));
    events.publish(gone("a"));
    let told: Vec<Message> = std::iter::from_fn(|| next(&mut reader)).collect();
    let ids: Vec<String> = told.iter().map(|message| message.id.to_string()).collect();
    assert_eq!(ids, ["0-2", "0-3", "5-4", "5-5"]);
    assert_eq!(
        told.iter().map(|told| told.name).collect::<Vec<_>>(),
        ["job.created", "run.began", "run.ended", "job.deleted"]
    );
    let data: Vec<Value> = told.iter().map(|told| serde_json::from_str(&told.data).expect("it is JSON")).collect();
    assert_eq!(data[0], serde_json::to_value(Shown(&job("a", 0))).expect("it is JSON"));
    let run_id = "00000000-0000-0000-0000-000000000007";
    let at = "1970-01-01T00:00:00Z";
    let began = json!({"run_id": run_id, "job_id": "a", "trigger": "manual", "scheduled_at": at, "started_at": at, "lateness_ms": 1.5});
    assert_eq!(data[1], began);
    assert_eq!(data[2]["status"], "success");
    assert_eq!(data[3], json!({"id": "a"}));
}

#[test]
fn ids_grow_from_one_process_to_the_next() {
    let first = events();
    for _ in 0..1_000 {
        first.publish(gone("a"));
    }
    let second = Events::new(START + std::time::Duration::from_secs(1), 3);
    let (first, second) = (listen_to_all(&first).last(), listen_to_all(&second).last());
    assert_eq!((first.to_string().as_str(), second.to_string().as_str()), ("0-1000", "3-1000000"));
}

#[test]
fn only_what_was_an_id_is_read_as_one() {
    assert_eq!(EventId::parse("12-34"), Some(EventId { seq: 12, number: 34 }));
    for wrong in ["", "-", "12", "12-", "-34", "+12-34", "12-+34", "12-34-56", "1x-2", "99999999999999999999-1", " 1-2"]
    {
        assert_eq!(EventId::parse(wrong), None, "{wrong}");
    }
}

#[test]
fn whoever_comes_back_is_told_all_behind_his_last_event_once() {
    let events = events();
    let mut reader = listen_to_all(&events);
    for number in 0..10 {
        events.publish(gone(&number.to_string()));
    }
    let seen: Vec<Message> = (0..4).filter_map(|_| next(&mut reader)).collect();
    drop(reader);
    let last = seen.last().map(|message| message.id);
    events.publish(gone("10"));
    let mut again = listen(&events, Filter::default(), last);
    events.publish(gone("11"));
    assert_eq!(all(&mut again), (4..12).map(|number| format!("job.deleted {number}")).collect::<Vec<_>>());
    let mut at_the_end = listen(&events, Filter::default(), Some(again.last()));
    assert_eq!(all(&mut at_the_end), [""; 0]);
    events.publish(gone("12"));
    assert_eq!(all(&mut at_the_end), ["job.deleted 12"]);
}

#[test]
fn whoever_comes_back_before_anything_happened_misses_nothing() {
    let events = events();
    let last = listen_to_all(&events).last();
    events.publish(gone("a"));
    assert_eq!(all(&mut listen(&events, Filter::default(), Some(last))), ["job.deleted a"]);
}

#[test]
fn what_the_ring_has_lost_is_a_gap_and_the_runs_that_ended_come_from_elsewhere_once() {
    let events = events();
    events.publish(ended(1, "a", Status::Success));
    let last = listen_to_all(&events).last();
    assert_eq!(last.to_string(), "1-1");
    for _ in 0..EVENTS_KEPT_MAX {
        events.publish(gone("filler"));
    }
    events.publish(ended(3, "a", Status::Failed));
    let asked = Cell::new(None);
    let missed = |seq| {
        asked.set(Some(seq));
        // One more ends while they are looked up.
        events.publish(ended(4, "a", Status::Success));
        async { [2, 3, 4].map(|seq| record(seq, "a", Status::Failed)).into() }
    };
    let reader = block_on(events.subscribe(Filter::new(vec![id("a")], vec![]), Some(last), None, missed));
    let mut reader = reader.expect("there is room");
    assert_eq!(asked.get(), Some(1));
    let gap = next(&mut reader).expect("it is told at once");
    assert_eq!((gap.name, gap.id), ("gap", last), "whoever leaves now comes back to the same gap");
    assert!(gap.data.contains("events were missed"), "{}", gap.data);
    let second = next(&mut reader).expect("it is there");
    assert_eq!(second.id.to_string(), "2-1", "whoever leaves now comes back to the gap behind that run");
    events.publish(ended(5, "a", Status::Success));
    assert_eq!(all(&mut reader), ["run.ended 3", "run.ended 4", "run.ended 5"]);
    assert_eq!(reader.last().to_string(), format!("5-{}", EVENTS_KEPT_MAX + 4));
}

#[test]
fn an_id_of_another_process_is_a_gap() {
    let events = Events::new(START + std::time::Duration::from_secs(1), 0);
    events.publish(gone("a"));
    for last in ["0-5", "0-1000002", "0-18446744073709551615"] {
        let mut reader = listen(&events, Filter::default(), EventId::parse(last));
        assert_eq!(all(&mut reader), ["gap", "job.deleted a"], "{last}");
    }
    for last in ["0-1000000", "7-1000001"] {
        let mut reader = listen(&events, Filter::default(), EventId::parse(last));
        assert!(!all(&mut reader).contains(&"gap".to_owned()), "{last}");
    }
}

#[test]
fn of_many_runs_that_were_missed_the_latest_are_sent() {
    let missed = |_| async {
        let last = EVENTS_MISSED_MAX as u64 + 10;
        (1..=last).map(|seq| record(seq, "a", Status::Success)).collect()
    };
    let reader = block_on(events().subscribe(Filter::default(), EventId::parse("0-77"), None, missed));
    let told = all(&mut reader.expect("there is room"));
    assert_eq!((told.len(), told[1].as_str()), (EVENTS_MISSED_MAX + 1, "run.ended 11"));
}

#[test]
fn a_run_whose_end_was_made_up_for_does_not_begin_behind_it() {
    let events = Events::new(START + std::time::Duration::from_secs(1), 0);
    for run in [1, 2] {
        events.publish(began(run, "a"));
        events.publish(ended(run, "a", Status::Success));
    }
    let missed = |_| async { vec![record(1, "a", Status::Success)] };
    let reader = block_on(events.subscribe(Filter::default(), EventId::parse("0-5"), None, missed));
    let told = all(&mut reader.expect("there is room"));
    assert_eq!(told, ["gap", "run.ended 1", "run.began", "run.ended 2"]);
}

#[test]
fn all_who_come_back_after_a_gap_hold_so_much_together_and_past_that_the_gap_is_told_alone() {
    let events = events();
    let missed = |_| async { (1..=EVENTS_MISSED_MAX as u64).map(|seq| record(seq, "a", Status::Success)).collect() };
    let come_back = || {
        let reader = block_on(events.subscribe(Filter::default(), EventId::parse("0-77"), None, missed));
        reader.expect("there is room")
    };
    let count = EVENTS_MADE_UP_BYTES_MAX / (EVENTS_MISSED_MAX * ended(1, "a", Status::Success).bytes());
    let mut readers: Vec<Reader> = (0..count).map(|_| come_back()).collect();
    let (mut partly, mut alone) = (come_back(), come_back());
    let told = all(&mut partly);
    assert!((2..EVENTS_MISSED_MAX).contains(&told.len()), "{}", told.len());
    assert_eq!(told.last(), Some(&format!("run.ended {EVENTS_MISSED_MAX}")), "the latest have room");
    assert_eq!(all(&mut alone), ["gap"]);
    readers.pop();
    assert_eq!(all(&mut come_back()).len(), 1 + EVENTS_MISSED_MAX, "one who left gives his room back");
    for mut reader in readers {
        assert_eq!(all(&mut reader).len(), 1 + EVENTS_MISSED_MAX);
    }
    assert_eq!(all(&mut come_back()).len(), 1 + EVENTS_MISSED_MAX, "and who has taken all of it too");
}

#[test]
fn filters_pass_the_jobs_and_the_ends_that_are_named() {
    let check = |jobs: &[&str], statuses: &[Status], expected: &[&str]| {
        let events = events();
        let filter = Filter::new(jobs.iter().map(|job| id(job)).collect(), statuses.into());
        let mut reader = listen(&events, filter, None);
        events.publish(gone("a"));
        events.publish(ended(1, "b", Status::Failed));
        events.publish(ended(2, "a", Status::Success));
        events.publish(gone("c"));
        assert_eq!(all(&mut reader), expected, "{jobs:?} {statuses:?}");
    };
    check(&[], &[], &["job.deleted a", "run.ended 1", "run.ended 2", "job.deleted c"]);
    check(&["c", "a"], &[], &["job.deleted a", "run.ended 2", "job.deleted c"]);
    check(&[], &[Status::Failed, Status::Timeout], &["run.ended 1"]);
    check(&["a", "c"], &[Status::Failed, Status::Success], &["run.ended 2"]);
    check(&["d"], &[], &[]);
}

#[test]
fn whoever_wants_little_is_not_slow_when_much_else_happens() {
    let events = events();
    let mut reader = listen(&events, Filter::new(vec![id("a")], vec![]), None);
    events.publish(gone("a"));
    let mut patient = listen(&events, Filter::new(vec![id("b")], vec![]), None);
    assert_eq!(all(&mut reader), ["job.deleted a"]);
    for _ in 0..2 * EVENTS_KEPT_MAX {
        events.publish(gone("filler"));
    }
    events.publish(gone("a"));
    events.publish(gone("b"));
    assert_eq!((all(&mut reader), all(&mut patient)), (vec!["job.deleted a".into()], vec!["job.deleted b".into()]));
    assert_eq!(events.cut_off(), 0);
}

/// What a reader has not looked at may be dropped, as long as nothing of it is for him.
#[test]
fn a_piece_that_holds_nothing_for_a_reader_may_go() {
    let events = events();
    let last = listen_to_all(&events).last();
    for _ in 0..EVENTS_KEPT_MAX {
        events.publish(gone("filler"));
    }
    let mut reader = listen(&events, Filter::new(vec![id("a")], vec![]), Some(last));
    assert_eq!(poll(&mut reader), None, "a piece of {EVENTS_SCAN_MAX} is looked at first");
    for _ in 0..EVENTS_KEPT_MAX / 2 {
        events.publish(gone("filler"));
    }
    events.publish(gone("a"));
    let found = block_on(reader.next()).expect("it is not cut off");
    assert_eq!(found.data, r#"{"id":"a"}"#);
}

#[test]
fn whom_the_ring_has_passed_is_cut_off_and_nobody_else() {
    let events = events();
    let (mut slow, mut quick) = (listen_to_all(&events), listen_to_all(&events));
    for number in 0..EVENTS_KEPT_MAX {
        events.publish(gone("a"));
        assert!(next(&mut quick).is_some(), "{number}");
    }
    assert_eq!((events.readers(), events.cut_off()), (2, 0));
    events.publish(gone("a"));
    assert_eq!((events.readers(), events.cut_off()), (1, 1));
    assert_eq!(block_on(slow.next()), None);
    assert!(next(&mut quick).is_some());
}

#[test]
fn large_jobs_leave_the_ring_sooner() {
    let events = events();
    let _slow = listen_to_all(&events);
    let large = job("a", 1024 * 1024);
    let count = EVENTS_BYTES_MAX / large.spec.http.body.len();
    for _ in 1..count {
        events.publish(Happening::JobChanged(large.clone()));
    }
    assert_eq!(events.cut_off(), 0);
    events.publish(Happening::JobChanged(large.clone()));
    assert_eq!(events.cut_off(), 1, "{count} of them and what each takes besides");
    assert!(Arc::strong_count(&large.spec) < count + 2);
}

#[test]
fn only_so_many_may_listen_and_whoever_leaves_makes_room() {
    let events = events();
    let mut readers: Vec<Reader> = (0..EVENTS_READERS_MAX).map(|_| listen_to_all(&events)).collect();
    let refused = || block_on(events.subscribe(Filter::default(), None, None, none)).err();
    assert_eq!(refused(), Some(Refused::Full));
    readers.pop();
    assert_eq!(refused(), None);
}

#[test]
fn an_end_wakes_all_and_lets_nobody_in() {
    let events = events();
    let mut waiting = listen_to_all(&events);
    let mut making_up = listen(&events, Filter::default(), EventId::parse("0-77"));
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| block_on(waiting.next()));
        events.end();
        assert_eq!(waits.join().expect("it does not panic"), None);
    });
    assert_eq!(block_on(making_up.next()), None);
    assert_eq!(block_on(events.subscribe(Filter::default(), None, None, none)).err(), Some(Refused::Ended));
}
