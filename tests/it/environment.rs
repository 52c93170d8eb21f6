//! Kept: environment.

use std::fs;
use std::net::TcpListener;

use serde_json::json;

use crate::support::{Builder, Ksana, free_port, hourly};

const TARGET: &str = "http://127.0.0.1:9/";

/// A wrong value, and something that the line must say of what is accepted.
const WRONG: &[(&str, &str, &[&str])] = &[
    ("PORT", "70000", &["65535"]),
    ("WORKERS", "0", &["10000", "10,000"]),
    ("DEFAULT_TIMEOUT", "5", &["1h", "10s", "300ms"]),
    ("MAX_RETRIES", "101", &["100"]),
    ("RETRY_BACKOFF", "-1s", &["24h"]),
    ("LOG_LEVEL", "loud", &["debug"]),
    ("MAX_CONNECTIONS", "many", &["1"]),
];

#[test]
fn port_0_takes_a_free_one_and_the_log_says_which() {
    let ksana = Ksana::with("PORT", "0");
    assert_ne!(ksana.port, 0);
    ksana.get("/health").expect(200);
}

#[test]
fn a_chosen_port_is_the_port() {
    let port = free_port();
    let ksana = Ksana::with("PORT", &port.to_string());
    assert_eq!(ksana.port, port);
    ksana.get("/jobs").expect(200);
}

#[test]
fn a_taken_port_stops_the_start_and_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let port = taken.local_addr().expect("it is bound").port().to_string();
    let (code, ksana) = Builder::new().env("PORT", &port).run_to_the_end();
    assert_ne!(code, 0);
    assert!(!ksana.log.find("error", &[&port]).is_empty(), "{}", ksana.log.text());
}

#[test]
fn all_wrong_values_are_told_at_once_each_with_variable_value_and_what_is_accepted() {
    let builder = WRONG.iter().fold(Builder::new(), |builder, (name, value, _)| builder.env(name, value));
    let (code, ksana) = builder.run_to_the_end();
    assert_ne!(code, 0);
    for (name, value, accepted) in WRONG {
        let lines = ksana.log.find("error", &[name, value]);
        assert_eq!(lines.len(), 1, "one line for {name} in\n{}", ksana.log.text());
        assert!(accepted.iter().any(|hint| lines[0].has(&[hint])), "{name}: {}", lines[0].raw);
    }
}

#[test]
fn each_value_is_held_to_its_bounds() {
    let wrong = [
        ("PORT", "-1"),
        ("PORT", "http"),
        ("HOST", "no such host"),
        ("WORKERS", "10001"),
        ("WORKERS", "1.5"),
        ("WORKERS", "four"),
        ("MAX_RETRIES", "-1"),
        ("DEFAULT_TIMEOUT", "0s"),
        ("DEFAULT_TIMEOUT", "2h"),
        ("DEFAULT_TIMEOUT", "10 s"),
        ("RETRY_BACKOFF", "25h"),
        ("MAX_CONNECTIONS", "0"),
    ];
    for (name, value) in wrong {
        let (code, ksana) = Builder::new().env(name, value).run_to_the_end();
        assert_ne!(code, 0, "{name}={value}");
        assert_eq!(ksana.log.find("error", &[name, value]).len(), 1, "{name}={value}\n{}", ksana.log.text());
    }
    for (name, value) in [("WORKERS", "1"), ("WORKERS", "10000"), ("MAX_RETRIES", "0"), ("RETRY_BACKOFF", "0s")] {
        Ksana::with(name, value).get("/health").expect(200);
    }
}

#[test]
fn a_job_that_names_none_gets_the_defaults() {
    let ksana = Ksana::start();
    let job = ksana.create(&hourly(TARGET));
    assert_eq!(job["timeout"], "10s");
    assert_eq!(job["max_retries"], 3);
    assert_eq!(job["retry_backoff"], "5s");
}

