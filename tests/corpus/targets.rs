//! What must hold for every text from outside. The fuzz targets and the test of their corpora run the same functions.

use std::sync::Arc;

use jiff::{Timestamp, ToSpan};
use ksana::api::parse_body;
use ksana::engine::{Command, Engine, Outcome, Record, Refusal, Turn, Verdict};
use ksana::job::{
    Defaults, GoDuration, Invalid, Job, JobDraft, JobId, Patch, Request, Seen, Shown, Spec, Stored, stored_job,
};
use ksana::keys::KeySet;
use ksana::store::{self, ReadError};
use serde::Serialize;
use serde_json::Value;

use crate::memory::Memory;

#[path = "cron.rs"]
mod cron;
#[path = "history.rs"]
mod history;

type Target = fn(&[u8]);

/// Every kind of text from outside, by the name of its target.
pub(crate) const TARGETS: [(&str, Target); 8] = [
    ("cron", cron::cron),
    ("duration", duration),
    ("history", history::history),
    ("job", job),
    ("jobs_json", jobs_json),
    ("journal", journal),
    ("keys", keys),
    ("patch", patch),
];

const DEFAULTS: Defaults =
    Defaults { timeout: GoDuration::from_secs(10), max_retries: 3, retry_backoff: GoDuration::from_secs(5) };

/// The moment at which all of this happens.
const NOW: Timestamp = Timestamp::constant(1_900_000_000, 0);

/// Runs one target by its name.
pub(crate) fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|(known, _)| *known == name);
    target.unwrap_or_else(|| panic!("there is no target {name}")).1(data);
}

/// A duration: shown, it is read back as the same.
fn duration(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match text.parse::<GoDuration>() {
        Ok(duration) => {
            let shown = duration.to_string();
            assert_eq!(shown.parse(), Ok(duration), "{shown}");
            assert_eq!(shown.parse::<GoDuration>().map(|again| again.to_string()), Ok(shown));
        }
        Err(message) => check_message(&message),
    }
}

/// The body of a POST: a job that is taken can be sent back and stored, and nothing of it is lost.
fn job(data: &[u8]) {
    let Some((spec, enabled)) = refused(draft(data).and_then(new)) else { return };
    let mut engine = Engine::new(1);
    let spec = Arc::new(spec);
    let Some(job) = planned(&engine, &Command::Create { spec: Arc::clone(&spec), enabled }) else { return };
    assert_eq!((job.progress.enabled, &job.spec), (enabled, &spec));
    let (again, still) = draft(&json_of(&Shown(&job))).and_then(new).expect("what is shown is accepted");
    assert_eq!((&again, still), (spec.as_ref(), enabled), "what is shown is the same job");
    check_kept(&job);
    engine.apply(Record::Put(job.clone()));
    check_sent_back(&engine, &job);
    live(vec![Record::Put(job)]);
}

/// The body of a PATCH: what it makes of a job, good or odd, can be sent back and stored.
fn patch(data: &[u8]) {
    for job in bases() {
        let Some(patch) = refused(draft(data).and_then(change)) else { return };
        let mut engine = Engine::new(1);
        engine.apply(Record::Put(job.clone()));
        check_sent_back(&engine, &job);
        let had = job.spec.problems();
        let command = Command::Patch { id: job.spec.id.clone(), patch: Box::new(patch) };
        let Some(changed) = planned(&engine, &command) else { continue };
        assert!(changed.spec.problems().iter().all(|problem| had.contains(problem)), "nothing wrong is brought in");
        check_left(data, &job, &changed);
        check_kept(&changed);
        engine.apply(Record::Put(changed.clone()));
        check_sent_back(&engine, &changed);
        live(vec![Record::Put(changed)]);
    }
}

/// A key file: how its lines end makes no difference, and every line that is a key is held.
fn keys(data: &[u8]) {
    let keys = match KeySet::parse(data) {
        Ok(keys) => keys,
        Err(message) => return check_message(&message),
    };
    let text = std::str::from_utf8(data).expect("only text is taken");
    let unix = text.replace("\r\n", "\n");
    for same in [unix.clone(), unix.replace('\n', "\r\n"), format!("{text}\n"), format!("{text}\n# more\n \n")] {
        assert!(KeySet::parse(same.as_bytes()).as_ref() == Ok(&keys), "{same:?}");
    }
    for line in text.strip_prefix('\u{feff}').unwrap_or(text).lines().map(str::trim) {
        assert_eq!(keys.holds(line.as_bytes()), !line.is_empty() && !line.starts_with('#'), "{line:?}");
    }
    assert!(keys.len() <= text.lines().count());
}

