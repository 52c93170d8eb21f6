//! What a segment holds, in short: a question about a job that ran rarely passes over most of them.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::line::{self, Glance};
use crate::job::Status;

/// What is known of a segment that was read or written from its begin to its end.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    /// Lowest and highest.
    pub(super) seqs: Option<(u64, u64)>,
    /// Earliest and latest.
    pub(super) ended_at: Option<(Timestamp, Timestamp)>,
    /// A bit for each status.
    statuses: u8,
    /// Hashes of the ids of its jobs, sorted.
    jobs: Box<[u32]>,
    is_unordered: bool,
}

impl Index {
    /// That of a text of lines.
    pub(super) fn of(text: &str) -> Self {
        let mut draft = Draft::default();
        line::lines(text).filter_map(line::read).for_each(|glance| draft.add(&glance));
        draft.index()
    }

    /// Whether each record stands behind those of lower numbers.
    pub(super) fn is_ordered(&self) -> bool {
        !self.is_unordered
    }

    pub(super) fn may_hold_job(&self, id: &str) -> bool {
        self.jobs.binary_search(&hash(id)).is_ok()
    }

    pub(super) fn may_hold_status(&self, status: Status) -> bool {
        self.statuses & bit(status) != 0
    }
}

/// An index that grows with its segment.
#[derive(Debug, Default)]
pub(super) struct Draft {
    index: Index,
    jobs: BTreeSet<u32>,
}

impl Draft {
    pub(super) fn add(&mut self, glance: &Glance<'_>) {
        let Index { seqs, ended_at, statuses, is_unordered, .. } = &mut self.index;
        *is_unordered |= seqs.is_some_and(|(_, highest)| glance.seq <= highest);
        widen(seqs, glance.seq);
        widen(ended_at, glance.ended_at);
        *statuses |= bit(glance.status);
        self.jobs.insert(hash(glance.job_id));
    }

    /// What it says so far, but for the jobs.
    pub(super) fn so_far(&self) -> &Index {
        &self.index
    }

    pub(super) fn index(&self) -> Index {
        Index { jobs: self.jobs.iter().copied().collect(), ..self.index.clone() }
    }
}

fn widen<T: Copy + Ord>(bounds: &mut Option<(T, T)>, value: T) {
    let (least, most) = bounds.unwrap_or((value, value));
    *bounds = Some((least.min(value), most.max(value)));
}

fn hash(id: &str) -> u32 {
    crc32fast::hash(id.as_bytes())
}

fn bit(status: Status) -> u8 {
    let place = Status::ALL.iter().position(|(other, _)| *other == status);
    1 << place.expect("ALL holds every status")
}
