//! The loop, a turn at a time.

mod end;
mod hanging;

use std::fs;
use std::path::PathBuf;
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use futures_lite::future::block_on;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::clock::Machine;
use crate::disk::Disk;
use crate::engine::{Command, Record, Refusal};
use crate::job::{Defaults, GoDuration, JobId, stored_job};
use crate::limits::{Bites, TURN_BODY_BYTES_MAX, TURN_FIRES_MAX, TURN_LATE_RECORDS_MAX, TURN_LETTERS_MAX};
use crate::shared::share;
use crate::store::Directory;
use crate::store::tests::world::ledger_beside;

const DEFAULTS: Defaults =
    Defaults { timeout: GoDuration::from_secs(10), max_retries: 3, retry_backoff: GoDuration::from_secs(5) };

static NEXT: AtomicUsize = AtomicUsize::new(0);

fn pause(id: &str) -> Command {
    Command::Pause { id: self::id(id), until: None }
}

fn id(text: &str) -> JobId {
    JobId::parse(text).expect("an id of a test is one")
}

fn job(id: &str, changes: &Value) -> Job {
    let schedule = json!({"kind": "every", "every": "1h"});
    let mut job = json!({"id": id, "name": "n", "http": {"url": "http://127.0.0.1:9/"}, "schedule": schedule});
    for (key, value) in changes.as_object().expect("changes are an object") {
        job[key] = value.clone();
    }
    stored_job(&mut serde_json::Deserializer::from_str(&job.to_string()), &DEFAULTS).expect("a job of a test is one")
}

/// A job whose retry was due long ago.
fn overdue(id: &str) -> Job {
    let past = "2020-01-01T00:00:00Z";
    let run = json!({
        "id": "00000000-0000-0000-0000-000000000007", "scheduled_at": past, "due_at": past, "began_at": past,
        "started_at": past, "attempts": 1, "phase": "waiting", "retry_at": past,
    });
    job(id, &json!({"state": {"anchor": past, "run": run}}))
}

/// A scheduler between its channels.
struct Bench {
    folder: Folder,
    scheduler: Scheduler,
    letters: Sender<Letter>,
    starts: Receiver<Start>,
}

fn bench(jobs: impl IntoIterator<Item = Job>) -> Bench {
    let (folder, parts, letters, starts) = parts(jobs);
    Bench { folder, scheduler: Scheduler::new(parts), letters, starts }
}

fn parts(jobs: impl IntoIterator<Item = Job>) -> (Folder, Parts, Sender<Letter>, Receiver<Start>) {
    parts_on(jobs, |directory| Arc::new(directory))
}

fn parts_on(
    jobs: impl IntoIterator<Item = Job>,
    disk: impl FnOnce(Directory) -> Arc<dyn Disk>,
) -> (Folder, Parts, Sender<Letter>, Receiver<Start>) {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = Folder(std::env::temp_dir().join(format!("ksana-scheduler-{}-{number}", process::id())));
    let mut engine = Engine::loading(1);
    let disk = disk(Directory::hold(&folder.0).expect("own folder"));
    let ledger = ledger_beside(&*disk);
    let opened = Store::open(disk, ledger, &DEFAULTS, Bites::default(), Machine.now(), |record| engine.apply(record))
        .expect("own folder");
    for job in jobs {
        engine.apply(Record::Put(job));
    }
    let (letters, received) = async_channel::bounded(1_024);
    let (starting, starts) = async_channel::bounded(1);
    let parts = Parts {
        clock: Box::new(Machine),
        engine: share(engine).0,
        disk: opened.events,
        store: opened.store,
        letters: received,
        reports: async_channel::bounded(1).1,
        starts: starting,
        cancels: async_channel::bounded(1).0,
        orders: async_channel::bounded(1).1,
        vitals: Arc::new(Vitals::new()),
        events: Events::new(Timestamp::UNIX_EPOCH, 0),
        metrics: Arc::new(Metrics::new(Timestamp::UNIX_EPOCH, 1)),
        late_warn: Duration::from_hours(1),
        bites: Bites::default(),
    };
    (folder, parts, letters, starts)
}

