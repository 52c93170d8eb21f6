//! New: the ways to look at the ledger, over HTTP and in the shell.

use std::io;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::{Answer, Ksana, Receiver, eventually, hourly, time, with};

/// A service with runs of two jobs: `a` succeeds, `b` fails; the newest first.
fn with_runs(receiver: &Receiver) -> (Ksana, Vec<Value>) {
    let ksana = Ksana::start();
    receiver.script("/b", [Answer::status(404)]);
    for id in ["a", "b"] {
        ksana.create(&with(hourly(&receiver.url(&format!("/{id}"))), &json!({"id": id})));
    }
    let mut runs: Vec<Value> = ["a", "b", "a", "b", "a"].map(|id| ksana.await_run(&ksana.run_now(id))).into();
    runs.reverse();
    (ksana, runs)
}

fn only(runs: &[Value], is_wanted: impl Fn(&Value) -> bool) -> Vec<&Value> {
    runs.iter().filter(|run| is_wanted(run)).collect()
}

/// All pages from one on, by their links.
fn followed(ksana: &Ksana, target: &str) -> Vec<Vec<Value>> {
    let mut next = Some(target.to_owned());
    let mut pages = Vec::new();
    while let Some(target) = next {
        let answer = ksana.get(&target).expect(200);
        let link = answer.header("Link").map(|link| {
            let target = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\""));
            target.unwrap_or_else(|| panic!("{link}")).to_owned()
        });
        pages.push(answer.json().as_array().expect("a list").clone());
        next = link;
    }
    pages
}

#[test]
fn lists_are_filtered_by_job_status_and_time() {
    let receiver = Receiver::start();
    let (ksana, runs) = with_runs(&receiver);
    let check = |target: &str, wanted: &[&Value]| {
        assert_eq!(ksana.runs(target).iter().collect::<Vec<_>>(), wanted, "{target}");
    };
    let of = |id: &'static str| only(&runs, move |run| run["job_id"] == id);
    check("/runs?_=1&status=", &only(&runs, |_| true));
    check("/runs?job=b", &of("b"));
    check("/jobs/b/runs", &of("b"));
    check("/jobs/b/runs?job=a", &of("b"));
    check("/runs?status=success", &of("a"));
    check("/jobs/a/runs?status=failed", &[]);
    check("/runs?job=none", &[]);
    let third = runs[2]["ended_at"].as_str().expect("a time");
    let is_before = |run: &Value| time(&run["ended_at"]) < time(&runs[2]["ended_at"]);
    check(&format!("/runs?since={third}"), &only(&runs, |run| !is_before(run)));
    check(&format!("/runs?until={third}"), &only(&runs, is_before));
    check(&format!("/jobs/a/runs?since={third}&until={third}"), &[]);
    check(&format!("/runs?after={}&limit=1", runs[1]["seq"]), &[&runs[2]]);
    let head = ksana.call("HEAD", "/runs?limit=1").send().expect(200);
    assert!(head.header("Link").is_some() && head.body.is_empty());
}

#[test]
fn pages_follow_each_other_and_keep_the_filter() {
    let receiver = Receiver::start();
    let (ksana, runs) = with_runs(&receiver);
    for (target, job, sizes) in [
        ("/runs?limit=2", None, &[2, 2, 1][..]),
        ("/runs?limit=5", None, &[5]),
        ("/runs?limit=1&status=failed&since=2020-01-01T00:00:00%2B02:00&job=b", Some("b"), &[1, 1]),
        ("/jobs/a/runs?limit=2", Some("a"), &[2, 1]),
    ] {
        let pages = followed(&ksana, target);
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), sizes, "{target}");
        let wanted = only(&runs, |run| job.is_none_or(|job| run["job_id"] == job));
        assert_eq!(pages.iter().flatten().collect::<Vec<_>>(), wanted, "{target}");
    }
}

#[test]
fn a_wrong_parameter_is_refused_with_what_is_accepted() {
    let ksana = Ksana::start();
    for (target, accepted) in [
        ("/runs?limit=1001", "1 to 1000"),
        ("/runs?status=paused", "success, failed, timeout, skipped and missed"),
        ("/runs?since=24h", "RFC 3339"),
        ("/runs?job=a%2Fb", "ids of jobs"),
        ("/jobs/a/runs?after=x", "the seq of a run"),
    ] {
        let error = ksana.get(target).refusal(400);
        assert!(error["message"].as_str().is_some_and(|message| message.contains(accepted)), "{error}");
    }
    ksana.bare("GET", "/runs").send().refusal(401);
    ksana.call("POST", "/runs").send().refusal(405);
}

