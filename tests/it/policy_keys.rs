//! New: the keys of a job that say how it bears what goes wrong — their limits, and that nobody sees them who set none.

use serde_json::{Value, json};

use crate::support::{Answer, Ksana, Receiver, ahead, eventually, hourly, once, with};

const TARGET: &str = "http://127.0.0.1:9/";

/// The keys in the order that they are shown in, between `retry_backoff` and `last_run_at`.
const KEYS: [&str; 6] = ["retry_backoff_max", "retry_for", "misfire", "misfire_window", "overlap", "overlap_max"];

fn all_set() -> Value {
    json!({
        "retry_backoff_max": "1m", "retry_for": "1h30m", "misfire": "all", "misfire_window": "24h",
        "overlap": "allow", "overlap_max": 7,
    })
}

/// Each of these is refused of a new job and as a change, and nothing has changed then.
fn refused(cases: &[(&str, Value)]) {
    let ksana = Ksana::start();
    let job = ksana.create(&hourly(TARGET));
    let id = job["id"].as_str().expect("a job has an id");
    for (field, change) in cases {
        for answer in [ksana.post("/jobs", &with(hourly(TARGET), change)), ksana.patch(id, change)] {
            assert_eq!(answer.status, 400, "{change}: {}", answer.text());
            let refusal = answer.refusal(400);
            assert_eq!(
                (&refusal["error"], &refusal["field"]),
                (&json!("invalid"), &json!(field)),
                "{change}: {refusal}"
            );
        }
    }
    assert_eq!(ksana.get("/jobs").json(), json!([job]));
}

#[test]
fn what_is_no_value_of_a_key_is_refused_by_field() {
    refused(&[
        ("/misfire", json!({"misfire": "never"})),
        ("/misfire", json!({"misfire": "Once"})),
        ("/misfire", json!({"misfire": true})),
        ("/misfire", json!({"misfire": ["all"]})),
        ("/misfire_window", json!({"misfire": "all", "misfire_window": 60})),
        ("/misfire_window", json!({"misfire": "all", "misfire_window": "an hour"})),
        ("/overlap", json!({"overlap": "twice"})),
        ("/overlap", json!({"overlap": 2})),
        ("/overlap_max", json!({"overlap": "allow", "overlap_max": "2"})),
        ("/overlap_max", json!({"overlap": "allow", "overlap_max": 2.5})),
        ("/retry_backoff_max", json!({"retry_backoff_max": 60})),
        ("/retry_backoff_max", json!({"retry_backoff_max": "more"})),
        ("/retry_for", json!({"retry_for": 3_600})),
        ("/retry_for", json!({"retry_for": "1 day"})),
        ("/misfire_windw", json!({"misfire": "all", "misfire_windw": "1h"})),
    ]);
}

#[test]
fn what_is_out_of_range_is_refused_by_field() {
    refused(&[
        ("/misfire_window", json!({"misfire": "all", "misfire_window": "999ms"})),
        ("/misfire_window", json!({"misfire": "once", "misfire_window": "-1h"})),
        ("/misfire_window", json!({"misfire": "all", "misfire_window": "8784h0m0.000000001s"})),
        ("/overlap_max", json!({"overlap": "allow", "overlap_max": -1})),
        ("/overlap_max", json!({"overlap": "allow", "overlap_max": 0})),
        ("/overlap_max", json!({"overlap": "allow", "overlap_max": 1})),
        ("/overlap_max", json!({"overlap": "allow", "overlap_max": 101})),
        ("/retry_backoff_max", json!({"retry_backoff": "0s", "retry_backoff_max": "-1ns"})),
        ("/retry_backoff_max", json!({"retry_backoff_max": "24h0m0.000000001s"})),
        ("/retry_for", json!({"retry_for": "0s"})),
        ("/retry_for", json!({"retry_for": "999ms"})),
        ("/retry_for", json!({"retry_for": "168h0m0.000000001s"})),
    ]);
}

#[test]
fn what_does_not_go_together_is_refused_by_field() {
    let jitter = json!({"schedule": {"kind": "every", "every": "1h", "jitter": "10m"}});
    refused(&[
        ("/misfire_window", json!({"misfire_window": "1h"})),
        ("/misfire_window", json!({"misfire": "skip", "misfire_window": "1h"})),
        ("/misfire_window", with(jitter.clone(), &json!({"misfire": "all", "misfire_window": "10m"}))),
        ("/overlap_max", json!({"overlap": "allow"})),
        ("/overlap_max", json!({"overlap": "allow", "overlap_max": ""})),
        ("/overlap_max", json!({"overlap_max": 2})),
        ("/overlap_max", json!({"overlap": "skip", "overlap_max": 2})),
        ("/overlap_max", json!({"overlap": "queue", "overlap_max": 2})),
        ("/overlap_max", json!({"overlap": "replace", "overlap_max": 2})),
        // Without one of its own a job's backoff is 5s.
        ("/retry_backoff_max", json!({"retry_backoff_max": "4999ms"})),
        ("/retry_backoff_max", json!({"retry_backoff": "1m", "retry_backoff_max": "59s"})),
        ("/retry_for", with(jitter, &json!({"retry_for": "10m"}))),
    ]);
}

