//! The HTTP server of the service with nothing behind it, in a process of its own: it reads the body and
//! answers.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use smol::block_on;
use trillium::Conn;

/// The word that makes this program do so.
pub(crate) const WORD: &str = "--bare-server";

/// Serves until it is dropped.
#[derive(Debug)]
pub(crate) struct BareServer {
    child: Child,
    pub(crate) port: u16,
}

impl BareServer {
    pub(crate) fn start() -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
        let mut child = command.arg(WORD).stdout(Stdio::piped()).spawn().expect("this program starts again");
        let mut line = String::new();
        let output = child.stdout.as_mut().expect("it is piped");
        BufReader::new(output).read_line(&mut line).expect("it tells its port");
        Self { port: line.trim().parse().expect("it tells its port"), child }
    }
}

impl Drop for BareServer {
    fn drop(&mut self) {
        // Either fails only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the process does.
pub(crate) fn main() {
    let handler = |mut conn: Conn| async move {
        let body = conn.request_body_string().await;
        if body.is_ok() { conn.ok("") } else { conn.with_status(400).halt() }
    };
    let server = trillium_smol::config().with_host("127.0.0.1").with_port(0).with_nodelay().without_signals();
    let handle = server.spawn(handler);
    block_on(async {
        let address = handle.info().await.tcp_socket_addr().copied();
        println!("{}", address.expect("it listens on TCP").port());
        handle.await;
    });
}
