//! The way in: a [`Listener`] whose every connection comes under guard at once.
//!
//! The library's own would close, at a shutdown, what has been accepted and not read yet, and it would remove the file
//! of every Unix socket, also of one that the service manager goes on listening on.

use std::io;
use std::time::{Duration, Instant};

use async_channel::Sender;
use async_io::Timer;
use futures_lite::FutureExt;
use smol::net::unix::{UnixListener, UnixStream};
use smol::net::{TcpListener, TcpStream};
use trillium_server_common::{Binding, Server};
use trillium_smol::{SmolRuntime, SmolTransport, SmolUdpSocket};

use super::guard::{Guard, Guarded};
use crate::limits::{ACCEPT_REST_MILLIS, ACCEPT_WARN_REST_SECS};
use crate::listen::{Listener, SocketFile};

/// A [`Listener`] that waits without a thread, until the guard lets nobody in any more.
#[derive(Debug)]
pub(super) struct Door {
    /// With its own end of a channel that closes when all doors are closed.
    open: Option<(Waiting, Sender<()>)>,
    guard: Guard,
    /// When it was last told of that nobody can come in.
    warned: Option<Instant>,
}

#[derive(Debug)]
enum Waiting {
    Tcp(TcpListener),
    Unix(UnixListener, #[expect(dead_code, reason = "lives as long as the socket")] SocketFile),
}

type Stream = Binding<SmolTransport<TcpStream>, SmolTransport<UnixStream>>;

impl Door {
    pub(super) fn new(listener: Listener, guard: Guard, open: Sender<()>) -> io::Result<Self> {
        let listener = match listener {
            Listener::Tcp(listener) => Waiting::Tcp(listener.try_into()?),
            Listener::Unix(listener, file) => Waiting::Unix(listener.try_into()?, file),
        };
        Ok(Self { open: Some((listener, open)), guard, warned: None })
    }

    fn warn(&mut self, error: &io::Error) {
        let now = Instant::now();
        let rest = Duration::from_secs(ACCEPT_WARN_REST_SECS);
        if self.warned.is_none_or(|warned| now.saturating_duration_since(warned) >= rest) {
            self.warned = Some(now);
            tracing::warn!(%error, "no connection can be taken; the socket is asked again and again");
        }
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
        while let Some((listener, _)) = &self.open {
            let ended = async {
                self.guard.ended().await;
                None
            };
            match ended.or(async { Some(listener.accept().await) }).await {
                Some(Ok(stream)) => return Ok(self.guard.admit(stream)),
                Some(Err(error)) => {
                    self.warn(&error);
                    Timer::after(Duration::from_millis(ACCEPT_REST_MILLIS)).await;
                }
                None => self.open = None,
            }
        }
        std::future::pending().await
    }

    fn runtime() -> SmolRuntime {
        SmolRuntime::default()
    }
}