#[test]
fn the_ends_of_each_range_are_taken() {
    let ksana = Ksana::start();
    let jitter = json!({"schedule": {"kind": "every", "every": "1h", "jitter": "10m"}});
    for change in [
        json!({"misfire": "once", "misfire_window": "1s"}),
        json!({"misfire": "all", "misfire_window": "8784h"}),
        json!({"overlap": "allow", "overlap_max": 2}),
        json!({"overlap": "allow", "overlap_max": 100}),
        json!({"retry_backoff_max": "5s"}),
        json!({"retry_backoff": "0s", "retry_backoff_max": "0s"}),
        json!({"retry_backoff": "24h", "retry_backoff_max": "24h"}),
        json!({"retry_for": "1s"}),
        json!({"retry_for": "168h"}),
        with(jitter, &json!({"misfire": "all", "misfire_window": "10m1s", "retry_for": "10m1s"})),
    ] {
        let id = ksana.create_id(&hourly(TARGET));
        let patched = ksana.patch(&id, &change).expect(200).json();
        let created = ksana.create(&with(hourly(TARGET), &change));
        for key in KEYS {
            assert_eq!((created.get(key), patched.get(key)), (change.get(key), change.get(key)), "{key} of {change}");
        }
    }
}

#[test]
fn a_patch_meets_what_the_job_has_already() {
    let ksana = Ksana::start();
    let id = ksana.create_id(&with(hourly(TARGET), &all_set()));
    let before = ksana.job(&id);
    for (field, change) in [
        ("/misfire_window", json!({"misfire": "skip", "misfire_window": "1h"})),
        ("/overlap_max", json!({"overlap_max": ""})),
        ("/overlap_max", json!({"overlap": "queue", "overlap_max": 3})),
        ("/retry_backoff_max", json!({"retry_backoff": "2m"})),
        ("/retry_for", json!({"schedule": {"kind": "every", "every": "2h", "jitter": "90m"}})),
        ("/misfire_window", json!({"schedule": {"kind": "every", "every": "24h", "jitter": "24h"}})),
    ] {
        let refusal = ksana.patch(&id, &change).refusal(400);
        assert_eq!(refusal["field"], field, "{change}: {refusal}");
    }
    assert_eq!(ksana.job(&id), before);
    // A bound goes with what it bounds.
    let skip = ksana.patch(&id, &json!({"misfire": ""})).expect(200).json();
    assert_eq!((skip.get("misfire"), skip.get("misfire_window")), (None, None));
    let queue = ksana.patch(&id, &json!({"overlap": "queue"})).expect(200).json();
    assert_eq!((&queue["overlap"], queue.get("overlap_max")), (&json!("queue"), None));
    ksana.patch(&id, &json!({"overlap": "allow"})).refusal(400);
    let max = ksana.patch(&id, &json!({"overlap": "allow", "overlap_max": 3})).expect(200).json();
    assert_eq!(ksana.patch(&id, &json!({"overlap": "allow"})).expect(200).json(), max, "as it is already");
}

#[test]
fn an_empty_text_takes_a_key_back_and_null_leaves_it() {
    let ksana = Ksana::start();
    let plain = ksana.create(&with(hourly(TARGET), &json!({"id": "a"})));
    let set = ksana.patch("a", &all_set()).expect(200).json();
    assert_eq!(set, with(plain.clone(), &all_set()), "and nothing else is another");
    let all = |value: &Value| Value::Object(KEYS.map(|key| (key.to_owned(), value.clone())).into_iter().collect());
    assert_eq!(ksana.patch("a", &all(&Value::Null)).expect(200).json(), set);
    assert_eq!(ksana.patch("a", &json!({})).expect(200).json(), set);
    for keys in [&KEYS[..1], &KEYS[1..2], &KEYS[2..4], &KEYS[4..]] {
        let empty: Value = Value::Object(keys.iter().map(|key| ((*key).to_owned(), json!(""))).collect());
        let left = ksana.patch("a", &empty).expect(200).json();
        assert!(keys.iter().all(|key| left.get(*key).is_none()), "{left}");
    }
    assert_eq!(ksana.job("a"), plain);
    // What is so by default is not shown, whoever says it.
    let usual = json!({"misfire": "skip", "overlap": "skip"});
    assert_eq!(ksana.patch("a", &usual).expect(200).json(), plain);
    for value in [json!(""), Value::Null] {
        let created = ksana.create(&with(hourly(TARGET), &all(&value)));
        assert!(KEYS.iter().all(|key| created.get(*key).is_none()), "{created}");
    }
}

