//! The table, the parser and the example file, held against each other.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::os::unix::ffi::OsStringExt;

use super::*;
use crate::limits;

fn parse(vars: &[(&str, &str)]) -> Result<Config, Vec<Problem>> {
    Config::from_vars(|name| vars.iter().find(|var| var.0 == name).map(|var| var.1.into()))
}

fn problems(vars: &[(&str, &str)]) -> Vec<String> {
    parse(vars).expect_err("a wrong value").iter().map(Problem::to_string).collect()
}

#[test]
fn defaults_are_the_documented_ones() {
    let defaults = Config {
        host: Host::Ip("0.0.0.0".parse().unwrap()),
        port: 7100,
        data_dir: "./data".into(),
        keys_file: KeysFile { path: "./config/api_keys.txt".into(), is_default: true },
        workers: 4,
        default_timeout: GoDuration::from_secs(10),
        max_retries: 3,
        retry_backoff: GoDuration::from_secs(5),
        late_warn: GoDuration::from_secs(1),
        history_max_bytes: 256 * 1024 * 1024,
        history_max_age: GoDuration::from_hours(30 * 24),
        proxy_from_env: false,
        max_connections: None,
        log_level: log::Level::Info,
        log_format: log::Format::Auto,
    };
    assert_eq!(parse(&[]), Ok(defaults.clone()));
    let empty = Config::from_vars(|_| Some(OsString::new()));
    assert_eq!(empty, Ok(defaults), "an empty variable is an unset one");
}

#[test]
fn parser_reads_what_the_table_lists_and_nothing_else() {
    let read = RefCell::new(BTreeSet::new());
    let note = |name: &str| {
        read.borrow_mut().insert(name.to_owned());
        None
    };
    Config::from_vars(note).expect("the defaults are valid");
    let listed: BTreeSet<String> = VARIABLES
        .iter()
        .flat_map(|variable| [Some(variable.name), variable.older_name])
        .flatten()
        .map(str::to_owned)
        .collect();
    assert_eq!(*read.borrow(), listed);
}

#[test]
fn every_value_is_taken() {
    let config = parse(&[
        ("HOST", "::1"),
        ("PORT", "0"),
        ("DATA_DIR", "/var/lib/ksana"),
        ("AUTH_KEYS_FILE", "keys"),
        ("WORKERS", "10000"),
        ("DEFAULT_TIMEOUT", "1h"),
        ("MAX_RETRIES", "0"),
        ("RETRY_BACKOFF", "0s"),
        ("LATE_WARN", "1.5s"),
        ("PROXY_FROM_ENV", "true"),
        ("HISTORY_MAX_BYTES", "1048576"),
        ("HISTORY_MAX_AGE", "60m"),
        ("MAX_CONNECTIONS", "1"),
        ("LOG_LEVEL", "WaRn"),
        ("LOG_FORMAT", "text"),
    ]);
    let expected = Config {
        host: Host::Ip("::1".parse().unwrap()),
        port: 0,
        data_dir: "/var/lib/ksana".into(),
        keys_file: KeysFile { path: "keys".into(), is_default: false },
        workers: 10_000,
        default_timeout: GoDuration::from_hours(1),
        max_retries: 0,
        retry_backoff: GoDuration::ZERO,
        late_warn: GoDuration::from_millis(1500),
        history_max_bytes: 1024 * 1024,
        history_max_age: GoDuration::from_hours(1),
        proxy_from_env: true,
        max_connections: Some(1),
        log_level: log::Level::Warn,
        log_format: log::Format::Text,
    };
    assert_eq!(config, Ok(expected));
    let host = |text: &str| parse(&[("HOST", text)]).unwrap().host;
    assert_eq!(host("localhost"), Host::Ip("127.0.0.1".parse().unwrap()));
    assert_eq!(host("::"), Host::Ip("::".parse().unwrap()));
    assert_eq!(host("unix:/run/ksana/api.sock"), Host::Unix("/run/ksana/api.sock".into()));
    for word in ["debug", "info", "warn", "error"] {
        assert_eq!(parse(&[("LOG_LEVEL", word)]).unwrap().log_level.name(), word);
    }
}

#[test]
fn older_name_counts_where_the_newer_is_unset() {
    let data_dir = |vars: &[(&str, &str)]| parse(vars).unwrap().data_dir;
    assert_eq!(data_dir(&[("KSANA_DATA", "old")]), PathBuf::from("old"));
    assert_eq!(data_dir(&[("KSANA_DATA", "old"), ("DATA_DIR", "new")]), PathBuf::from("new"));
    assert_eq!(data_dir(&[("KSANA_DATA", "old"), ("DATA_DIR", "")]), PathBuf::from("old"));
}

