//! New: `/events`, what happens as it happens.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Builder, Connection, KEY, Ksana, Receiver, Stream, ahead, eventually, every, hourly, with};

const TARGET: &str = "http://127.0.0.1:9/";

fn named(id: &str) -> Value {
    with(hourly(TARGET), &json!({"id": id}))
}

fn large() -> Value {
    with(named("large"), &json!({"http": {"body": "x".repeat(1_000_000)}}))
}

/// Renames that job until one who listens and never reads is cut off: a megabyte a change fills his sockets, and then
/// passes him. Each name is seen by `then`.
fn await_cut_off(ksana: &Ksana, mut then: impl FnMut(&str)) {
    let mut round = 0;
    eventually("who never reads to be cut off", || {
        round += 1;
        let name = format!("name {round}");
        ksana.patch("large", &json!({"name": name})).expect(200);
        then(&name);
        (!ksana.log.find("warn", &["too slow", "127.0.0.1"]).is_empty()).then_some(())
    });
}

#[test]
fn changes_of_jobs_and_runs_are_told_as_they_happen() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let mut stream = ksana.listen("/events");
    let created = ksana.create(&with(hourly(&receiver.url("/")), &json!({"id": "a"})));
    let told = stream.event();
    assert_eq!((told.name.as_deref(), told.json()), (Some("job.created"), created));
    let run_id = ksana.run_now("a");
    let began = stream.event();
    assert_eq!(began.what(), "run.began a");
    let data = began.json();
    assert_eq!((&data["run_id"], &data["trigger"]), (&json!(run_id), &json!("manual")));
    assert!(data["lateness_ms"].is_f64() && data["scheduled_at"].is_string() && data["started_at"].is_string());
    let ended = stream.event();
    assert_eq!(ended.what(), "run.ended a");
    assert_eq!((&ended.json()["run_id"], &ended.json()["status"]), (&json!(run_id), &json!("success")));
    let changed = ksana.patch("a", &json!({"name": "another"})).expect(200).json();
    let told = stream.event();
    assert_eq!((told.name.as_deref(), told.json()), (Some("job.changed"), changed));
    for (action, enabled) in [("pause", false), ("resume", true)] {
        ksana.act("a", action).expect(200);
        let told = stream.event();
        assert_eq!((told.what(), &told.json()["enabled"]), ("job.changed a".into(), &json!(enabled)), "{action}");
    }
    ksana.delete("a").expect(204);
    let deleted = stream.event();
    assert_eq!((deleted.what(), deleted.json()), ("job.deleted a".into(), json!({"id": "a"})));
}

#[test]
fn a_fire_is_told_with_its_instant() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let id = ksana.create_id(&every(&receiver.url("/"), "100ms"));
    let mut stream = ksana.listen(&format!("/events?job={id}"));
    let mut before = String::new();
    for _ in 0..2 {
        let (began, ended) = (stream.event(), stream.event());
        assert_eq!([began.what(), ended.what()], [format!("run.began {id}"), format!("run.ended {id}")]);
        for told in [began.json(), ended.json()] {
            assert_eq!(told["trigger"], "schedule");
            assert!(told["scheduled_at"].as_str() > Some(&before), "{told} after {before}");
        }
        before = began.json()["scheduled_at"].as_str().expect("an instant").to_owned();
    }
}

#[test]
fn whoever_reconnects_with_his_last_id_misses_nothing_while_jobs_change() {
    const JOBS: usize = 150;
    let ksana = Ksana::start();
    let mut stream = ksana.listen("/events");
    let wanted: Vec<String> = (0..JOBS).map(|number| format!("job.created j{number}")).collect();
    thread::scope(|scope| {
        scope.spawn(|| (0..JOBS).for_each(|number| drop(ksana.create(&named(&format!("j{number}"))))));
        let mut told = Vec::new();
        while told.len() < JOBS {
            for _ in 0..7.min(JOBS - told.len()) {
                told.push(stream.event().what());
            }
            let last_id = stream.last_id.take().expect("each event has an id");
            stream = ksana.listen_again("/events", &last_id);
        }
        assert_eq!(told, wanted);
    });
    ksana.create(&named("last"));
    assert_eq!(stream.event().what(), "job.created last");
}

#[test]
fn whoever_left_before_anything_happened_misses_nothing_either() {
    let ksana = Ksana::start();
    let last_id = ksana.listen("/events").last_id.expect("the first word has an id");
    ksana.create(&named("a"));
    assert_eq!(ksana.listen_again("/events", &last_id).event().what(), "job.created a");
}

