//! The other end of `sd_notify`: what a daemon tells its service manager.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use super::{Builder, PATIENCE};

pub(crate) struct Manager {
    path: PathBuf,
    socket: UnixDatagram,
}

impl Manager {
    /// One that listens in the daemon's folder.
    pub(crate) fn of(builder: Builder) -> (Self, Builder) {
        let path = builder.path("notify");
        let socket = UnixDatagram::bind(&path).expect("own folder");
        socket.set_read_timeout(Some(PATIENCE)).expect("the time is not zero");
        let named = path.display().to_string();
        (Self { path, socket }, builder.env("NOTIFY_SOCKET", named))
    }

    /// The next message.
    #[track_caller]
    pub(crate) fn told(&self) -> String {
        let mut bytes = [0; 4096];
        let count = self.socket.recv(&mut bytes).expect("the daemon tells something");
        String::from_utf8(bytes[..count].to_vec()).expect("it speaks UTF-8")
    }

    /// Speaks for the daemon.
    pub(crate) fn tell(&self, message: &str) {
        let sender = UnixDatagram::unbound().expect("descriptors are left");
        sender.send_to(message.as_bytes(), &self.path).expect("the manager listens");
    }

    /// Passes over what else is told.
    #[track_caller]
    pub(crate) fn wait_for(&self, begin: &str) -> String {
        loop {
            let told = self.told();
            if told.starts_with(begin) {
                return told;
            }
        }
    }
}
