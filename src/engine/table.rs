//! The jobs, by id and by slot.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Spot;
use std::ops::Bound;

use uuid::Uuid;

use super::blocks::Blocks;
use super::flight::Token;
use crate::job::{Job, JobId};

/// Where a job lives while it lives. A slot is used again after its job was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Slot(u32);

impl Slot {
    pub(super) fn new(index: usize) -> Self {
        Self(u32::try_from(index).expect("four thousand million jobs do not fit into memory"))
    }

    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// A job with what the engine keeps beside it; none of that outlasts a restart.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) job: Job,
    /// Its runs that wait for a worker or have one.
    pub(super) places: Vec<(Uuid, Place)>,
    pub(super) unrecorded: Unrecorded,
    /// It is one of [`Engine::enabled`](super::Engine::enabled).
    pub(super) is_counted: bool,
}

/// Where a run is between its due time and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the queue for a worker, there.
    Queue(u64),
    /// On its way.
    Flight(Token),
}

impl Entry {
    /// The run whose attempt this is, if it still waits for it.
    pub(super) fn run_of(&self, token: Token) -> Option<Uuid> {
        self.places.iter().find(|(_, place)| *place == Place::Flight(token)).map(|(run, _)| *run)
    }
}

/// Whether a job's progress stands in a record as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unrecorded {
    /// It does, or needs none.
    No,
    /// It changed since the last records were taken, and goes with the next.
    Changed,
    /// It goes when its bite comes, unless it changes before: the recovery found it, or its record could not
    /// be written.
    Late,
}

/// All jobs. The index is ordered bytewise by id, as lists are.
#[derive(Debug, Default)]
pub(super) struct Table {
    index: BTreeMap<JobId, Slot>,
    entries: Blocks<Option<Entry>>,
    free: Vec<Slot>,
}

impl Table {
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn slot(&self, id: &JobId) -> Option<Slot> {
        self.index.get(id).copied()
    }

    pub(super) fn get(&self, id: &JobId) -> Option<&Entry> {
        self.slot(id).map(|slot| self.at(slot))
    }

    /// The entry of a slot that is in use.
    pub(super) fn at(&self, slot: Slot) -> &Entry {
        self.entries[slot.index()].as_ref().expect("whoever holds a slot was told when its job went")
    }

    /// The same, to change.
    pub(super) fn at_mut(&mut self, slot: Slot) -> &mut Entry {
        self.entries[slot.index()].as_mut().expect("whoever holds a slot was told when its job went")
    }

    /// The entry of a slot that may be empty or another job's by now.
    pub(super) fn find(&self, slot: Slot) -> Option<&Entry> {
        self.entries.get(slot.index())?.as_ref()
    }

    /// Replaces a job, or takes a new one in; says which it was: whether there was one.
    pub(super) fn put(&mut self, job: Job) -> (Slot, bool) {
        // One way through the index: a start takes in a million jobs.
        let place = match self.index.entry(job.spec.id.clone()) {
            Spot::Occupied(place) => {
                let slot = *place.get();
                self.at_mut(slot).job = job;
                return (slot, true);
            }
            Spot::Vacant(place) => place,
        };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            Slot::new(self.entries.len() - 1)
        });
        place.insert(slot);
        self.entries[slot.index()] =
            Some(Entry { job, places: Vec::new(), unrecorded: Unrecorded::No, is_counted: false });
        (slot, false)
    }

    pub(super) fn remove(&mut self, id: &JobId) {
        if let Some(slot) = self.index.remove(id) {
            self.entries[slot.index()] = None;
            self.free.push(slot);
        }
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        self.index.values().copied()
    }

    /// Jobs by id, from the first one behind `after`, which need not exist.
    pub(super) fn jobs_after(&self, after: Option<&str>) -> impl Iterator<Item = &Job> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.index.range::<str, _>((start, Bound::Unbounded)).map(|(_, slot)| &self.at(*slot).job)
    }
}
