//! What is next: a binary heap of due times in which any entry can be moved.

use jiff::Timestamp;

use super::blocks::Blocks;
use super::table::Slot;

/// At most one due time for each slot. Every change takes O(log n) steps, because the heap knows
/// where each slot stands.
#[derive(Debug, Default)]
pub(super) struct DueHeap {
    /// Ordered so that no entry is earlier than its parent at `(index - 1) / 2`.
    entries: Blocks<(Timestamp, Slot)>,
    /// For each slot its index in `entries`, or `ABSENT`.
    places: Blocks<u32>,
}

const ABSENT: u32 = u32::MAX;

impl DueHeap {
    /// The earliest entry.
    pub(super) fn first(&self) -> Option<(Timestamp, Slot)> {
        self.entries.get(0).copied()
    }

    /// Gives a slot its due time, or none.
    pub(super) fn set(&mut self, slot: Slot, due: Option<Timestamp>) {
        let place = self.place(slot);
        match (place, due) {
            (None, None) => {}
            (None, Some(due)) => {
                while slot.index() >= self.places.len() {
                    self.places.push(ABSENT);
                }
                self.entries.push((due, slot));
                self.sift_up(self.entries.len() - 1);
            }
            (Some(place), Some(due)) => {
                self.entries[place].0 = due;
                self.settle(place);
            }
            (Some(place), None) => {
                self.places[slot.index()] = ABSENT;
                let last = self.entries.pop().expect("a place is that of an entry");
                if place < self.entries.len() {
                    self.entries[place] = last;
                    self.settle(place);
                }
            }
        }
    }

    fn place(&self, slot: Slot) -> Option<usize> {
        self.places.get(slot.index()).filter(|place| **place != ABSENT).map(|place| *place as usize)
    }

    /// Moves the entry at `place`, whose time changed, to where it belongs.
    fn settle(&mut self, place: usize) {
        let place = self.sift_up(place);
        self.sift_down(place);
    }

    fn sift_up(&mut self, mut place: usize) -> usize {
        let entry = self.entries[place];
        while place > 0 && entry.0 < self.entries[(place - 1) / 2].0 {
            self.put(place, self.entries[(place - 1) / 2]);
            place = (place - 1) / 2;
        }
        self.put(place, entry);
        place
    }

    fn sift_down(&mut self, mut place: usize) {
        let entry = self.entries[place];
        loop {
            let children = (2 * place + 1)..self.entries.len().min(2 * place + 3);
            let Some(child) = children.min_by_key(|child| self.entries[*child].0) else { break };
            if entry.0 <= self.entries[child].0 {
                break;
            }
            self.put(place, self.entries[child]);
            place = child;
        }
        self.put(place, entry);
    }

    fn put(&mut self, place: usize, entry: (Timestamp, Slot)) {
        self.entries[place] = entry;
        self.places[entry.1.index()] = u32::try_from(place).expect("there are fewer entries than slots, which are u32");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Against a map that is scanned: any sequence of changes leaves the same earliest entry.
    #[test]
    fn first_is_the_earliest_after_any_change() {
        let mut heap = DueHeap::default();
        let mut model = BTreeMap::new();
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..20_000 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let slot = Slot::new((random % 64) as usize);
            let due = (random >> 8) % 4;
            let due = (due > 0).then(|| Timestamp::from_second((random >> 16).cast_signed() % 1000).expect("small"));
            heap.set(slot, due);
            match due {
                Some(due) => model.insert(slot, due),
                None => model.remove(&slot),
            };
            assert_eq!(heap.first().map(|(due, _)| due), model.values().min().copied());
            assert_eq!(heap.entries.len(), model.len());
            if let Some((due, slot)) = heap.first() {
                assert_eq!(model[&slot], due);
            }
        }
    }
}
