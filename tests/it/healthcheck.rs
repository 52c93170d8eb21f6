//! New: `ksana healthcheck`.

use std::net::TcpListener;
use std::process::{Command, Output};

use rustix::process::Signal;

use crate::support::{Builder, Disk, Ksana, free_port, hourly};

/// Its exit code, what it says, and what it complains of.
fn healthcheck(arguments: &[&str], host: &str, port: &str) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_ksana"))
        .arg("healthcheck")
        .args(arguments)
        .env_clear()
        .envs([("HOST", host), ("PORT", port)])
        .output()
        .expect("the binary runs");
    let Output { status, stdout, stderr } = output;
    let text = |bytes| String::from_utf8(bytes).expect("it speaks UTF-8");
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn a_service_that_answers_is_well_wherever_it_listens() {
    for (host, asked) in
        [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", ""), ("::", "::"), ("::1", "::1"), ("::", "127.0.0.1")]
    {
        let ksana = Builder::new().env("HOST", host).start();
        let port = ksana.port.to_string();
        let (code, told, complaint) = healthcheck(&[], asked, &port);
        assert_eq!((code, complaint.as_str()), (Some(0), ""), "{host}");
        assert!(told.contains("\"status\":\"ok\""), "{told}");
        let (code, told, _) = healthcheck(&["--ready"], asked, &port);
        assert_eq!(code, Some(0));
        assert!(told.contains("\"status\":\"ready\""), "{told}");
    }
    let builder = Builder::new();
    let host = format!("unix:{}", builder.path("socket").display());
    let ksana = builder.env("HOST", &host).launch();
    ksana.log.wait_for("info", &["listening", &host]);
    assert_eq!(healthcheck(&["--ready"], &host, "").0, Some(0));
}

#[test]
fn a_service_that_is_alive_and_not_ready_is_told_apart() {
    let Some((disk, builder)) = Disk::under(Builder::new(), "size=4m") else { return };
    let ksana = builder.start();
    let id = ksana.create_id(&hourly("http://127.0.0.1:9/"));
    disk.make_read_only();
    ksana.rename_until_refused(&id);
    let port = ksana.port.to_string();
    assert_eq!(healthcheck(&[], "", &port).0, Some(0));
    let (code, told, complaint) = healthcheck(&["--ready"], "", &port);
    assert_eq!((code, told.as_str()), (Some(1), ""));
    assert!(complaint.contains("503") && complaint.contains("changes are refused"), "{complaint}");
}

#[test]
fn what_does_not_answer_is_ill() {
    let port = free_port().to_string();
    let (code, _, complaint) = healthcheck(&[], "127.0.0.1", &port);
    assert_eq!(code, Some(1));
    assert!(complaint.contains(&format!("127.0.0.1:{port}")), "{complaint}");
    let silent = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = silent.local_addr().expect("it is bound");
    let (code, _, complaint) = healthcheck(&[], "127.0.0.1", &address.port().to_string());
    assert_eq!(code, Some(1));
    assert!(complaint.contains("timed out"), "{complaint}");
    let (code, _, complaint) = healthcheck(&[], "unix:/proc/no/such", "");
    assert_eq!(code, Some(1));
    assert!(complaint.contains("unix:/proc/no/such"), "{complaint}");
    let ksana = Ksana::start();
    ksana.signal(Signal::STOP);
    assert_eq!(healthcheck(&[], "127.0.0.1", &ksana.port.to_string()).0, Some(1), "it hangs");
    ksana.signal(Signal::CONT);
}

#[test]
fn settings_that_tell_no_port_are_refused_by_name() {
    let (code, _, complaint) = healthcheck(&[], "", "0");
    assert_eq!(code, Some(1));
    assert!(complaint.contains("PORT is 0"), "{complaint}");
    let (code, _, complaint) = healthcheck(&[], "nowhere", "x");
    assert_eq!(code, Some(1));
    assert!(complaint.contains("HOST") && complaint.contains("PORT"), "{complaint}");
    let (code, _, complaint) = healthcheck(&["--all"], "", "7100");
    assert_eq!(code, Some(2));
    assert!(complaint.contains("--all"), "{complaint}");
}
