//! What stands between a client's socket and the HTTP library, which itself waits for ever.
//!
//! Each connection is wrapped in a [`Guarded`] transport that sees every byte pass, and knows from them whether a
//! client is silent, half-way through a head, being waited for with a body, or being answered. Each of these has its
//! deadline, and the place in the order of those who give way when there is no more room. Nothing is kept of what
//! passes, so a client that sends a byte at a time costs no more than any other.
//!
//! The library answers some requests by itself, before any handler; see `refusal` for what becomes of those answers.

use std::borrow::Cow;
use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_lite::{AsyncRead, AsyncWrite};
use trillium_server_common::Transport;

mod head_end;

use head_end::HeadEnd;

use super::connections::{Connections, Place, Standing};
use super::events::is_stream;
use super::refusal;
use crate::alarm::Alarm;
use crate::limits;

/// How long a client may take for what is its turn to do.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// A request's head, from its first byte.
    pub head: Duration,
    /// A request's body, from the head's end.
    pub body: Duration,
    /// The next request's first byte.
    pub idle: Duration,
    /// Any progress at all with taking an answer.
    pub stall: Duration,
    /// Each of these, once the server is ending: what has just begun is on its way, and a client that is cut off then
    /// takes a restart for an outage.
    pub ending: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(limits::REQUEST_HEAD_SECS_MAX),
            body: Duration::from_secs(limits::REQUEST_BODY_SECS_MAX),
            idle: Duration::from_secs(limits::CONNECTION_IDLE_SECS_MAX),
            stall: Duration::from_secs(limits::ANSWER_STALL_SECS_MAX),
            ending: Duration::from_millis(limits::ENDING_CONNECTION_MILLIS),
        }
    }
}

/// Watches over all connections; its clones share one count of them.
#[derive(Clone, Debug)]
pub struct Guard {
    deadlines: Deadlines,
    connections: Arc<Connections>,
}

impl Guard {
    /// Lets so many connections in at a time, silent ones counted.
    pub fn new(deadlines: Deadlines, connections_max: usize) -> Self {
        Self { deadlines, connections: Connections::new(connections_max) }
    }

    /// Lets a connection in.
    pub(super) fn admit<T>(&self, transport: T) -> Guarded<T> {
        Guarded {
            transport,
            deadlines: self.deadlines,
            place: self.connections.enter(),
            phase: Phase::Idle { since: Instant::now() },
            expired: false,
            alarm: Alarm::default(),
            stalled: None,
            instead: None,
        }
    }

    /// Lets nobody in any more. Clients that are waited for have [`Deadlines::ending`] from when that began; every other
    /// connection ends with its answer.
    pub fn end(&self) {
        self.connections.end();
    }

    /// Waits until [`Guard::end`] was called.
    pub(super) async fn ended(&self) {
        self.connections.ended().await;
    }

    /// Waits until no connection is left. To be called after [`Guard::end`].
    pub async fn emptied(&self) {
        self.connections.emptied().await;
    }

    /// Ends every connection, whatever it is about.
    pub fn close_all(&self) {
        self.connections.close_all();
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        self.connections.len()
    }

    /// How many requests were refused before they were read.
    pub fn unread(&self) -> u64 {
        self.connections.unread()
    }
}

/// A client's connection under guard.
#[derive(Debug)]
pub struct Guarded<T> {
    transport: T,
    deadlines: Deadlines,
    place: Place,
    phase: Phase,
    /// Once set, nothing is read or written any more: a handler that takes one expired read for
    /// a hiccup must not get the next.
    expired: bool,
    alarm: Alarm,
    /// Since when the client has taken nothing of what is waiting to be written.
    stalled: Option<Instant>,
    /// Goes out in place of an answer that the library made by itself.
    instead: Option<Instead>,
}

/// What the connection is about.
#[derive(Debug)]
enum Phase {
    /// Nothing has come since the last answer, or since the beginning.
    Idle { since: Instant },
    /// Some of a head has come.
    Head { since: Instant, end: HeadEnd },
    /// A whole head has come. Who reads now waits for the body; who does not read is working.
    Request { since: Instant },
    /// An answer is on its way; `flushed` if all that there was of it so far has gone. With
    /// pipelined requests, the next answer follows without a read between.
    Answer { flushed: bool },
    /// An answer without an end: nothing is waited for, and what its client sends is nobody's business.
    Stream,
    /// We have closed our side. The library waits for the client's for a second at most.
    Closing,
}

#[derive(Debug)]
struct Instead {
    bytes: Vec<u8>,
    sent: usize,
}

impl<T: Transport> Guarded<T> {
    /// Takes note of bytes that have come. Whether they came in time is asked only when there are
    /// none: a client that is never waited for soon runs into the limits of size.
    fn received(&mut self, bytes: &[u8]) {
        if let Phase::Idle { .. } = self.phase {
            self.phase = Phase::Head { since: Instant::now(), end: HeadEnd::default() };
        }
        if let Phase::Head { end, .. } = &mut self.phase
            && end.is_in(bytes)
        {
            self.phase = Phase::Request { since: Instant::now() };
        }
        if let Phase::Request { .. } = self.phase {
            self.place.stand(Standing::Working);
        }
    }

    /// Nothing has come: until when this is fine, and whether it no longer is.
    fn is_waited_for_in_vain(&mut self, cx: &mut Context<'_>) -> bool {
        if let Phase::Request { .. } = self.phase {
            self.place.stand(Standing::Unfinished);
        }
        self.place.watch(cx.waker());
        self.place.is_cut() || self.deadline().is_some_and(|deadline| self.alarm.has_rung(deadline, cx))
    }

