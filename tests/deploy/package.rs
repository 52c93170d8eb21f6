//! The Debian package: what it holds, and what comes and goes with it on a running machine.

use std::fs;
use std::process::Command;

use ksana::config::{Fallback, VARIABLES};

use crate::deb::{Debs, debs};
use crate::machine::Machine;
use crate::service::{KEY_FILE, SETTINGS, Service};
use crate::support::{deploy, has, run};

/// All files of the package, and how they are allowed; all belong to root.
const CONTENTS: [(&str, &str); 11] = [
    ("-rw-r-----", "/etc/ksana/ksana.env"),
    ("-rwxr-xr-x", "/usr/bin/ksana"),
    ("-rw-r--r--", "/usr/lib/systemd/system/ksana.service"),
    ("-rw-r--r--", "/usr/lib/systemd/system/ksana.socket"),
    ("-rw-r--r--", "/usr/lib/sysusers.d/ksana.conf"),
    ("-rw-r--r--", "/usr/share/doc/ksana/README.md"),
    ("-rw-r--r--", "/usr/share/doc/ksana/changelog.Debian.gz"),
    ("-rw-r--r--", "/usr/share/doc/ksana/changelog.gz"),
    ("-rw-r--r--", "/usr/share/doc/ksana/copyright"),
    ("-rw-r--r--", "/usr/share/lintian/overrides/ksana"),
    ("-rw-r--r--", "/usr/share/man/man8/ksana.8.gz"),
];

fn debian_file(name: &str) -> String {
    fs::read_to_string(deploy().join("debian").join(name)).expect(name)
}

#[test]
fn it_holds_what_it_should() {
    let Some(debs) = debs() else { return };
    let listed = run(Command::new("dpkg-deb").arg("--contents").arg(&debs.first));
    let mut found: Vec<_> = listed
        .lines()
        .filter(|line| !line.starts_with('d'))
        .map(|line| {
            let fields: Vec<_> = line.split_whitespace().collect();
            assert_eq!(fields[1], "0/0", "{line}");
            (fields[0], fields[5].trim_start_matches('.'))
        })
        .collect();
    found.sort_by_key(|(_, path)| *path);
    assert_eq!(found, CONTENTS);
}

#[test]
fn lintian_has_nothing_to_say() {
    let Some(debs) = debs() else { return };
    if !has(&["lintian"]) {
        return;
    }
    run(Command::new("lintian").args(["--allow-root", "--fail-on", "error,warning"]).arg(&debs.first));
}

#[test]
fn its_changelog_is_of_this_version() {
    let wanted = concat!("ksana (", env!("CARGO_PKG_VERSION"), "-1) ");
    assert!(debian_file("changelog").starts_with(wanted), "it does not begin with {wanted}");
}

#[test]
fn its_copyright_is_the_licence() {
    let words = |text: &str| text.split_whitespace().filter(|word| *word != ".").map(str::to_owned).collect::<Vec<_>>();
    let licence = include_str!("../../LICENSE").split_once("\n\nPermission").expect("it is that of MIT").1;
    assert!(words(&debian_file("copyright")).ends_with(&words(licence)));
}

#[test]
fn its_man_page_is_well_formed() {
    if has(&["mandoc"]) {
        run(Command::new("mandoc").args(["-T", "lint", "-W", "style"]).arg(deploy().join("debian/ksana.8")));
    }
}

#[test]
fn its_man_page_tells_of_every_variable_as_the_code_has_it() {
    let page = debian_file("ksana.8");
    let section = page.split_once(".Sh ENVIRONMENT\n").expect("a section").1.split_once(".El\n").expect("a list").0;
    let items: Vec<_> = section.split(".It Ev ").skip(1).collect();
    assert_eq!(items.len(), VARIABLES.len());
    for (variable, item) in VARIABLES.iter().zip(items) {
        let default = match variable.default {
            Fallback::Value(value) => format!(".Li {value}"),
            Fallback::Rule(rule) => rule.to_owned(),
        };
        let wanted = format!("{} {}: {}; {default} by default.", variable.name, variable.meaning, variable.accepts);
        let told = item.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(told.starts_with(&wanted), "{told}\nis not\n{wanted}");
        let older = variable.older_name.is_none_or(|name| told.contains(&format!(".Ev {name}")));
        assert!(older, "{told}");
    }
}

