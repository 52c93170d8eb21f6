//! New: where the daemon listens — an address, a path, or a socket that its service manager holds.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::{Builder, KEY, Ksana, eventually, has_ipv6};

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
    if !has_ipv6() {
        return;
    }
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
fn check_that_restarts_refuse_nobody(
    mut ksana: Ksana,
    clients: usize,
    restarts: usize,
    ask: impl Fn() -> io::Result<u16> + Sync,
) {
    let (is_over, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut codes = BTreeSet::new();
    thread::scope(|scope| {
        // Also where this thread panics: the scope waits for the clients.
        let _over = OnDrop(|| is_over.store(true, Ordering::Relaxed));
        let client = || {
            while !is_over.load(Ordering::Relaxed) {
                if let Err(error) = ask().map(|status| assert_eq!(status, 200)) {
                    is_over.store(true, Ordering::Relaxed);
                    return Err(error);
                }
                answered.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        };
        let clients: Vec<_> = (0..clients).map(|_| scope.spawn(client)).collect();
        for _ in 0..restarts {
            let goal = answered.load(Ordering::Relaxed) + 10;
            eventually("some answers", || {
                (answered.load(Ordering::Relaxed) >= goal || is_over.load(Ordering::Relaxed)).then_some(())
            });
            ksana.signal(Signal::TERM);
            codes.insert(ksana.await_exit());
            ksana.launch_again();
        }
        is_over.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().expect("every answer is a list").expect("nobody is refused");
        }
    });
    assert_eq!(codes, BTreeSet::from([0]));
}

struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        self.0();
    }
}

#[test]
fn a_restart_behind_an_inherited_socket_refuses_nobody() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = listener.local_addr().expect("it is bound");
    let ksana = Builder::new().env("PORT", "1").with_socket(listener).launch();
    ksana.log.wait_for("info", &["listening", &format!("\"port\":{}", address.port())]);
    check_that_restarts_refuse_nobody(ksana, 4, 5, || ask_tcp(address));
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
    check_that_restarts_refuse_nobody(ksana, 1, 20, || ask_unix(&path));
}

#[test]
fn an_inherited_descriptor_that_takes_no_connections_is_refused_by_number() {
    let check = |descriptor: OwnedFd| {
        let (code, ksana) = Builder::new().with_socket(descriptor).run_to_the_end();
        assert_eq!(code, 78);
        assert_eq!(ksana.log.find("error", &["descriptor 3", "LISTEN_FDS"]).len(), 1, "{}", ksana.log.text());
        assert!(fs::read_dir(ksana.path("data")).expect("it is there").next().is_none(), "nothing was begun");
    };
    check(fs::File::open("/dev/null").expect("it is there").into());
    check(UnixStream::pair().expect("descriptors are left").0.into());
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    check(TcpStream::connect(listener.local_addr().expect("it is bound")).expect("it listens").into());
}

/// What is told of and not there must not be taken for whatever of our own gets its number.
#[test]
fn a_descriptor_that_is_told_of_and_not_there_is_refused() {
    let script = "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" 3<&-";
    let (code, ksana) = Builder::new().through(&["sh", "-c", script]).run_to_the_end();
    assert_eq!(code, 78, "{}", ksana.log.text());
    assert_eq!(ksana.log.find("error", &["descriptor 3"]).len(), 1, "{}", ksana.log.text());
}

#[test]
fn a_path_whose_owner_takes_nobody_in_is_in_use() {
    let builder = Builder::new();
    let path = builder.path("socket");
    let host = format!("unix:{}", path.display());
    let busy = UnixListener::bind(&path).expect("own folder");
    // Its queue is full when one more would have to wait.
    let wait = Duration::from_millis(10);
    let waiting: Vec<_> = std::iter::from_fn(|| ksana::listen::connect_unix(&path, wait).ok()).collect();
    assert!(!waiting.is_empty());
    let (code, ksana) = builder.env("HOST", &host).run_to_the_end();
    assert_eq!(code, 1);
    assert_eq!(ksana.log.find("error", &[&host]).len(), 1, "{}", ksana.log.text());
    drop(busy);
}

#[test]
fn a_crowd_that_takes_all_descriptors_is_told_of_and_served_when_some_have_left() {
    let builder = Builder::new().env("MAX_CONNECTIONS", "1000").through(&["prlimit", "--nofile=64:64"]);
    let ksana = builder.start();
    let crowd: Vec<_> = (0..100).filter_map(|_| TcpStream::connect(("127.0.0.1", ksana.port)).ok()).collect();
    ksana.log.wait_for("warn", &["no connection can be taken"]);
    drop(crowd);
    assert_eq!(ask_tcp(([127, 0, 0, 1], ksana.port).into()).expect("there is room again"), 200);
    assert_eq!(ksana.log.find("warn", &["no connection can be taken"]).len(), 1, "once a minute is enough");
}
