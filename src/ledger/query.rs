//! What is asked of the history.

use std::ops::Range;

use jiff::Timestamp;
use uuid::Uuid;

use super::index::Index;
use super::line::Glance;
use super::segment::Stream;
use crate::job::{JobId, RunRecord, Status};

/// Which records are wanted, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Those of this job only.
    pub job: Option<JobId>,
    /// Those with this status only.
    pub status: Option<Status>,
    /// Those that ended then or later.
    pub since: Option<Timestamp>,
    /// Those that ended before.
    pub until: Option<Timestamp>,
    /// Those with lower numbers only: behind the last of a page.
    pub after: Option<u64>,
    /// So many at most.
    pub limit: usize,
}

impl Query {
    /// Whether records are passed over: then nobody knows how far it is to those that are wanted.
    pub fn is_filtered(&self) -> bool {
        self.job.is_some() || self.status.is_some() || self.since.is_some() || self.until.is_some()
    }
}

/// Some records.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Each as JSON.
    pub lines: Vec<Vec<u8>>,
    /// The number to ask from for those that follow; `None` where none do.
    pub next: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    NewestFirst,
    OldestFirst,
}

/// A question as the files are searched for its answer.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) order: Order,
    pub(super) seqs: Range<u64>,
    /// How many are looked for.
    pub(super) count: usize,
    job: Option<JobId>,
    status: Option<Status>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    run_id: Option<Uuid>,
}

impl Wanted {
    /// All of these numbers.
    pub(super) fn all(order: Order, seqs: Range<u64>, count: usize) -> Self {
        Self { order, seqs, count, job: None, status: None, since: None, until: None, run_id: None }
    }

    /// What a page shows, and one more, which tells whether another page follows.
    pub(super) fn page(query: &Query) -> Self {
        let Query { job, status, since, until, after, limit } = query.clone();
        let seqs = 0..after.unwrap_or(u64::MAX);
        Self { job, status, since, until, ..Self::all(Order::NewestFirst, seqs, limit.saturating_add(1)) }
    }

    pub(super) fn run(run_id: Uuid) -> Self {
        Self { run_id: Some(run_id), ..Self::all(Order::NewestFirst, 0..u64::MAX, 1) }
    }

    /// Grows along the order in which records are wanted.
    pub(super) fn key(&self, seq: u64) -> u64 {
        match self.order {
            Order::NewestFirst => u64::MAX - seq,
            Order::OldestFirst => seq,
        }
    }

    /// The least key that is wanted of a segment with these numbers; `None` where it has none to give.
    pub(super) fn first_key(&self, stream: Stream, seqs: &Range<u64>) -> Option<u64> {
        let (start, end) = (seqs.start.max(self.seqs.start), seqs.end.min(self.seqs.end));
        let holds_status = self.status.is_none_or(|status| Stream::of(status) == stream);
        (start < end && holds_status).then(|| match self.order {
            Order::NewestFirst => self.key(end - 1),
            Order::OldestFirst => self.key(start),
        })
    }

    /// Whether a segment of which this is known can have something to give.
    pub(super) fn may_be_in(&self, index: &Index) -> bool {
        let (Some(seqs), Some((earliest, latest))) = (index.seqs, index.ended_at) else { return false };
        let (lowest, highest) = seqs;
        lowest < self.seqs.end
            && self.seqs.start <= highest
            && self.since.is_none_or(|since| since <= latest)
            && self.until.is_none_or(|until| earliest < until)
            && self.status.is_none_or(|status| index.may_hold_status(status))
            && self.job.as_ref().is_none_or(|job| index.may_hold_job(job.as_str()))
    }

    /// Texts that stand in every line that is wanted, to pass over the others quickly. No text of a client can hold
    /// one, because its quotes are escaped.
    pub(super) fn needles(&self) -> Vec<String> {
        let run_id = self.run_id.map(|run_id| format!("\"run_id\":\"{run_id}\""));
        let job = self.job.as_ref().map(|job| format!("\"job_id\":\"{job}\""));
        let status = self.status.map(|status| format!("\"status\":\"{status}\""));
        [run_id, job, status].into_iter().flatten().collect()
    }

    /// Whether a line with all those texts is wanted.
    pub(super) fn takes(&self, glance: &Glance<'_>) -> bool {
        self.seqs.contains(&glance.seq)
            && self.since.is_none_or(|since| since <= glance.ended_at)
            && self.until.is_none_or(|until| glance.ended_at < until)
            && self.status.is_none_or(|status| status == glance.status)
            && self.job.as_ref().is_none_or(|job| job.as_str() == glance.job_id)
    }

    /// Whether a record that is still in memory is wanted.
    pub(super) fn takes_record(&self, record: &RunRecord) -> bool {
        self.run_id.is_none_or(|run_id| run_id == record.run_id) && self.takes(&Glance::from(record))
    }
}