/// A data folder of a test's own.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed lies in the temporary folder and harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

type Answer = Receiver<Result<Job, Refusal>>;

impl Bench {
    /// A turn, with what it has written.
    fn turn(&mut self) {
        self.scheduler.turn(Wake::Time).expect("every fsync works");
        block_on(self.scheduler.end_writing()).expect("every fsync works");
    }

    fn change(&self, command: Command) -> Answer {
        let (reply, answer) = async_channel::bounded(1);
        self.letters.try_send(Letter { command, reply }).expect("there is room");
        answer
    }

    /// Lets the loop run as it does, until something is so.
    fn until(&mut self, mut is_so: impl FnMut(&mut Scheduler) -> bool) {
        while !is_so(&mut self.scheduler) {
            let wake = self.scheduler.wait();
            self.scheduler.turn(wake).expect("every fsync works");
        }
    }
}

#[test]
fn a_hundred_thousand_due_jobs_are_taken_in_bites_between_which_others_get_their_turn() {
    let mut bench = bench((0..100_000).map(|number| overdue(&format!("j{number:06}"))));
    let pause = bench.change(pause("j099998"));
    bench.turn();
    assert!(bench.scheduler.engine().queued() <= TURN_FIRES_MAX);
    assert_eq!(bench.scheduler.sleep(), None, "more are due");
    assert_eq!(bench.starts.len(), 1, "one worker");
    let mut turns = 0;
    bench.until(|_| {
        turns += 1;
        !pause.is_empty()
    });
    assert!(turns < 100_000 / TURN_FIRES_MAX, "a change does not wait for all of them, but for {turns} turns");
}

/// After a long stop every job may have missed its instant: none of the first turns writes them all down.
#[test]
fn what_a_recovery_tells_is_written_down_in_bites() {
    let schedule = json!({"kind": "once", "run_at": "2020-01-01T00:00:00Z"});
    let missed = (0..1_000).map(|number| job(&format!("j{number:06}"), &json!({"schedule": schedule})));
    let mut bench = bench(missed);
    let journal = bench.folder.0.join("journal-000001.jsonl");
    let mut written = 0;
    let mut turns = 0;
    while bench.scheduler.sleep().is_none() {
        bench.turn();
        // Beside each stands its outcome.
        let lines = fs::read_to_string(&journal).expect("the segment is there").lines().count() / 2;
        assert!(lines - written <= TURN_LATE_RECORDS_MAX, "{} in turn {turns}", lines - written);
        (turns, written) = (turns + 1, lines);
    }
    assert_eq!(written, 1_000);
    assert_eq!(turns, 1_000_usize.div_ceil(TURN_LATE_RECORDS_MAX));
}