/// `jobs.json`: what is loaded is the same when it is written and loaded again; what is not is told by its place.
/// In pieces it is read as the whole is.
fn jobs_json(data: &[u8]) {
    let piece_bytes = piece_bytes(data);
    assert_eq!(jobs_by(data, piece_bytes), jobs_by(data, usize::MAX), "in pieces of {piece_bytes}");
    let records = match replayed(&[("jobs.json", data)]) {
        Ok(records) => records,
        Err(error) => return check_place(&error, data),
    };
    let jobs = records.iter().map(|record| match record {
        Record::Put(job) => Stored(job),
        other => panic!("{other:?} stands in no jobs.json"),
    });
    let text = json_of(&File { version: 1, jobs: jobs.collect() });
    assert_eq!(replayed(&[("jobs.json", &text)]).expect("what was loaded is loaded again"), records);
    live(records);
}

/// From a few bytes to most of the text: another text, another size.
fn piece_bytes(data: &[u8]) -> usize {
    1 + data.len() * usize::from(data.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte))) / 256
}

/// What a start makes of a `jobs.json` that it reads by so many bytes: its jobs, or why it refuses.
fn jobs_by(data: &[u8], piece_bytes: usize) -> Result<Vec<Job>, String> {
    let mut engine = Engine::new(1);
    let disk = Arc::new(Memory::new(&[("jobs.json", data)]));
    let read = store::replayed(disk, &DEFAULTS, piece_bytes, |record| engine.apply(record));
    read.map(|_| engine.jobs().cloned().collect()).map_err(|error| error.to_string())
}

/// `jobs.json`, as far as it must be one.
#[derive(Serialize)]
struct File<'a> {
    version: u8,
    jobs: Vec<Stored<'a>>,
}

/// A segment of the journal, its lines with or without checksums: what is read is the same when it is written
/// again, and a segment that ends anywhere gives what stands before.
fn journal(data: &[u8]) {
    let text = dressed(data);
    let records = segment(&text);
    assert!(segment_by(&text, piece_bytes(data)) == records, "in pieces of {}", piece_bytes(data));
    let Some(records) = records else { return };
    // Where each line is a turn.
    if !data.windows(6).any(|bytes| bytes == b"\"turn\"") {
        let lines = text.split_inclusive(|byte| *byte == b'\n');
        let alone = lines.map_while(|line| segment(line).filter(|records| records.len() == 1));
        assert!(alone.flatten().eq(records.iter().cloned()), "all lines count up to the first bad one, none behind it");
    }
    for cut in cuts(&text) {
        if let Some(before) = segment(&text[..cut]) {
            assert!(records.starts_with(&before), "cut at {cut}");
            // The last line may have been complete but for its newline, which is no line either.
            assert!(before.len() < text[..cut].split(|byte| *byte == b'\n').count());
        }
    }
    let again: Vec<u8> = records.iter().flat_map(line).collect();
    assert!(segment(&again).as_ref() == Some(&records), "what was read is written and read again");
    live(records);
}

fn draft(data: &[u8]) -> Result<JobDraft<Request>, Invalid> {
    parse_body(data).map_err(|error| {
        check_message(&error.message);
        Invalid::new(error.field.unwrap_or_else(|| "/".to_owned()), error.message)
    })
}

fn new(draft: JobDraft<Request>) -> Result<(Spec, bool), Invalid> {
    draft.into_new(&DEFAULTS, || JobId::parse("fresh").expect("an id"))
}

fn change(draft: JobDraft<Request>) -> Result<Patch, Invalid> {
    draft.into_patch(&DEFAULTS)
}

/// What was taken; `None` for a refusal, which says what it is about.
fn refused<T>(result: Result<T, Invalid>) -> Option<T> {
    result.map_err(|invalid| check_invalid(&invalid)).ok()
}

fn check_invalid(invalid: &Invalid) {
    assert!(invalid.field.starts_with('/'), "{:?}", invalid.field);
    check_message(&invalid.message);
}

fn check_message(message: &str) {
    assert!(!message.trim().is_empty());
}

