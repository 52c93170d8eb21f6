//! `ksana check`: its words and its exit codes, beside what a start does with the same files.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::{Builder, Ksana};

const GOOD: &str = r#"{"version": 1, "jobs": [{"id": "a", "name": "n", "http": {"url": "http://127.0.0.1:9/"},
    "schedule": {"kind": "every", "every": "1h"}}]}"#;

/// What check says of the files of a builder that is not started, with these variables besides.
fn check(builder: &Builder, env: &[(&str, &str)]) -> (Option<i32>, String, String) {
    check_in(&builder.path("data"), &builder.path("config/api_keys.txt"), env)
}

fn check_in(data: &Path, keys: &Path, env: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_ksana"))
        .arg("check")
        .env_clear()
        .env("DATA_DIR", data)
        .env("AUTH_KEYS_FILE", keys)
        .envs(env.iter().copied())
        .output()
        .expect("the binary runs");
    let Output { status, stdout, stderr } = output;
    let text = |bytes| String::from_utf8(bytes).expect("it speaks UTF-8");
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn good_files_are_counted_and_end_with_0() {
    let (code, told, wrong) = check(&Builder::new().jobs_json(GOOD), &[]);
    assert_eq!((code, wrong.as_str()), (Some(0), ""));
    assert!(told.contains("settings: good") && told.contains("1 keys") && told.contains("1 jobs"), "{told}");
}

#[test]
fn what_stops_a_start_ends_with_78_as_the_start_does() {
    for text in ["", "{", &GOOD.replace("1h", "1 h"), &GOOD.replace("\"version\": 1", "\"version\": 2")] {
        let builder = Builder::new().jobs_json(text);
        let (code, _, wrong) = check(&builder, &[]);
        assert_eq!(code, Some(78), "{text}: {wrong}");
        let path = builder.path("data/jobs.json").display().to_string();
        let told =
            wrong.strip_prefix(&format!("wrong: cannot parse {path}: line ")).unwrap_or_else(|| panic!("{wrong}"));
        let (started, ksana) = builder.run_to_the_end();
        assert_eq!(started, 78, "{text}");
        let lines = ksana.log.find("error", &[&path]);
        assert_eq!(lines.len(), 1, "{}", ksana.log.text());
        assert!(told.contains(" column "), "{told}");
    }
    let (code, _, wrong) = check(&Builder::new().jobs_json(GOOD), &[("WORKERS", "0"), ("PORT", "x")]);
    assert_eq!(code, Some(78), "{wrong}");
    assert!(wrong.contains("WORKERS") && wrong.contains("PORT"), "{wrong}");
    assert_eq!(Builder::new().env("WORKERS", "0").run_to_the_end().0, 78);
}

#[test]
fn what_a_start_only_warns_of_is_warned_of_and_ends_with_0() {
    let builder = Builder::new().jobs_json(GOOD.replace("1h", "1ms")).file("config/api_keys.txt", "# none\n");
    let (code, told, warned) = check(&builder, &[]);
    assert_eq!(code, Some(0), "{warned}");
    assert!(told.contains("1 jobs"), "{told}");
    for part in ["job a: /schedule/every: 1ms is out of range", "holds no key"] {
        assert!(warned.lines().any(|line| line.starts_with("warning: ") && line.contains(part)), "{warned}");
    }
    assert_eq!(check(&Builder::new().without_key_file(), &[]).0, Some(0));
    let mut ksana = builder.start();
    assert_eq!(ksana.stop(), 0, "the service starts with these files");
}

#[test]
fn a_history_that_cannot_be_read_is_warned_of() {
    let builder = Builder::new().jobs_json(GOOD).file("data/runs", "");
    let (code, told, warned) = check(&builder, &[]);
    assert_eq!(code, Some(0), "{warned}");
    assert!(told.contains("1 jobs"), "{told}");
    let part = format!("{}: the history of runs cannot be read", builder.path("data/runs").display());
    assert!(warned.lines().any(|line| line.starts_with("warning: ") && line.contains(&part)), "{warned}");
    assert_eq!(fs::read(builder.path("data/runs")).expect("it is there"), b"", "nothing is changed");
}

#[test]
fn beside_a_running_service_that_has_written_nothing_yet_nothing_is_wrong() {
    let ksana = Ksana::start();
    assert!(!ksana.jobs_file().exists(), "nothing has changed");
    let (code, told, wrong) = check_in(&ksana.path("data"), &ksana.key_file(), &[]);
    assert_eq!((code, wrong.as_str()), (Some(0), ""));
    assert!(told.contains("a running service uses it"), "{told}");
}

#[test]
fn no_secret_of_a_job_is_told() {
    for http in [
        r#"{"url": "http://h/", "headers": "s3cret"}"#,
        r#"{"url": "http://h/", "headers": {"X": 53153153}}"#,
        r#"{"url": "http://h/", "headers": {"X": "s3cret\n"}}"#,
        r#"{"url": "http://h/", "headers": {"X": ["s3cret"]}}"#,
        r#"{"url": "http://h/", "body": {"token": "s3cret"}}"#,
        r#"{"url": "http://h/", "body": 53153153}"#,
        r#"{"url": "http://user:s3cret@ h/"}"#,
        r#"{"url": "http://h/", "body": "s3cret" "x"}"#,
        r#"{"url": "http://h/", "body": "s3cret\x"}"#,
        r#""s3cret""#,
    ] {
        let builder = Builder::new().jobs_json(GOOD.replace(r#"{"url": "http://127.0.0.1:9/"}"#, http));
        let (_, told, wrong) = check(&builder, &[]);
        assert!(!wrong.is_empty(), "{http}");
        for secret in ["s3cret", "53153153"] {
            assert!(!format!("{told}{wrong}").contains(secret), "{http}: {wrong}");
        }
    }
}
