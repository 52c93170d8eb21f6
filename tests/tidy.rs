//! What reviewers would otherwise have to say twice.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The arrows of `ARCHITECTURE.md`: what each part may name. `limits` may be named by all.
const ARROWS: &[(&str, &[&str])] = &[
    ("alarm", &[]),
    ("api", &["alarm", "engine", "events", "inbox", "job", "keys", "ledger", "listen", "metrics", "vitals"]),
    ("check", &["config", "daemon", "engine", "keys", "ledger", "store"]),
    ("checked_line", &[]),
    ("cli", &["config", "cron", "ledger", "runs"]),
    ("clock", &[]),
    ("config", &["job", "log"]),
    ("cron", &[]),
    (
        "daemon",
        &[
            "api",
            "clock",
            "config",
            "disk",
            "engine",
            "events",
            "executor",
            "inbox",
            "job",
            "keys",
            "ledger",
            "listen",
            "log",
            "metrics",
            "review",
            "scheduler",
            "shared",
            "store",
            "systemd",
            "vitals",
        ],
    ),
    ("disk", &[]),
    ("engine", &["job"]),
    ("events", &["job"]),
    ("executor", &["alarm", "engine", "job"]),
    ("healthcheck", &["config", "listen"]),
    ("inbox", &["engine", "job", "shared"]),
    ("job", &["cron"]),
    ("keys", &[]),
    ("ledger", &["checked_line", "disk", "job"]),
    ("limits", &[]),
    ("listen", &["config"]),
    ("log", &["clock"]),
    ("metrics", &[]),
    ("review", &["engine", "inbox", "job", "shared"]),
    ("runs", &["config", "job", "ledger", "store"]),
    (
        "scheduler",
        &["alarm", "clock", "engine", "events", "executor", "inbox", "job", "metrics", "shared", "store", "vitals"],
    ),
    ("shared", &["engine", "job"]),
    ("store", &["checked_line", "clock", "disk", "engine", "job", "ledger"]),
    ("systemd", &[]),
    ("vitals", &["systemd"]),
];

/// Longer files are split by noun.
const FILE_LINES_MAX: usize = 400;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn is_test(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name == "tests.rs" || name == "testing.rs" || path.components().any(|part| part.as_os_str() == "tests")
}

/// The parts that a text names: `crate::part` and `crate::{part, part::…}`.
fn named(text: &str) -> BTreeSet<String> {
    let mut parts = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        let list = match rest.strip_prefix('{') {
            Some(rest) => top_level_names(rest),
            None => vec![rest],
        };
        for item in list {
            let end = item.find(|c: char| !(c.is_ascii_lowercase() || c == '_')).unwrap_or(item.len());
            parts.insert(item[..end].to_owned());
        }
    }
    parts.remove("");
    parts
}

/// The items of a braced list, without what stands in inner braces.
fn top_level_names(list: &str) -> Vec<&str> {
    let mut depth = 1;
    let mut start = 0;
    let mut items = Vec::new();
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || (depth == 1 && c == ',') {
            items.push(list[start..at].trim());
            start = at + 1;
        }
        if depth == 0 {
            break;
        }
    }
    items
}

#[test]
fn no_arrow_runs_back() {
    let allowed: BTreeMap<_, _> = ARROWS.iter().copied().collect();
    let source = root().join("src");
    let mut found = BTreeSet::new();
    for path in rust_files(&source) {
        let inner = path.strip_prefix(&source).expect("it lies there");
        let part = inner.iter().next().and_then(|part| part.to_str()).expect("a name").trim_end_matches(".rs");
        if matches!(part, "main" | "lib") || is_test(inner) {
            continue;
        }
        found.insert(part.to_owned());
        let arrows = allowed.get(part).unwrap_or_else(|| panic!("{part} stands in no line of the picture"));
        let text = fs::read_to_string(&path).expect("it can be read");
        for name in named(&text) {
            assert!(
                name == part || name == "limits" || arrows.contains(&name.as_str()),
                "{}: {part} must not name {name}; ARCHITECTURE.md says why",
                inner.display()
            );
        }
    }
    let drawn: BTreeSet<_> = allowed.keys().map(|part| (*part).to_owned()).collect();
    assert_eq!(found, drawn, "the picture shows what is there");
}

#[test]
fn the_picture_of_the_page_is_the_one_that_is_checked() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("it is there");
    for (part, arrows) in ARROWS.iter().filter(|(part, _)| !matches!(*part, "daemon" | "cli" | "check")) {
        let row = page
            .lines()
            .find(|line| {
                let cell = line.trim_start_matches('|').split('|').next().unwrap_or_default();
                line.starts_with("| `")
                    && (cell.contains(&format!("`{part}/`")) || cell.contains(&format!("`{part}.rs`")))
            })
            .unwrap_or_else(|| panic!("ARCHITECTURE.md has no row for {part}"));
        let cell = row.split('|').nth(2).unwrap_or_default();
        let told: BTreeSet<_> = cell.split('`').skip(1).step_by(2).collect();
        assert_eq!(told, arrows.iter().copied().collect(), "the row of {part}");
    }
}

#[test]
fn every_file_says_why_it_exists_and_is_small() {
    let folders = ["src", "tests", "benches", "fuzz/fuzz_targets"];
    for path in folders.iter().flat_map(|folder| rust_files(&root().join(folder))) {
        let text = fs::read_to_string(&path).expect("it can be read");
        let path = path.display();
        assert!(text.starts_with("//! "), "{path} does not begin with its reason");
        let lines = text.lines().count();
        assert!(lines <= FILE_LINES_MAX, "{path} has {lines} lines; split it by noun");
        for unfinished in ["TODO", "FIXME", "XXX"] {
            let is_this = path.to_string().ends_with("tidy.rs");
            assert!(is_this || !text.contains(unfinished), "{path} holds a {unfinished}");
        }
    }
}

#[test]
fn a_test_that_looks_for_arrows_finds_them() {
    let text =
        "use crate::engine::{A, B};\nuse crate::{clock, job::{Job, http}, store as s};\nfn f() { crate::keys::g() }";
    let found: Vec<_> = named(text).into_iter().collect();
    assert_eq!(found, ["clock", "engine", "job", "keys", "store"]);
}
