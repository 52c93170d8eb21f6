//! A client and a callback target, as small as these tests need them.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use serde_json::Value;

const PORT: u16 = 7100;

/// A test that gets no answer should fail, not hang.
const PATIENCE: Duration = Duration::from_mins(1);

/// Asks the service on a connection of its own, and gives the status and the body.
pub(crate) fn ask(key: &str, method: &str, path: &str, body: &str) -> io::Result<(u16, Value)> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, PORT))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let length = body.len();
    let head =
        format!("{method} {path} HTTP/1.0\r\nHost: ksana\r\nX-API-Key: {key}\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(format!("{head}{body}").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
    Ok((status, serde_json::from_str(body).unwrap_or_default()))
}

/// What a client with this key is answered.
pub(crate) fn status_with(key: &str) -> u16 {
    ask(key, "GET", "/jobs", "").expect("an answer").0
}

/// A callback target that answers its one request only when it is told to.
pub(crate) struct SlowTarget {
    pub(crate) port: u16,
    came: Receiver<()>,
    release: SyncSender<()>,
}

impl SlowTarget {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let ((came, has_come), (release, released)) = (sync_channel(1), sync_channel::<()>(1));
        let serve = move || -> io::Result<()> {
            let mut stream = listener.accept()?.0;
            let lines = BufReader::new(stream.try_clone()?).lines();
            for line in lines.take_while(|line| line.as_ref().is_ok_and(|line| !line.is_empty())) {
                line?;
            }
            // Who does not listen any more has failed already.
            let _ = came.send(());
            let _ = released.recv();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        };
        thread::Builder::new().name("target".into()).spawn(serve).expect("there is room for a thread");
        Self { port, came: has_come, release }
    }

    /// Waits until its request is there.
    pub(crate) fn await_request(&self) {
        self.came.recv_timeout(PATIENCE).expect("the target is called");
    }

    pub(crate) fn answer(&self) {
        self.release.send(()).expect("its thread waits");
    }
}
