//! New: when a job, or a schedule that is no job yet, is to fire.

use serde_json::{Value, json};

use crate::support::{Ksana, Receiver, ahead, every, hourly, once, with};

const TARGET: &str = "http://127.0.0.1:9/";

fn preview(ksana: &Ksana, query: &str, schedule: &Value) -> Value {
    ksana.post(&format!("/schedules/preview?{query}"), schedule).expect(200).json()
}

fn next_of(ksana: &Ksana, id: &str, query: &str) -> Value {
    ksana.get(&format!("/jobs/{id}/next?{query}")).expect(200).json()
}

fn job(id: &str, schedule: &Value) -> Value {
    json!({"id": id, "name": "a job", "http": {"url": TARGET}, "schedule": schedule})
}

/// The instants of a preview.
fn instants(preview: &Value) -> Vec<&str> {
    preview["next"].as_array().expect("a list").iter().filter_map(|fire| fire["at"].as_str()).collect()
}

#[test]
fn a_once_is_listed_until_it_is_taken() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let schedule = json!({"kind": "once", "run_at": "2099-01-01T01:00:00+01:00"});
    let expected = json!([{"at": "2099-01-01T00:00:00Z", "local": "2099-01-01T00:00:00+00:00"}]);
    assert_eq!(preview(&ksana, "", &schedule), json!({"timezone": "UTC", "next": expected}));
    assert_eq!(preview(&ksana, "from=2098-12-31T23:59:59Z", &schedule)["next"], expected);
    assert_eq!(preview(&ksana, "from=2099-01-01T00:00:00Z", &schedule)["next"], json!([]));

    ksana.create(&job("far", &schedule));
    assert_eq!(next_of(&ksana, "far", "from=2001-01-01T00:00:00Z")["next"], expected);
    let id = ksana.create_id(&once(&receiver.url("/"), ahead(300)));
    ksana.await_status(&id, "success");
    assert_eq!(next_of(&ksana, &id, "from=2001-01-01T00:00:00Z")["next"], json!([]));
}

#[test]
fn an_every_is_listed_until_its_end() {
    let ksana = Ksana::start();
    let schedule = json!({"kind": "every", "every": "1h30m", "start_at": "2099-01-01T00:00:00.5Z"});
    let list = preview(&ksana, "count=3", &schedule);
    let expected = ["2099-01-01T00:00:00.5Z", "2099-01-01T01:30:00.5Z", "2099-01-01T03:00:00.5Z"];
    assert_eq!(instants(&list), expected);
    assert_eq!(list["next"][0]["local"], "2099-01-01T00:00:00.5+00:00");
    let ends = with(schedule.clone(), &json!({"end_at": "2099-01-01T02:00:00Z"}));
    assert_eq!(instants(&preview(&ksana, "count=1000", &ends)), expected[..2]);
    assert_eq!(instants(&preview(&ksana, "", &schedule)).len(), 20);
    assert_eq!(instants(&preview(&ksana, "count=1000", &schedule)).len(), 1_000);
    // Also where it is far behind the start.
    let later = preview(&ksana, "count=1&from=9999-01-01T00:00:00.5Z", &schedule);
    assert_eq!(instants(&later), ["9999-01-01T01:30:00.5Z"]);
}

#[test]
fn a_distance_by_cron_is_counted_from_the_creation_and_shown_on_the_clock_of_its_zone() {
    let ksana = Ksana::start();
    let schedule = json!({"kind": "cron", "cron": "@every 90m", "timezone": "Asia/Kolkata"});
    let made = ksana.create(&job("a", &schedule));
    assert_eq!(made["schedule"]["cron"], "@every 90m", "as it was given");
    let list = next_of(&ksana, "a", "count=2");
    assert_eq!((&list["timezone"], &list["next"][0]["at"]), (&json!("Asia/Kolkata"), &made["next_run_at"]));
    assert!(list["next"][1]["local"].as_str().expect("a time").ends_with("+05:30"), "{list}");
    let fixed = with(schedule, &json!({"start_at": "2099-10-25T00:00:00Z", "timezone": "Europe/Berlin"}));
    let list = preview(&ksana, "count=2", &fixed);
    assert_eq!(list["next"][1]["local"], "2099-10-25T02:30:00+01:00", "in real time, whatever the clock shows: {list}");
}