/// Nothing was written to the journal that would ask for it.
#[test]
fn what_a_recovery_plans_anew_is_shown_by_a_snapshot() {
    let job = json!({
        "id": "a", "name": "n", "http": {"url": "http://127.0.0.1:9/"},
        "schedule": {"kind": "every", "every": "1h", "start_at": "2020-01-01T00:00:00Z"},
        "next_run_at": "2999-01-01T00:30:00Z",
    });
    let file = json!({"version": 1, "jobs": [job]}).to_string();
    let (folder, parts, letters, starts) = parts_on([], |directory| {
        fs::write(directory.path("jobs.json"), file).expect("own folder");
        Arc::new(directory)
    });
    let mut bench = Bench { folder, scheduler: Scheduler::new(parts), letters, starts };
    let text = bench.folder.0.join("jobs.json");
    bench.until(|_| {
        let text = fs::read_to_string(&text).expect("it is there");
        text.contains(r#""next_run_at": ""#) && !text.contains("2999-")
    });
    assert_eq!(fs::read_to_string(bench.folder.0.join("journal-000001.jsonl")).expect("it is there"), "");
}

#[test]
fn a_change_is_answered_after_the_fsync_that_covers_it() {
    let mut bench = bench([job("a", &json!({}))]);
    let first = bench.change(pause("a"));
    bench.turn();
    assert!(bench.scheduler.parts.store.synced() < bench.scheduler.parts.store.position() || !first.is_empty());
    let position = bench.scheduler.parts.store.position();
    // While the fsync runs, what comes waits for the next one.
    let second = bench.change(Command::Resume(id("a")));
    bench.until(|scheduler| {
        let is_synced = scheduler.parts.store.synced() >= position;
        assert_eq!(!first.is_empty(), is_synced);
        is_synced
    });
    bench.until(|_| !second.is_empty());
    assert_eq!(bench.scheduler.parts.store.synced(), bench.scheduler.parts.store.position());
}

#[test]
fn commands_for_one_job_take_a_turn_each_and_keep_their_order() {
    let mut bench = bench([job("a", &json!({}))]);
    let mut answers = Vec::new();
    for number in 0..64 {
        let command = if number % 2 == 0 { pause("a") } else { Command::Resume(id("a")) };
        answers.push(bench.change(command));
    }
    bench.turn();
    assert_eq!(bench.scheduler.deferred.len(), 63);
    bench.until(|_| answers.iter().all(|answer| !answer.is_empty()));
    for (number, answer) in answers.iter().enumerate() {
        let job = answer.try_recv().expect("it is answered").expect("nothing speaks against it");
        assert_eq!(job.progress.enabled, number % 2 == 1, "{number}");
    }
}

#[test]
fn what_is_put_off_is_bounded() {
    let mut bench = bench([job("a", &json!({}))]);
    let answers: Vec<_> = (0..1_000).map(|_| bench.change(pause("a"))).collect();
    let mut most = 0;
    bench.until(|scheduler| {
        most = most.max(scheduler.deferred.len());
        answers.iter().all(|answer| !answer.is_empty())
    });
    assert!(most <= TURN_LETTERS_MAX, "{most}");
}

#[test]
fn nothing_spins_while_the_last_attempts_are_awaited() {
    let mut bench = bench((0..1_000).map(|number| overdue(&format!("j{number:06}"))));
    bench.turn();
    assert!(bench.scheduler.more_due);
    let far = Instant::now() + Duration::from_hours(1);
    for order in [Order::Rest, Order::End(far)] {
        bench.scheduler.order = Some(order);
        bench.turn();
        assert!(!bench.scheduler.has_ended(), "one is in flight");
        assert!(bench.scheduler.sleep().is_some(), "{order:?}");
    }
    // Nor once the next snapshot would be due.
    bench.until(|scheduler| scheduler.parts.store.snapshot_due().is_some_and(|due| due <= Instant::now()));
    assert!(bench.scheduler.sleep().is_some());
}

#[test]
fn the_end_answers_who_waits_and_turns_away_who_comes_too_late() {
    let mut bench = bench([job("a", &json!({}))]);
    let mut waits = Vec::new();
    // Faster than any fsync: most of them have not even been asked for one.
    for number in 0..21 {
        waits.push(bench.change(if number % 2 == 0 { pause("a") } else { Command::Resume(id("a")) }));
        bench.turn();
    }
    let late = bench.change(Command::Resume(id("a")));
    assert_eq!(block_on(bench.scheduler.save()).expect("there is room"), 0);
    for (number, answer) in waits.iter().enumerate() {
        let job = answer.try_recv().expect("it is answered").expect("nothing speaks against it");
        assert_eq!(job.progress.enabled, number % 2 == 1);
    }
    assert!(late.try_recv().is_err() && late.is_closed(), "its sender is told that the service ends");
    assert!(bench.letters.is_closed());
    let mut names: Vec<_> =
        fs::read_dir(&bench.folder.0).expect("own folder").map(|entry| entry.expect("own").file_name()).collect();
    names.sort();
    assert_eq!(names, [".lock", "jobs.json"]);
    assert!(fs::read_to_string(bench.folder.0.join("jobs.json")).expect("it is there").contains("\"enabled\": false"));
}

#[test]
fn long_bodies_are_spread_over_turns_and_keep_their_order() {
    let mut bench = bench([]);
    let long = "x".repeat(TURN_BODY_BYTES_MAX / 2);
    let created = |number: usize| {
        let http = json!({"url": "http://127.0.0.1:9/", "method": "POST", "body": long});
        Command::Create { spec: job(&format!("j{number}"), &json!({"http": http})).spec, enabled: true }
    };
    let answers: Vec<_> = (0..5).map(|number| bench.change(created(number))).collect();
    let last = bench.change(pause("j4"));
    for known in [2, 4, 5] {
        bench.turn();
        assert_eq!(bench.scheduler.engine().len(), known);
        assert_eq!(bench.scheduler.sleep().is_none(), known < 5 || !bench.scheduler.deferred.is_empty());
    }
    bench.until(|_| !last.is_empty());
    assert!(answers.iter().all(|answer| answer.try_recv().is_ok_and(|done| done.is_ok())));
    assert!(last.try_recv().is_ok_and(|done| done.is_ok()));
}

#[test]
fn changes_that_pile_up_before_an_fsync_are_refused_until_it_ends() {
    let mut bench = bench([job("a", &json!({})), job("b", &json!({}))]);
    bench.scheduler.waiting_max = 1;
    let (first, second) = (bench.change(pause("a")), bench.change(pause("b")));
    bench.turn();
    assert!(matches!(second.try_recv(), Ok(Err(Refusal::Disk(_)))));
    assert!(bench.scheduler.engine().job(&id("b")).is_some_and(|job| job.progress.enabled));
    assert_eq!(bench.scheduler.parts.vitals.readiness().reasons.len(), 1, "/ready says so");
    bench.until(|_| !first.is_empty());
    let again = bench.change(pause("b"));
    bench.until(|_| !again.is_empty());
    assert!(again.try_recv().is_ok_and(|done| done.is_ok()));
}

#[test]
fn a_change_that_changes_nothing_does_not_pile_up_either() {
    let mut bench = bench([job("a", &json!({}))]);
    bench.scheduler.waiting_max = 0;
    let answer = bench.change(Command::Resume(id("a")));
    bench.turn();
    assert!(matches!(answer.try_recv(), Ok(Err(Refusal::Disk(_)))));
}

#[test]
fn an_end_by_an_error_waits_for_no_helper_that_hangs() {
    let (folder, parts, letters, starts) = parts([job("a", &json!({})), job("b", &json!({}))]);
    // Whoever opens it to write waits until somebody reads: the snapshot hangs.
    let made = process::Command::new("mkfifo").arg(folder.0.join("jobs.json.tmp")).status().expect("it is everywhere");
    assert!(made.success());
    let (end, ended) = std::sync::mpsc::sync_channel(1);
    let ask = |command| letters.try_send(Letter { command, reply: async_channel::bounded(1).0 });
    ask(pause("a")).expect("there is room");
    thread::Builder::new()
        .spawn(move || end.send(run(Scheduler::new(parts))))
        .expect("the machine has room for a thread");
    while !folder.0.join("journal-000002.jsonl").exists() {
        thread::yield_now();
    }
    drop(starts);
    let asked = crate::engine::RunNow::default();
    ask(Command::RunNow { id: id("b"), asked }).expect("there is room");
    let ended = ended.recv_timeout(Duration::from_mins(1)).expect("it waits for nobody");
    assert!(matches!(ended, Err(Fatal::Executor)), "{ended:?}");
}
