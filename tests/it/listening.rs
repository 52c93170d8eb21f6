//! New: where the daemon listens — an address, a path, or a socket that its service manager holds.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::{Builder, KEY, Ksana, eventually};

const PATIENCE: Duration = Duration::from_secs(20);

/// One whole exchange; the status.
fn ask(mut stream: impl Read + Write) -> io::Result<u16> {
    let request = format!("GET /jobs HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.get(9..12).and_then(|status| status.parse().ok());
    status.ok_or_else(|| io::Error::other(format!("no answer but {answer:?}")))
}

fn ask_tcp(address: SocketAddr) -> io::Result<u16> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    ask(stream)
}

fn ask_unix(path: &Path) -> io::Result<u16> {
    let stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    ask(stream)
}

#[test]
fn host_may_be_all_addresses_of_both_families() {
    let ksana = Builder::new().env("HOST", "::").start();
    for address in ["127.0.0.1", "::1"] {
        let stream = TcpStream::connect((address, ksana.port)).expect(address);
        assert_eq!(ask(stream).expect(address), 200);
    }
}

#[test]
fn host_may_be_a_path() {
    let builder = Builder::new();
    let path = builder.path("socket");
    let host = format!("unix:{}", path.display());
    let mut ksana = builder.env("HOST", &host).launch();
    let answers = |ksana: &Ksana| {
        ksana.log.wait_for("info", &["listening", &host]);
        eventually("an answer", || ask_unix(&path).ok())
    };
    assert_eq!(answers(&ksana), 200);
    ksana.kill();
    assert!(path.exists(), "a killed process removes nothing");
    ksana.launch_again();
    assert_eq!(answers(&ksana), 200);
    let (code, rival) = Builder::new().env("HOST", &host).run_to_the_end();
    assert_eq!(code, 1);
    assert_eq!(rival.log.find("error", &[&host]).len(), 1, "{}", rival.log.text());
    assert_eq!(answers(&ksana), 200, "what is in use stays");
    assert_eq!(ksana.stop(), 0);
    assert!(!path.exists());
}

/// Clients that never stop asking, each time on a new connection, while the daemon is restarted again and again.
fn check_that_restarts_refuse_nobody(mut ksana: Ksana, ask: impl Fn() -> io::Result<u16> + Sync) {
    let (is_over, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let until_answered = |more: usize| {
        let goal = answered.load(Ordering::Relaxed) + more;
        eventually("some answers", || {
            (answered.load(Ordering::Relaxed) >= goal || is_over.load(Ordering::Relaxed)).then_some(())
        });
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    while !is_over.load(Ordering::Relaxed) {
                        if let Err(error) = ask().map(|status| assert_eq!(status, 200)) {
                            is_over.store(true, Ordering::Relaxed);
                            return Err(error);
                        }
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(())
                })
            })
            .collect();
        for _ in 0..5 {
            until_answered(40);
            ksana.signal(Signal::TERM);
            let code = ksana.await_exit();
            ksana.launch_again();
            if code != 0 {
                is_over.store(true, Ordering::Relaxed);
            }
        }
        until_answered(40);
        is_over.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().expect("every answer is a list").expect("nobody is refused");
        }
    });
}

#[test]
fn a_restart_behind_an_inherited_socket_refuses_nobody() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = listener.local_addr().expect("it is bound");
    let ksana = Builder::new().env("PORT", "1").with_socket(listener).launch();
    ksana.log.wait_for("info", &["listening", &format!("\"port\":{}", address.port())]);
    check_that_restarts_refuse_nobody(ksana, || ask_tcp(address));
}

#[test]
fn an_inherited_path_stays_where_it_is() {
    let builder = Builder::new();
    let path = builder.path("socket");
    let listener = UnixListener::bind(&path).expect("own folder");
    let mut ksana = builder.with_socket(listener).launch();
    ksana.log.wait_for("info", &["listening", &format!("unix:{}", path.display())]);
    assert_eq!(ksana.stop(), 0);
    assert!(path.exists(), "it belongs to the service manager");
    ksana.launch_again();
    check_that_restarts_refuse_nobody(ksana, || ask_unix(&path));
}

#[test]
fn an_inherited_descriptor_that_is_no_socket_is_refused_by_number() {
    let file = File::open("/dev/null").expect("it is there");
    let (code, ksana) = Builder::new().with_socket(file).run_to_the_end();
    assert_eq!(code, 78);
    assert_eq!(ksana.log.find("error", &["descriptor 3", "LISTEN_FDS"]).len(), 1, "{}", ksana.log.text());
    assert!(fs::read_dir(ksana.path("data")).expect("it is there").next().is_none(), "nothing was begun");
}
