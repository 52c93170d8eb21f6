//! The documents for users, held against the code: what stands in their tables and examples is so.

use std::collections::BTreeSet;
use std::fs;

use jiff::Timestamp;
use ksana::config::{Config, VARIABLES, Variable};
use ksana::keys::KeySet;
use ksana::metrics::{Metrics, Seen};

const README: (&str, &str) = ("README.md", include_str!("../README.md"));
const README_ZH: (&str, &str) = ("README.zh-CN.md", include_str!("../README.zh-CN.md"));
const ROUTES_SOURCE: &str = include_str!("../src/api/routes.rs");

/// The README's version of the route table.
const ROUTES: [&str; 19] = [
    "POST /jobs",
    "GET /jobs",
    "GET /jobs/{id}",
    "PATCH /jobs/{id}",
    "DELETE /jobs/{id}",
    "POST /jobs/{id}/run-now",
    "POST /jobs/{id}/cancel",
    "POST /jobs/{id}/pause",
    "POST /jobs/{id}/resume",
    "GET /jobs/{id}/next",
    "GET /jobs/{id}/runs",
    "GET /runs",
    "GET /runs/{run_id}",
    "POST /runs/{run_id}/replay",
    "POST /schedules/preview",
    "GET /events",
    "GET /health",
    "GET /ready",
    "GET /metrics",
];

/// How the lines of a table of routes begin, beside the routes themselves.
const METHODS: [&str; 4] = ["GET", "POST", "PATCH", "DELETE"];

#[test]
fn every_variable_stands_in_the_readme_as_the_code_has_it() {
    let wanted: Vec<String> = VARIABLES.iter().map(Variable::markdown_row).collect();
    assert_eq!(rows(README.1, "| variable |"), wanted);
}

/// The meaning may be in Chinese; name, default and what is accepted stand as the code has them.
#[test]
fn every_variable_stands_in_the_chinese_readme_with_the_same_values() {
    let found: Vec<Vec<String>> = rows(README_ZH.1, "| 变量 |").iter().map(|row| cells(row)[..3].to_vec()).collect();
    let wanted: Vec<Vec<String>> =
        VARIABLES.iter().map(|variable| cells(&variable.markdown_row())[..3].to_vec()).collect();
    assert_eq!(found, wanted);
}

#[test]
fn route_tables_list_the_routes_and_nothing_else() {
    for (file, text) in [README, README_ZH] {
        let is_route = |cell: &String| METHODS.iter().any(|method| cell.starts_with(&format!("`{method} /")));
        let found: Vec<String> = text
            .lines()
            .filter(|line| line.starts_with('|'))
            .map(|row| cells(row)[0].clone())
            .filter(is_route)
            .collect();
        assert_eq!(found, ROUTES.map(|route| format!("`{route}`")), "{file}");
    }
}

#[test]
fn routes_are_those_of_the_code() {
    let calls = [("GET", ".any(&READ, \""), ("POST", ".post(\""), ("PATCH", ".patch(\""), ("DELETE", ".delete(\"")];
    let mut found = BTreeSet::new();
    for line in ROUTES_SOURCE.lines() {
        for (method, call) in calls {
            let path = line.trim().strip_prefix(call).and_then(|rest| rest.split('"').next());
            found.extend(
                path.map(|path| format!("{method} {}", path.replace(":id", "{id}").replace(":run_id", "{run_id}"))),
            );
        }
    }
    assert_eq!(found, ROUTES.iter().map(ToString::to_string).collect());
}

#[test]
fn every_curl_line_names_a_route_and_every_route_has_one() {
    for (file, text) in [README, README_ZH] {
        let mut called = BTreeSet::new();
        for line in shell_lines(text).filter(|line| line.starts_with("curl ")) {
            let route = route_of_curl(line);
            assert!(ROUTES.contains(&route.as_str()), "{file}: {line}: there is no {route}");
            called.insert(route);
        }
        assert_eq!(called, ROUTES.iter().map(ToString::to_string).collect(), "{file}");
    }
}

#[test]
fn both_readmes_show_the_same_commands() {
    let commands = |text| shell_lines(text).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(commands(README_ZH.1), commands(README.1));
}

#[test]
fn tables_of_both_readmes_have_the_same_shape() {
    let shape = |text: &str| text.lines().filter(|line| line.starts_with("|---")).map(str::len).collect::<Vec<_>>();
    let count = |text: &str| text.lines().filter(|line| line.starts_with('|')).count();
    assert_eq!(shape(README_ZH.1), shape(README.1));
    assert_eq!(count(README_ZH.1), count(README.1));
}

