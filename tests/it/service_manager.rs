//! New: what the daemon tells its service manager, and SIGHUP.

use std::fs;

use rustix::process::Signal;

use crate::support::{Answer, Builder, Disk, Fault, Manager, Receiver, hourly};

#[test]
fn it_is_ready_once_it_listens_and_stopping_once_it_is_told_to() {
    let (manager, builder) = Manager::of(Builder::new());
    let mut ksana = builder.launch();
    assert!(manager.told().starts_with("STATUS=listening on 127.0.0.1:"));
    assert_eq!(manager.told(), "READY=1");
    assert!(ksana.has_come_to_listen());
    ksana.get("/jobs").expect(200);
    ksana.signal(Signal::TERM);
    assert_eq!(manager.told(), "STOPPING=1");
    assert!(manager.told().starts_with("STATUS="));
    assert_eq!(ksana.await_exit(), 0);
}

#[test]
fn a_start_that_fails_is_never_ready() {
    let (manager, builder) = Manager::of(Builder::new().jobs_json("{"));
    let (code, _ksana) = builder.run_to_the_end();
    assert_eq!(code, 78);
    manager.tell("the end");
    assert_eq!(manager.told(), "the end", "nothing came before");
}

#[test]
fn sighup_reads_the_key_file_at_once() {
    let (manager, builder) = Manager::of(Builder::new());
    let mut ksana = builder.start();
    manager.wait_for("READY=1");
    for round in 0..3 {
        let key = format!("fresh-{round}");
        fs::write(ksana.key_file(), &key).expect("own folder");
        ksana.signal(Signal::HUP);
        let told = manager.told();
        let usec = told.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap_or_else(|| panic!("{told:?}"));
        assert!(usec.parse::<u64>().is_ok(), "{usec}");
        assert_eq!(manager.told(), "READY=1");
        ksana.bare("GET", "/jobs").header("X-API-Key", &key).send().expect(200);
    }
    assert_eq!(ksana.stop(), 0, "a SIGHUP ends nothing");
}

#[test]
fn sighup_during_the_end_does_not_end_it_at_once() {
    let (manager, builder) = Manager::of(Builder::new());
    let (mut ksana, receiver) = (builder.start(), Receiver::start());
    receiver.script("/held", [Answer::ok().held()]);
    let id = ksana.create_id(&hourly(&receiver.url("/held")));
    ksana.run_now(&id);
    receiver.wait_for_path("/held", 1);
    ksana.signal(Signal::TERM);
    manager.wait_for("STOPPING=1");
    ksana.signal(Signal::HUP);
    receiver.release("/held");
    assert_eq!(ksana.await_exit(), 0);
    ksana.start_again();
    assert_eq!(ksana.job(&id)["last_status"], "success");
}

#[test]
fn the_watchdog_is_fed_again_and_again() {
    let (manager, builder) = Manager::of(Builder::new().env("WATCHDOG_USEC", "2000000"));
    let ksana = builder.start();
    for _ in 0..3 {
        manager.wait_for("WATCHDOG=1");
    }
    assert!(ksana.log.find("warn", &["watchdog"]).is_empty());
    let (manager, builder) = Manager::of(Builder::new().env("WATCHDOG_USEC", "1000000"));
    let ksana = builder.start();
    ksana.log.wait_for("warn", &["watchdog", "2s"]);
    manager.wait_for("WATCHDOG=1");
}

#[test]
fn a_disk_that_is_slow_at_the_end_starves_no_watchdog() {
    let (manager, builder) = Manager::of(Builder::new().env("WATCHDOG_USEC", "2000000"));
    let mut ksana = builder.start();
    let files = [ksana.path("data")];
    let Some(_slow) = Fault::inject(&ksana, "fsync", "delay_enter=2000000", &files) else { return };
    let job = ksana.create(&hourly("http://127.0.0.1:9/"));
    ksana.signal(Signal::TERM);
    manager.wait_for("STOPPING=1");
    for _ in 0..4 {
        manager.wait_for("WATCHDOG=1");
    }
    assert_eq!(ksana.await_exit(), 0);
    assert_eq!(ksana.jobs_on_disk()["jobs"][0]["id"], job["id"]);
}

#[test]
fn a_disk_that_refuses_is_the_status() {
    let (manager, builder) = Manager::of(Builder::new());
    let Some((disk, builder)) = Disk::under(builder, "size=4m") else { return };
    let ksana = builder.start();
    manager.wait_for("READY=1");
    let id = ksana.create_id(&hourly("http://127.0.0.1:9/"));
    disk.make_read_only();
    ksana.rename_until_refused(&id);
    assert!(manager.wait_for("STATUS=").starts_with("STATUS=changes are refused: "));
    disk.make_writable();
    assert_eq!(manager.wait_for("STATUS="), "STATUS=changes are taken again");
}