#[test]
fn a_change_of_the_clock_is_told_of_where_it_moves_an_instant() {
    let ksana = Ksana::start();
    let nightly = json!({"kind": "cron", "cron": "30 2 * * *", "timezone": "Europe/Berlin"});
    assert_eq!(
        preview(&ksana, "count=3&from=2026-03-28T00:00:00Z", &nightly),
        json!({"timezone": "Europe/Berlin", "next": [
            {"at": "2026-03-28T01:30:00Z", "local": "2026-03-28T02:30:00+01:00"},
            {"at": "2026-03-29T01:00:00Z", "local": "2026-03-29T03:00:00+02:00", "remark": "the clock skips 02:30"},
            {"at": "2026-03-30T00:30:00Z", "local": "2026-03-30T02:30:00+02:00"},
        ]})
    );
    assert_eq!(
        preview(&ksana, "count=2&from=2026-10-25T02:00:00%2B02:00", &nightly)["next"],
        json!([
            {"at": "2026-10-25T00:30:00Z", "local": "2026-10-25T02:30:00+02:00",
             "remark": "02:30 comes twice, the first counts"},
            {"at": "2026-10-26T01:30:00Z", "local": "2026-10-26T02:30:00+01:00"},
        ])
    );
    // Each hour is each hour.
    let hourly = with(nightly, &json!({"cron": "30 * * * *"}));
    assert_eq!(
        preview(&ksana, "count=2&from=2026-10-25T00:00:00Z", &hourly)["next"],
        json!([
            {"at": "2026-10-25T00:30:00Z", "local": "2026-10-25T02:30:00+02:00"},
            {"at": "2026-10-25T01:30:00Z", "local": "2026-10-25T02:30:00+01:00"},
        ])
    );
}

#[test]
fn a_schedule_is_previewed_as_the_job_that_is_made_of_it() {
    let ksana = Ksana::start();
    for (id, schedule) in [
        ("once", json!({"kind": "once", "run_at": "2099-01-01T00:00:00Z"})),
        ("every", json!({"kind": "every", "every": "7m", "start_at": "2099-01-01T00:00:00Z", "jitter": "7m"})),
        ("drawn", json!({"kind": "cron", "cron": "H H H * *", "timezone": "America/Havana", "jitter": "24h"})),
        ("distance", json!({"kind": "cron", "cron": "@every 1h", "start_at": "2099-01-01T00:00:00Z", "max_runs": 7})),
        ("sparse", json!({"kind": "cron", "cron": "0 0 0 29 2 ? *", "end_at": "2150-01-01T00:00:00Z"})),
    ] {
        let next_run_at = ksana.create(&job(id, &schedule))["next_run_at"].clone();
        let list = next_of(&ksana, id, "from=");
        let first = &list["next"][0];
        assert_eq!(*first.get("due_at").unwrap_or(&first["at"]), next_run_at, "{list}");
        for from in ["", "2099-01-01T03:00:00Z", "2026-03-01T00:00:00Z"] {
            let mut of_job = next_of(&ksana, id, &format!("count=50&from={from}"));
            assert_eq!(of_job["enabled"].take(), true);
            let mut of_schedule = preview(&ksana, &format!("count=50&id={id}&from={from}"), &schedule);
            of_schedule["enabled"] = Value::Null;
            assert_eq!(of_schedule, of_job, "{id} from {from}");
        }
    }
}

