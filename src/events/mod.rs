//! What happens, told to whoever listens: changes of jobs, and runs as they begin and end.
//!
//! The latest events lie in a ring. Who publishes one puts it there and wakes those who had taken all that was for
//! them; everybody takes from the ring at his own pace, and one who is so slow that it has to drop what he has not
//! taken is cut off. So nobody waits for a reader, and all of them together hold up no more than the ring, and as much
//! again of runs that those are sent who come back too late for it.

mod filter;
mod happening;
mod hub;
mod id;
mod reader;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::job::RunRecord;
use hub::Hub;

pub use filter::Filter;
pub use happening::{Began, Happening};
pub use id::EventId;
pub use reader::{Message, Reader};

/// The way to the events; a clone is another hold on the same.
#[derive(Clone, Debug)]
pub struct Events {
    hub: Shared,
}

/// Why nobody more may listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// As many listen as may.
    Full,
    /// The service is about to end.
    Ended,
}

impl Events {
    /// Those of a process that started at this instant, with the seq of the last run that ended before it; 0 if none
    /// did.
    pub fn new(started_at: Timestamp, seq: u64) -> Self {
        let start = u64::try_from(started_at.as_microsecond()).unwrap_or(0);
        Self { hub: Shared(Arc::new(Mutex::new(Hub::new(EventId { seq, number: start })))) }
    }

    /// Tells all who listen. It waits for none of them.
    pub fn publish(&self, happening: Happening) {
        let passed = self.hub.lock().publish(happening);
        for reader in passed {
            let client_ip = reader.client_ip.map(tracing::field::display);
            tracing::warn!(client_ip, "a reader of events was too slow and is cut off");
        }
    }

    /// Listens from here on; with the id of an event, to all behind that one first.
    ///
    /// Where some of those are not there any more, the first message is a gap. After it come the runs that ended behind
    /// that id, which `missed` gives by the seq before them: in their order, and of many the latest, or none where all
    /// who came back so hold as much as they may. Then come the events that are still there.
    ///
    /// # Errors
    ///
    /// Where nobody more may listen.
    pub async fn subscribe<M>(
        &self,
        filter: Filter,
        last: Option<EventId>,
        client_ip: Option<IpAddr>,
        missed: impl FnOnce(u64) -> M,
    ) -> Result<Reader, Refused>
    where
        M: Future<Output = Vec<Arc<RunRecord>>>,
    {
        let entered = self.hub.lock().enter(filter, last, client_ip)?;
        let mut reader = Reader::new(self.hub.clone(), entered);
        if let Some(last) = reader.gap() {
            reader.make_up(missed(last.seq).await);
        }
        Ok(reader)
    }

    /// Ends every stream, and lets nobody in any more.
    pub fn end(&self) {
        self.hub.lock().end();
    }

    /// How many listen.
    pub fn readers(&self) -> usize {
        self.hub.lock().readers()
    }

    /// How many were cut off because they were too slow.
    pub fn cut_off(&self) -> u64 {
        self.hub.lock().cut_off()
    }
}

/// The hub under its lock, which everybody holds for a moment only.
#[derive(Clone, Debug)]
struct Shared(Arc<Mutex<Hub>>);

impl Shared {
    /// Nothing can panic while the lock is held, so what it guards is always whole.
    fn lock(&self) -> MutexGuard<'_, Hub> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