#[test]
fn after_a_restart_a_gap_is_told_and_the_stream_goes_on() {
    let mut ksana = Ksana::start();
    let mut stream = ksana.listen("/events");
    ksana.create(&named("a"));
    let last_id = stream.event().id.expect("each event has an id");
    ksana.restart();
    let mut stream = ksana.listen_again("/events", &last_id);
    let gap = stream.event();
    assert_eq!(gap.name.as_deref(), Some("gap"));
    assert!(gap.json()["message"].as_str().is_some_and(|message| message.contains("read the jobs anew")));
    ksana.create(&named("b"));
    let event = stream.event();
    assert_eq!(event.what(), "job.created b");
    let number = |id: &str| id.split_once('-').and_then(|(_, number)| number.parse::<u64>().ok()).expect("a number");
    assert!(number(&event.id.expect("an id")) > number(&last_id), "ids grow from one process to the next");
}

#[test]
fn after_a_restart_the_runs_that_ended_behind_the_last_id_follow_the_gap() {
    let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
    for id in ["a", "b"] {
        ksana.create(&with(hourly(&receiver.url("/")), &json!({"id": id})));
    }
    let run = |ksana: &Ksana, id: &str| ksana.await_run(&ksana.run_now(id));
    let mut stream = ksana.listen("/events?job=a&status=success");
    run(&ksana, "a");
    let last_id = stream.event().id.expect("each event has an id");
    let mut wanted = vec![run(&ksana, "a")];
    run(&ksana, "b");
    wanted.push(run(&ksana, "a"));
    ksana.kill();
    ksana.start_again();
    wanted.push(run(&ksana, "a"));
    let mut stream = ksana.listen_again("/events?job=a&status=success", &last_id);
    assert_eq!(stream.event().name.as_deref(), Some("gap"));
    let told: Vec<Value> = wanted.iter().map(|_| stream.event().json()).collect();
    assert_eq!(told, wanted, "each once, in the order in which they ended");
    let last = run(&ksana, "a");
    assert_eq!(stream.event().json(), last);
}

#[test]
fn one_who_never_reads_is_cut_off_and_nobody_waits_for_him() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    ksana.create(&large());
    ksana.create(&every(&receiver.url("/tick"), "100ms"));
    let mut slow = ksana.listen("/events");
    let mut quick = ksana.listen("/events?job=large");
    await_cut_off(&ksana, |name| assert_eq!(quick.event().json()["name"], name));
    let fires = receiver.at("/tick").len();
    receiver.wait_for_path("/tick", fires + 3);
    slow.read_to_the_end();
    assert_eq!(ksana.log.find("warn", &["too slow"]).len(), 1, "it is told once");
    ksana.patch("large", &json!({"name": "last"})).expect(200);
    assert_eq!(quick.event().json()["name"], "last");
}

#[test]
fn filters_pass_only_what_they_name() {
    let ksana = Ksana::start();
    let mut two = ksana.listen("/events?job=a&job=b&status=&unknown=1");
    let mut ends = ksana.listen("/events?status=failed&status=timeout");
    for id in ["c", "b", "a"] {
        ksana.create(&named(id));
    }
    assert_eq!([two.event().what(), two.event().what()], ["job.created b", "job.created a"]);
    // The next heartbeat names the latest event: nothing before it was for him.
    let heartbeat = ends.block().expect("a heartbeat");
    assert_eq!((heartbeat.data, heartbeat.id), (None, two.last_id));
}

#[test]
fn a_silent_stream_has_a_heartbeat_every_15_s() {
    let ksana = Ksana::start();
    let mut stream = ksana.listen("/events");
    let begun = Instant::now();
    let block = stream.block().expect("a heartbeat");
    assert!(block.data.is_none() && block.name.is_none(), "{block:?}");
    assert!((10..30).contains(&begun.elapsed().as_secs()), "it came after {:?}", begun.elapsed());
}

#[test]
fn a_stream_ends_soon_after_its_key_is_revoked() {
    let ksana = Builder::new().file("config/api_keys.txt", format!("{KEY}\nother\n")).start();
    let mut stays = ksana.listen("/events");
    let mut ends = Stream::open(&ksana.bare("GET", "/events").header("Authorization", "ApiKey other"), ksana.port);
    fs::write(ksana.key_file(), format!("{KEY}\n")).expect("own folder");
    let begun = Instant::now();
    while ends.block().is_some() {
        assert!(begun.elapsed() < Duration::from_secs(30), "after {:?} it goes on", begun.elapsed());
    }
    eventually("a word about it in the log", || {
        let told = ksana.log.find("info", &["its key was revoked", "127.0.0.1"]).len();
        assert!(told <= 1, "{}", ksana.log.text());
        (told == 1).then_some(())
    });
    ksana.create(&named("a"));
    assert_eq!(stays.event().what(), "job.created a");
}