#[test]
fn what_the_id_decides_is_not_pretended_to_be_known() {
    let ksana = Ksana::start();
    for (schedule, is_drawn) in [
        (json!({"kind": "cron", "cron": "H * * * *"}), true),
        (json!({"kind": "every", "every": "1h", "jitter": "1h"}), true),
        (json!({"kind": "cron", "cron": "0 0 * MAR THU", "jitter": ""}), false),
        (json!({"kind": "cron", "cron": "@hourly"}), false),
    ] {
        let list = preview(&ksana, "", &schedule);
        assert_eq!(list["remark"].as_str().is_some_and(|remark| remark.contains("the id preview")), is_drawn, "{list}");
        let list = preview(&ksana, "id=a", &schedule);
        assert_eq!(list.get("remark"), None, "{list}");
    }
    let schedule = json!({"kind": "cron", "cron": "H H * * *", "jitter": "1h"});
    let guessed = preview(&ksana, "", &schedule)["next"].clone();
    assert_eq!(preview(&ksana, "id=preview", &schedule)["next"], guessed);
    assert_ne!(preview(&ksana, "id=another", &schedule)["next"], guessed);
}

#[test]
fn only_runs_that_are_left_are_listed() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let start_at = ahead(1_000);
    let schedule = json!({"start_at": start_at.to_string(), "max_runs": 3});
    let id = ksana.create_id(&with(hourly(&receiver.url("/")), &json!({ "schedule": schedule })));
    ksana.await_status(&id, "success");
    let list = next_of(&ksana, &id, "");
    let hour = |hours: i64| (start_at + jiff::SignedDuration::from_hours(hours)).to_string();
    assert_eq!(instants(&list), [hour(1), hour(2)]);
    // Those that come before the time that is asked for are used up by then.
    assert_eq!(instants(&next_of(&ksana, &id, &format!("from={}", hour(1)))), [hour(2)]);
    assert_eq!(instants(&next_of(&ksana, &id, &format!("from={}", hour(2)))), [""; 0]);
    // More of them are not gone through, and that is said.
    let many = json!({"kind": "every", "every": "1h", "max_runs": 1_001});
    assert_eq!(preview(&ksana, "", &many).get("remark"), None);
    let list = preview(&ksana, "from=2099-01-01T00:00:00Z", &many);
    assert!(list["remark"].as_str().is_some_and(|remark| remark.contains("max_runs")), "{list}");
    assert_eq!(instants(&list).len(), 20);
}

#[test]
fn a_paused_job_is_listed_as_its_schedule_says() {
    let ksana = Ksana::start();
    let id = ksana.create_id(&every(TARGET, "1h"));
    let before = next_of(&ksana, &id, "");
    assert_eq!((&before["enabled"], &before["next"][0]["at"]), (&json!(true), &ksana.job(&id)["next_run_at"]));
    ksana.act(&id, "pause").expect(200);
    let mut paused = next_of(&ksana, &id, "");
    assert_eq!(paused["enabled"].take(), false);
    assert_eq!(paused, with(before, &json!({"enabled": null})));
    assert_eq!(ksana.job(&id)["next_run_at"], "", "and stays paused");
}

