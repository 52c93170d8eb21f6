//! Where the store's helper threads wait for leave before each operation on the disk, so that the
//! seed alone decides how they and the owner take turns.

use std::thread;

use async_channel::{Receiver, Sender, bounded};

/// A thread of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Helper {
    Sync,
    Snapshot,
    Journal,
}

impl Helper {
    pub(crate) const ALL: [Self; 3] = [Self::Sync, Self::Snapshot, Self::Journal];

    /// The helper that runs on the calling thread; none on the owner's.
    pub(crate) fn present() -> Option<Self> {
        match thread::current().name() {
            Some("ksana-sync") => Some(Self::Sync),
            Some("ksana-snapshot") => Some(Self::Snapshot),
            Some("ksana-journal") => Some(Self::Journal),
            _ => None,
        }
    }
}

/// The gate of one process; a clone for whoever comes to it.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    knocks: (Sender<Helper>, Receiver<Helper>),
    leaves: [(Sender<()>, Receiver<()>); 3],
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self { knocks: bounded(3), leaves: [bounded(1), bounded(1), bounded(1)] }
    }

    /// Waits for leave, on a helper's thread; on the owner's it waits for nothing.
    pub(crate) fn pass(&self) {
        let Some(helper) = Helper::present() else { return };
        // Where the gate was opened for ever, nobody listens any more.
        let _ = self.knocks.0.send_blocking(helper);
        let _ = self.leaves[helper as usize].1.recv_blocking();
    }

    /// Tells who has come and waits.
    pub(crate) fn knocks(&self) -> &Receiver<Helper> {
        &self.knocks.1
    }

    /// Lets one through that has come.
    pub(crate) fn let_through(&self, helper: Helper) {
        self.leaves[helper as usize].0.try_send(()).expect("one leave for one knock");
    }

    /// Lets everybody through who comes, until the gate is opened for ever.
    pub(crate) fn let_all_through(&self) {
        while let Ok(helper) = self.knocks.1.recv_blocking() {
            // Where it was opened meanwhile, nobody needs leave.
            let _ = self.leaves[helper as usize].0.try_send(());
        }
    }

    /// Lets everybody through for ever.
    pub(crate) fn open(&self) {
        self.knocks.0.close();
        for (leave, _) in &self.leaves {
            leave.close();
        }
    }
}
