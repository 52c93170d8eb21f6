//! New: schedules of kind `after`, a fixed delay from the end of one run to the next.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::support::{Answer, Ksana, Receiver, ago, ahead, await_clock, eventually, now, time, with};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn after(url: &str, after: &str) -> Value {
    json!({"name": "a job", "http": {"url": url}, "schedule": {"kind": "after", "after": after}})
}

/// Checks that the job is due an hour after a moment between these two.
#[track_caller]
fn is_due_an_hour_after(job: &Value, earliest: Timestamp, latest: Timestamp) {
    let next = time(&job["next_run_at"]);
    assert!(earliest + HOUR <= next && next <= latest + HOUR, "{next} is no hour after {earliest} to {latest}");
}

#[test]
fn the_next_request_comes_so_long_after_the_answer() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/slow", [Answer::ok().delayed(200)]);
    let before = now();
    let job = ksana.create(&after(&receiver.url("/slow"), "300ms"));
    let schedule = json!({"kind": "after", "after": "300ms", "start_at": "", "jitter": ""});
    assert_eq!(job["schedule"].to_string(), schedule.to_string());
    let first = time(&job["next_run_at"]);
    assert!(first.duration_since(before) >= SignedDuration::from_millis(300), "{first}");
    let fires = receiver.wait_for_path("/slow", 4);
    assert_eq!(fires[0].scheduled_at(), first);
    for pair in fires.windows(2) {
        let answered = pair[0].at + SignedDuration::from_millis(200);
        assert!(pair[1].scheduled_at() >= answered + SignedDuration::from_millis(300), "{pair:?}");
        assert!(pair[1].at >= pair[1].scheduled_at());
        assert_ne!(pair[0].run_id(), pair[1].run_id());
    }
}

#[test]
fn while_it_runs_or_waits_for_a_retry_there_is_no_next_run_at() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/held", [Answer::status(503), Answer::ok().held()]);
    let id = ksana.create_id(&with(after(&receiver.url("/held"), "1h"), &json!({"retry_backoff": "400ms"})));
    ksana.run_now(&id);
    assert_eq!(ksana.job(&id)["next_run_at"], "");
    ksana.log.wait_for("warn", &["attempt failed", "503"]);
    assert_eq!(ksana.job(&id)["next_run_at"], "");
    receiver.wait_for_path("/held", 2);
    assert_eq!(ksana.job(&id)["next_run_at"], "");
    assert_eq!(ksana.get(&format!("/jobs/{id}/next")).expect(200).json()["enabled"], true);
    let before = now();
    receiver.release("/held");
    let done = ksana.await_status(&id, "success");
    is_due_an_hour_after(&done, before, now());
}

#[test]
fn a_run_that_fails_or_is_cancelled_counts_from_its_end_too() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/fails", [Answer::status(400)]);
    let id = ksana.create_id(&after(&receiver.url("/fails"), "1h"));
    let before = now();
    ksana.run_now(&id);
    is_due_an_hour_after(&ksana.await_status(&id, "failed"), before, now());

    receiver.script("/held", [Answer::ok().held()]);
    let id = ksana.create_id(&after(&receiver.url("/held"), "1h"));
    ksana.run_now(&id);
    receiver.wait_for_path("/held", 1);
    let before = now();
    ksana.act(&id, "cancel").expect(200);
    is_due_an_hour_after(&ksana.job(&id), before, now());
}

#[test]
fn start_at_is_the_first_instant_where_it_lies_ahead() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let start_at = ahead(1_100);
    let schedule = json!({"schedule": {"start_at": start_at.to_string()}});
    let id = ksana.create_id(&with(after(&receiver.url("/ahead"), "1h"), &schedule));
    assert_eq!(receiver.wait_for_path("/ahead", 1)[0].scheduled_at(), start_at);
    is_due_an_hour_after(&ksana.await_status(&id, "success"), start_at, now());

    let before = now();
    let schedule = json!({"schedule": {"start_at": ago(60_000).to_string()}});
    let job = ksana.create(&with(after(&receiver.url("/past"), "1h"), &schedule));
    is_due_an_hour_after(&job, before, now());
}

