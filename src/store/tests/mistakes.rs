//! What a person may do wrong in `jobs.json`, and what he is told: where it is, what it is, what is accepted.

use std::fmt::Write as _;

use super::super::snapshot;
use super::world::{DEFAULTS, World};

const JOBS: &str = "jobs.json";

/// A file of two jobs, a key a line; the second one has these keys besides or instead.
fn file(keys: &[(&str, &str)]) -> String {
    let mut second = vec![
        ("id", r#""b""#),
        ("name", r#""n""#),
        ("http", r#"{"url": "http://a/"}"#),
        ("schedule", r#"{"kind": "every", "every": "1h"}"#),
    ];
    for (key, value) in keys {
        second.retain(|(known, _)| known != key);
        second.extend(Some((*key, *value)).filter(|(_, value)| !value.is_empty()));
    }
    let mut text = String::from("{\n\"version\": 1,\n\"jobs\": [\n");
    text.push_str(r#"{"id": "a", "http": {"url": "http://a/"}, "schedule": {"kind": "every", "every": "1h"}},"#);
    for (index, (key, value)) in second.iter().enumerate() {
        let before = if index == 0 { "\n{\n" } else { ",\n" };
        write!(text, "{before}\"{key}\": {value}").expect("a text takes all");
    }
    text.push_str("\n}\n\n]}\n");
    text
}

/// Checks that this is told, and that it begins so and has that part.
#[track_caller]
fn check(text: impl AsRef<[u8]>, start: &str, part: &str) {
    let shown = String::from_utf8_lossy(text.as_ref()).into_owned();
    let told = snapshot::read(text.as_ref(), &DEFAULTS, |_| {}).expect_err(&shown);
    assert!(told.starts_with(&format!("{start}: ")) && told.contains(part), "{shown}\n{told}");
    assert!(!told.contains("s3cret"), "{told}");
}

#[test]
fn a_mistake_stops_the_start_and_the_file_is_left() {
    let world = World::new();
    world.write(JOBS, file(&[("timeout", "10")]));
    let told = world.refused();
    let path = world.join(JOBS).display().to_string();
    assert!(told.starts_with(&format!("cannot parse {path}: line 10 column 13: /jobs/1/timeout: ")), "{told}");
    assert_eq!(world.names(), [JOBS], "nothing was made beside it");
}

#[test]
fn what_is_not_json_is_told_where_it_is_noticed_or_a_comma_before_where_it_stands() {
    let good = file(&[]);
    check(good.replace("\"b\",", "\"b\""), "line 7 column 1", "expected `,` or `}`");
    check(good.replace("\n}\n\n]", ",\n}\n\n]"), "line 9 column 45", "no comma behind the last item");
    check(good.replace("}\n\n]", "},\n\n]"), "line 10 column 2", "trailing comma");
    check(good.replace("\"name\"", "// my job\n\"name\""), "line 7 column 1", "JSON has no comments");
    check(good.replace("\"name\"", "name"), "line 7 column 1", "stand in \"\"");
    check(good.replace("\"n\"", "'n'"), "line 7 column 9", "stand in \"\"");
    check(good.replace("\"n\"", "\"n"), "line 7 column 12", "control character");
    check(good.replace("\"n\"", "\"日本\" 5"), "line 7 column 14", "expected `,` or `}`");
    check(&good[..good.len() - 4], "line 10 column 2", "EOF");
    check(format!("{good}{{}}"), "line 13 column 1", "trailing characters");
    check(good.replace("\"n\"", r#""\ud800""#), "line 7 column 16", "hex escape");
    check(good.replace('\n', "\r\n").replace("\"n\"", "n"), "line 7 column 10", "not JSON");
    check("[".repeat(100_000), "line 1 column 1", "an object with version, updated_at and jobs");
    check(file(&[("last_error", &"[".repeat(100_000))]), "line 10 column 15", "/jobs/1/last_error");
}

#[test]
fn what_is_no_text_is_told_as_such() {
    let good = file(&[]);
    for empty in ["", " \n\n", "\u{feff}"] {
        check(empty, "line 1 column 1", "the file is empty; accepted is an object");
    }
    let latin_1 = good.replace("\"n\"", "\"straße s3cret\"").replace('ß', "\u{1}").into_bytes();
    let latin_1: Vec<u8> = latin_1.into_iter().map(|byte| if byte == 1 { 0xdf } else { byte }).collect();
    check(latin_1, "line 7 column 14", "not UTF-8");
    check(b"\xff\xfe{\0}\0", "line 1 column 1", "not UTF-8");
    check(b"\0{\0}", "line 1 column 1", "zero byte");
    check(format!("{good}\0\0"), "line 13 column 1", "zero byte");
    check("\u{feff}{\"version\": 2}", "line 1 column 13", "/version");
}

#[test]
fn a_key_of_the_file_is_told_where_it_stands() {
    check("{\n\"version\": 2,\n\"jobs\": []\n}", "line 2 column 12", "/version: version 2 is not known; accepted is 1");
    check("{\"jobs\": [],\n\"version\": 2\n\n}", "line 2 column 12", "version 2 is not known; accepted is 1");
    for (version, column) in [("\"1\"", 14), ("1.0", 14), ("-1", 13), ("null", 15)] {
        let place = format!("line 2 column {column}");
        check(format!("{{\n\"version\": {version}\n}}"), &place, "/version: invalid type: ");
    }
    check("{\n\"jbos\": []}", "line 2 column 6", "unknown key \"jbos\"; accepted are version, updated_at and jobs");
    check("{\"jobs\": [],\n\"jobs\": []}", "line 2 column 6", "the key \"jobs\" stands twice");
    check("{\"jobs\":\n{\"a\": {}}}", "line 2 column 1", "/jobs: invalid type: map, expected a list of jobs");
    check("{\"jobs\":\n\"s3cret\"}", "line 2 column 8", "expected a list of jobs");
    check("{\"jobs\": [\n\"s3cret\"]}", "line 2 column 8", "/jobs/0: invalid type: string, expected a job");
}

#[test]
fn a_key_of_a_job_is_told_by_its_pointer_and_what_is_accepted() {
    let told = |key: &str, value: &str, column: u32, part: &str| {
        let text = file(&[(key, value)]);
        let line = text.lines().position(|line| line.starts_with(&format!("\"{key}\""))).expect("it stands there") + 1;
        check(text, &format!("line {line} column {column}"), part);
    };
    told("nmae", "1", 6, "/jobs/1/nmae: unknown field `nmae`, expected one of `id`, `name`");
    told("http", r#"{"uri": "x"}"#, 14, "/jobs/1/http/uri: unknown field `uri`, expected one of `method`");
    told("http", "\"s3cret\"", 16, "/jobs/1/http: invalid type: string, expected an object with method");
    told("http", r#"{"headers": {"X": 5}}"#, 27, "/jobs/1/http/headers/X: invalid type: integer, expected a string");
    told("http", r#"{"url": "a", "url": "b"}"#, 26, "/jobs/1/http: duplicate field `url`");
    told("id", "\"a b\"", 11, "/jobs/1/id: not an id; accepted are 1 to 128");
    told("id", "\"a\" ", 7, "/jobs/1/id: the id a stands twice");
    told("id", "null", 7, "/jobs/1/id: is required");
    told("type", "\"grpc\"", 9, "/jobs/1/type: \"grpc\" is not a type; accepted is \"http\"");
    told("schedule", r#"{"kind": "week"}"#, 22, "/jobs/1/schedule/kind: \"week\" is not a kind of schedule; accepted");
    told("schedule", r#"{"kind": "once"}"#, 13, "/jobs/1/schedule/run_at: is required for kind once");
    told("max_retries", "9223372036854775808", 34, "expected a whole number that fits into 64 bits");
    told("max_retries", "1.5", 18, "/jobs/1/max_retries: invalid type: floating point, expected a whole number");
    told("next_run_at", "\"soon\"", 21, "/jobs/1/next_run_at: \"soon\" is not a time; accepted is RFC 3339");
    told("last_status", "\"odd\"", 20, "/jobs/1/last_status: \"odd\" is not a status; accepted are success");
    told("state", r#"{"run": {"id": "x"}}"#, 27, "/jobs/1/state/run/id: \"x\" is not a UUID; accepted are");
    told("state", r#"{"held": true, "run": {"phase": "[\"}"}}"#, 32, "/jobs/1/state/run/began_at: is required");
    let (began_at, id) = ("2025-01-01T00:00:00Z", "0198c9f2-5d0e-7a40-9a61-0c8f1b0d3b11");
    let run = format!(r#"{{"run": {{"id": "{id}", "began_at": "{began_at}", "phase": "odd"}}}}"#);
    told("state", &run, 110, "/jobs/1/state/run/phase: must be \"behind\", \"queued\"");
    check(file(&[("schedule", "")]), "line 5 column 1", "/jobs/1/schedule: is required: {\"kind\":\"once\"");
}

#[test]
fn what_is_long_or_breaks_lines_is_told_in_one_short_line() {
    let long = "x".repeat(100_000);
    for (text, end) in [
        (file(&[("timeout", &format!("\"{long}\""))]), "with the units ns, us, µs, ms, s, m, h"),
        (file(&[(&long, "1")]), "`last_error`, `state`"),
    ] {
        let told = snapshot::read(text.as_bytes(), &DEFAULTS, |_| {}).expect_err("it is wrong");
        assert!(told.len() < 1_000 && told.ends_with(end), "{told}");
    }
    check(file(&[("a\\n\\u001b[31m", "1")]), "line 10 column 15", "/jobs/1/a\\n\\u{1b}[31m: unknown field");
}

#[test]
fn a_file_of_no_version_is_of_ours() {
    let text = file(&[]).replace("\"version\": 1,", "");
    let mut jobs = 0;
    snapshot::read(text.as_bytes(), &DEFAULTS, |_| jobs += 1).expect("it loads");
    assert_eq!(jobs, 2);
}
