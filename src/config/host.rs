//! Where to listen.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use crate::limits::SOCKET_PATH_BYTES_MAX;

/// An address of this machine, or the path of a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// `0.0.0.0` and `::` are all addresses; the latter those of IPv4 too, unless `net.ipv6.bindv6only` is set.
    Ip(IpAddr),
    /// Absolute.
    Unix(PathBuf),
}

impl Host {
    pub(super) const ACCEPTED: &str = "an IPv4 address, an IPv6 address, localhost or unix:/path";

    pub(super) fn read(text: &str) -> Option<Self> {
        if let Some(path) = text.strip_prefix("unix:") {
            let is_accepted = Path::new(path).is_absolute() && path.len() <= SOCKET_PATH_BYTES_MAX;
            return is_accepted.then(|| Self::Unix(path.into()));
        }
        if text.eq_ignore_ascii_case("localhost") {
            return Some(Self::Ip(Ipv4Addr::LOCALHOST.into()));
        }
        text.parse().ok().map(Self::Ip)
    }
}
