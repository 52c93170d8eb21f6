//! Waits that are too short for a timer of the reactor, whose arming and ringing takes several system calls.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

/// Short waits of one thread, which parks meanwhile.
pub(super) struct Naps {
    waker: Waker,
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl Default for Naps {
    /// For the calling thread.
    fn default() -> Self {
        Self { waker: Arc::new(Unpark(thread::current())).into() }
    }
}

impl fmt::Debug for Naps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Naps").finish_non_exhaustive()
    }
}

impl Naps {
    /// What the future gives before this instant.
    pub(super) fn until<T>(&self, at: Instant, future: &mut Pin<&mut impl Future<Output = T>>) -> Option<T> {
        let mut cx = Context::from_waker(&self.waker);
        loop {
            if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
                return Some(value);
            }
            let left = at.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            thread::park_timeout(left);
        }
    }
}
