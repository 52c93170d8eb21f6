//! What the service manager is told, and that we live: the protocol of `sd_notify(3)`.
//!
//! One datagram a message, to the socket that `NOTIFY_SOCKET` names. Where nothing is named nobody is told.

use std::ffi::OsStr;
use std::fmt::Display;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixDatagram;
use std::process;
use std::time::Duration;

use rustix::net::{SendFlags, SocketAddrUnix, sendto};
use rustix::time::{ClockId, clock_gettime};

use crate::limits::MANAGER_SECS;

/// The way to the service manager.
#[derive(Debug, Default)]
pub struct Manager {
    /// Not connected: a manager that makes its socket anew is told the next thing all the same.
    way: Option<(UnixDatagram, SocketAddrUnix)>,
    /// How long it waits for a sign of life before it kills the process.
    watchdog: Option<Duration>,
}

impl Manager {
    /// The one that started this process, if it wants to be told anything.
    #[expect(clippy::disallowed_methods, reason = "no settings of ours: the service manager's own words to us")]
    pub fn from_env() -> Self {
        Self::from_vars(|name| std::env::var_os(name))
    }

    fn from_vars<T: AsRef<OsStr>>(get: impl Fn(&str) -> Option<T>) -> Self {
        let Some(name) = get("NOTIFY_SOCKET") else { return Self::default() };
        let name = name.as_ref();
        let way = match way_to(name.as_bytes()) {
            Ok(way) => way,
            Err(error) => {
                tracing::warn!(socket = %name.display(), %error, "the service manager cannot be told anything");
                return Self::default();
            }
        };
        let number = |name| get(name)?.as_ref().to_str()?.parse::<u64>().ok();
        let is_meant = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|usec| is_meant && *usec > 0).map(Duration::from_micros);
        Self { way: Some(way), watchdog }
    }

    /// How long it waits for [`Manager::alive`] before it ends the process; `None` where it does not.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// The service is up, or has taken over its new configuration.
    pub fn ready(&self) {
        self.tell("READY=1", Self::WAIT);
    }

    /// The configuration is being read again; [`Manager::ready`] ends it.
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let usec = now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1_000);
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={usec}"), Self::WAIT);
    }

    /// The service is about to end.
    pub fn stopping(&self) {
        self.tell("STOPPING=1", Self::WAIT);
    }

    /// What `systemctl status` is to show. Waits for nobody.
    pub fn status(&self, status: impl Display) {
        // A line ends a message's item.
        self.tell(&format!("STATUS={}", status.to_string().replace('\n', " ")), SendFlags::DONTWAIT);
    }

    /// A sign of life for the watchdog; false if it did not get through, and has to be given again. Waits for nobody.
    pub fn alive(&self) -> bool {
        self.send("WATCHDOG=1", SendFlags::DONTWAIT).is_ok()
    }

    /// Waits while the manager's queue is full, which is short, but not for ever.
    const WAIT: SendFlags = SendFlags::empty();

    fn tell(&self, message: &str, flags: SendFlags) {
        if let Err(error) = self.send(message, flags) {
            tracing::warn!(%error, what = message, "the service manager could not be told");
        }
    }

    fn send(&self, message: &str, flags: SendFlags) -> io::Result<()> {
        let Some((socket, address)) = &self.way else { return Ok(()) };
        sendto(socket, message.as_bytes(), flags | SendFlags::NOSIGNAL, address)?;
        Ok(())
    }
}