/// The job that a command makes; `None` where it is refused.
fn planned(engine: &Engine, command: &Command) -> Option<Job> {
    match engine.plan(command, NOW) {
        Ok(planned) => Some(planned.job),
        Err(Refusal::Invalid(invalid)) => {
            check_invalid(&invalid);
            None
        }
        Err(refusal) => panic!("{refusal:?}"),
    }
}

/// A client that sends back what it was shown changes nothing.
fn check_sent_back(engine: &Engine, job: &Job) {
    let patch = draft(&json_of(&Shown(job))).and_then(change).expect("what is shown is accepted");
    let command = Command::Patch { id: job.spec.id.clone(), patch: Box::new(patch) };
    let planned = engine.plan(&command, NOW).expect("it is the same job");
    assert!(planned.record.is_none(), "{:?} became {:?}", job, planned.job);
}

/// What a change does not name is left as it is.
fn check_left(data: &[u8], before: &Job, after: &Job) {
    let shown = |job| serde_json::from_slice::<Value>(&json_of(&Shown(job))).expect("it is JSON");
    let (before, after) = (shown(before), shown(after));
    let change: Value = serde_json::from_slice(data).expect("it was read");
    for (place, keys) in [
        ("", &["name", "type", "http", "schedule", "timeout", "max_retries", "retry_backoff"][..]),
        ("/http", &["method", "url", "headers", "body"]),
    ] {
        let value = |text: &Value, key: &str| text.pointer(&format!("{place}/{key}")).cloned().unwrap_or_default();
        for key in keys.iter().filter(|key| value(&change, key).is_null()) {
            assert_eq!(value(&before, key), value(&after, key), "{place}/{key}");
        }
    }
}

/// What is stored is read back as the same.
fn check_kept(job: &Job) {
    let text = json_of(&Stored(job));
    let again = stored_job(&mut serde_json::Deserializer::from_slice(&text), &DEFAULTS);
    assert_eq!(again.expect("what is stored is read"), *job);
}

/// A life with these records: a restart, then some turns in which every attempt fails. Nobody who looks on, and
/// knows nothing but the restart and the records, sees anything else.
fn live(records: Vec<Record>) {
    let (mut engine, mut follower) = (Engine::new(2), Engine::new(2));
    for record in records {
        follower.apply(record.clone());
        engine.apply(record);
    }
    let mut now = NOW;
    let mut turn = Turn::default();
    engine.recover(now);
    // What it only plans anew goes into no record.
    follower.recover(now);
    for _ in 0..4 {
        engine.fire_due(now, 8, &mut turn);
        engine.dispatch(now, usize::MAX, &mut turn);
        follow(&mut follower, engine.take_records(usize::MAX, now, &mut turn));
        for start in std::mem::take(&mut turn.starts) {
            engine.ended(start.token, &Outcome::new(Verdict::Retryable, "503"), Seen::default(), now, &mut turn);
        }
        follow(&mut follower, engine.take_records(usize::MAX, now, &mut turn));
        assert!(engine.jobs().eq(follower.jobs()));
        engine.jobs().for_each(check_kept);
        let Some(wake) = engine.next_wake(now) else { break };
        now = wake.max(now.saturating_add(1.second()).expect("a second is no calendar unit"));
    }
}

fn follow(follower: &mut Engine, records: Vec<Record>) {
    for record in records {
        follower.apply(record);
    }
}

/// Jobs to change: good ones of both kinds, and what a person may have made of one in the file.
fn bases() -> Vec<Job> {
    let texts = [
        r#"{"id": "every", "name": "n", "http": {"url": "http://h/", "headers": {"X-A": "1"}, "body": "b"},
            "schedule": {"kind": "every", "every": "1h", "start_at": "2020-01-01T00:00:00Z", "jitter": "1m"},
            "next_run_at": "2030-03-17T18:00:30Z", "state": {"planned": "2030-03-17T18:00:00Z"}}"#,
        r#"{"id": "once", "name": "n", "enabled": false, "http": {"url": "http://h/"},
            "schedule": {"kind": "once", "run_at": "2020-01-01T00:00:00Z"}, "last_status": "missed"}"#,
        r#"{"id": "odd", "name": "", "http": {"method": "get me", "url": "", "headers": {"a": "1", "A": "\n"}},
            "schedule": {"kind": "every", "every": "-1s", "jitter": "2540400h"}, "timeout": "-1ns",
            "max_retries": -1, "retry_backoff": "2540400h", "state": {"run": {"phase": "waiting",
            "id": "0198c9f2-5d0e-7a40-9a61-0c8f1b0d3b11", "began_at": "9999-12-30T22:00:00Z",
            "retry_at": "0000-01-01T00:00:00Z", "attempts": 4294967295}}}"#,
    ];
    let read = |text| stored_job(&mut serde_json::Deserializer::from_str(text), &DEFAULTS).expect("a job of a file");
    texts.map(read).into()
}