#[test]
fn jitter_delays_the_call_and_not_the_instant() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let schedule = json!({"schedule": {"jitter": "200ms"}});
    ksana.create(&with(after(&receiver.url("/tick"), "200ms"), &schedule));
    let fires = receiver.wait_for_path("/tick", 4);
    for pair in fires.windows(2) {
        let delay = pair[1].scheduled_at().duration_since(pair[0].at);
        assert!(delay >= SignedDuration::from_millis(200), "{pair:?}");
    }
    assert!(fires.iter().any(|fire| fire.at.duration_since(fire.scheduled_at()).as_millis() >= 5), "{fires:?}");
}

#[test]
fn max_runs_and_end_at_end_it() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let counted = json!({"schedule": {"max_runs": 2}});
    let counted = ksana.create_id(&with(after(&receiver.url("/count"), "150ms"), &counted));
    // The second instant would lie behind it.
    let timed = json!({"schedule": {"end_at": ahead(1_600).to_string()}});
    let timed = ksana.create_id(&with(after(&receiver.url("/time"), "1s"), &timed));
    for id in [&counted, &timed] {
        let job = ksana.await_job(id, "the end", |job| job["enabled"] == false && job["last_status"] == "success");
        assert_eq!(job["next_run_at"], "");
    }
    ksana.let_pass(&receiver, 1_100);
    assert_eq!((receiver.at("/count").len(), receiver.at("/time").len()), (2, 1));
}

#[test]
fn a_restart_keeps_what_lies_ahead() {
    let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
    let id = ksana.create_id(&after(&receiver.url("/far"), "1h"));
    ksana.run_now(&id);
    let shown = ksana.await_status(&id, "success");
    for is_killed in [true, false] {
        ksana.end(is_killed);
        ksana.start_again();
        assert_eq!(ksana.job(&id), shown, "killed: {is_killed}");
    }
}

#[test]
fn a_run_that_a_kill_cuts_off_ends_with_the_start_and_the_delay_begins() {
    let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/held", [Answer::ok().held()]);
    let ids = [0, 1].map(|retries| {
        let change = json!({"max_retries": retries, "retry_backoff": "1h"});
        let id = ksana.create_id(&with(after(&receiver.url("/held"), "1h"), &change));
        ksana.run_now(&id);
        id
    });
    receiver.wait_for_path("/held", 2);
    ksana.kill();
    ksana.start_again();
    let failed = ksana.await_status(&ids[0], "failed");
    assert_eq!(failed["last_error"], "interrupted by a restart");
    is_due_an_hour_after(&failed, ksana.launched_at, now());
    assert_eq!(ksana.job(&ids[1])["next_run_at"], "", "its retry waits");
}

#[test]
fn an_instant_that_passed_while_the_service_was_down_is_missed_or_made_up_for() {
    for is_killed in [true, false] {
        let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
        let start_at = ahead(1_500);
        let schedule = json!({"schedule": {"start_at": start_at.to_string()}});
        let ids = ["skip", "once", "all"].map(|misfire| {
            let job = with(after(&receiver.url(&format!("/{misfire}")), "1h"), &schedule);
            ksana.create_id(&with(job, &json!({"misfire": misfire})))
        });
        ksana.end(is_killed);
        assert!(now() < start_at, "the machine is too slow");
        await_clock(start_at);
        ksana.start_again();
        is_due_an_hour_after(&ksana.job(&ids[0]), ksana.launched_at, now());
        for (id, path) in ids[1..].iter().zip(["/once", "/all"]) {
            is_due_an_hour_after(&ksana.await_status(id, "success"), ksana.launched_at, now());
            assert_eq!(receiver.at(path)[0].scheduled_at(), start_at, "under its own instant");
        }
        ksana.let_pass(&receiver, 100);
        let counts = ["/skip", "/once", "/all"].map(|path| receiver.at(path).len());
        assert_eq!(counts, [0, 1, 1], "killed: {is_killed}");
    }
}

