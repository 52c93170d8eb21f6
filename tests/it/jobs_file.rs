//! Kept: data/jobs.json.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::support::{Answer, Builder, Ksana, Receiver, ahead, eventually, hourly, once, time, with};

const TARGET: &str = "http://127.0.0.1:9/";

/// The keys of the first job of the file, in the order in which they stand there.
fn keys_of_the_first_job(text: &str) -> Vec<String> {
    let (_, jobs) = text.split_once("\"jobs\"").expect("the file has jobs");
    let mut keys = Vec::new();
    let (mut depth, mut token, mut in_text) = (0, String::new(), false);
    for character in jobs.chars() {
        match character {
            '"' if in_text => in_text = false,
            '"' => (in_text, token) = (true, String::new()),
            _ if in_text => token.push(character),
            '{' | '[' => depth += 1,
            '}' | ']' => {
                depth -= 1;
                if depth == 1 {
                    break;
                }
            }
            ':' if depth == 2 => keys.push(token.clone()),
            _ => {}
        }
    }
    keys
}

/// Sets its flag when it goes, also when a test fails, so that nobody waits for it for ever.
struct SetAtTheEnd<'a>(&'a AtomicBool);

impl Drop for SetAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

const KEYS: [&str; 13] = [
    "id",
    "name",
    "enabled",
    "type",
    "http",
    "schedule",
    "timeout",
    "max_retries",
    "retry_backoff",
    "last_run_at",
    "next_run_at",
    "last_status",
    "last_error",
];

#[test]
fn the_file_is_pretty_and_has_the_documented_form() {
    let mut ksana = Ksana::start();
    let run_at = "2099-01-01T00:00:00Z";
    let job = json!({"name": "o", "http": {"url": TARGET}, "schedule": {"kind": "once", "run_at": run_at}});
    let job = ksana.create(&job);
    assert_eq!(ksana.stop(), 0);
    let text = fs::read_to_string(ksana.jobs_file()).expect("it is written");
    assert!(text.lines().count() > 20, "a person can read it:\n{text}");
    let file: Value = serde_json::from_str(&text).expect("it is JSON");
    assert_eq!(file["version"], 1);
    time(&file["updated_at"]);
    let keys: Vec<&String> = file.as_object().expect("it is an object").keys().collect();
    assert_eq!(keys.len(), 3, "{keys:?}");
    assert!(
        text.find("\"version\"") < text.find("\"updated_at\"") && text.find("\"updated_at\"") < text.find("\"jobs\"")
    );
    assert_eq!(keys_of_the_first_job(&text), KEYS, "nothing is to be said as state");
    assert_eq!(file["jobs"], json!([job]));
}

#[test]
fn what_has_no_place_in_a_job_stands_last_as_state_and_in_the_file_only() {
    let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/fails", [Answer::status(503)]);
    let id = ksana.create_id(&with(hourly(&receiver.url("/fails")), &json!({"retry_backoff": "1h"})));
    ksana.run_now(&id);
    receiver.wait_for_path("/fails", 1);
    let shown = ksana.get(&format!("/jobs/{id}")).text();
    assert!(!shown.contains("state"), "{shown}");
    assert_eq!(ksana.stop(), 0);
    let text = fs::read_to_string(ksana.jobs_file()).expect("it is written");
    let mut keys = keys_of_the_first_job(&text);
    assert_eq!(keys.pop().as_deref(), Some("state"), "{text}");
    assert_eq!(keys, KEYS);
}

#[test]
fn a_file_without_state_loads() {
    let mut ksana = Ksana::start();
    let id = ksana.create_id(&with(hourly(TARGET), &json!({"schedule": {"jitter": "10m"}})));
    assert_eq!(ksana.stop(), 0);
    let mut file = ksana.jobs_on_disk();
    file["jobs"][0].as_object_mut().expect("a job is an object").remove("state");
    fs::write(ksana.jobs_file(), file.to_string()).expect("own folder");
    ksana.start_again();
    let job = ksana.job(&id);
    assert!(time(&job["next_run_at"]) > ksana.launched_at, "{job}");
}

#[test]
fn a_person_may_mend_the_file() {
    let mut ksana = Ksana::start();
    let id = ksana.create_id(&hourly(TARGET));
    assert_eq!(ksana.stop(), 0);
    let mut file = ksana.jobs_on_disk();
    file["jobs"][0]["name"] = json!("mended");
    file["jobs"][0]["http"]["url"] = json!("http://127.0.0.1:9/mended");
    fs::write(ksana.jobs_file(), format!("{file:#}\n")).expect("own folder");
    ksana.start_again();
    let job = ksana.job(&id);
    assert_eq!((&job["name"], &job["http"]["url"]), (&json!("mended"), &json!("http://127.0.0.1:9/mended")));
}

#[test]
fn the_file_follows_the_changes_while_the_service_runs() {
    let ksana = Ksana::start();
    let id = ksana.create_id(&hourly(TARGET));
    let on_disk = |accept: &dyn Fn(&Value) -> bool| {
        eventually("the change to be seen in jobs.json", || {
            let text = fs::read_to_string(ksana.jobs_file()).ok()?;
            accept(&serde_json::from_str(&text).expect("it is whole")).then_some(())
        });
    };
    on_disk(&|file| file["jobs"][0]["id"] == id.as_str());
    ksana.patch(&id, &json!({"name": "renamed"})).expect(200);
    on_disk(&|file| file["jobs"][0]["name"] == "renamed");
    ksana.delete(&id).expect(204);
    on_disk(&|file| file["jobs"] == json!([]));
}

