//! The unit files as systemd's own tools read them, and the settings file beside them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ksana::config::{Config, Fallback, VARIABLES};
use ksana::limits::{LOOP_TURN_SECS_MAX, SHUTDOWN_ATTEMPTS_SECS, SHUTDOWN_REQUESTS_SECS};

use crate::support::{deploy, has};

/// In tenths; the unit as it is has 11.
const EXPOSURE_MAX: &str = "--threshold=12";

/// What a unit may have set otherwise than the service's own default: (variable, value).
const SET_BY_THE_UNIT: [(&str, &str); 2] =
    [("DATA_DIR", "/var/lib/ksana"), ("AUTH_KEYS_FILE", "/etc/ksana/api_keys.txt")];

/// What the settings file has set, and not only shown: nothing listens to the network before somebody says so.
const SET_BY_THE_FILE: [(&str, &str); 1] = [("HOST", "127.0.0.1")];

fn unit_file(name: &str) -> String {
    fs::read_to_string(deploy().join("systemd").join(name)).expect(name)
}

/// A root folder that holds nothing but these units and the programs that they start.
fn root_with(name: &str, service: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&root);
    for folder in ["usr/bin", "usr/lib/systemd/system"] {
        fs::create_dir_all(root.join(folder)).expect("own folder");
    }
    symlink("usr/bin", root.join("bin")).expect("own folder");
    for program in ["ksana", "kill"] {
        fs::copy("/bin/true", root.join("usr/bin").join(program)).expect("own folder");
    }
    let units = root.join("usr/lib/systemd/system");
    fs::write(units.join("ksana.service"), service).expect("own folder");
    fs::write(units.join("ksana.socket"), unit_file("ksana.socket")).expect("own folder");
    root
}

fn verify(root: &Path) -> Output {
    let mut command = Command::new("systemd-analyze");
    command.args(["verify", "--man=no", "--recursive-errors=no"]).arg(format!("--root={}", root.display()));
    command.args(["ksana.service", "ksana.socket"]).output().expect("it is there")
}

#[test]
fn systemd_understands_every_line() {
    if !has(&["systemd-analyze"]) {
        return;
    }
    let output = verify(&root_with("units", &unit_file("ksana.service")));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.is_empty(), "{told}");
}

#[test]
fn a_line_that_systemd_would_pass_over_is_caught() {
    if !has(&["systemd-analyze"]) {
        return;
    }
    let service = unit_file("ksana.service");
    for (right, wrong) in [("ProtectHome=", "ProtectHom="), ("WatchdogSec=30s", "WatchdogSec=30 apples")] {
        assert!(service.contains(right), "{right}");
        let output = verify(&root_with("units-wrong", &service.replace(right, wrong)));
        assert!(!output.status.success() && !output.stderr.is_empty(), "{wrong}");
    }
}

#[test]
fn exposure_is_bounded() {
    if !has(&["systemd-analyze"]) {
        return;
    }
    let unit = deploy().join("systemd/ksana.service");
    let mut command = Command::new("systemd-analyze");
    let output = command.args(["security", "--offline=true", EXPOSURE_MAX]).arg(unit).output().expect("it is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn the_manager_waits_longer_than_the_service_takes() {
    let service = unit_file("ksana.service");
    let seconds = |key: &str| -> u64 {
        let value = service.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).expect(key);
        value.strip_suffix('s').and_then(|number| number.parse().ok()).expect(value)
    };
    // As long again as attempts may take is left for the jobs to be written.
    assert!(seconds("TimeoutStopSec") > 2 * SHUTDOWN_ATTEMPTS_SECS + SHUTDOWN_REQUESTS_SECS);
    assert!(seconds("WatchdogSec") > 2 * LOOP_TURN_SECS_MAX);
}

#[test]
fn the_settings_file_shows_every_variable_as_the_unit_has_it() {
    let text = unit_file("ksana.env");
    let is_told = |line: &&str| !line.is_empty() && !line.starts_with("# ");
    let shown: Vec<(&str, &str)> = text
        .lines()
        .filter(is_told)
        .map(|line| line.strip_prefix('#').unwrap_or(line).split_once('=').expect(line))
        .collect();
    let set: Vec<_> =
        text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('=')).collect();
    assert_eq!(set, SET_BY_THE_FILE);
    let service = unit_file("ksana.service");
    for (name, value) in SET_BY_THE_UNIT {
        assert!(service.contains(&format!("{name}={value}")), "the unit sets no {name}={value}");
    }
    let names: Vec<&str> = VARIABLES.iter().map(|variable| variable.name).collect();
    assert_eq!(shown.iter().map(|(name, _)| *name).collect::<Vec<_>>(), names);
    for (variable, (name, value)) in VARIABLES.iter().zip(&shown) {
        let set = SET_BY_THE_UNIT.iter().chain(&SET_BY_THE_FILE).find(|(set, _)| set == name).map(|(_, value)| *value);
        let default = match variable.default {
            Fallback::Value(default) => Some(default),
            Fallback::Rule(_) => None,
        };
        if let Some(wanted) = set.or(default) {
            assert_eq!(*value, wanted, "{name}");
        }
        let is_its =
            |paragraph: &&str| paragraph.lines().any(|line| line.trim_start_matches('#') == format!("{name}={value}"));
        let paragraph = text.split("\n\n").find(is_its).expect(name);
        let told = variable.accepts.to_string();
        assert!(paragraph.contains(&told), "{name}: it does not say that accepted is {told}");
    }
    let given = |name: &str| shown.iter().find(|shown| shown.0 == name).map(|shown| shown.1.into());
    Config::from_vars(given).expect("the values are accepted");
}