#[test]
fn the_defaults_come_from_the_environment() {
    let builder = Builder::new().env("DEFAULT_TIMEOUT", "1500ms").env("MAX_RETRIES", "7");
    let ksana = builder.env("RETRY_BACKOFF", "+0.25s").start();
    let job = ksana.create(&hourly(TARGET));
    assert_eq!(job["timeout"], "1.5s");
    assert_eq!(job["max_retries"], 7);
    assert_eq!(job["retry_backoff"], "250ms");
}

#[test]
fn an_empty_variable_is_an_unset_one() {
    let names = ["WORKERS", "DEFAULT_TIMEOUT", "MAX_RETRIES", "RETRY_BACKOFF", "LOG_LEVEL", "MAX_CONNECTIONS"];
    let ksana = names.iter().fold(Builder::new(), |builder, name| builder.env(name, "")).start();
    let job = ksana.create(&hourly(TARGET));
    assert_eq!([&job["timeout"], &job["retry_backoff"]], [&json!("10s"), &json!("5s")]);
    assert_eq!(job["max_retries"], 3);
}

#[test]
fn ksana_data_is_the_older_name_of_data_dir() {
    let builder = Builder::new().unset("DATA_DIR");
    let older = builder.path("older").display().to_string();
    let mut ksana = builder.env("KSANA_DATA", &older).start();
    ksana.create(&hourly(TARGET));
    assert_eq!(ksana.stop(), 0);
    assert!(ksana.path("older/jobs.json").exists());
}

#[test]
fn data_dir_wins_over_its_older_name() {
    let builder = Builder::new();
    let older = builder.path("older").display().to_string();
    let mut ksana = builder.env("KSANA_DATA", &older).start();
    ksana.create(&hourly(TARGET));
    assert_eq!(ksana.stop(), 0);
    assert!(ksana.jobs_file().exists());
    assert!(!ksana.path("older").exists());
}

#[test]
fn an_empty_data_dir_leaves_its_older_name() {
    let builder = Builder::new().env("DATA_DIR", "");
    let older = builder.path("older").display().to_string();
    let mut ksana = builder.env("KSANA_DATA", &older).start();
    ksana.create(&hourly(TARGET));
    assert_eq!(ksana.stop(), 0);
    assert!(ksana.path("older/jobs.json").exists());
}

#[test]
fn without_either_the_data_lie_in_the_working_directory() {
    let mut ksana = Builder::new().unset("DATA_DIR").start();
    ksana.create(&hourly(TARGET));
    assert_eq!(ksana.stop(), 0);
    assert!(ksana.jobs_file().exists());
}

#[test]
fn a_data_dir_that_is_no_folder_stops_the_start() {
    let builder = Builder::new().file("plain", "a file");
    let plain = builder.path("plain").display().to_string();
    let (code, ksana) = builder.env("DATA_DIR", &plain).run_to_the_end();
    assert_ne!(code, 0);
    assert!(!ksana.log.find("error", &[&plain]).is_empty(), "{}", ksana.log.text());
    assert_eq!(fs::read_to_string(plain).expect("it is left"), "a file");
}

#[test]
fn log_level_counts_in_any_case() {
    let quiet = Builder::new().env("LOG_LEVEL", "Error").env("PORT", free_port().to_string()).start();
    quiet.bare("GET", "/jobs").send().expect(401);
    assert_eq!(quiet.log.text(), "");

    let talkative = Ksana::with("LOG_LEVEL", "DEBUG");
    talkative.bare("GET", "/jobs").send().expect(401);
    talkative.log.wait_for("warn", &["/jobs"]);
}

#[test]
fn help_names_every_variable() {
    let (code, ksana) = Builder::new().argument("--help").run_to_the_end();
    assert_eq!(code, 0);
    let text = ksana.log.text();
    for name in [
        "PORT",
        "HOST",
        "DATA_DIR",
        "KSANA_DATA",
        "WORKERS",
        "DEFAULT_TIMEOUT",
        "MAX_RETRIES",
        "RETRY_BACKOFF",
        "LOG_LEVEL",
        "AUTH_KEYS_FILE",
        "MAX_CONNECTIONS",
    ] {
        assert!(text.contains(name), "{name} in\n{text}");
    }
}