#[test]
fn the_keys_outlast_a_restart_and_stand_in_their_order() {
    let mut ksana = Ksana::start();
    ksana.create(&with(hourly(TARGET), &with(all_set(), &json!({"id": "a"}))));
    let after = json!({"id": "b", "schedule": {"kind": "after", "after": "1h", "max_runs": 3}, "overlap": "replace"});
    let job = json!({"name": "a job", "http": {"url": TARGET}});
    ksana.create(&with(with(job, &after), &json!({"misfire": "once"})));
    let shown = ksana.get("/jobs").text();
    let in_order = [&["\"retry_backoff\""], &KEYS.map(|key| key)[..], &["last_run_at"]].concat();
    let places: Vec<_> = in_order.iter().map(|key| shown.find(*key).expect(key)).collect();
    assert!(places.is_sorted(), "{in_order:?} stand at {places:?}");
    for is_killed in [true, false, true] {
        ksana.end(is_killed);
        ksana.start_again();
        assert_eq!(ksana.get("/jobs").text(), shown, "killed: {is_killed}");
    }
    let on_disk = ksana.jobs_on_disk();
    for (key, value) in all_set().as_object().expect("it is one") {
        assert_eq!(on_disk["jobs"][0][key], *value, "{key}");
    }
    // What was read can be sent back.
    let job = ksana.job("a");
    assert_eq!(ksana.patch("a", &job).expect(200).json(), job);
    assert_eq!(ksana.create(&with(job, &json!({"id": "c"})))["overlap_max"], 7);
}

/// Waits until `jobs.json` says of its first job what `accept` looks for, and gives the job.
fn await_on_disk(ksana: &Ksana, accept: impl Fn(&Value) -> bool) -> Value {
    eventually("jobs.json to say so", || {
        let file = ksana.jobs_file().exists().then(|| ksana.jobs_on_disk())?;
        Some(file["jobs"][0].clone()).filter(|job| accept(job))
    })
}

fn keys(object: &Value) -> Vec<&str> {
    object.as_object().map(|object| object.keys().map(String::as_str).collect()).unwrap_or_default()
}

#[test]
fn a_job_that_sets_none_looks_as_ever() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/held", [Answer::status(503).held()]);
    let run_at = ahead(1_100);
    let job = json!({"id": "a", "http": {"method": "GET"}, "retry_backoff": "1h", "max_retries": 1});
    ksana.create(&with(once(&receiver.url("/held"), run_at), &job));
    let (url, next) = (receiver.url("/held"), run_at.to_string());
    let expected = |next: &str| {
        format!(
            r#"{{"id":"a","name":"a job","enabled":true,"type":"http","http":{{"method":"GET","url":"{url}","headers":{{}},"body":""}},"schedule":{{"kind":"once","run_at":"{run_at}"}},"timeout":"10s","max_retries":1,"retry_backoff":"1h","last_run_at":"","next_run_at":"{next}","last_status":"","last_error":""}}"#
        )
    };
    assert_eq!(ksana.get("/jobs/a").text(), expected(&next));
    receiver.wait_for_path("/held", 1);
    assert_eq!(ksana.get("/jobs/a").text(), expected(""));

    let shown = ksana.job("a");
    let on_disk = await_on_disk(&ksana, |job| job["state"]["run"]["phase"] == "in_flight");
    let mut on_wire = on_disk.clone();
    let state = on_wire["state"].take();
    assert_eq!(on_wire, with(shown, &json!({"state": null})));
    assert_eq!(keys(&state), ["fired", "run"]);
    let run = ["attempts", "began_at", "due_at", "id", "phase", "scheduled_at", "started_at"];
    assert_eq!(keys(&state["run"]), run);
    receiver.release("/held");
    let waits = await_on_disk(&ksana, |job| job["state"]["run"]["phase"] == "waiting");
    let run = ["attempts", "began_at", "due_at", "id", "phase", "retry_at", "scheduled_at", "started_at", "tried"];
    assert_eq!(keys(&waits["state"]["run"]), run);
}
