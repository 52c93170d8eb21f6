//! New: jobs of kind `cron`, and schedules that come to an end.

use jiff::ToSpan;
use serde_json::{Value, json};

use crate::support::{Ksana, Receiver, Request, ahead, with};

fn cron(url: &str, schedule: &Value) -> Value {
    let schedule = with(json!({"kind": "cron", "cron": "* * * * * *"}), schedule);
    json!({"name": "by an expression", "http": {"url": url}, "schedule": schedule})
}

#[test]
fn a_job_of_kind_cron_fires_at_the_seconds_that_its_expression_names() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let job = ksana.create(&cron(&receiver.url("/tick"), &json!({})));
    assert_eq!(
        job["schedule"],
        json!({"kind": "cron", "cron": "* * * * * *", "timezone": "UTC", "start_at": "", "jitter": ""})
    );
    receiver.wait_for_path("/tick", 3);
    let instants: Vec<_> = receiver.at("/tick").iter().map(Request::scheduled_at).collect();
    for pair in instants.windows(2) {
        assert_eq!(pair[1], pair[0] + 1.second(), "{instants:?}");
        assert_eq!(pair[0].subsec_nanosecond(), 0);
    }
}

#[test]
fn the_zone_says_what_the_clock_shows() {
    let mut ksana = Ksana::start();
    let daily = |zone: &str| cron("http://127.0.0.1:9/", &json!({"cron": "30 2 * * *", "timezone": zone}));
    for (zone, ends) in [("Asia/Kolkata", "T21:00:00Z"), ("asia/kolkata", "T21:00:00Z"), ("Etc/GMT+3", "T05:30:00Z")] {
        let job = ksana.create(&daily(zone));
        assert!(job["next_run_at"].as_str().expect("it is planned").ends_with(ends), "{job}");
    }
    let shown = ksana.get("/jobs").json();
    assert_eq!(shown[1]["schedule"]["timezone"], "Asia/Kolkata", "as the database spells it");
    ksana.restart();
    assert_eq!(ksana.get("/jobs?kind=cron").json(), shown);
}

#[test]
fn what_makes_no_sense_is_refused_by_field() {
    let ksana = Ksana::start();
    for (schedule, field, part) in [
        (json!({"cron": "0 24 * * *"}), "/schedule/cron", "hour"),
        (json!({"cron": "0 0 30 2 *"}), "/schedule/cron", "no date"),
        (json!({"cron": "0 0 0 1 1 * 1999"}), "/schedule/cron", "names no instant"),
        (json!({"timezone": "Europe/Atlantis"}), "/schedule/timezone", "IANA"),
        (json!({"end_at": "2001-01-01T00:00:00Z"}), "/schedule/end_at", "leaves no instant"),
        (json!({"max_runs": 0}), "/schedule/max_runs", "1 to"),
        (json!({"every": "5s"}), "/schedule/every", "kind cron"),
    ] {
        let refusal = ksana.post("/jobs", &cron("http://127.0.0.1:9/", &schedule)).refusal(400);
        assert_eq!(refusal["field"], field, "{refusal}");
        assert!(refusal["message"].as_str().expect("a text").contains(part), "{refusal}");
    }
    assert_eq!(ksana.get("/jobs").json(), json!([]));
}

#[test]
fn after_its_last_run_a_job_is_done_and_stays_so() {
    let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
    let by_count = ksana.create_id(&cron(&receiver.url("/count"), &json!({"max_runs": 2})));
    let end_at = ahead(1_200).to_string();
    let by_time = ksana.create_id(&cron(&receiver.url("/time"), &json!({"end_at": end_at})));
    for id in [&by_count, &by_time] {
        ksana.await_job(id, "the end", |job| job["enabled"] == false && job["last_status"] == "success");
    }
    ksana.restart();
    for id in [&by_count, &by_time] {
        let job = ksana.job(id);
        assert_eq!((&job["next_run_at"], &job["last_status"]), (&json!(""), &json!("success")), "{job}");
    }
    assert_eq!(receiver.at("/count").len(), 2);
}
