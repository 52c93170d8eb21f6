//! Where clients connect: an address of our own, or sockets that the service manager holds open for us.

use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::net::{self, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use listenfd::ListenFd;
use rustix::net::sockopt::{Timeout, set_socket_timeout, socket_acceptconn};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use crate::config::Host;
use crate::limits::SOCKET_CONNECT_SECS;

/// A socket that takes connections.
#[derive(Debug)]
pub enum Listener {
    /// On an address of the network.
    Tcp(TcpListener),
    /// On a path.
    Unix(UnixListener, SocketFile),
}

/// The file of a Unix socket. Dropping it removes the file, if we made it.
#[derive(Debug)]
pub struct SocketFile {
    path: Option<PathBuf>,
}

/// Where a [`Listener`] listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// An address of the network.
    Tcp(net::SocketAddr),
    /// A path, where it has one.
    Unix(Option<PathBuf>),
}

/// Why there is nothing to listen on.
#[derive(Debug)]
pub enum ListenError {
    /// The address is taken, or not ours to have.
    Bind(Address, io::Error),
    /// This inherited descriptor takes no connections.
    Inherited(usize),
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind(address, error) => write!(f, "cannot listen on {address}: {error}; HOST and PORT say where"),
            Self::Inherited(index) => write!(
                f,
                "cannot listen on descriptor {} that LISTEN_FDS tells of; accepted is a listening stream socket, of TCP or of a path",
                index + 3
            ),
        }
    }
}

/// The sockets that the service manager opened for us (`sd_listen_fds(3)`). To be called before anything else opens a
/// descriptor or starts a thread: it takes the descriptors by their numbers, and the variables that tell of them out of
/// the environment.
///
/// # Errors
///
/// Where one of them takes no connections.
pub fn inherited() -> Result<Vec<Listener>, ListenError> {
    let mut sockets = ListenFd::from_env();
    let mut listeners = Vec::new();
    for index in 0..sockets.len() {
        // Whoever made the file of such a socket removes it.
        let unix = |listener| Listener::Unix(listener, SocketFile { path: None });
        let listener = match sockets.take_tcp_listener(index) {
            Ok(listener) => listener.map(Listener::Tcp),
            Err(_) => sockets.take_unix_listener(index).ok().flatten().map(unix),
        };
        // A connection looks like a listener, but for this.
        let listener = listener.filter(|listener| socket_acceptconn(listener).unwrap_or(false));
        listeners.push(listener.ok_or(ListenError::Inherited(index))?);
    }
    Ok(listeners)
}

/// Opens a socket of our own. Port 0 takes a free one; a path has none.
///
/// # Errors
///
/// Where the address is taken, or not ours to have.
pub fn bind(host: &Host, port: u16) -> Result<Listener, ListenError> {
    let bound = match host {
        Host::Ip(ip) => TcpListener::bind((*ip, port)).map(Listener::Tcp),
        Host::Unix(path) => bind_unix(path),
    };
    bound.map_err(|error| ListenError::Bind(Address::of(host, port), error))
}

fn bind_unix(path: &Path) -> io::Result<Listener> {
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == ErrorKind::AddrInUse && is_left_over(path) => {
            fs::remove_file(path)?;
            UnixListener::bind(path)?
        }
        bound => bound?,
    };
    Ok(Listener::Unix(listener, SocketFile { path: Some(path.to_owned()) }))
}

/// Whether the file is a socket of a process that was killed.
fn is_left_over(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    let wait = Duration::from_secs(SOCKET_CONNECT_SECS);
    is_socket && connect_unix(path, wait).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

/// Connects to a Unix socket, and waits for room in its queue for so long at most; the standard library waits for ever.
///
/// # Errors
///
/// Why it cannot; `WouldBlock` where there is no room.
pub fn connect_unix(path: &Path, wait: Duration) -> io::Result<UnixStream> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // A connection of this kind waits as long as a write may.
    set_socket_timeout(&socket, Timeout::Send, Some(wait))?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket.into())
}

impl Listener {
    /// Where it listens: the real port, if 0 was asked for.
    ///
    /// # Errors
    ///
    /// Where the system does not know.
    pub fn address(&self) -> io::Result<Address> {
        Ok(match self {
            Self::Tcp(listener) => Address::Tcp(listener.local_addr()?),
            Self::Unix(listener, _) => Address::Unix(listener.local_addr()?.as_pathname().map(Path::to_owned)),
        })
    }
}

impl Address {
    /// What these settings ask for.
    pub fn of(host: &Host, port: u16) -> Self {
        match host {
            Host::Ip(ip) => Self::Tcp((*ip, port).into()),
            Host::Unix(path) => Self::Unix(Some(path.clone())),
        }
    }

    /// The TCP port.
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Tcp(address) => Some(address.port()),
            Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(Some(path)) => write!(f, "unix:{}", path.display()),
            Self::Unix(None) => f.write_str("a Unix socket without a path"),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(listener, _) => listener.as_fd(),
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // Whoever removed it already did our work.
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> PathBuf {
        let folder = std::env::temp_dir().join(format!("ksana-listen-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&folder).expect("a new folder");
        folder
    }

    #[test]
    fn a_socket_that_a_killed_process_left_is_made_anew_and_removed_at_the_end() {
        let folder = folder();
        let (path, host) = (folder.join("socket"), Host::Unix(folder.join("socket")));
        drop(UnixListener::bind(&path).expect("a free path"));
        assert!(path.exists(), "nobody removed it");
        let listener = bind(&host, 7100).expect("it is left over");
        assert_eq!(listener.address().expect("it has one"), Address::Unix(Some(path.clone())));
        UnixStream::connect(&path).expect("it takes connections");
        drop(listener);
        assert!(!path.exists());
        fs::remove_dir(&folder).expect("it is empty");
    }

    #[test]
    fn what_somebody_uses_stays() {
        let folder = folder();
        let (path, host) = (folder.join("socket"), Host::Unix(folder.join("socket")));
        let first = bind(&host, 0).expect("a free path");
        let told = bind(&host, 0).expect_err("it is taken").to_string();
        assert!(told.starts_with(&format!("cannot listen on unix:{}: ", path.display())), "{told}");
        UnixStream::connect(&path).expect("it still takes connections");
        drop(first);
        fs::write(&path, "no socket").expect("own folder");
        bind(&host, 0).expect_err("a file is no socket");
        assert_eq!(fs::read(&path).expect("it is there"), b"no socket");
        fs::remove_dir_all(&folder).expect("own folder");
    }

    #[test]
    fn a_taken_address_is_told_apart_from_its_port() {
        let host = Host::Ip("127.0.0.1".parse().expect("an address"));
        let first = bind(&host, 0).expect("there is a free port");
        let port = first.address().expect("it has one").port().expect("of TCP");
        let told = bind(&host, port).expect_err("it is taken").to_string();
        assert!(told.starts_with(&format!("cannot listen on 127.0.0.1:{port}: ")), "{told}");
        let told =
            ListenError::Bind(Address::Tcp("[::1]:7100".parse().expect("an address")), ErrorKind::AddrInUse.into());
        assert!(told.to_string().starts_with("cannot listen on [::1]:7100: "), "{told}");
    }
}
