//! One timer for many deadlines.

use std::future::Future;
use std::pin::Pin;
use std::task::Context;
use std::time::Instant;

use async_io::Timer;

/// One timer for all deadlines of a task that waits for one at a time.
///
/// It is set back only to an earlier instant. One that rings too early is set anew then, so that a
/// busy connection does not touch the reactor's timers, and wake who waits at them, for each of its requests.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    armed: Option<(Timer, Instant)>,
}

impl Alarm {
    /// Whether the deadline has passed; if not, the task is woken when it does.
    pub(crate) fn has_rung(&mut self, deadline: Instant, cx: &mut Context<'_>) -> bool {
        let (timer, at) = self.armed.get_or_insert_with(|| (Timer::at(deadline), deadline));
        if *at > deadline {
            timer.set_at(deadline);
            *at = deadline;
        }
        while Pin::new(&mut *timer).poll(cx).is_ready() {
            if Instant::now() >= deadline {
                // A timer that has rung is silent from then on.
                self.armed = None;
                return true;
            }
            timer.set_at(deadline);
            *at = deadline;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;
    use std::time::Duration;

    use async_io::block_on;

    use super::*;

    fn wait(alarm: &mut Alarm, deadline: Instant) {
        block_on(poll_fn(|cx| if alarm.has_rung(deadline, cx) { Poll::Ready(()) } else { Poll::Pending }));
        assert!(Instant::now() >= deadline);
    }

    #[test]
    fn it_rings_for_each_deadline_whatever_their_order() {
        let (mut alarm, start) = (Alarm::default(), Instant::now());
        let waker = std::task::Waker::noop();
        assert!(!alarm.has_rung(start + Duration::from_hours(1), &mut Context::from_waker(waker)));
        for millis in [30, 10, 20, 60, 60, 40, 70] {
            wait(&mut alarm, start + Duration::from_millis(millis));
        }
    }
}
