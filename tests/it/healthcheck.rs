//! New: `ksana healthcheck`.

use std::net::TcpListener;
use std::process::{Command, Output};

use rustix::process::Signal;

use crate::support::{Builder, Disk, Ksana, eventually, free_port, has_ipv6, hourly, not_tried};

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
    check_well("127.0.0.1", &["127.0.0.1"]);
    check_well("0.0.0.0", &["", "127.0.0.1"]);
    if has_ipv6() {
        check_well("::", &["::", "::1", "127.0.0.1"]);
    }
    let builder = Builder::new();
    let host = format!("unix:{}", builder.path("socket").display());
    let ksana = builder.env("HOST", &host).launch();
    ksana.log.wait_for("info", &["listening", &host]);
    assert_eq!(healthcheck(&["--ready"], &host, "").0, Some(0));
}

fn check_well(host: &str, asked: &[&str]) {
    let ksana = Builder::new().env("HOST", host).start();
    let port = ksana.port.to_string();
    for asked in asked {
        let (code, told, complaint) = healthcheck(&[], asked, &port);
        assert_eq!((code, complaint.as_str()), (Some(0), ""), "{host}");
        assert!(told.contains("\"status\":\"ok\""), "{told}");
        let (code, told, _) = healthcheck(&["--ready"], asked, &port);
        assert_eq!(code, Some(0));
        assert!(told.contains("\"status\":\"ready\""), "{told}");
    }
}

/// As in a container on a network of IPv4 alone.
#[test]
fn all_addresses_are_those_of_ipv4_where_ipv6_is_off() {
    let script = "ip link set lo up && sysctl -q net.ipv6.conf.all.disable_ipv6=1 && exec sleep 60";
    let keeper = Command::new("unshare").args(["-rn", "sh", "-c", script]).spawn();
    let Ok(mut keeper) = keeper else { return not_tried("there is no unshare") };
    let inside = ["nsenter", "-t", &keeper.id().to_string(), "-U", "--preserve-credentials", "-n"].map(str::to_owned);
    let is_up = || {
        Command::new(&inside[0])
            .args(&inside[1..])
            .args(["sh", "-c", "! ip -6 addr show lo | grep -q ::1 && ip link show lo | grep -q UP"])
            .status()
    };
    let begun = eventually("the network", || match keeper.try_wait().expect("it is our child") {
        Some(_) => Some(false),
        None => is_up().is_ok_and(|status| status.success()).then_some(true),
    });
    if !begun {
        return not_tried("this machine lets nobody have a network of his own");
    }
    let port = free_port().to_string();
    let words: Vec<&str> = inside.iter().map(String::as_str).collect();
    let ksana = Builder::new().env("HOST", "::").env("PORT", &port).through(&words).launch();
    ksana.log.wait_for("info", &["listening"]);
    let answer = Command::new(&inside[0])
        .args(&inside[1..])
        .args([env!("CARGO_BIN_EXE_ksana"), "healthcheck"])
        .env("HOST", "::")
        .env("PORT", &port)
        .output()
        .expect("nsenter is there");
    keeper.kill().expect("it is our child");
    keeper.wait().expect("it is our child");
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
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
