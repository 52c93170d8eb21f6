//! Records of runs that are not written down yet, though they are over: they go with the next record of their job, in
//! one turn, so that a crash in between leaves both or none.

use std::collections::HashMap;
use std::sync::Arc;

use super::table::Slot;
use crate::job::RunRecord;
use crate::limits::RUNS_HELD_BACK_MAX;

/// By job, and those whose job is gone.
#[derive(Debug, Default)]
pub(super) struct HeldBack {
    by_job: HashMap<Slot, Vec<Arc<RunRecord>>>,
    of_none: Vec<Arc<RunRecord>>,
    len: usize,
    lost: u64,
}

impl HeldBack {
    pub(super) fn add(&mut self, slot: Slot, runs: impl IntoIterator<Item = Arc<RunRecord>>) {
        for run in runs {
            if self.has_room() {
                self.by_job.entry(slot).or_default().push(run);
            }
        }
    }

    pub(super) fn add_of_none(&mut self, run: Arc<RunRecord>) {
        if self.has_room() {
            self.of_none.push(run);
        }
    }

    fn has_room(&mut self) -> bool {
        let has_room = self.len < RUNS_HELD_BACK_MAX;
        self.len += usize::from(has_room);
        self.lost += u64::from(!has_room);
        has_room
    }

    /// Those of a job, which gets its record now.
    pub(super) fn take(&mut self, slot: Slot) -> Vec<Arc<RunRecord>> {
        if self.len == 0 {
            return Vec::new();
        }
        let taken = self.by_job.remove(&slot).unwrap_or_default();
        self.forget(taken.len());
        taken
    }

    /// Those whose job is gone.
    pub(super) fn take_of_none(&mut self) -> Vec<Arc<RunRecord>> {
        let taken = std::mem::take(&mut self.of_none);
        self.forget(taken.len());
        taken
    }

    /// Some jobs that have any.
    pub(super) fn jobs(&self, most: usize) -> Vec<Slot> {
        self.by_job.keys().copied().take(most).collect()
    }

    pub(super) fn take_all(&mut self) -> Vec<Arc<RunRecord>> {
        let Self { by_job, of_none, .. } = std::mem::take(self);
        by_job.into_values().flatten().chain(of_none).collect()
    }

    /// The slot is another job's from now on.
    pub(super) fn let_go(&mut self, slot: Slot) {
        self.of_none.extend(self.by_job.remove(&slot).unwrap_or_default());
    }

    fn forget(&mut self, count: usize) {
        self.len -= count;
        if self.len == 0 {
            // There may have been one of every job.
            self.by_job = HashMap::new();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn has_any_of_none(&self) -> bool {
        !self.of_none.is_empty()
    }

    /// How many found no room since the last call.
    pub(super) fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_room_is_counted_once() {
        let run: RunRecord = serde_json::from_str(
            r#"{"run_id":"00000000-0000-0000-0000-000000000001","job_id":"a","trigger":"schedule","status":"missed",
                "scheduled_at":"1970-01-01T00:00:00Z","ended_at":"1970-01-01T00:00:00Z"}"#,
        )
        .expect("a record");
        let run = Arc::new(run);
        let (slot, mut held_back) = (Slot::new(0), HeldBack::default());
        held_back.add(slot, (0..RUNS_HELD_BACK_MAX).map(|_| Arc::clone(&run)));
        held_back.add(slot, [Arc::clone(&run)]);
        held_back.add_of_none(Arc::clone(&run));
        assert_eq!((held_back.take_lost(), held_back.take_lost()), (2, 0));
        assert_eq!(held_back.take(slot).len(), RUNS_HELD_BACK_MAX);
        held_back.add_of_none(run);
        assert_eq!((held_back.take_of_none().len(), held_back.take_lost()), (1, 0), "there is room again");
    }
}
