//! An acknowledged change is there after kill -9: at random instants, with many clients at work.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::thread;
use std::time::Duration;

use jiff::SignedDuration;
use rustix::process::Signal;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{
    Answer, Builder, Crowd, Dice, Ksana, Receiver, Request, ahead, await_clock, eventually, every, hourly, once, with,
};

const ROUNDS: usize = 50;

/// How many answers there are at most before a kill.
const ANSWERS_MAX: u64 = 60;

/// How long a target takes: a second callback of a job within it would be one beside the first.
const ANSWER_MILLIS: u32 = 25;

/// The targets of the jobs that fire meanwhile: one that is well, and one that never is.
const TICKS: [&str; 2] = ["/well", "/ill"];

/// The most attempts of a run of these jobs.
const ATTEMPTS_MAX: u32 = 4;

#[test]
fn after_50_kills_at_random_instants_every_acknowledged_change_is_there() {
    let (mut dice, receiver) = (Dice::thrown(), Receiver::start());
    receiver.script(TICKS[0], [Answer::ok().delayed(ANSWER_MILLIS.into())]);
    receiver.script(TICKS[1], [Answer::status(503).delayed(ANSWER_MILLIS.into())]);
    let mut ksana = Builder::new().env("WORKERS", "64").start();
    for path in TICKS {
        let change = json!({"id": path[1..], "name": "tick", "max_retries": ATTEMPTS_MAX - 1, "retry_backoff": "5ms"});
        ksana.create(&with(every(&receiver.url(path), "100ms"), &change));
    }
    let mut crowd = Crowd::of(4, &receiver, &mut dice);
    let (mut open, mut done, mut cut_snapshots) = (0, 0, 0);
    // Where the callbacks of each process end among all of them.
    let mut ends = Vec::new();
    for round in 0..ROUNDS {
        crowd.write(&ksana, |bustle| {
            // A snapshot begins a second after a change, so most rounds are over before.
            match round % 16 {
                4 => await_snapshot(&ksana, |_| ksana.path("data/jobs.json.tmp").exists()),
                9 => await_snapshot(&ksana, |is_named| is_named),
                // Else each start would have more to replay than the one before.
                14 => await_snapshot(&ksana, |is_named| is_named && segments(&ksana) == 1),
                _ => bustle.await_answers(1 + dice.below(ANSWERS_MAX)),
            }
            // The random instant.
            thread::sleep(Duration::from_micros(dice.below(3_000)));
            ksana.signal(Signal::KILL);
        });
        ksana.await_exit();
        cut_snapshots += usize::from(ksana.path("data/jobs.json.tmp").exists());
        ends.push(receiver.await_silence());
        ksana.start_again();
        let (asked, were_done) = crowd.check(&ksana);
        (open, done) = (open + asked, done + were_done);
    }
    println!("{open} changes without an answer, {done} of them done; {cut_snapshots} snapshots broken off");
    assert!(open > done && done > 0, "{done} of {open}: the kills came between the changes");
    for path in TICKS {
        check_callbacks(&receiver.requests(), path, &ends);
    }
    all_come_to_rest(&ksana, &receiver, &crowd);
    let requests = receiver.requests();
    let reached: BTreeSet<&str> = requests.iter().filter_map(|request| request.header("X-Ksana-Run-Id")).collect();
    for run in crowd.runs() {
        assert!(reached.contains(run), "the run {run} was acknowledged and never begun");
    }
    let shown = ksana.get("/jobs").text();
    ksana.restart();
    assert_eq!(ksana.get("/jobs").text(), shown, "after a clean stop");
    ksana.kill();
    ksana.start_again();
    assert_eq!(ksana.get("/jobs").text(), shown, "after a kill");
}

#[test]
fn a_start_after_a_kill_and_one_after_a_clean_stop_show_the_same_jobs() {
    let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/gone", [Answer::status(410)]);
    receiver.script("/hangs", [Answer::hang()]);
    let at = |path: &str, change: Value| with(hourly(&receiver.url(path)), &change);
    for (status, path) in [("success", "/"), ("failed", "/gone"), ("timeout", "/hangs")] {
        let id = ksana.create_id(&at(path, json!({"id": status, "timeout": "500ms", "max_retries": 0})));
        ksana.run_now(&id);
        ksana.await_status(&id, status);
    }
    let paused = ksana.create_id(&at("/", json!({})));
    ksana.act(&paused, "pause").expect(200);
    let resumed = ksana.create_id(&at("/", json!({"schedule": {"jitter": "30m"}, "enabled": false})));
    ksana.act(&resumed, "resume").expect(200);
    let patched = ksana.create_id(&at("/", json!({"schedule": {"start_at": "2001-02-03T04:05:06.789Z"}})));
    ksana.patch(&patched, &json!({"http": {"headers": {"A": "b"}}, "timeout": "1m", "name": "ü\u{7}"})).expect(200);
    let deleted = ksana.create_id(&at("/", json!({})));
    ksana.delete(&deleted).expect(204);
    let run_at = ahead(1_500);
    let missed = ksana.create_id(&once(&receiver.url("/missed"), run_at));
    ksana.kill();
    await_clock(run_at);
    ksana.start_again();
    ksana.await_status(&missed, "missed");
    let shown = ksana.get("/jobs").text();
    // The first finds all in the journal, the second in the snapshot, the third in both.
    for is_killed in [true, false, true, false] {
        if is_killed {
            ksana.kill();
        } else {
            assert_eq!(ksana.stop(), 0);
        }
        ksana.start_again();
        assert_eq!(ksana.get("/jobs").text(), shown, "killed: {is_killed}");
    }
    assert!(receiver.at("/missed").is_empty());
}

