//! The way in: a [`Listener`] whose every connection comes under guard at once.
//!
//! The library's own would close, at a shutdown, what has been accepted and not read yet, and it would remove the file
//! of every Unix socket, also of one that the service manager goes on listening on.

use std::io;

use futures_lite::FutureExt;
use smol::net::unix::{UnixListener, UnixStream};
use smol::net::{TcpListener, TcpStream};
use trillium_server_common::{Binding, Server};
use trillium_smol::{SmolRuntime, SmolTransport, SmolUdpSocket};

use super::guard::{Guard, Guarded};
use crate::listen::{Listener, SocketFile};

/// A [`Listener`] that waits without a thread, until the guard lets nobody in any more.
#[derive(Debug)]
pub(super) struct Door {
    listener: Option<Waiting>,
    guard: Guard,
}

#[derive(Debug)]
enum Waiting {
    Tcp(TcpListener),
    Unix(UnixListener, #[expect(dead_code, reason = "lives as long as the socket")] SocketFile),
}

type Stream = Binding<SmolTransport<TcpStream>, SmolTransport<UnixStream>>;

impl Door {
    pub(super) fn new(listener: Listener, guard: Guard) -> io::Result<Self> {
        let listener = match listener {
            Listener::Tcp(listener) => Waiting::Tcp(listener.try_into()?),
            Listener::Unix(listener, file) => Waiting::Unix(listener.try_into()?, file),
        };
        Ok(Self { listener: Some(listener), guard })
    }
}

impl Waiting {
    async fn accept(&self) -> io::Result<Stream> {
        Ok(match self {
            Self::Tcp(listener) => Binding::Tcp(listener.accept().await?.0.into()),
            Self::Unix(listener, _) => Binding::Unix(listener.accept().await?.0.into()),
        })
    }
}

impl Server for Door {
    type Transport = Guarded<Stream>;
    type Runtime = SmolRuntime;
    type UdpTransport = SmolUdpSocket;

    async fn accept(&mut self) -> io::Result<Guarded<Stream>> {
        if let Some(listener) = &self.listener {
            let ended = async {
                self.guard.ended().await;
                None
            };
            if let Some(stream) = ended.or(async { Some(listener.accept().await) }).await {
                return stream.map(|stream| self.guard.admit(stream));
            }
            self.listener = None;
        }
        std::future::pending().await
    }

    fn runtime() -> SmolRuntime {
        SmolRuntime::default()
    }
}