#[test]
fn wrong_values_are_told_all_at_once_with_what_is_accepted() {
    assert_eq!(
        problems(&[("PORT", "65536"), ("WORKERS", "four\n"), ("LOG_LEVEL", "verbose"), ("HOST", "db.local")]),
        [
            r#"HOST is set to "db.local"; accepted is an IPv4 address, an IPv6 address, localhost or unix:/path"#,
            r#"PORT is set to "65536"; accepted is a whole number from 0 to 65535"#,
            r#"WORKERS is set to "four\n"; accepted is a whole number from 1 to 10000"#,
            r#"LOG_LEVEL is set to "verbose"; accepted is debug, info, warn or error"#,
        ]
    );
    let check = |name: &str, values: &[&str]| {
        for value in values {
            let told = problems(&[(name, value)]);
            assert!(told.len() == 1 && told[0].starts_with(&format!("{name} is set to {value:?}; ")), "{told:?}");
        }
    };
    check("PORT", &["-1", " 7100", "7100 ", "7.1", "http", "0x10"]);
    check("WORKERS", &["0", "10001"]);
    check("DEFAULT_TIMEOUT", &["10", "0s", "999us", "1h1ns", "-5s"]);
    check("MAX_RETRIES", &["101", "-1"]);
    check("RETRY_BACKOFF", &["-1ns", "24h1ns", "5 s"]);
    check("LATE_WARN", &["0s", "25h"]);
    check("PROXY_FROM_ENV", &["yes", "1"]);
    check("MAX_CONNECTIONS", &["0", "1000001"]);
    check("LOG_FORMAT", &["auto", "xml"]);
    check("HOST", &["[::1]", "1.2.3", "0.0.0.0:80", "unix:", "unix:run/socket", "/run/socket"]);
    let path = |bytes: usize| format!("unix:/{}", "a".repeat(bytes - 1));
    assert!(parse(&[("HOST", &path(limits::SOCKET_PATH_BYTES_MAX))]).is_ok());
    assert_eq!(problems(&[("HOST", &path(limits::SOCKET_PATH_BYTES_MAX + 1))]).len(), 1);
}

#[test]
fn long_values_are_cut() {
    let told = problems(&[("PORT", &"é".repeat(1_000))]);
    assert!(told[0].chars().count() < 200 && told[0].contains("é…\"; accepted"), "{told:?}");
}

#[test]
fn only_paths_may_be_something_else_than_utf8() {
    let bytes = || OsString::from_vec(b"/srv/\xff".to_vec());
    let paths = ["DATA_DIR", "KSANA_DATA", "AUTH_KEYS_FILE"];
    let config = Config::from_vars(|name| paths.contains(&name).then(bytes)).expect("paths may");
    assert_eq!((config.data_dir, config.keys_file.path), (bytes().into(), bytes().into()));
    let told = Config::from_vars(|name| (!paths.contains(&name)).then(bytes)).expect_err("others may not");
    assert_eq!(told.len(), VARIABLES.len() - 2);
    assert!(told[0].to_string().starts_with(r#"HOST is set to "/srv/\xFF"; "#), "{}", told[0]);
}

/// `#NAME=value` sets, a `# ` begins a comment.
#[test]
fn example_file_lists_every_variable_with_its_default() {
    let example = include_str!("../../config/ksana.env.example");
    let mut listed = Vec::new();
    for line in example.lines().filter(|line| !line.is_empty() && *line != "#" && !line.starts_with("# ")) {
        let (name, value) =
            line.strip_prefix('#').and_then(|line| line.split_once('=')).unwrap_or_else(|| panic!("{line:?}"));
        let variable = VARIABLES.iter().find(|variable| variable.name == name).expect(name);
        if let Fallback::Value(default) = variable.default {
            assert_eq!(value, default, "{name}");
        }
        assert!(example.contains(&variable.accepts.to_string()), "{name}: {}", variable.accepts);
        parse(&[(name, value)]).expect(line);
        listed.push(name);
    }
    assert!(example.contains(&format!("#MAX_CONNECTIONS={}\n", limits::CONNECTIONS_DEFAULT)));
    assert_eq!(listed, VARIABLES.iter().map(|variable| variable.name).collect::<Vec<_>>());
}

#[test]
fn markdown_row_has_name_default_accepted_and_meaning() {
    let row = |name| VARIABLES.iter().find(|variable| variable.name == name).expect(name).markdown_row();
    assert_eq!(row("DATA_DIR"), "| `DATA_DIR` (older name `KSANA_DATA`) | `./data` | a path | folder of jobs.json |");
    assert_eq!(
        row("LOG_FORMAT"),
        "| `LOG_FORMAT` | text on a terminal, else json | json or text | how a log line looks |"
    );
}
