//! One who listens: what he missed first, then what there is.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use async_channel::Receiver;
use futures_lite::future::yield_now;
use serde::Serialize;
use uuid::Uuid;

use super::hub::{Entered, Taken};
use super::{EventId, Filter, Happening, Shared};
use crate::job::RunRecord;
use crate::limits::EVENTS_MISSED_MAX;

/// A stream of events. Dropping it ends it.
#[derive(Debug)]
pub struct Reader {
    hub: Shared,
    number: u64,
    bell: Receiver<()>,
    filter: Arc<Filter>,
    /// He knows all that was for him up to this one.
    last: EventId,
    /// He is still to be told that events are missing.
    has_gap: bool,
    /// Runs that ended behind his last event, from elsewhere than the ring.
    missed: VecDeque<Happening>,
    /// What of all readers' room they take.
    missed_bytes: usize,
    /// The seqs of those runs; in the ring their ends are passed over.
    made_up: HashSet<u64>,
    /// Their ids; a begin that is still in the ring would come behind its end.
    made_up_runs: HashSet<Uuid>,
}

/// An event as it goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Behind it the stream can be resumed.
    pub id: EventId,
    /// What kind of event it is.
    pub name: &'static str,
    /// JSON on one line.
    pub data: String,
}

#[derive(Serialize)]
struct Gap {
    message: &'static str,
}

const GAP: Gap = Gap {
    message: "events were missed: read the jobs anew; the runs that ended meanwhile follow, as far as they are kept",
};

impl Message {
    fn new(id: EventId, name: &'static str, data: &impl Serialize) -> Self {
        Self { id, name, data: serde_json::to_string(data).expect("an event is always JSON") }
    }
}

impl Reader {
    pub(super) fn new(hub: Shared, entered: Entered) -> Self {
        let Entered { reader: number, bell, filter, last, has_gap } = entered;
        Self {
            hub,
            number,
            bell,
            filter,
            last,
            has_gap,
            missed: VecDeque::new(),
            missed_bytes: 0,
            made_up: HashSet::new(),
            made_up_runs: HashSet::new(),
        }
    }

    /// Behind which event some are missing, if that is so.
    pub(super) fn gap(&self) -> Option<EventId> {
        self.has_gap.then_some(self.last)
    }

    /// Takes in what the ring does not hold any more: of what is for him the latest runs, as far as there is room.
    pub(super) fn make_up(&mut self, records: Vec<Arc<RunRecord>>) {
        for record in records.into_iter().rev().take(EVENTS_MISSED_MAX) {
            let (seq, run_id) = (record.seq, record.run_id);
            let ended = Happening::RunEnded(record);
            if self.filter.passes(&ended) {
                let bytes = ended.bytes();
                if !self.hub.lock().hold(bytes) {
                    break;
                }
                self.missed_bytes += bytes;
                self.missed.push_front(ended);
            }
            self.made_up.insert(seq);
            self.made_up_runs.insert(run_id);
        }
    }

    /// Behind which event the stream can be resumed without a loss.
    pub fn last(&self) -> EventId {
        self.last
    }

    /// The next message; `None` where the stream is ended. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Message> {
        if let Some(message) = self.make_up_next() {
            return self.hub.lock().holds(self.number).then_some(message);
        }
        loop {
            let taken = self.hub.lock().take(self.number);
            match taken {
                Taken::Event(kept) => {
                    self.last = kept.id;
                    if !self.is_made_up(&kept.happening) {
                        return Some(Message::new(kept.id, kept.happening.name(), &kept.happening));
                    }
                }
                Taken::NotYet => yield_now().await,
                Taken::Nothing(latest) => {
                    self.last = latest;
                    // Where the bell is gone, so is this reader.
                    let _ = self.bell.recv().await;
                }
                Taken::Gone => return None,
            }
        }
    }

    /// Until all is made up for, an id leads back to the same gap, and behind the runs that were sent.
    fn make_up_next(&mut self) -> Option<Message> {
        if std::mem::take(&mut self.has_gap) {
            return Some(Message::new(self.last, "gap", &GAP));
        }
        let ended = self.missed.pop_front()?;
        let bytes = ended.bytes();
        self.missed_bytes -= bytes;
        self.hub.lock().let_go(bytes);
        if let Happening::RunEnded(record) = &ended {
            self.last.seq = self.last.seq.max(record.seq);
        }
        Some(Message::new(self.last, ended.name(), &ended))
    }

    fn is_made_up(&self, happening: &Happening) -> bool {
        match happening {
            Happening::RunEnded(record) => self.made_up.contains(&record.seq),
            Happening::RunBegan(began) => self.made_up_runs.contains(&began.run_id),
            _ => false,
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut hub = self.hub.lock();
        hub.leave(self.number);
        hub.let_go(self.missed_bytes);
    }
}