#[test]
fn what_makes_no_sense_is_refused_by_field() {
    let ksana = Ksana::start();
    for (schedule, field, part) in [
        (json!({"kind": "cron", "cron": "0 24 * * *"}), "/schedule/cron", "hour"),
        (json!({"kind": "cron", "cron": "@every 50ms"}), "/schedule/cron", "100ms to 87600h"),
        (json!({"kind": "cron", "cron": "@every day"}), "/schedule/cron", "@every takes a duration"),
        (json!({"kind": "cron", "cron": 5}), "/schedule/cron", "string"),
        (json!({"kind": "cron", "cron": "* * * * *", "timezone": "Mars"}), "/schedule/timezone", "IANA"),
        (json!({"kind": "cron", "cron": "0 0 0 1 1 * 1999"}), "/schedule/cron", "names no instant"),
        (json!({"kind": "once", "run_at": "2001-01-01T00:00:00Z"}), "/schedule/run_at", "has passed"),
        (json!({"kind": "every", "every": "5m", "jitter": "6m"}), "/schedule/jitter", "0s to"),
        (json!({"kind": "every", "every": "5m", "evry": "6m"}), "/schedule/evry", "unknown field"),
        (json!({"kind": "hourly"}), "/schedule/kind", "accepted are"),
        (json!({}), "/schedule/kind", "is required"),
    ] {
        let mut refusal = ksana.post("/schedules/preview", &schedule).refusal(400);
        assert_eq!(refusal["field"], field, "{refusal}");
        assert!(refusal["message"].as_str().expect("a text").contains(part), "{refusal}");
        // As of a new job, but for the place in the text and what time it is.
        let mut of_job = ksana.post("/jobs", &job("a", &schedule)).refusal(400);
        for refusal in [&mut refusal, &mut of_job] {
            let message = refusal["message"].as_str().expect("a text");
            let kept = message.split(" at line").next().and_then(|text| text.split(" after now").next());
            refusal["message"] = kept.expect("a text").into();
        }
        assert_eq!(refusal, of_job);
    }
    for (body, error) in [("", "invalid_json"), ("{", "invalid_json"), ("[]", "invalid"), ("\"@daily\"", "invalid")] {
        let refusal = ksana.call("POST", "/schedules/preview").body(body).send().refusal(400);
        assert_eq!((&refusal["error"], refusal.get("field")), (&json!(error), None), "{body}");
    }
    assert_eq!(ksana.get("/jobs").json(), json!([]));
}

#[test]
fn parameters_are_refused_by_name() {
    let ksana = Ksana::start();
    let id = ksana.create_id(&hourly(TARGET));
    let schedule = json!({"kind": "every", "every": "1h"});
    for query in ["count=0", "count=1001", "count=-1", "from=now", "from=2026-03-29T00:00:00+02:00"] {
        let name = query.split('=').next().expect("a name");
        for answer in [
            ksana.get(&format!("/jobs/{id}/next?{query}")),
            ksana.post(&format!("/schedules/preview?{query}"), &schedule),
        ] {
            let refusal = answer.refusal(400);
            let message = refusal["message"].as_str().expect("a text");
            assert!(message.starts_with(&format!("the parameter {name}=")), "{message}");
            assert!(message.contains("accepted are"), "{message}");
        }
    }
    let refusal = ksana.post("/schedules/preview?id=a%20b", &schedule).refusal(400);
    assert!(refusal["message"].as_str().is_some_and(|message| message.starts_with("the parameter id=")), "{refusal}");
    // That is none of these, and others are not looked at.
    assert_eq!(instants(&next_of(&ksana, &id, "id=a%20b&count=&_=1732300000")).len(), 20);
}

#[test]
fn other_paths_and_methods_are_answered_as_everywhere() {
    let ksana = Ksana::start();
    ksana.get("/jobs/nobody/next").refusal(404);
    ksana.get("/jobs/a%20b/next").refusal(404);
    ksana.get("/schedules").refusal(404);
    let id = ksana.create_id(&hourly(TARGET));
    for (method, path, allow) in [
        ("POST", format!("/jobs/{id}/next"), "GET, HEAD"),
        ("DELETE", format!("/jobs/{id}/next"), "GET, HEAD"),
        ("GET", "/schedules/preview".to_owned(), "POST"),
        ("PUT", "/schedules/preview".to_owned(), "POST"),
    ] {
        let answer = ksana.call(method, &path).send().expect(405);
        assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
    }
    let whole = ksana.get(&format!("/jobs/{id}/next")).expect(200);
    let head = ksana.call("HEAD", &format!("/jobs/{id}/next")).send().expect(200);
    assert_eq!((head.body.len(), head.header("content-length")), (0, whole.header("content-length")));
    assert_eq!(whole.header("content-type"), Some("application/json"));
    ksana.bare("GET", &format!("/jobs/{id}/next")).send().refusal(401);
    ksana.bare("POST", "/schedules/preview").send().refusal(401);
}
