//! Which attempts nobody waits for any more.
//!
//! A token that arrives names an attempt that no worker has taken yet, one that is under way, or
//! one that is over. Attempts are handed out in growing order of their tokens, so the last one that
//! was taken tells the first kind from the others, and nothing is kept of what is over.

use crate::engine::Token;
use async_channel::Receiver;
use futures_lite::future;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::future::Future;
use std::task::{Poll, Waker};

/// The cancellations of all workers; all of them live on one thread.
pub(super) struct Cancels {
    incoming: Receiver<Token>,
    last_taken: Cell<Option<Token>>,
    /// Cancelled before a worker took them, and so greater than the last one that was taken: one
    /// that never comes goes when a later attempt does.
    early: RefCell<BTreeSet<Token>>,
    slots: Box<[Slot]>,
}

/// What one worker has under way.
pub(super) struct Slot {
    /// `None` as soon as the attempt is cancelled.
    attempt: Cell<Option<Token>>,
    /// The worker's. It stays the same, so that an attempt costs no new one.
    waker: RefCell<Waker>,
}

impl Cancels {
    pub(super) fn new(workers: usize, incoming: Receiver<Token>) -> Self {
        let slot = |_| Slot { attempt: Cell::default(), waker: RefCell::new(Waker::noop().clone()) };
        let slots = (0..workers).map(slot).collect();
        Self { incoming, last_taken: Cell::default(), early: RefCell::default(), slots }
    }

    /// One a worker.
    pub(super) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Acts on tokens as they come, until their channel closes.
    pub(super) async fn listen(&self) {
        while let Ok(token) = self.incoming.recv().await {
            self.cancel(token);
        }
    }

    /// A worker has taken this attempt. False if it is cancelled already.
    pub(super) fn begin(&self, slot: &Slot, token: Token) -> bool {
        // What has arrived by now counts, whether or not `listen` has had its turn.
        while let Ok(token) = self.incoming.try_recv() {
            self.cancel(token);
        }
        self.last_taken.set(self.last_taken.get().max(Some(token)));
        let mut early = self.early.borrow_mut();
        let is_cancelled = early.contains(&token);
        early.retain(|&waiting| waiting > token);
        slot.attempt.set((!is_cancelled).then_some(token));
        !is_cancelled
    }

    fn cancel(&self, token: Token) {
        if Some(token) > self.last_taken.get() {
            let mut early = self.early.borrow_mut();
            // No more than that can be on their way; one too many only has its attempt made.
            if early.len() < self.slots.len() {
                early.insert(token);
            }
        } else if let Some(slot) = self.slots.iter().find(|slot| slot.attempt.get() == Some(token)) {
            slot.attempt.set(None);
            slot.waker.borrow().wake_by_ref();
        }
    }
}

impl Slot {
    /// Waits for what the attempt comes to. `None` as soon as it is cancelled.
    pub(super) async fn unless_cancelled<T>(&self, attempt: impl Future<Output = T>) -> Option<T> {
        let cancelled = future::poll_fn(|cx| {
            if self.attempt.get().is_none() {
                return Poll::Ready(None);
            }
            self.waker.borrow_mut().clone_from(cx.waker());
            Poll::Pending
        });
        let ended = future::or(async { Some(attempt.await) }, cancelled).await;
        self.attempt.set(None);
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn early(cancels: &Cancels) -> Vec<u64> {
        cancels.early.borrow().iter().map(|token| token.0).collect()
    }

    #[test]
    fn nothing_is_kept_of_what_is_over_or_never_comes() {
        let cancels = Cancels::new(2, async_channel::bounded(1).1);
        let [first, second] = cancels.slots() else { panic!("a slot a worker") };
        // Only so many can wait to be taken.
        for token in [3, 5, 6] {
            cancels.cancel(Token(token));
        }
        assert_eq!(early(&cancels), [3, 5]);
        assert!(cancels.begin(first, Token(1)));
        assert_eq!(early(&cancels), [3, 5]);
        // 3 is passed by: it never comes.
        assert!(cancels.begin(second, Token(4)));
        assert_eq!(early(&cancels), [5]);
        assert!(!cancels.begin(second, Token(5)));
        assert!(early(&cancels).is_empty());
        // Over, never come, over.
        for token in [4, 3, 5] {
            cancels.cancel(Token(token));
        }
        assert!(early(&cancels).is_empty());
        assert!(cancels.begin(second, Token(7)));
        assert_eq!([first, second].map(|slot| slot.attempt.get()), [Some(Token(1)), Some(Token(7))]);
        assert_eq!(future::block_on(first.unless_cancelled(future::ready("an end"))), Some("an end"));
        assert_eq!(first.attempt.get(), None);
    }
}
