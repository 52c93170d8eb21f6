//! The server: from the first connection to the last answered request.

use std::io;
use std::time::Duration;

use async_channel::Receiver;
use async_io::Timer;
use futures_lite::FutureExt;
use trillium::HttpConfig;
use trillium_server_common::{Config, ServerHandle, Swansong};

use super::Api;
use super::door::Door;
use super::guard::Guard;
use super::routes::service;
use crate::limits;
use crate::listen::{Address, Listener};

/// A server that is listening. Dropping it does not stop it; [`Server::shut_down`] does.
#[derive(Debug)]
pub struct Server {
    handle: ServerHandle,
    guard: Guard,
    /// Closes when every door is closed.
    doors: Receiver<()>,
    addresses: Vec<Address>,
}

impl Server {
    /// Answers from then on, whoever connects to any of these.
    ///
    /// # Errors
    ///
    /// Where the system cannot tell of a listener.
    pub fn start(listeners: Vec<Listener>, api: &Api) -> io::Result<Self> {
        Self::start_guarded(listeners, api.guard.clone(), service(api))
    }

    /// The same with a guard and a handler of one's own.
    pub(super) fn start_guarded(
        listeners: Vec<Listener>,
        guard: Guard,
        handler: impl trillium::Handler,
    ) -> io::Result<Self> {
        let body_bytes_max = limits::REQUEST_BODY_BYTES_MAX + limits::REQUEST_DISCARD_BYTES_MAX + 64 * 1024;
        let http = HttpConfig::default()
            .with_head_max_len(limits::REQUEST_HEAD_BYTES_MAX)
            .with_received_body_max_len(body_bytes_max);
        let addresses = listeners.iter().map(Listener::address).collect::<io::Result<_>>()?;
        // The library's own cap on connections does not see silent ones and is the guard's affair.
        let mut server = Config::<Door, ()>::new()
            .with_http_config(http)
            .with_nodelay()
            .with_max_connections(Some(usize::MAX))
            .with_swansong(Swansong::new())
            .without_signals()
            .listeners();
        let (open, doors) = async_channel::bounded(1);
        for listener in listeners {
            server = server.bind_server(Door::new(listener, guard.clone(), open.clone())?);
        }
        Ok(Self { handle: server.spawn(handler), guard, doors, addresses })
    }

    /// Where it listens: the real port, if 0 was asked for.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.guard.open()
    }

    /// Takes no more connections, answers every request that has come whole or is on its way, and ends each connection
    /// with its answer, or where nothing has come for a moment. What is not answered `within` this time is cut off; false
    /// if there was any. A client that keeps its side open after its last answer is waited for, by the library, for a
    /// second.
    pub async fn shut_down(self, within: Duration) -> bool {
        self.guard.end();
        let deadline = async {
            Timer::after(within).await;
            false
        };
        let in_time = async {
            // Nothing is ever sent. As long as a door is open, somebody may come in.
            let _ = self.doors.recv().await;
            self.guard.emptied().await;
            // Only now: from here on the library drops what it has accepted and not read.
            self.handle.shut_down().await;
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