#[test]
fn open_streams_hold_up_no_shutdown() {
    let mut ksana = Ksana::start();
    ksana.create(&large());
    let mut stream = ksana.listen("/events?job=none");
    let _never_reads = ksana.listen("/events");
    await_cut_off(&ksana, |_| {});
    assert_eq!(ksana.stop(), 0);
    stream.read_to_the_end();
    assert!(ksana.log.find("warn", &["still being answered"]).is_empty());
}

#[test]
fn whoever_takes_anything_is_sent_events_and_no_proxy_keeps_them() {
    let ksana = Ksana::start();
    for accept in [None, Some("*/*"), Some("text/*"), Some("text/event-stream"), Some("text/html, */*;q=0.1")] {
        let call = ksana.call("GET", "/events");
        let call = if let Some(accept) = accept { call.header("Accept", accept) } else { call };
        let stream = Stream::open(&call, ksana.port);
        for (name, value) in
            [("Content-Type", "text/event-stream"), ("Cache-Control", "no-cache"), ("X-Accel-Buffering", "no")]
        {
            assert_eq!(stream.header(name), Some(value), "{accept:?}");
        }
    }
    for accept in ["application/json", "text/html", "text/event-stream;q=0, */*"] {
        let error = ksana.call("GET", "/events").header("Accept", accept).send().refusal(406);
        assert!(error["message"].as_str().is_some_and(|message| message.contains("text/event-stream")), "{error}");
    }
}

#[test]
fn what_is_wrong_is_refused_with_what_is_accepted() {
    let ksana = Ksana::start();
    let many = format!("/events?{}", "job=a&".repeat(101));
    for (target, accepted) in [
        ("/events?status=paused", "success, failed, timeout, skipped and missed"),
        ("/events?status=fine", "success, failed, timeout, skipped and missed"),
        ("/events?job=a%2Fb", "ids of jobs"),
        (&many, "at most 100 jobs"),
    ] {
        let error = ksana.get(target).refusal(400);
        assert!(error["message"].as_str().is_some_and(|message| message.contains(accepted)), "{error}");
    }
    for last_id in ["7", "a-b", "1-2-3"] {
        let error = ksana.call("GET", "/events").header("Last-Event-ID", last_id).send().refusal(400);
        assert!(error["message"].as_str().is_some_and(|message| message.contains("the id of an event")), "{error}");
    }
    ksana.bare("GET", "/events").send().refusal(401);
    ksana.call("POST", "/events").send().refusal(405);
}

#[test]
fn head_is_answered_without_a_stream() {
    let ksana = Ksana::start();
    let answer = ksana.call("HEAD", "/events").send().expect(200);
    assert_eq!(answer.header("Content-Type"), Some("text/event-stream"));
    let mut connection = Connection::open(ksana.port).expect("it listens");
    connection.send(&ksana.call("HEAD", "/events").bytes()).expect("it reads");
    connection.response("HEAD").expect("an answer").expect("an answer").expect(200);
    connection.read_until_closed().expect("it is closed");
}

#[test]
fn only_100_may_listen_at_a_time() {
    let ksana = Ksana::start();
    let mut streams: Vec<Stream> = (0..100).map(|_| ksana.listen("/events")).collect();
    let refused = ksana.get("/events");
    assert!(refused.header("Retry-After").is_some());
    refused.refusal(503);
    streams.pop();
    // Whoever has left is noticed at once, but by another thread.
    eventually("the room of who left", || {
        let mut connection = Connection::open(ksana.port).ok()?;
        connection.send(&ksana.call("GET", "/events").bytes()).ok()?;
        connection.status().ok().filter(|status| *status == 200)
    });
}

#[test]
fn a_job_that_is_resumed_or_done_by_itself_is_told_of() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let bounds = json!({"schedule": {"kind": "every", "every": "100ms", "max_runs": 1}, "enabled": false});
    let id = ksana.create_id(&with(hourly(&receiver.url("/")), &bounds));
    let mut stream = ksana.listen(&format!("/events?job={id}"));
    ksana.act_with(&id, "pause", &json!({"until": ahead(300).to_string()})).expect(200);
    let mut enabled = Vec::new();
    while enabled.len() < 3 {
        let told = stream.event();
        if told.what() == format!("job.changed {id}") {
            enabled.push(told.json()["enabled"] == json!(true));
        }
    }
    assert_eq!(enabled, [false, true, false], "paused, resumed, done");
}