/// What a start finds in a folder of these files.
fn replayed(files: &[(&str, &[u8])]) -> Result<Vec<Record>, ReadError> {
    replayed_by(files, usize::MAX)
}

/// The same, read by so many bytes.
fn replayed_by(files: &[(&str, &[u8])], piece_bytes: usize) -> Result<Vec<Record>, ReadError> {
    let mut records = Vec::new();
    let replayed = store::replayed(Arc::new(Memory::new(files)), &DEFAULTS, piece_bytes, |record| {
        records.push(record);
        false
    });
    replayed.map(|_| records)
}

/// What a start finds in a journal of one segment; `None` where it refuses.
fn segment(text: &[u8]) -> Option<Vec<Record>> {
    segment_by(text, usize::MAX)
}

/// The same, read by so many bytes.
fn segment_by(text: &[u8], piece_bytes: usize) -> Option<Vec<Record>> {
    let found = replayed_by(&[("journal-000001.jsonl", text), ("jobs.json.sum", b"none\n")], piece_bytes);
    found.map_err(|error| check_message(&error.to_string())).ok()
}

/// Gives each line its checksum that has none: no fuzzer guesses one.
fn dressed(data: &[u8]) -> Vec<u8> {
    let lines = data.split_inclusive(|byte| *byte == b'\n');
    lines.flat_map(|line| if line.starts_with(b"{\"crc\"") { line.to_vec() } else { with_checksum(line) }).collect()
}

/// A record as a line that is a turn.
fn line(record: &Record) -> Vec<u8> {
    let mut content = match record {
        Record::Put(job) => [b"\"put\":", json_of(&Stored(job)).as_slice()].concat(),
        Record::Progress { id, progress } => {
            [b"\"progress\":", json_of(id).as_slice(), b",\"of\":", &json_of(progress)].concat()
        }
        Record::Delete(id) => [b"\"delete\":", json_of(id).as_slice()].concat(),
        Record::Run(run) => [b"\"run\":", json_of(&**run).as_slice()].concat(),
    };
    content.splice(0..0, *b"\"synced\":0,");
    content.extend_from_slice(b"}\n");
    with_checksum(&content)
}

fn with_checksum(line: &[u8]) -> Vec<u8> {
    let content = line.strip_suffix(b"\n").unwrap_or(line);
    let head = format!("{{\"crc\":\"{:08x}\",", crc32(content));
    [head.as_bytes(), line].concat()
}

/// Bit by bit, unlike the store's.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}

/// Where to cut a text: around the ends of its lines, and here and there.
fn cuts(text: &[u8]) -> Vec<usize> {
    let newlines = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at);
    let mut cuts: Vec<usize> = newlines.take(8).flat_map(|at| [at, at + 1]).collect();
    cuts.extend((0..16).map(|part| text.len() * part / 16));
    cuts
}

fn json_of(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("all of it is JSON")
}

/// A refusal of `jobs.json` is one short line that names a place that is there.
fn check_place(error: &ReadError, data: &[u8]) {
    let told = error.to_string();
    assert!(told.len() < 8_000 && !told.contains(char::is_control), "{told:?}");
    let rest = told.strip_prefix("cannot parse jobs.json: line ").unwrap_or_else(|| panic!("{told}"));
    let (place, message) = rest.split_once(": ").expect("what is wrong follows");
    check_message(message);
    let (line, column) = place.split_once(" column ").expect("a column is named");
    let (line, column): (usize, usize) = (line.parse().expect("a number"), column.parse().expect("a number"));
    let text = String::from_utf8_lossy(data);
    let there = text.split('\n').nth(line.checked_sub(1).expect("from 1")).unwrap_or_else(|| panic!("{told}"));
    assert!((1..=there.chars().count() + 1).contains(&column), "{told}");
}