#[test]
fn it_comes_and_goes_as_an_operator_expects() {
    let Some(debs) = debs() else { return };
    let Some(machine) = Machine::boot("package") else { return };
    machine.inside(|| {
        let service = Service { machine: &machine };
        an_installation_is_ready_for_use(&service, debs);
        an_upgrade_keeps_what_is_the_operators(&service, debs);
        a_removal_keeps_jobs_and_settings(&service, debs);
        a_purge_leaves_nothing_but_the_locked_user(&service);
    });
}

fn an_installation_is_ready_for_use(service: &Service<'_>, debs: &Debs) {
    let said = service.install(&debs.first);
    assert!(said.contains(KEY_FILE) && !said.contains(&service.key()), "{said}");
    let files = ["/etc/ksana", KEY_FILE, SETTINGS, "/var/lib/ksana"];
    let allowed = service.machine.run(&[&["stat", "--format=%U:%G %a"], &files[..]].concat());
    assert_eq!(allowed, "root:ksana 2750\nroot:ksana 640\nroot:root 640\nksana:ksana 700");
    assert_eq!(service.jobs(), serde_json::json!([]));
    assert!(service.show("StatusText").contains(" 127.0.0.1:7100"), "this machine alone");
    service.machine.run(&["ksana", "healthcheck", "--ready"]);
    assert_eq!(service.show("UnitFileState"), "enabled");
    assert_eq!(service.machine.run(&["ps", "-o", "user=", "-p", &service.show("MainPID")]), "ksana");
    let socket = service.machine.output(&["systemctl", "is-enabled", "ksana.socket"]);
    assert_eq!(socket.stdout, b"disabled\n");
}

/// With the socket on, also its clients.
fn an_upgrade_keeps_what_is_the_operators(service: &Service<'_>, debs: &Debs) {
    service.systemctl(&["stop", "ksana"]);
    service.systemctl(&["enable", "--now", "ksana.socket"]);
    service.create("kept");
    service.await_another("0");
    let settings = service.machine.path(SETTINGS);
    let mut text = fs::read_to_string(&settings).expect("it is there");
    text.push_str("WORKERS=7\n");
    fs::write(&settings, &text).expect("root may");
    let (pid, key, jobs) = (service.show("MainPID"), service.key(), service.jobs());
    service.under_clients(|| {
        service.install(&debs.later);
    });
    assert_ne!(service.show("MainPID"), pid, "it runs the new program");
    assert_eq!((service.key(), service.jobs()), (key, jobs));
    assert_eq!(fs::read_to_string(&settings).expect("it is there"), text);
    assert!(service.journal().contains("\"workers\":7"), "the settings count");
}

fn a_removal_keeps_jobs_and_settings(service: &Service<'_>, debs: &Debs) {
    let (key, jobs) = (service.key(), service.jobs());
    service.machine.run(&["dpkg", "--remove", "ksana"]);
    for path in ["/usr/bin/ksana", "/usr/lib/systemd/system/ksana.service", "/run/ksana"] {
        assert!(!service.machine.path(path).exists(), "{path}");
    }
    for unit in ["ksana.service", "ksana.socket"] {
        let state = service.machine.output(&["systemctl", "is-active", unit]).stdout;
        assert_eq!(state, b"inactive\n", "{unit}");
    }
    assert!(fs::read_to_string(service.machine.path(SETTINGS)).expect("it is there").ends_with("WORKERS=7\n"));
    service.install(&debs.later);
    assert_eq!((service.key(), service.jobs()), (key, jobs));
}

/// The user stays: its number must not go to another one, who would own whatever is left.
fn a_purge_leaves_nothing_but_the_locked_user(service: &Service<'_>) {
    service.machine.run(&["dpkg", "--purge", "ksana"]);
    assert!(service.machine.run(&["passwd", "--status", "ksana"]).starts_with("ksana L "));
    let left = service.machine.run(&["find", "/etc", "/usr", "/var", "/run", "-name", "*ksana*"]);
    assert_eq!(left, "");
}
