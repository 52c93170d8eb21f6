//! The listener: from a free port to the last answered request.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use async_io::Timer;
use futures_lite::FutureExt;
use trillium::HttpConfig;
use trillium_server_common::{ServerHandle, Swansong};

use super::Api;
use super::guard::{Deadlines, Guard};
use super::routes::service;
use crate::limits;

/// A server that is listening. Dropping it does not stop it; [`Server::shut_down`] does.
#[derive(Debug)]
pub struct Server {
    handle: ServerHandle,
    guard: Guard,
    address: SocketAddr,
}

impl Server {
    /// Binds, and answers from then on. Port 0 takes a free one.
    ///
    /// # Errors
    ///
    /// Why the address cannot be bound: it is taken, not ours, or no address at all.
    pub async fn start(host: &str, port: u16, connections_max: usize, api: &Api) -> io::Result<Self> {
        let guard = Guard::new(Deadlines::default(), connections_max);
        Self::start_guarded(host, port, guard, service(api)).await
    }

    /// The same with a guard and a handler of one's own.
    pub(super) async fn start_guarded(
        host: &str,
        port: u16,
        guard: Guard,
        handler: impl trillium::Handler,
    ) -> io::Result<Self> {
        let body_bytes_max = limits::REQUEST_BODY_BYTES_MAX + limits::REQUEST_DISCARD_BYTES_MAX + 64 * 1024;
        let http = HttpConfig::default()
            .with_head_max_len(limits::REQUEST_HEAD_BYTES_MAX)
            .with_received_body_max_len(body_bytes_max);
        // The plain configuration would look at HOST, PORT and LISTEN_FDS by itself, and panic on a
        // taken port. Its own cap on connections does not see silent ones and is the guard's affair.
        let listeners = trillium_smol::config()
            .with_http_config(http)
            .with_nodelay()
            .with_max_connections(Some(usize::MAX))
            .with_swansong(Swansong::new())
            .without_signals()
            .listeners()
            .bind_tls((host, port), guard.clone())?;
        let handle = listeners.spawn(handler);
        let address = handle.info().await.tcp_socket_addr().copied();
        let address = address.ok_or_else(|| io::Error::other("the listener has no address"))?;
        Ok(Self { handle, guard, address })
    }

    /// Where it listens: the real port, if 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.guard.open()
    }

    /// Takes no more connections, answers every request that has come whole, and ends everything
    /// else at once. What is not answered `within` this time is cut off; false if there was any.
    pub async fn shut_down(self, within: Duration) -> bool {
        let drained = self.handle.shut_down();
        self.guard.close_unfinished();
        let deadline = async {
            Timer::after(within).await;
            false
        };
        let in_time = async {
            drained.await;
            true
        }
        .or(deadline)
        .await;
        if !in_time {
            self.guard.close_all();
        }
        in_time
    }
}