#[test]
fn a_resume_begins_the_delay_anew() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/held", [Answer::ok().held()]);
    let id = ksana.create_id(&after(&receiver.url("/held"), "1h"));
    ksana.run_now(&id);
    receiver.wait_for_path("/held", 1);
    ksana.act(&id, "pause").expect(200);
    receiver.release("/held");
    let paused = ksana.await_status(&id, "success");
    assert_eq!((&paused["enabled"], &paused["next_run_at"]), (&json!(false), &json!("")), "its end plans nothing");
    let before = now();
    ksana.act(&id, "resume").expect(200);
    is_due_an_hour_after(&ksana.job(&id), before, now());
}

#[test]
fn it_never_runs_beside_itself_whatever_overlap_says() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/held", [Answer::ok().held()]);
    let change = json!({"overlap": "allow", "overlap_max": 5});
    let id = ksana.create_id(&with(after(&receiver.url("/held"), "100ms"), &change));
    receiver.wait_for_path("/held", 1);
    ksana.let_pass(&receiver, 500);
    assert_eq!((receiver.at("/held").len(), &ksana.job(&id)["next_run_at"]), (1, &json!("")));
    receiver.release("/held");
    eventually("the next one", || (receiver.at("/held").len() > 1).then_some(()));
}

#[test]
fn lists_and_previews_know_the_kind() {
    let ksana = Ksana::start();
    let job = ksana.create(&after("http://127.0.0.1:9/", "1h"));
    assert_eq!(ksana.get("/jobs?kind=after").expect(200).json(), json!([job]));
    assert_eq!(ksana.get("/jobs?kind=every").expect(200).json(), json!([]));
    let id = job["id"].as_str().expect("a job has an id");
    let next = ksana.get(&format!("/jobs/{id}/next")).expect(200).json();
    assert_eq!(next["next"][0]["at"], job["next_run_at"]);
    assert_eq!(next["next"].as_array().map(Vec::len), Some(1), "of the later ones nobody knows: {next}");
    let preview = ksana.post("/schedules/preview", &json!({"kind": "after", "after": "1h"})).expect(200).json();
    assert_eq!(preview["next"].as_array().map(Vec::len), Some(1), "{preview}");
}

#[test]
fn what_makes_no_sense_is_refused_by_field() {
    let ksana = Ksana::start();
    let id = ksana.create_id(&after("http://127.0.0.1:9/", "1h"));
    for (schedule, field, part) in [
        (json!({"after": ""}), "/schedule/after", "is required"),
        (json!({"after": "99ms"}), "/schedule/after", "100ms to 87600h"),
        (json!({"after": "87600h1ns"}), "/schedule/after", "100ms to 87600h"),
        (json!({"after": 5}), "/schedule/after", "duration"),
        (json!({"after": "soon"}), "/schedule/after", "accepted"),
        (json!({"every": "1h"}), "/schedule/every", "kind after"),
        (json!({"run_at": "2099-01-01T00:00:00Z"}), "/schedule/run_at", "kind after"),
        (json!({"kind": "every", "every": "1h"}), "/schedule/after", "kind every"),
        (json!({"jitter": "1h1ns"}), "/schedule/jitter", "`after`, which is 1h"),
        (json!({"max_runs": 0}), "/schedule/max_runs", "1 to"),
        (json!({"end_at": "2001-01-01T00:00:00Z"}), "/schedule/end_at", "leaves no instant"),
    ] {
        let job = with(after("http://127.0.0.1:9/", "1h"), &json!({"schedule": schedule}));
        let schedule = json!({"schedule": job["schedule"]});
        for refusal in [ksana.post("/jobs", &job), ksana.patch(&id, &schedule)] {
            let refusal = refusal.refusal(400);
            assert_eq!(refusal["field"], field, "{refusal}");
            assert!(refusal["message"].as_str().expect("a text").contains(part), "{refusal}");
        }
    }
    assert_eq!(ksana.get("/jobs").json().as_array().map(Vec::len), Some(1));
}
