//! The ring of the latest events, and who has taken how many of them.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use async_channel::{Receiver, Sender, bounded};

use super::{EventId, Filter, Happening, Refused};
use crate::limits::{EVENTS_BYTES_MAX, EVENTS_KEPT_MAX, EVENTS_MADE_UP_BYTES_MAX, EVENTS_READERS_MAX, EVENTS_SCAN_MAX};

/// All of it, under one lock.
#[derive(Debug)]
pub(super) struct Hub {
    /// The id of the latest event; before the first one what stands for the start.
    latest: EventId,
    /// Their numbers follow each other, up to the latest one.
    ring: VecDeque<Arc<Kept>>,
    /// How much it holds, about.
    bytes: usize,
    readers: BTreeMap<u64, Entry>,
    /// How many there ever were; names the next one.
    entered: u64,
    cut_off: u64,
    /// How much readers hold that they are made up with, about.
    made_up_bytes: usize,
    has_ended: bool,
}

/// An event of the ring.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) id: EventId,
    pub(super) happening: Happening,
    bytes: usize,
}

/// One who listens.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) client_ip: Option<IpAddr>,
    filter: Arc<Filter>,
    /// The first event that he has not looked at; `None` while there is none for him.
    from: Option<u64>,
    /// Rung when that is no longer so. It holds one ring: one that waits already says the same.
    bell: Sender<()>,
}

/// How a reader begins.
#[derive(Debug)]
pub(super) struct Entered {
    pub(super) reader: u64,
    pub(super) bell: Receiver<()>,
    pub(super) filter: Arc<Filter>,
    /// Behind this event he goes on.
    pub(super) last: EventId,
    /// Some of what is behind it is not there any more.
    pub(super) has_gap: bool,
}

/// What there is for a reader.
#[derive(Debug)]
pub(super) enum Taken {
    Event(Arc<Kept>),
    /// Nothing so far, but not all is looked at.
    NotYet,
    /// Nothing; how far that holds.
    Nothing(EventId),
    /// He was cut off, or all streams are ended.
    Gone,
}

impl Hub {
    pub(super) fn new(start: EventId) -> Self {
        Self {
            latest: start,
            ring: VecDeque::new(),
            bytes: 0,
            readers: BTreeMap::new(),
            entered: 0,
            cut_off: 0,
            made_up_bytes: 0,
            has_ended: false,
        }
    }

    /// Takes an event in; gives those who are cut off by what had to make room.
    pub(super) fn publish(&mut self, happening: Happening) -> Vec<Entry> {
        if let Happening::RunEnded(record) = &happening {
            self.latest.seq = self.latest.seq.max(record.seq);
        }
        self.latest.number += 1;
        let id = self.latest;
        for reader in self.readers.values_mut() {
            if reader.from.is_none() && reader.filter.passes(&happening) {
                reader.from = Some(id.number);
                let _ = reader.bell.try_send(());
            }
        }
        let bytes = happening.bytes();
        self.bytes += bytes;
        self.ring.push_back(Arc::new(Kept { id, happening, bytes }));
        let mut passed = Vec::new();
        while self.ring.len() > EVENTS_KEPT_MAX || (self.bytes > EVENTS_BYTES_MAX && self.ring.len() > 1) {
            self.drop_oldest(&mut passed);
        }
        passed
    }

    fn drop_oldest(&mut self, passed: &mut Vec<Entry>) {
        let Some(oldest) = self.ring.pop_front() else { return };
        self.bytes -= oldest.bytes;
        let latest = self.latest.number;
        let slow = self.readers.extract_if(.., |_, reader| {
            if reader.from != Some(oldest.id.number) {
                return false;
            }
            reader.go_to(oldest.id.number + 1, latest);
            reader.filter.passes(&oldest.happening)
        });
        let before = passed.len();
        passed.extend(slow.map(|(_, reader)| reader));
        self.cut_off += (passed.len() - before) as u64;
    }

    /// Lets a reader in, who knows all events up to `last`.
    pub(super) fn enter(
        &mut self,
        filter: Filter,
        last: Option<EventId>,
        client_ip: Option<IpAddr>,
    ) -> Result<Entered, Refused> {
        if self.has_ended {
            return Err(Refused::Ended);
        }
        if self.readers.len() >= EVENTS_READERS_MAX {
            return Err(Refused::Full);
        }
        let last = last.unwrap_or(self.latest);
        let has_gap = last.number.saturating_add(1) < self.oldest() || last.number > self.latest.number;
        let (filter, (ring, bell)) = (Arc::new(filter), bounded(1));
        let mut entry = Entry { client_ip, filter: Arc::clone(&filter), from: None, bell: ring };
        entry.go_to(if has_gap { self.oldest() } else { last.number.saturating_add(1) }, self.latest.number);
        self.entered += 1;
        self.readers.insert(self.entered, entry);
        Ok(Entered { reader: self.entered, bell, filter, last, has_gap })
    }

    /// The number of the oldest event of the ring; that of the next one where it is empty.
    fn oldest(&self) -> u64 {
        self.latest.number + 1 - self.ring.len() as u64
    }

    /// The next event for a reader. It looks at no more than a piece of the ring, so that nobody waits for long.
    pub(super) fn take(&mut self, reader: u64) -> Taken {
        let oldest = self.oldest();
        let Some(entry) = self.readers.get_mut(&reader) else { return Taken::Gone };
        let Some(from) = entry.from else { return Taken::Nothing(self.latest) };
        let index = usize::try_from(from - oldest).unwrap_or(usize::MAX);
        let mut piece = self.ring.iter().skip(index).take(EVENTS_SCAN_MAX);
        let found = piece.find(|kept| entry.filter.passes(&kept.happening));
        let next = found.map_or(from + EVENTS_SCAN_MAX as u64, |kept| kept.id.number + 1);
        entry.go_to(next, self.latest.number);
        match found {
            Some(kept) => Taken::Event(Arc::clone(kept)),
            None if entry.from.is_some() => Taken::NotYet,
            None => Taken::Nothing(self.latest),
        }
    }

    /// Whether a reader is still one.
    pub(super) fn holds(&self, reader: u64) -> bool {
        self.readers.contains_key(&reader)
    }

    pub(super) fn leave(&mut self, reader: u64) {
        self.readers.remove(&reader);
    }

    /// Takes room for what a reader is made up with; `false` where all of them have no more.
    pub(super) fn hold(&mut self, bytes: usize) -> bool {
        let sum = self.made_up_bytes + bytes;
        let has_room = sum <= EVENTS_MADE_UP_BYTES_MAX;
        if has_room {
            self.made_up_bytes = sum;
        }
        has_room
    }

    /// Gives it back.
    pub(super) fn let_go(&mut self, bytes: usize) {
        self.made_up_bytes -= bytes;
    }

    /// Their bells go with them, and wake those who wait.
    pub(super) fn end(&mut self) {
        self.has_ended = true;
        self.readers.clear();
    }

    pub(super) fn readers(&self) -> usize {
        self.readers.len()
    }

    pub(super) fn cut_off(&self) -> u64 {
        self.cut_off
    }
}

impl Entry {
    /// He looks at this event next, if it is there.
    fn go_to(&mut self, number: u64, latest: u64) {
        self.from = Some(number).filter(|number| *number <= latest);
    }
}
