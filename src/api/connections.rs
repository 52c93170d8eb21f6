//! Who is connected, and who has to go when there is no room.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Waker;

use async_channel::{Receiver, Sender, bounded};

/// Every open connection, in the order in which they would have to give way.
#[derive(Debug)]
pub(super) struct Connections {
    max: usize,
    /// Set once, at shutdown: from then on nobody comes in, and no client is waited for for long.
    ending: AtomicBool,
    /// Closes with that.
    open: (Sender<()>, Receiver<()>),
    /// Tells that nobody is left, once that is so.
    emptied: (Sender<()>, Receiver<()>),
    /// Requests that were refused before they were read.
    unread: AtomicU64,
    table: Mutex<Table>,
}

/// How a connection stands, in the order in which they give way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Silent, idle, half a head or half a body.
    Unfinished,
    /// An answer has begun to leave: it may be through already, or wait for a client that takes nothing.
    Answering,
    /// A whole request is here and is being worked on, or its answer has no end.
    Working,
}

/// The key of each map is a number that only grows, given at the arrival and anew with each
/// answered request. So the first entry is the one that has been longest without a whole request.
#[derive(Debug, Default)]
struct Table {
    next_rank: u64,
    /// One map for each [`Standing`].
    seats: [BTreeMap<u64, Arc<Seat>>; 3],
    /// The log has been told that there is no room; it is told again only after there was some.
    full_told: bool,
}

/// What a connection's task and everybody else share.
#[derive(Debug, Default)]
struct Seat {
    /// The connection has to go. Never unset.
    cut: AtomicBool,
    /// Wakes the task that waits for this connection's next byte.
    waker: Mutex<Option<Waker>>,
}

/// A connection's own hold on its entry; dropping it makes room.
#[derive(Debug)]
pub(super) struct Place {
    connections: Arc<Connections>,
    seat: Arc<Seat>,
    rank: u64,
    standing: Standing,
}

const LOCK: &str = "nobody panics while he holds this lock";

impl Connections {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            max: max.max(1),
            ending: AtomicBool::new(false),
            open: bounded(1),
            emptied: bounded(1),
            unread: AtomicU64::new(0),
            table: Mutex::default(),
        })
    }

    /// Makes an entry for a newcomer. At the cap the first in order gives way to it.
    pub(super) fn enter(self: &Arc<Self>) -> Place {
        let seat = Arc::new(Seat::default());
        let mut table = self.table();
        let gone = if table.len() < self.max { None } else { table.take_first() };
        let told = gone.is_some() && !std::mem::replace(&mut table.full_told, true);
        let rank = table.rank();
        table.of(Standing::Unfinished).insert(rank, Arc::clone(&seat));
        drop(table);
        if told {
            tracing::warn!(max = self.max, "at the cap on connections; the longest silent ones give way");
        }
        if let Some(gone) = gone {
            gone.cut();
        }
        Place { connections: Arc::clone(self), seat, rank, standing: Standing::Unfinished }
    }

    /// Lets nobody in any more, and wakes every connection: how long its client is still waited for, its guard knows.
    pub(super) fn end(&self) {
        self.ending.store(true, Ordering::SeqCst);
        self.open.0.close();
        // Whoever comes to wait after this has taken the lock after the store, and sees it.
        let all: Vec<_> = self.table().seats.iter().flat_map(BTreeMap::values).cloned().collect();
        for seat in all {
            seat.wake();
        }
    }

    /// Waits until [`Connections::end`] was called.
    pub(super) async fn ended(&self) {
        // Nothing is ever sent.
        let _ = self.open.1.recv().await;
    }

    /// Waits until nobody is connected. To be called after [`Connections::end`].
    pub(super) async fn emptied(&self) {
        while self.len() > 0 {
            // Both ends are ours.
            let _ = self.emptied.1.recv().await;
        }
    }

    /// Ends every connection.
    pub(super) fn close_all(&self) {
        self.ending.store(true, Ordering::SeqCst);
        let all = std::mem::take(&mut self.table().seats);
        for seat in all.iter().flat_map(BTreeMap::values) {
            seat.cut();
        }
    }

    /// How many are connected.
    pub(super) fn len(&self) -> usize {
        self.table().len()
    }

    /// How many requests were refused unread, by all that ever were.
    pub(super) fn unread(&self) -> u64 {
        self.unread.load(Ordering::Relaxed)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().expect(LOCK)
    }
}

impl Table {
    fn len(&self) -> usize {
        self.seats.iter().map(BTreeMap::len).sum()
    }

