//! New: `/metrics`, the numbers that a collector draws curves of.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::{
    Answer, Builder, Connection, Disk, KEY, Ksana, Page, Receiver, ahead, await_clock, eventually, every, hourly,
    not_tried, now, once, time, with,
};

const TARGET: &str = "http://127.0.0.1:9/";

/// A job that is called when it is asked for, and again at once where that fails.
fn job(url: &str, changes: &Value) -> Value {
    with(with(hourly(url), &json!({"max_retries": 2, "retry_backoff": "1ms"})), changes)
}

fn run(ksana: &Ksana, job: &Value, status: &str) -> String {
    let id = ksana.create_id(job);
    ksana.run_now(&id);
    ksana.await_status(&id, status);
    id
}

#[test]
fn runs_and_attempts_are_counted_as_they_end() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/bad", [Answer::status(500)]);
    receiver.script("/gone", [Answer::status(404)]);
    receiver.script("/mends", [Answer::status(503), Answer::ok()]);
    receiver.script("/hangs", [Answer::hang()]);
    for path in ["/good", "/mends"] {
        run(&ksana, &job(&receiver.url(path), &json!({})), "success");
    }
    for path in ["/bad", "/gone"] {
        run(&ksana, &job(&receiver.url(path), &json!({})), "failed");
    }
    run(&ksana, &job(&receiver.url("/hangs"), &json!({"timeout": "50ms", "max_retries": 1})), "timeout");
    ksana.await_metric(r#"ksana_runs_total{status="timeout"}"#, 1).check(&[
        (r#"ksana_runs_total{status="success"}"#, 2),
        (r#"ksana_runs_total{status="failed"}"#, 2),
        (r#"ksana_runs_total{status="timeout"}"#, 1),
        (r#"ksana_runs_total{status="skipped"}"#, 0),
        (r#"ksana_runs_total{status="missed"}"#, 0),
        (r#"ksana_attempts_total{outcome="success"}"#, 2),
        (r#"ksana_attempts_total{outcome="failed"}"#, 5),
        (r#"ksana_attempts_total{outcome="timeout"}"#, 2),
        (r#"ksana_attempts_total{outcome="cancelled"}"#, 0),
        ("ksana_attempt_duration_seconds_count", 9),
        ("ksana_run_lateness_seconds_count", 5),
    ]);
    let took = ksana.metrics().get("ksana_attempt_duration_seconds_sum");
    assert!((0.1..20.0).contains(&took), "two timeouts of 50 ms and seven answers took {took} s");
}

#[test]
fn a_fire_that_is_skipped_and_one_that_is_missed_are_counted_once() {
    let mut ksana = Ksana::start();
    let receiver = Receiver::start();
    receiver.script("/held", [Answer::ok().held()]);
    let due = ahead(1_000);
    let schedule = json!({"start_at": due.to_string(), "end_at": due.to_string()});
    let holds = ksana.create_id(&with(every(&receiver.url("/held"), "1h"), &json!({"schedule": schedule})));
    ksana.run_now(&holds);
    let misses = ksana.create_id(&once(TARGET, ahead(1_000)));
    // Its time passes within the pause.
    ksana.act_with(&misses, "pause", &json!({"until": ahead(1_500).to_string()})).expect(200);
    ksana.await_status(&misses, "missed");
    ksana.await_metric(r#"ksana_runs_total{status="skipped"}"#, 1);
    receiver.release("/held");
    let page = ksana.await_metric(r#"ksana_runs_total{status="success"}"#, 1);
    page.check(&[(r#"ksana_runs_total{status="missed"}"#, 1), (r#"ksana_runs_total{status="skipped"}"#, 1)]);

    // One that passes while nobody is there is found at the start.
    let late = ksana.create_id(&once(TARGET, ahead(1_000)));
    let run_at = time(&ksana.job(&late)["next_run_at"]);
    ksana.kill();
    await_clock(run_at);
    ksana.start_again();
    let page = ksana.await_metric(r#"ksana_runs_total{status="missed"}"#, 1);
    page.check(&[(r#"ksana_runs_total{status="skipped"}"#, 0), ("ksana_run_lateness_seconds_count", 0)]);
}

#[test]
fn what_is_made_up_for_counts_as_a_run_and_not_as_late() {
    let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
    let first = ahead(1_000);
    let schedule = json!({"start_at": first.to_string(), "end_at": first.to_string()});
    ksana.create(&with(every(&receiver.url("/"), "1h"), &json!({"schedule": schedule, "misfire": "all"})));
    ksana.kill();
    assert!(now() < first, "the machine is too slow: it was up when that was due");
    await_clock(first);
    ksana.start_again();
    let page = ksana.await_metric(r#"ksana_runs_total{status="success"}"#, 1);
    page.check(&[("ksana_run_lateness_seconds_count", 0), ("ksana_attempt_duration_seconds_count", 1)]);
}

#[test]
fn an_attempt_that_nobody_waits_for_is_counted_as_cancelled() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/held", [Answer::ok().held()]);
    let [cancelled, deleted] = [(); 2].map(|()| ksana.create_id(&hourly(&receiver.url("/held"))));
    for id in [&cancelled, &deleted] {
        ksana.run_now(id);
    }
    receiver.wait_for_path("/held", 2);
    ksana.act(&cancelled, "cancel").expect(200);
    ksana.delete(&deleted).expect(204);
    let page = ksana.await_metric(r#"ksana_attempts_total{outcome="cancelled"}"#, 2);
    page.check(&[(r#"ksana_runs_total{status="failed"}"#, 2), ("ksana_attempt_duration_seconds_count", 0)]);
}

#[test]
fn the_history_and_those_who_listen_are_measured() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let names = ["ksana_history_bytes", "ksana_history_records_pending", "ksana_history_records_lost_total"];
    let page = ksana.metrics();
    page.check(&names.map(|name| (name, 0)));
    page.check(&[("ksana_event_streams", 0), ("ksana_event_streams_cut_off_total", 0)]);
    let stream = ksana.listen("/events");
    ksana.await_metric("ksana_event_streams", 1);
    drop(stream);
    ksana.await_metric("ksana_event_streams", 0);
    run(&ksana, &job(&receiver.url("/"), &json!({})), "success");
    let written = || fs::read_dir(ksana.path("data/runs")).into_iter().flatten().flatten();
    let bytes = eventually("the record to be written", || {
        let bytes: u64 = written().filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum();
        u32::try_from(bytes).ok().filter(|bytes| *bytes > 0)
    });
    ksana.await_metric("ksana_history_bytes", bytes).check(&[(names[1], 0), (names[2], 0)]);
}

#[test]
fn gauges_follow_what_is_there() {
    let (ksana, receiver) = (Ksana::with("WORKERS", "1"), Receiver::start());
    receiver.script("/held", [Answer::ok().held()]);
    let page = ksana.metrics();
    page.check(&[("ksana_jobs", 0), ("ksana_jobs_enabled", 0), ("ksana_workers", 1)]);
    assert_eq!(page.find("ksana_next_due_timestamp_seconds"), None, "nothing is due");
    let ids = [(); 3].map(|()| ksana.create_id(&hourly(&receiver.url("/held"))));
    for id in &ids {
        ksana.run_now(id);
    }
    receiver.wait_for_path("/held", 1);
    ksana.await_metric("ksana_runs_queued", 2).check(&[("ksana_attempts_in_flight", 1), ("ksana_jobs_enabled", 3)]);
    ksana.act(&ids[1], "pause").expect(200);
    ksana.await_metric("ksana_jobs_enabled", 2).check(&[("ksana_jobs", 3)]);
    ksana.delete(&ids[2]).expect(204);
    ksana.await_metric("ksana_jobs", 2).check(&[("ksana_jobs_enabled", 1)]);
    receiver.release("/held");
    ksana.await_metric("ksana_attempts_in_flight", 0).check(&[("ksana_runs_queued", 0)]);
    let due = time(&ksana.job(&ids[0])["next_run_at"]);
    let told = ksana.metrics().get("ksana_next_due_timestamp_seconds");
    let off = told - due.as_duration().as_secs_f64();
    assert!(off.abs() < 1e-3, "{told} is not {due}");
}

#[test]
fn the_files_are_measured() {
    let ksana = Ksana::start();
    assert_eq!(ksana.metrics().find("ksana_snapshot_last_success_timestamp_seconds"), None, "there was none");
    for _ in 0..3 {
        ksana.create(&hourly(TARGET));
    }
    let page = ksana.metrics();
    for name in ["write", "fsync"] {
        let count = page.get(&format!("ksana_journal_{name}_duration_seconds_count"));
        assert!(count >= 3.0, "each change has one, and there are {count}");
        assert!(page.get(&format!("ksana_journal_{name}_duration_seconds_sum")) > 0.0);
    }
    let begun = now().as_duration().as_secs_f64();
    let page = ksana.await_metric("ksana_snapshot_duration_seconds_count", 1);
    let written = page.get("ksana_snapshot_last_success_timestamp_seconds");
    assert!((-10.0..30.0).contains(&(written - begun)), "{written} is not about {begun}");
    page.check(&[("ksana_snapshot_failures_total", 0), ("ksana_store_refusing", 0)]);
    ksana.create(&hourly(TARGET));
    assert!(ksana.metrics().get("ksana_journal_segment_bytes") > 100.0, "what came behind it");
}

#[test]
fn a_disk_that_refuses_shows() {
    let Some((disk, builder)) = Disk::under(Builder::new(), "size=256k") else { return };
    let ksana = builder.start();
    let id = ksana.create_id(&hourly(TARGET));
    ksana.metrics().check(&[("ksana_store_refusing", 0)]);
    disk.fill();
    ksana.patch(&id, &json!({"http": {"body": "b".repeat(20_000)}})).refusal(503);
    ksana.await_metric("ksana_store_refusing", 1);
    disk.free();
    ksana.await_metric("ksana_store_refusing", 0);
}

#[test]
fn requests_are_counted_by_method_and_class_and_no_client_makes_up_a_label() {
    let ksana = Ksana::start();
    let lines = ksana.metrics().text.lines().count();
    ksana.create(&hourly(TARGET));
    ksana.call("POST", "/jobs").body("{").send().refusal(400);
    ksana.bare("GET", "/jobs").send().refusal(401);
    ksana.call("PROPFIND", "/jobs").send().refusal(405);
    ksana.call("HEAD", "/jobs").send().expect(200);
    ksana.call("BREW", "/jobs").send().refusal(501);
    let page = ksana.metrics();
    page.check(&[
        (r#"ksana_http_requests_total{method="POST",status="2xx"}"#, 1),
        (r#"ksana_http_requests_total{method="POST",status="4xx"}"#, 1),
        (r#"ksana_http_requests_total{method="GET",status="4xx"}"#, 1),
        (r#"ksana_http_requests_total{method="GET",status="2xx"}"#, 1),
        (r#"ksana_http_requests_total{method="HEAD",status="2xx"}"#, 1),
        (r#"ksana_http_requests_total{method="other",status="4xx"}"#, 1),
        (r#"ksana_http_requests_total{method="other",status="5xx"}"#, 0),
        ("ksana_http_requests_unread_total", 1),
    ]);
    assert!(!page.text.contains("BREW") && !page.text.contains("PROPFIND"), "{}", page.text);
    // The samples that come and go are that of what is due next and that of the snapshot.
    assert!(page.text.lines().count() <= lines + 6, "{}", page.text);
}

#[test]
fn connections_are_counted_while_they_are_open() {
    let ksana = Ksana::start();
    let idle = [(); 3].map(|()| Connection::open(ksana.port).expect("it listens"));
    ksana.await_metric("ksana_http_connections", 4);
    drop(idle);
    ksana.await_metric("ksana_http_connections", 1);
}

#[test]
fn the_key_file_shows() {
    let ksana = Ksana::start();
    let keys = ("ksana_keys", 1);
    ksana.metrics().check(&[keys, ("ksana_key_file_reloads_total", 1), ("ksana_key_file_unreadable", 0)]);
    fs::write(ksana.key_file(), format!("{KEY}\nanother\n")).expect("own folder");
    ksana.await_metric("ksana_keys", 2).check(&[("ksana_key_file_reloads_total", 2)]);
    fs::write(ksana.key_file(), b"\xff").expect("own folder");
    let page = ksana.await_metric("ksana_key_file_unreadable", 1);
    page.check(&[("ksana_keys", 2), ("ksana_key_file_reloads_total", 2)]);
}

#[test]
fn the_process_tells_of_itself_by_the_names_that_all_have() {
    let ksana = Ksana::start();
    let page = ksana.metrics();
    let (told, seen) = (page.get("process_resident_memory_bytes") / 1024.0, ksana.memory_kib());
    assert!((0.5..2.0).contains(&(told / f64::from(u32::try_from(seen).expect("it is small")))), "{told}, {seen}");
    let began = page.get("process_start_time_seconds") - ksana.launched_at.as_duration().as_secs_f64();
    assert!((-1.0..20.0).contains(&began), "it began {began} s after its launch");
    let cpu = page.get("process_cpu_seconds_total");
    assert!(cpu > 0.0 && cpu < 20.0, "{cpu}");
    let (open, most) = (page.get("process_open_fds"), page.get("process_max_fds"));
    assert!(open > 5.0 && open < most, "{open} of {most}");
    page.check(&[(&format!("ksana_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION")), 1)]);
}

#[test]
fn it_needs_a_key_and_answers_head() {
    let ksana = Ksana::start();
    for method in ["GET", "HEAD"] {
        ksana.bare(method, "/metrics").send().expect(401);
        ksana.bare(method, "/metrics").header("X-API-Key", "wrong").send().expect(403);
    }
    // As Prometheus sends it.
    let answer = ksana.bare("GET", "/metrics").header("Authorization", &format!("ApiKey {KEY}")).send().expect(200);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let head = ksana.call("HEAD", "/metrics").send().expect(200);
    assert_eq!(head.header("content-type"), answer.header("content-type"));
    assert!(head.body.is_empty());
    ksana.call("POST", "/metrics").send().refusal(405);
}

/// Runs that ended in every way, by a job whose every word is easy to find.
fn after_some_runs() -> (Ksana, Page) {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/zebra-path", [Answer::status(404), Answer::ok()]);
    let words = json!({"id": "zebra-id", "name": "zebra-name"});
    let id = run(&ksana, &job(&receiver.url("/zebra-path"), &words), "failed");
    ksana.run_now(&id);
    ksana.await_status(&id, "success");
    ksana.create(&with(hourly(TARGET), &json!({"id": "zebra-other"})));
    let page = ksana.await_metric("ksana_snapshot_duration_seconds_count", 1);
    (ksana, page)
}

#[test]
fn nothing_in_it_is_of_one_job() {
    let (ksana, page) = after_some_runs();
    assert!(!page.text.contains("zebra"), "{}", page.text);
    let lines = page.text.lines().count();
    for _ in 0..20 {
        ksana.create(&hourly(TARGET));
    }
    assert_eq!(ksana.metrics().text.lines().count(), lines, "twenty jobs more are no line more");
}

#[test]
fn histograms_are_cumulative_and_end_with_all() {
    let (_ksana, page) = after_some_runs();
    let mut histograms: BTreeMap<&str, Vec<(&str, f64)>> = BTreeMap::new();
    for line in page.text.lines() {
        let Some((name, rest)) = line.split_once("_bucket{le=\"") else { continue };
        let (bound, count) = rest.split_once("\"} ").expect(line);
        histograms.entry(name).or_default().push((bound, count.parse().expect(line)));
    }
    assert_eq!(histograms.len(), 5, "{histograms:?}");
    for (name, buckets) in histograms {
        let bounds: Vec<f64> = buckets.iter().map(|(bound, _)| bound.parse().expect("a bound is a number")).collect();
        assert!(bounds.is_sorted() && bounds.last() == Some(&f64::INFINITY), "{name}: {bounds:?}");
        assert!(buckets.iter().map(|(_, count)| count).is_sorted(), "{name}: {buckets:?}");
        let all = page.get(&format!("{name}_count"));
        assert_eq!(buckets.last().map(|(_, count)| count.to_bits()), Some(all.to_bits()), "{name}");
        assert!(all > 0.0 && page.get(&format!("{name}_sum")) > 0.0, "{name} measured nothing");
    }
}

/// What Prometheus's own tool says of a text, and whether it is content; nothing where there is no such tool.
fn promtool(check: &[&str], text: &str) -> Option<(String, bool)> {
    let mut command = Command::new("promtool");
    command.arg("check").args(check).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        not_tried("there is no promtool on this machine");
        return None;
    };
    // It says nothing before it has read all.
    child.stdin.take().expect("it is piped").write_all(text.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it is our child");
    let said = [output.stdout, output.stderr].concat();
    Some((String::from_utf8_lossy(&said).into_owned(), output.status.success()))
}

#[test]
fn promtool_finds_nothing() {
    let (_ksana, page) = after_some_runs();
    if let Some((said, is_content)) = promtool(&["metrics"], &page.text) {
        assert!(is_content && said.is_empty(), "{said}\n{}", page.text);
    }
}

#[test]
fn promtool_takes_the_rules_of_both_readmes() {
    for readme in [include_str!("../../README.md"), include_str!("../../README.zh-CN.md")] {
        let rules = readme
            .split("```")
            .find_map(|block| block.strip_prefix("yaml\n").filter(|yaml| yaml.starts_with("groups:")));
        let Some((said, is_content)) = promtool(&["rules", "/dev/stdin"], rules.expect("they are there")) else {
            return;
        };
        assert!(is_content && said.contains("7 rules found"), "{said}");
    }
}