    fn deadline(&self) -> Option<Instant> {
        let (since, patience) = match self.phase {
            Phase::Idle { since } => (since, self.deadlines.idle),
            Phase::Head { since, .. } => (since, self.deadlines.head),
            Phase::Request { since } => (since, self.deadlines.body),
            Phase::Answer { .. } | Phase::Stream | Phase::Closing => return None,
        };
        Some(since + if self.place.is_ending() { patience.min(self.deadlines.ending) } else { patience })
    }

    /// How a connection that has to go looks to the library: an idle one like a client that left.
    fn gone(&self) -> io::Result<usize> {
        match self.phase {
            Phase::Idle { .. } => Ok(0),
            Phase::Request { .. } => Err(ErrorKind::TimedOut.into()),
            _ => Err(ErrorKind::ConnectionReset.into()),
        }
    }

    fn is_over(&mut self) -> bool {
        self.expired |= self.place.is_cut();
        self.expired
    }

    /// Is called with the first bytes of each answer. True if it is the library's own, and ours
    /// goes out instead.
    fn begins_answer(&mut self, bytes: &[u8]) -> bool {
        let begins = match self.phase {
            Phase::Answer { flushed } => flushed,
            Phase::Stream | Phase::Closing => false,
            Phase::Idle { .. } | Phase::Head { .. } | Phase::Request { .. } => !bytes.starts_with(b"HTTP/1.1 100 "),
        };
        if !begins {
            return false;
        }
        if is_stream(bytes) {
            self.phase = Phase::Stream;
            return false;
        }
        self.phase = Phase::Answer { flushed: false };
        self.place.stand(Standing::Answering);
        self.instead = refusal::instead_of(bytes).map(|bytes| Instead { bytes, sent: 0 });
        if self.instead.is_some() {
            self.place.refused_unread();
        }
        self.instead.is_some()
    }

    /// Takes note of a write's outcome, and ends the connection if the client takes nothing for too long.
    fn written(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if outcome.is_ready() {
            self.stalled = None;
            return outcome;
        }
        let since = *self.stalled.get_or_insert_with(Instant::now);
        self.place.watch(cx.waker());
        let Deadlines { stall, ending, .. } = self.deadlines;
        let is_over = matches!(self.phase, Phase::Stream) && self.place.is_ending();
        if self.place.is_cut() || self.alarm.has_rung(since + if is_over { stall.min(ending) } else { stall }, cx) {
            self.expired = true;
            return Poll::Ready(Err(ErrorKind::ConnectionReset.into()));
        }
        Poll::Pending
    }

    /// Sends what goes out in place of the library's own answer, if there is such a thing.
    fn poll_instead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(instead) = &mut self.instead {
            let rest = &instead.bytes[instead.sent..];
            if rest.is_empty() {
                self.instead = None;
                break;
            }
            let outcome = Pin::new(&mut self.transport).poll_write(cx, rest);
            if let Poll::Ready(Ok(count)) = outcome {
                instead.sent += count;
            }
            if ready!(self.written(cx, outcome))? == 0 {
                return Poll::Ready(Err(ErrorKind::WriteZero.into()));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: Transport> AsyncRead for Guarded<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let Phase::Answer { .. } = this.phase {
            this.place.answered();
            this.phase = Phase::Idle { since: Instant::now() };
        }
        if this.is_over() {
            return Poll::Ready(this.gone());
        }
        match Pin::new(&mut this.transport).poll_read(cx, buffer) {
            Poll::Ready(Ok(count)) if count > 0 => {
                this.received(&buffer[..count]);
                Poll::Ready(Ok(count))
            }
            Poll::Pending => {
                this.expired = this.is_waited_for_in_vain(cx);
                if this.expired { Poll::Ready(this.gone()) } else { Poll::Pending }
            }
            end @ Poll::Ready(_) => end,
        }
    }
}

impl<T: Transport> AsyncWrite for Guarded<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.is_over() {
            return Poll::Ready(Err(ErrorKind::ConnectionReset.into()));
        }
        if this.begins_answer(slices.first().map_or(&[], |first| first)) {
            return Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()));
        }
        if let Phase::Answer { flushed } = &mut this.phase {
            *flushed = false;
        }
        let outcome = Pin::new(&mut this.transport).poll_write_vectored(cx, slices);
        this.written(cx, outcome)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_instead(cx))?;
        if let Phase::Answer { flushed } = &mut this.phase {
            *flushed = true;
        }
        Pin::new(&mut this.transport).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_instead(cx))?;
        if !matches!(this.phase, Phase::Closing) {
            this.phase = Phase::Closing;
            this.place.answered();
        }
        Pin::new(&mut this.transport).poll_close(cx)
    }
}

impl<T: Transport> Transport for Guarded<T> {
    fn set_linger(&mut self, linger: Option<Duration>) -> io::Result<()> {
        self.transport.set_linger(linger)
    }

    fn set_nodelay(&mut self, nodelay: bool) -> io::Result<()> {
        self.transport.set_nodelay(nodelay)
    }

    fn set_ip_ttl(&mut self, ttl: u32) -> io::Result<()> {
        self.transport.set_ip_ttl(ttl)
    }

    fn peer_addr(&self) -> io::Result<Option<SocketAddr>> {
        self.transport.peer_addr()
    }

    /// HTTP/2 by prior knowledge cannot be switched off otherwise: this says that HTTP/1.1 was
    /// agreed upon, so nobody looks for a preface.
    fn negotiated_alpn(&self) -> Option<Cow<'_, [u8]>> {
        Some(Cow::Borrowed(b"http/1.1"))
    }
}

#[cfg(test)]
mod tests;