    fn rank(&mut self) -> u64 {
        self.next_rank += 1;
        self.next_rank
    }

    fn take_first(&mut self) -> Option<Arc<Seat>> {
        self.seats.iter_mut().find_map(BTreeMap::pop_first).map(|(_, seat)| seat)
    }

    fn of(&mut self, standing: Standing) -> &mut BTreeMap<u64, Arc<Seat>> {
        &mut self.seats[standing as usize]
    }
}

impl Seat {
    fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        self.wake();
    }

    fn wake(&self) {
        let waker = self.waker.lock().expect(LOCK).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Place {
    /// From now on the connection stands like this.
    pub(super) fn stand(&mut self, standing: Standing) {
        if self.standing != standing {
            self.move_to(standing, false);
        }
    }

    /// What came was no request.
    pub(super) fn refused_unread(&self) {
        self.connections.unread.fetch_add(1, Ordering::Relaxed);
    }

    /// A request has been answered; the next one is waited for, from the end of the line.
    pub(super) fn answered(&mut self) {
        self.move_to(Standing::Unfinished, true);
    }

    fn move_to(&mut self, standing: Standing, to_the_end: bool) {
        let mut table = self.connections.table();
        let was = std::mem::replace(&mut self.standing, standing);
        // An entry that is no longer there has been cut, and must not come back.
        let Some(seat) = table.of(was).remove(&self.rank) else { return };
        if to_the_end {
            self.rank = table.rank();
        }
        table.of(standing).insert(self.rank, seat);
    }

    /// Remembers whom to wake if this connection has to go. To be called before [`Place::is_cut`]
    /// and [`Place::is_ending`] are asked, so that no call is missed.
    pub(super) fn watch(&self, waker: &Waker) {
        let mut watched = self.seat.waker.lock().expect(LOCK);
        match &mut *watched {
            Some(known) => known.clone_from(waker),
            None => *watched = Some(waker.clone()),
        }
    }

    /// Whether this connection has to go, whatever it is about.
    pub(super) fn is_cut(&self) -> bool {
        self.seat.cut.load(Ordering::SeqCst)
    }

    /// Whether no client is waited for for long any more.
    pub(super) fn is_ending(&self) -> bool {
        self.connections.ending.load(Ordering::SeqCst)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.connections.table();
        table.of(self.standing).remove(&self.rank);
        if table.len() == 0 && self.is_ending() {
            // A word that waits already says the same.
            let _ = self.connections.emptied.0.try_send(());
        }
        // Not at the first free place: a crowd at the door would make a line of log each second.
        if table.len() < self.connections.max / 4 * 3 {
            table.full_told = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_without_a_whole_request_gives_way() {
        let connections = Connections::new(3);
        let silent = connections.enter();
        let mut idle = connections.enter();
        let half = connections.enter();
        idle.stand(Standing::Working);
        idle.answered();
        let newcomer = connections.enter();
        assert!(silent.is_cut());
        let second = connections.enter();
        assert!(half.is_cut());
        let third = connections.enter();
        assert!(idle.is_cut());
        assert!(!newcomer.is_cut() && !second.is_cut() && !third.is_cut());
        assert_eq!(connections.len(), 3);
    }

    #[test]
    fn who_is_being_answered_goes_last() {
        let connections = Connections::new(2);
        let mut busy = connections.enter();
        busy.stand(Standing::Working);
        let mut other = connections.enter();
        let newcomer = connections.enter();
        assert!(other.is_cut() && !busy.is_cut());
        other.stand(Standing::Working);
        assert_eq!(connections.len(), 2, "who was cut does not come back");
        drop(newcomer);
        let mut last = connections.enter();
        last.stand(Standing::Working);
        last.stand(Standing::Answering);
        let mut newest = connections.enter();
        assert!(last.is_cut() && !busy.is_cut(), "an answer may be through already, work is not");
        newest.stand(Standing::Working);
        let _one_more = connections.enter();
        assert!(busy.is_cut() && !newest.is_cut());
    }

    #[test]
    fn waiting_for_a_body_does_not_count_as_being_answered() {
        let connections = Connections::new(2);
        let mut dribbler = connections.enter();
        dribbler.stand(Standing::Working);
        dribbler.stand(Standing::Unfinished);
        let _other = connections.enter();
        let _newcomer = connections.enter();
        assert!(dribbler.is_cut());
    }

    #[test]
    fn leaving_makes_room() {
        let connections = Connections::new(1);
        drop(connections.enter());
        let stays = connections.enter();
        assert!(!stays.is_cut());
        drop(stays);
        assert_eq!(connections.len(), 0);
    }
}