/// A path, or a name of the abstract namespace behind an `@`.
fn way_to(name: &[u8]) -> io::Result<(UnixDatagram, SocketAddrUnix)> {
    let address = match name {
        #[cfg(target_os = "linux")]
        [b'@', name @ ..] => SocketAddrUnix::new_abstract_name(name)?,
        [b'/', ..] => SocketAddrUnix::new(OsStr::from_bytes(name))?,
        _ => return Err(io::Error::other("accepted is an absolute path, or a name that begins with @")),
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(Duration::from_secs(MANAGER_SECS)))?;
    Ok((socket, address))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::SocketAddr;

    use super::*;

    fn told(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 512];
        let count = socket.recv(&mut bytes).expect("a message");
        String::from_utf8(bytes[..count].to_vec()).expect("text")
    }

    impl Manager {
        /// One that lets so long pass, and the socket on which it listens, which waits for nothing.
        pub(crate) fn for_test(watchdog: Option<Duration>) -> (Self, UnixDatagram) {
            let usec = watchdog.map(|watchdog| ("WATCHDOG_USEC", watchdog.as_micros().to_string()));
            let (manager, socket) = managed(usec.as_slice());
            socket.set_nonblocking(true).expect("it is open");
            (manager, socket)
        }
    }

    /// A manager, and the socket on which it listens.
    fn managed(vars: &[(&str, String)]) -> (Manager, UnixDatagram) {
        let name = format!("ksana-test-{}", uuid::Uuid::new_v4());
        let address = SocketAddr::from_abstract_name(&name).expect("a name");
        let socket = UnixDatagram::bind_addr(&address).expect("nobody else has this name");
        let mut all: BTreeMap<_, _> = vars.iter().map(|(name, value)| (*name, value.clone())).collect();
        all.insert("NOTIFY_SOCKET", format!("@{name}"));
        (Manager::from_vars(|name| all.get(name)), socket)
    }

    #[test]
    fn each_word_is_a_message() {
        let (manager, socket) = managed(&[]);
        manager.ready();
        assert_eq!(told(&socket), "READY=1");
        manager.stopping();
        assert_eq!(told(&socket), "STOPPING=1");
        manager.status("two\nlines");
        assert_eq!(told(&socket), "STATUS=two lines");
        assert!(manager.alive());
        assert_eq!(told(&socket), "WATCHDOG=1");
        let before = clock_gettime(ClockId::Monotonic).tv_sec;
        manager.reloading();
        let reloading = told(&socket);
        let usec: i64 =
            reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").expect("both").parse().expect("a number");
        assert!((before..=before + 60).contains(&(usec / 1_000_000)), "{usec} is not the monotonic clock's");
    }

    #[test]
    fn the_watchdog_is_ours_only_where_it_is_meant_for_us() {
        let watchdog = |vars: &[(&str, String)]| managed(vars).0.watchdog();
        let usec = ("WATCHDOG_USEC", "3000000".to_owned());
        let pid = |pid: u32| ("WATCHDOG_PID", pid.to_string());
        assert_eq!(watchdog(&[]), None);
        assert_eq!(watchdog(std::slice::from_ref(&usec)), Some(Duration::from_secs(3)));
        assert_eq!(watchdog(&[usec.clone(), pid(process::id())]), Some(Duration::from_secs(3)));
        assert_eq!(watchdog(&[usec, pid(process::id() + 1)]), None);
        assert_eq!(watchdog(&[("WATCHDOG_USEC", "0".to_owned())]), None);
        assert_eq!(watchdog(&[("WATCHDOG_USEC", "soon".to_owned())]), None);
    }

    #[test]
    fn a_full_queue_holds_no_sign_of_life_up_and_loses_no_start() {
        let (manager, socket) = managed(&[]);
        let full = (0..100_000).any(|_| !manager.alive());
        assert!(full, "no queue holds as much");
        manager.status("lost");
        let reader = std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut all = Vec::new();
                while all.last().is_none_or(|last| last != "READY=1") {
                    all.push(told(&socket));
                }
                all
            });
            manager.ready();
            reader.join().expect("READY=1 comes")
        });
        assert!(!reader.iter().any(|message| message.starts_with("STATUS=")));
    }

    #[test]
    fn a_manager_that_comes_back_is_told_again() {
        let path = std::env::temp_dir().join(format!("ksana-manager-{}", uuid::Uuid::new_v4()));
        let named = path.to_str().expect("text");
        let bind = || UnixDatagram::bind(&path).expect("a free path");
        let first = bind();
        let manager = Manager::from_vars(|name| (name == "NOTIFY_SOCKET").then_some(named));
        assert!(manager.alive());
        drop(first);
        std::fs::remove_file(&path).expect("it is there");
        assert!(!manager.alive());
        let second = bind();
        manager.ready();
        assert_eq!(told(&second), "READY=1");
        std::fs::remove_file(&path).expect("it is there");
    }

    #[test]
    fn without_a_manager_nothing_is_said() {
        for socket in [None, Some("vsock:2:1"), Some("relative"), Some("")] {
            let manager = Manager::from_vars(|name| socket.filter(|_| name == "NOTIFY_SOCKET"));
            assert!(manager.way.is_none(), "{socket:?}");
            manager.ready();
            assert!(manager.alive());
        }
    }
}