#[test]
fn the_file_is_whole_at_every_moment() {
    let ksana = Ksana::start();
    ksana.create(&with(hourly(TARGET), &json!({"http": {"body": "b".repeat(200_000)}})));
    eventually("the first snapshot", || ksana.jobs_file().exists().then_some(()));
    let done = AtomicBool::new(false);
    let ends_the_reader = SetAtTheEnd(&done);
    thread::scope(|scope| {
        let ends_the_reader = ends_the_reader;
        let reader = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                ksana.jobs_on_disk();
            }
        });
        let count = || ksana.jobs_on_disk()["jobs"].as_array().map_or(0, Vec::len);
        for jobs in [1, 20, 40] {
            eventually("the snapshot to be of now", || (count() >= jobs).then_some(()));
            for _ in 0..20 {
                ksana.create(&hourly(TARGET));
            }
        }
        drop(ends_the_reader);
        reader.join().expect("every reading was whole");
    });
}

#[test]
fn what_cannot_be_parsed_stops_the_start_by_path_line_and_column_and_is_left() {
    let broken = "{\n  \"version\": 1,\n  \"jobs\": [\n    {\"id\": \"a\", \"name\": }\n  ]\n}\n";
    let wrong_kind = "{\n  \"version\": 1,\n  \"jobs\": [\n    {\"id\": \"a\", \"name\": 5}\n  ]\n}\n";
    for text in [broken, wrong_kind] {
        let (code, ksana) = Builder::new().jobs_json(text).run_to_the_end();
        assert_ne!(code, 0);
        let path = ksana.jobs_file().display().to_string();
        let lines = ksana.log.find("error", &[&path]);
        let line = lines.first().unwrap_or_else(|| panic!("no error names {path} in\n{}", ksana.log.text()));
        let told = line.has(&["line 4", "column"]) || line.has(&[":4:"]) || line.field("line") == 4;
        assert!(told, "{}", line.raw);
        assert_eq!(fs::read_to_string(ksana.jobs_file()).expect("it is left"), text);
    }
    for text in ["", "no json", "[1]", "{\"version\": 1, \"jobs\": [", "{\"version\": 1, \"jobs\": 5}"] {
        let (code, ksana) = Builder::new().jobs_json(text).run_to_the_end();
        assert_ne!(code, 0, "{text:?}");
        assert_eq!(fs::read_to_string(ksana.jobs_file()).expect("it is left"), text);
    }
}

#[test]
fn a_version_that_is_not_ours_stops_the_start() {
    let text = r#"{"version": 99, "jobs": []}"#;
    let (code, ksana) = Builder::new().jobs_json(text).run_to_the_end();
    assert_ne!(code, 0);
    assert!(!ksana.log.find("error", &["99"]).is_empty(), "{}", ksana.log.text());
    assert_eq!(fs::read_to_string(ksana.jobs_file()).expect("it is left"), text);
}

#[test]
fn two_jobs_of_one_id_in_the_file_stop_the_start() {
    let job =
        r#"{"id": "twice", "name": "n", "http": {"url": "http://a/"}, "schedule": {"kind": "every", "every": "1h"}}"#;
    let (code, ksana) =
        Builder::new().jobs_json(format!(r#"{{"version": 1, "jobs": [{job}, {job}]}}"#)).run_to_the_end();
    assert_ne!(code, 0);
    assert!(!ksana.log.find("error", &["twice"]).is_empty(), "{}", ksana.log.text());
}

#[test]
fn of_two_processes_on_one_folder_the_second_is_refused() {
    let mut ksana = Ksana::start();
    let id = ksana.create_id(&hourly(TARGET));
    let (code, rival) = ksana.rival().run_to_the_end();
    assert_ne!(code, 0);
    let data = ksana.path("data").display().to_string();
    assert!(!rival.log.find("error", &[&data]).is_empty(), "{}", rival.log.text());
    ksana.job(&id);
    ksana.create(&hourly(TARGET));
    ksana.kill();
    let heir = ksana.rival().start();
    assert_eq!(heir.get("/jobs").json().as_array().map(Vec::len), Some(2), "a lock does not outlive its process");
}

#[test]
fn of_many_processes_started_at_once_on_one_folder_one_serves() {
    let home = Builder::new();
    let data = home.path("data").display().to_string();
    let start = || Builder::new().env("DATA_DIR", &data).launch();
    for _ in 0..3 {
        let mut rivals: Vec<Ksana> = (0..5).map(|_| start()).collect();
        let mut serve: Vec<&mut Ksana> = rivals
            .iter_mut()
            .filter_map(|rival| {
                if rival.has_come_to_listen() {
                    Some(rival)
                } else {
                    assert_ne!(rival.await_exit(), 0);
                    None
                }
            })
            .collect();
        assert_eq!(serve.len(), 1);
        serve[0].create(&hourly(TARGET));
        serve[0].kill();
    }
    let mut heir = start();
    assert!(heir.has_come_to_listen());
    assert_eq!(heir.get("/jobs").json().as_array().map(Vec::len), Some(3));
}

#[test]
fn a_restart_changes_no_job() {
    let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
    ksana.create(&with(hourly(&receiver.url("/")), &json!({"schedule": {"jitter": "30m"}, "name": "\u{1}\"ä\\日"})));
    let done = ksana.create_id(&once(&receiver.url("/"), ahead(300)));
    ksana.await_status(&done, "success");
    let paused = ksana.create_id(&hourly(TARGET));
    ksana.act(&paused, "pause").expect(200);
    let before = ksana.get("/jobs").text();
    for _ in 0..2 {
        ksana.restart();
        assert_eq!(ksana.get("/jobs").text(), before);
    }
    ksana.kill();
    ksana.start_again();
    assert_eq!(ksana.get("/jobs").text(), before);
}
