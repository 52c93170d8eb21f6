//! The unit under a real systemd: what it promises an operator.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::deb::debs;
use crate::http::{SlowTarget, status_with};
use crate::machine::Machine;
use crate::service::{KEY_FILE, SETTINGS, Service};
use crate::support::eventually;

const DROP_IN: &str = "/etc/systemd/system/ksana.service.d/test.conf";

#[test]
fn the_unit_keeps_its_promises() {
    let Some(debs) = debs() else { return };
    let Some(machine) = Machine::boot("unit") else { return };
    machine.inside(|| {
        let service = Service { machine: &machine };
        service.install(&debs.first);
        for name in ["one", "two", "three"] {
            service.create(name);
        }
        for promise in [
            a_stop_lets_a_run_in_flight_end,
            a_crash_loses_no_job,
            a_process_that_hangs_is_replaced,
            a_key_file_that_is_renamed_over_counts_at_once,
            a_reload_reads_the_key_file,
            a_restart_refuses_no_client_of_the_socket,
            a_wrong_setting_is_told_and_not_tried_again,
        ] {
            promise(&service);
        }
    });
}

/// The name of the target is looked up as well, which the sandbox has to allow.
fn a_stop_lets_a_run_in_flight_end(service: &Service<'_>) {
    fs::write(service.machine.path("/etc/hosts"), "127.0.0.1 target\n").expect("root may");
    let target = SlowTarget::start();
    let http = json!({"url": format!("http://target:{}/", target.port)});
    let job = json!({"id": "slow", "name": "slow", "http": http, "schedule": {"kind": "every", "every": "1h"}});
    service.call("POST", "/jobs", &job.to_string());
    service.call("POST", "/jobs/slow/run-now", "");
    target.await_request();
    service.systemctl(&["stop", "--no-block", "ksana"]);
    eventually("the stop to begin", || (service.show("ActiveState") == "deactivating").then_some(()));
    assert_ne!(service.show("MainPID"), "0", "the run is in flight");
    target.answer();
    eventually("the stop to end", || (service.show("ActiveState") == "inactive").then_some(()));
    assert_eq!((service.show("Result").as_str(), service.show("ExecMainStatus").as_str()), ("success", "0"));
    service.systemctl(&["start", "ksana"]);
    assert_eq!(service.call("GET", "/jobs/slow", "")["last_status"], "success");
    service.call("DELETE", "/jobs/slow", "");
}

fn a_crash_loses_no_job(service: &Service<'_>) {
    let (jobs, pid) = (service.jobs(), service.show("MainPID"));
    service.systemctl(&["kill", "--signal=KILL", "ksana"]);
    service.await_another(&pid);
    assert_eq!(service.show("NRestarts"), "1");
    assert_eq!(service.jobs(), jobs);
}

fn a_process_that_hangs_is_replaced(service: &Service<'_>) {
    drop_in(service, "[Service]\nWatchdogSec=2s\n");
    let (jobs, pid) = (service.jobs(), service.show("MainPID"));
    service.systemctl(&["kill", "--signal=STOP", "ksana"]);
    service.await_another(&pid);
    assert!(service.journal().contains("Watchdog timeout"));
    assert_eq!(service.jobs(), jobs);
    drop_in(service, "");
}

/// Sets a drop-in, and restarts with it.
fn drop_in(service: &Service<'_>, text: &str) {
    let path = service.machine.path(DROP_IN);
    fs::create_dir_all(path.parent().expect("it has one")).expect("root may");
    fs::write(path, text).expect("root may");
    service.systemctl(&["daemon-reload"]);
    service.systemctl(&["restart", "ksana"]);
}

/// Whoever makes the new file as root need not think of the group: the folder gives it.
fn a_key_file_that_is_renamed_over_counts_at_once(service: &Service<'_>) {
    let (old, pid) = (service.key(), service.show("MainPID"));
    let (path, new) = (service.machine.path(KEY_FILE), service.machine.path("/etc/ksana/new"));
    fs::write(&new, "rotated\n").expect("root may");
    fs::set_permissions(&new, fs::Permissions::from_mode(0o640)).expect("root may");
    fs::rename(new, path).expect("root may");
    eventually("the new key to be let in", || (status_with("rotated") == 200).then_some(()));
    assert_eq!(status_with(&old), 403);
    assert_eq!(service.show("MainPID"), pid);
}

fn a_reload_reads_the_key_file(service: &Service<'_>) {
    let pid = service.show("MainPID");
    fs::write(service.machine.path(KEY_FILE), "reloaded\n").expect("root may");
    service.systemctl(&["reload", "ksana"]);
    // It would also be seen without being asked for, a little later.
    eventually("the file to be read", || service.journal().contains("\"the key file was looked at\"").then_some(()));
    assert_eq!(status_with("reloaded"), 200);
    assert_eq!((service.show("ActiveState"), service.show("MainPID")), ("active".to_owned(), pid));
}

fn a_restart_refuses_no_client_of_the_socket(service: &Service<'_>) {
    service.systemctl(&["stop", "ksana"]);
    service.systemctl(&["enable", "--now", "ksana.socket"]);
    // The first request starts it.
    let jobs = service.jobs();
    service.await_another("0");
    service.under_clients(|| {
        for _ in 0..3 {
            let pid = service.show("MainPID");
            service.systemctl(&["restart", "ksana"]);
            assert_ne!(service.show("MainPID"), pid);
        }
    });
    assert_eq!(service.jobs(), jobs);
    service.systemctl(&["disable", "--now", "ksana.socket", "ksana.service"]);
}

fn a_wrong_setting_is_told_and_not_tried_again(service: &Service<'_>) {
    let path = service.machine.path(SETTINGS);
    let settings = fs::read_to_string(&path).expect("it is there");
    fs::write(&path, format!("{settings}WORKERS=0\n")).expect("root may");
    let started = service.machine.output(&["systemctl", "start", "ksana"]);
    assert!(!started.status.success());
    // A unit that is to be started again waits as `activating`.
    assert_eq!((service.show("ActiveState").as_str(), service.show("ExecMainStatus").as_str()), ("failed", "78"));
    assert!(service.journal().contains("WORKERS is set to"));
    fs::write(&path, settings).expect("root may");
    service.systemctl(&["start", "ksana"]);
    service.jobs();
}