fn command(ksana: &Ksana) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ksana"));
    command.arg("runs").env_clear().env("DATA_DIR", ksana.path("data")).stdin(Stdio::null());
    command
}

/// What `ksana runs` says, where it succeeds.
#[track_caller]
fn told(ksana: &Ksana, arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = command(ksana).args(arguments).output().expect("the binary runs");
    let text = |bytes| String::from_utf8(bytes).expect("it speaks UTF-8");
    assert_eq!((status.code(), text(stderr)), (Some(0), String::new()), "{arguments:?}");
    text(stdout)
}

fn lines(runs: &[&Value]) -> Vec<Value> {
    runs.iter().map(|run| (*run).clone()).collect()
}

#[test]
fn the_shell_sees_the_same_beside_a_running_service_and_after_its_end() {
    let receiver = Receiver::start();
    let (mut ksana, runs) = with_runs(&receiver);
    // Each line is the one of the list.
    let wanted = ksana.get("/runs").expect(200).text();
    let shown = || format!("[{}]", told(&ksana, &[]).trim_end().replace('\n', ","));
    eventually("the records in the files", || (shown() == wanted).then_some(()));
    assert_eq!(ksana.stop(), 0);
    let third = runs[2]["ended_at"].as_str().expect("a time");
    let since = only(&runs, |run| time(&run["ended_at"]) >= time(&runs[2]["ended_at"]));
    for (arguments, wanted) in [
        (&[][..], only(&runs, |_| true)),
        (&["--job", "a", "--limit", "2"], only(&runs, |run| run["job_id"] == "a")[..2].to_vec()),
        (&["--status=failed", "--since=1h"], only(&runs, |run| run["status"] == "failed")),
        (&["--since", third], since),
        (&["--until", "1h"], vec![]),
    ] {
        let told: Vec<Value> =
            told(&ksana, arguments).lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect();
        assert_eq!(told, lines(&wanted), "{arguments:?}");
    }
}

#[test]
fn the_shell_is_told_what_is_wrong() {
    let ksana = Ksana::start();
    assert_eq!(told(&ksana, &[]), "", "there are none yet");
    let fails = |command: &mut Command, code: i32, part: &str| {
        let output = command.output().expect("the binary runs");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{told}");
        assert!(told.starts_with("ksana: ") && told.contains(part), "{told}");
    };
    fails(command(&ksana).args(["--since", "yesterday"]), 2, "accepted is a time of RFC 3339");
    fails(command(&ksana).arg("--all"), 2, "accepted are [--job ID]");
    let missing = ksana.path("missing");
    fails(command(&ksana).env("DATA_DIR", &missing), 1, &format!("cannot read {}", missing.display()));
}

#[test]
fn the_shell_needs_no_other_setting_than_the_folder_and_tells_how_to_ask() {
    let ksana = Ksana::start();
    let output = command(&ksana).envs([("WORKERS", "0"), ("PORT", "x")]).output().expect("the binary runs");
    assert_eq!((output.status.code(), output.stdout, output.stderr), (Some(0), vec![], vec![]));
    for option in ["--help", "-h"] {
        let help = told(&ksana, &[option]);
        assert!(help.contains("Usage: ksana") && help.contains("--since TIME"), "{help}");
    }
}

#[test]
fn the_shell_goes_through_more_than_a_page_and_ends_quietly_where_nobody_reads() {
    const RUNS: usize = 1_010;
    let (ksana, receiver) = (Ksana::with("WORKERS", "64"), Receiver::start());
    let change = json!({"id": "a", "overlap": "allow", "overlap_max": 100});
    ksana.create(&with(hourly(&receiver.url("/")), &change));
    for _ in 0..RUNS {
        eventually("room for a run", || (ksana.act("a", "run-now").status == 200).then_some(()));
    }
    let all = ["--limit", "100000"];
    eventually("all of them in the files", || (told(&ksana, &all).lines().count() == RUNS).then_some(()));
    assert_eq!(followed(&ksana, "/runs?limit=1000").iter().map(Vec::len).collect::<Vec<_>>(), [1_000, RUNS - 1_000]);
    assert_eq!(told(&ksana, &["--limit", "1001"]).lines().count(), 1_001);
    assert_eq!(told(&ksana, &[]).lines().count(), 100);
    let (reader, writer) = io::pipe().expect("descriptors are left");
    drop(reader);
    let output = command(&ksana).args(all).stdout(writer).output().expect("the binary runs");
    assert_eq!((output.status.code(), output.stderr), (Some(0), vec![]));
}