/// Those of the process are everybody's, and stand in no table.
#[test]
fn every_metric_stands_in_both_readmes_as_the_code_has_it() {
    let metrics = Metrics::new(Timestamp::MAX, 4);
    metrics.next_due.set(Some(Timestamp::MAX));
    metrics.store.snapshot_at.set(Some(Timestamp::MAX));
    let page = metrics.page(&Seen::default());
    let families = page.lines().filter_map(|line| line.strip_prefix("# TYPE ksana_")?.split_once(' '));
    let wanted: Vec<[String; 2]> = families.map(|(name, kind)| [format!("`ksana_{name}`"), kind.to_owned()]).collect();
    assert!(!wanted.is_empty());
    for (text, head) in [(README.1, "| metric |"), (README_ZH.1, "| 指标 |")] {
        let found: Vec<_> = rows(text, head).into_iter().map(|row| cells(row)[..2].to_vec()).collect();
        assert_eq!(found, wanted);
        for rule in text.lines().filter_map(|line| line.trim().strip_prefix("expr: ")) {
            let words = rule.split(|c: char| !(c.is_ascii_lowercase() || c == '_'));
            for name in words.filter(|word| word.starts_with("ksana_")) {
                let is_sample =
                    page.lines().any(|line| line.starts_with(name) && line[name.len()..].starts_with([' ', '{']));
                assert!(is_sample, "{rule}: there is no {name}");
            }
        }
    }
}

#[test]
fn every_file_of_config_is_parsed() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/config");
    let mut parsed = Vec::new();
    for entry in fs::read_dir(folder).expect("config/ is part of the repository") {
        let path = entry.expect("the folder can be listed").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("the names are text").to_owned();
        match name.as_str() {
            // The first is made by a run in this folder, and is nobody else's.
            "api_keys.txt" | "api_keys.example.txt" => {
                let keys = KeySet::parse(&fs::read(&path).expect(&name)).expect(&name);
                assert!(!keys.is_empty() || name == "api_keys.txt", "{name} holds no key");
            }
            "ksana.env.example" => check_environment(&fs::read_to_string(&path).expect(&name)),
            other => panic!("config/{other}: this test does not know how to parse it"),
        }
        parsed.push(name);
    }
    for expected in ["api_keys.example.txt", "ksana.env.example"] {
        assert!(parsed.iter().any(|name| name == expected), "{expected} is missing");
    }
}

/// A line is empty, a comment (`# …`), or a variable, set (`NAME=value`) or shown (`#NAME=value`).
fn check_environment(text: &str) {
    let mut set = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && *line != "#" && !line.starts_with("# ")) {
        let (name, value) = line.trim_start_matches('#').split_once('=').expect(line);
        assert!(VARIABLES.iter().any(|variable| variable.name == name), "{line}: no such variable");
        set.push((name, value));
    }
    let given = |name: &str| set.iter().find(|set| set.0 == name).map(|set| set.1.into());
    Config::from_vars(given).expect("the values are accepted");
    assert_eq!(set.len(), VARIABLES.len());
}

/// The rows of the one table whose head begins so.
fn rows<'t>(text: &'t str, head: &str) -> Vec<&'t str> {
    let mut lines = text.lines().skip_while(|line| !line.starts_with(head));
    assert!(lines.next().is_some(), "no table begins with {head}");
    lines.skip(1).take_while(|line| line.starts_with('|')).collect()
}

/// The cells of a row. A table here has no `|` inside a cell.
fn cells(row: &str) -> Vec<String> {
    row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
}

/// The lines of all blocks of shell.
fn shell_lines(text: &str) -> impl Iterator<Item = &str> {
    let mut is_shell = false;
    text.lines().filter(move |line| {
        if line.starts_with("```") {
            is_shell = *line == "```sh";
            return false;
        }
        is_shell
    })
}

/// The route that a command calls, by curl's own rules: `-d` makes a POST of what `-X` leaves open.
fn route_of_curl(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let explicit = words.iter().position(|word| *word == "-X").map(|at| words[at + 1]);
    let method = explicit.unwrap_or(if words.contains(&"-d") { "POST" } else { "GET" });
    let url = words.iter().find_map(|word| word.trim_matches('"').strip_prefix("$KSANA")).expect(line);
    let path = url.split('?').next().unwrap_or(url);
    let mut segments: Vec<&str> = path.split('/').collect();
    if let ["", list @ ("jobs" | "runs"), id, ..] = segments[..] {
        assert!(!id.is_empty(), "{line}");
        segments[2] = if list == "jobs" { "{id}" } else { "{run_id}" };
    }
    format!("{method} {}", segments.join("/"))
}
