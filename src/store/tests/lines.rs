//! A record is a line and a line is a record.

use jiff::Timestamp;
use uuid::Uuid;

use super::super::line::{self, Mark};
use super::world::{DEFAULTS, delete, id, job, progress, put};
use crate::engine::Record;
use crate::job::{
    Attempt, CatchUp, ErrorClass, JobId, Origin, Phase, Progress, Run, RunRecord, Seen, Span, State, Status, Stretch,
    Times, Trigger,
};

fn text(record: &Record, mark: Option<Mark>) -> Vec<u8> {
    let mut text = Vec::new();
    line::write(&mut text, record, mark);
    assert_eq!(text.pop(), Some(b'\n'));
    assert!(!text.contains(&b'\n'), "a line is one line");
    text
}

fn attempt() -> Attempt {
    let started_at = Timestamp::new(4, 1).expect("a time");
    let times = Times { total: Some(std::time::Duration::from_micros(1_234)), ..Times::default() };
    let seen = Seen { http_status: Some(503), error: Some(ErrorClass::Status), times, body: "\u{0}日\"".into() };
    Attempt { number: 1, started_at, reason: "503 \"busy\"".into(), seen }
}

/// A run that is over.
fn over() -> RunRecord {
    let time = |second| Timestamp::new(second, 1).expect("a time");
    RunRecord {
        seq: u64::MAX,
        run_id: Uuid::from_u128(7),
        job_id: JobId::parse("~._-").expect("an id"),
        trigger: Trigger::Manual,
        origin: Origin { key: Some("0a1b2c3d".into()), replay_of: None, is_overridden: true },
        scheduled_at: time(1),
        stretch: Some(Stretch { last_scheduled_at: time(9), count: 2 }),
        started_at: Some(time(2)),
        ended_at: time(10),
        lateness_us: Some(-1),
        status: Status::Timeout,
        reason: "\r\n".into(),
        attempts: vec![attempt()],
    }
}

fn full() -> Progress {
    let time = |second| Timestamp::new(second, 1).expect("a time");
    let run = Run {
        id: Uuid::from_u128(7),
        trigger: Trigger::CatchUp,
        scheduled_at: time(1),
        due_at: time(2),
        began_at: time(3),
        started_at: Some(time(4)),
        attempt_at: Some(time(5)),
        attempts: 5,
        tried: vec![attempt()],
        phase: Phase::Waiting { until: time(6) },
        origin: Origin { key: Some("0a1b2c3d".into()), replay_of: Some(Uuid::from_u128(8)), is_overridden: false },
        overrides: None,
    };
    let span = Span { next: time(1), last: time(2), left: 2 };
    let state = State {
        anchor: Some(time(7)),
        planned: Some(time(8)),
        fired: Some(time(9)),
        missed_from: Some(time(12)),
        runs: 3,
        held: true,
        catch_up: Some(Box::new(CatchUp { spans: vec![span, span] })),
        runs_going: vec![run.clone(), run],
    };
    Progress {
        enabled: false,
        paused_until: Some(time(13)),
        last_run_at: Some(time(10)),
        next_run_at: Some(time(11)),
        last_status: Status::Timeout,
        last_error: "\u{1}\"\n\u{2028}日".into(),
        state,
    }
}

#[test]
fn every_kind_is_read_as_it_was_written() {
    let mut odd = job("~._-", "\r\n\"\\\u{7f}\u{2028}日");
    odd.progress = full();
    let records = [
        put("a", "name"),
        Record::Put(odd),
        progress("a", ""),
        Record::Run(over().into()),
        Record::Progress { id: id("b"), progress: Box::new(full()) },
        Record::Progress { id: id("b"), progress: Box::default() },
        delete("c"),
    ];
    for record in records {
        let mark = |synced, turn, after| Some(Mark { synced, turn, after });
        for mark in [None, mark(0, 1, None), mark(0, 2, Some(0)), mark(u64::MAX, usize::MAX, Some(u64::MAX))] {
            let read = line::read(&text(&record, mark), &DEFAULTS).expect("it was written so");
            assert_eq!(read, line::Line { record: record.clone(), mark });
        }
    }
}

#[test]
fn no_byte_of_a_line_can_change_without_notice() {
    let whole = text(&put("a", "name"), Some(Mark { synced: 77, turn: 3, after: Some(9) }));
    for at in 0..whole.len() {
        for flip in [1, 0x80] {
            let mut line = whole.clone();
            line[at] ^= flip;
            assert!(line::read(&line, &DEFAULTS).is_err(), "byte {at} of {}", String::from_utf8_lossy(&whole));
        }
    }
}

#[test]
fn no_part_of_a_line_is_a_line() {
    let whole = text(&put("a", "name"), Some(Mark { synced: 77, turn: 3, after: Some(9) }));
    for end in 0..whole.len() {
        assert!(line::read(&whole[..end], &DEFAULTS).is_err(), "{end}");
    }
    let longer = [&whole[..], b" "].concat();
    assert!(line::read(&longer, &DEFAULTS).is_err());
}

#[test]
fn the_checksum_is_that_of_zip_and_ethernet() {
    let of = |text: &str| crc32fast::hash(text.as_bytes());
    // The check value of the standard, ISO 3309.
    assert_eq!(of("123456789"), 0xcbf4_3926);
    assert_eq!(of("The quick brown fox jumps over the lazy dog"), 0x414f_a339);
}