/// Waits until a snapshot has come as far as that; `accept` is told whether it has its name.
fn await_snapshot(ksana: &Ksana, accept: impl Fn(bool) -> bool) {
    let inode = || fs::metadata(ksana.jobs_file()).map(|file| file.ino()).ok();
    let before = inode();
    eventually("a snapshot", || (accept(inode() != before)).then_some(()));
}

fn segments(ksana: &Ksana) -> usize {
    let files = fs::read_dir(ksana.path("data")).expect("it is there").flatten();
    files.filter(|file| file.file_name().to_string_lossy().starts_with("journal-")).count()
}

/// Whether `jobs.json` shows the job paused and without a run.
fn is_at_rest(ksana: &Ksana, id: &str) -> bool {
    let file: Value = serde_json::from_slice(&fs::read(ksana.jobs_file()).expect("it is there")).expect("it is whole");
    let jobs = file["jobs"].as_array().expect("it has jobs");
    jobs.iter().any(|job| job["id"] == id && job["enabled"] == false && job["state"]["run"].is_null())
}

/// No run hangs: each job takes another one, and that ends.
fn all_come_to_rest(ksana: &Ksana, receiver: &Receiver, crowd: &Crowd) {
    let jobs: Vec<&str> = crowd.jobs().into_iter().chain(TICKS.map(|path| &path[1..])).collect();
    for path in TICKS {
        ksana.act(&path[1..], "pause").expect(200);
    }
    // Their last runs end first: a retry would be held as well, and never let go.
    for path in TICKS {
        eventually(&format!("{path} at rest in the file"), || is_at_rest(ksana, &path[1..]).then_some(()));
    }
    receiver.script("/crowd", [Answer::ok().held()]);
    receiver.script(TICKS[0], [Answer::ok().held()]);
    receiver.script(TICKS[1], [Answer::status(503).held()]);
    let mut before = Vec::new();
    for job in &jobs {
        eventually(&format!("the last run of {job} to end"), || {
            let answer = ksana.act(job, "run-now");
            (answer.status != 409).then(|| answer.expect(200))
        });
        ksana.act(job, "pause").expect(200);
        // The run that waits for its answer sets it when it ends. The status would not tell: it can be that of the
        // run before, where the job was paused already.
        before.push(ksana.job(job)["last_run_at"].clone());
    }
    for path in ["/crowd", TICKS[0], TICKS[1]] {
        receiver.release(path);
    }
    for (job, before) in jobs.iter().zip(before) {
        let ended = ksana.await_job(job, "the end of the run", |job| job["last_run_at"] != before);
        assert_eq!(ended["last_status"], if TICKS[1].ends_with(job) { "failed" } else { "success" }, "{ended}");
    }
}

/// What the contract says of the callbacks of one job, in the order in which they came.
fn check_callbacks(requests: &[Request], path: &str, ends: &[usize]) {
    let process = |index: usize| ends.partition_point(|end| *end <= index);
    let callbacks = requests.iter().enumerate().filter(|(_, request)| request.path() == path);
    let callbacks: Vec<(usize, &Request)> = callbacks.map(|(index, request)| (process(index), request)).collect();
    let mut retried_over_kills = 0;
    for pair in callbacks.windows(2) {
        let ((process, earlier), (next_process, later)) = (pair[0], pair[1]);
        let told = || format!("{path}:\n{earlier:?}\n{later:?}");
        if earlier.run_id() == later.run_id() {
            assert!(earlier.attempt() < later.attempt(), "an attempt twice at {}", told());
            assert_eq!(earlier.scheduled_at(), later.scheduled_at(), "{}", told());
            retried_over_kills += usize::from(process != next_process);
        } else if Uuid::parse_str(later.run_id()).is_ok_and(|run| run.get_version_num() == 5) {
            // A run that is over does not come back.
            assert!(earlier.scheduled_at() < later.scheduled_at(), "{}", told());
        }
        assert!(later.attempt() <= ATTEMPTS_MAX, "{}", told());
        let is_beside = later.at.duration_since(earlier.at) < SignedDuration::from_millis(ANSWER_MILLIS.into());
        assert!(process != next_process || !is_beside, "a job beside itself at {}", told());
    }
    assert!(retried_over_kills > 0, "no kill came in the middle of an attempt at {path}");
}
