//! `ksana healthcheck`: asks the running service how it is, for images and units that have no HTTP client.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::config::{Config, Host};
use crate::limits::{HEALTHCHECK_BYTES_MAX, HEALTHCHECK_SECS};
use crate::listen::connect_unix;

/// Asks `/health`, or `/ready`, of the service that runs with the settings of this environment. Prints its answer and
/// succeeds if that is 200; in every other case the exit code is 1, the one that container runtimes take for ill.
pub fn healthcheck(path: &str) -> ExitCode {
    match ask(path) {
        Ok(body) => {
            // Who closed his standard output looks at the exit code.
            let _ = writeln!(io::stdout(), "{body}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            let _ = writeln!(io::stderr(), "ksana: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Why the service is not known to be well.
#[derive(Debug)]
enum Failure {
    /// The settings of this environment are wrong, so the service cannot run with them either.
    Settings(String),
    /// `PORT=0`.
    AnyPort,
    /// It cannot be reached, or does not answer.
    Silent(String, io::Error),
    /// It answers something else than 200.
    Ill(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(problems) => f.write_str(problems),
            Self::AnyPort => f.write_str("PORT is 0, so nobody knows on which port the service listens; set it to one"),
            Self::Silent(address, error) => write!(f, "no answer from {address}: {error}"),
            Self::Ill(answer) => write!(f, "the service answers: {answer}"),
        }
    }
}

fn ask(path: &str) -> Result<String, Failure> {
    let config = Config::from_env().map_err(|problems| {
        Failure::Settings(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\nksana: "))
    })?;
    let deadline = Instant::now() + Duration::from_secs(HEALTHCHECK_SECS);
    let (address, answer) = match &config.host {
        Host::Unix(path_of_socket) => {
            let answer = connect_unix(path_of_socket, remaining(deadline))
                .map_err(timed_out)
                .and_then(|stream| exchange(stream, path, deadline));
            (format!("unix:{}", path_of_socket.display()), answer)
        }
        Host::Ip(_) if config.port == 0 => return Err(Failure::AnyPort),
        Host::Ip(ip) => {
            let address = SocketAddr::from((reachable(*ip), config.port));
            let answer = connect(address, deadline).and_then(|stream| exchange(stream, path, deadline));
            (address.to_string(), answer)
        }
    };
    let answer = answer.map_err(|error| Failure::Silent(address, error))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status_line = head.lines().next().unwrap_or_default();
    if status_line.split(' ').nth(1) == Some("200") {
        Ok(body.to_owned())
    } else {
        Err(Failure::Ill(format!("{status_line}\n{body}").trim_end().to_owned()))
    }
}

/// Where IPv6 is off, `::` is all addresses of IPv4.
fn connect(address: SocketAddr, deadline: Instant) -> io::Result<TcpStream> {
    let connect = |address| TcpStream::connect_timeout(&address, remaining(deadline));
    match connect(address) {
        Err(error) if error.kind() == ErrorKind::AddrNotAvailable && address.ip() == Ipv6Addr::LOCALHOST => {
            connect((Ipv4Addr::LOCALHOST, address.port()).into())
        }
        connected => connected,
    }
}

/// All addresses are reached at the loopback one.
fn reachable(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}

/// A connection whose waits are bounded.
trait Stream: Read + Write {
    fn bound(&self, wait: Duration) -> io::Result<()>;
}

impl Stream for TcpStream {
    fn bound(&self, wait: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(wait)).and_then(|()| self.set_write_timeout(Some(wait)))
    }
}

impl Stream for UnixStream {
    fn bound(&self, wait: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(wait)).and_then(|()| self.set_write_timeout(Some(wait)))
    }
}

/// One request of HTTP/1.0, so that the end of the connection is the end of the answer.
fn exchange(mut stream: impl Stream, path: &str, deadline: Instant) -> io::Result<String> {
    stream.bound(remaining(deadline))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    while answer.len() < HEALTHCHECK_BYTES_MAX {
        stream.bound(remaining(deadline))?;
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(timed_out(error)),
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// What a socket's timeout looks like on Linux, in words.
fn timed_out(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::WouldBlock { ErrorKind::TimedOut.into() } else { error }
}

/// Zero would mean without a bound.
fn remaining(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}
