//! The timer of a connection.

use std::future::Future;
use std::pin::Pin;
use std::task::Context;
use std::time::Instant;

use async_io::Timer;

/// One timer for all deadlines of a connection.
///
/// It is set back only to an earlier instant. One that rings too early is set anew then, so that a
/// busy connection does not touch the reactor's timers for each of its requests.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    armed: Option<(Timer, Instant)>,
}

impl Alarm {
    /// Whether the deadline has passed; if not, the task is woken when it does.
    pub(super) fn has_rung(&mut self, deadline: Instant, cx: &mut Context<'_>) -> bool {
        let (timer, at) = self.armed.get_or_insert_with(|| (Timer::at(deadline), deadline));
        if *at > deadline {
            timer.set_at(deadline);
            *at = deadline;
        }
        while Pin::new(&mut *timer).poll(cx).is_ready() {
            if Instant::now() >= deadline {
                return true;
            }
            timer.set_at(deadline);
            *at = deadline;
        }
        false
    }
}
