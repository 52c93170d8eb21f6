//! Questions to the history of runs, for endpoints: on threads that may wait for a disk, and a few at a time, so that who
//! reads old runs holds up nobody but others who do.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use smol::lock::Semaphore;
use uuid::Uuid;

use super::error::ApiError;
use crate::job::RunRecord;
use crate::ledger::{Figures, Ledger, Page, Query};
use crate::limits::{EVENTS_MISSED_BYTES_MAX, EVENTS_MISSED_MAX, HISTORY_QUESTIONS_MAX};

/// The history, to be asked; a clone is another hold on the same.
#[derive(Clone, Debug)]
pub struct History {
    ledger: Arc<Ledger>,
    questions: Arc<Semaphore>,
}

impl History {
    /// The way to this history.
    pub fn new(ledger: Arc<Ledger>) -> Self {
        Self { ledger, questions: Arc::new(Semaphore::new(HISTORY_QUESTIONS_MAX)) }
    }

    /// What there is, in numbers.
    pub(super) fn figures(&self) -> Figures {
        self.ledger.figures()
    }

    /// A page, the newest first.
    pub(super) async fn page(&self, query: Query) -> Result<Page, ApiError> {
        self.ask(move |ledger| ledger.page(&query)).await
    }

    /// The newest record of a run, as JSON.
    pub(super) async fn find(&self, run_id: Uuid) -> Result<Option<Vec<u8>>, ApiError> {
        self.ask(move |ledger| ledger.find(run_id)).await
    }

    /// What ended behind that seq, the latest of it and the oldest first; nothing where it cannot be read.
    pub(super) async fn missed(&self, seq: u64) -> Vec<Arc<RunRecord>> {
        self.ask(move |ledger| missed(ledger, seq)).await.unwrap_or_default()
    }

    /// Who does not wait for the answer any more leaves the question to its end, and only then its place to others.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Ledger) -> io::Result<T> + Send + 'static,
    ) -> Result<T, ApiError> {
        let place = self.questions.acquire_arc().await;
        let ledger = Arc::clone(&self.ledger);
        let answer = smol::unblock(move || {
            let answer = question(&ledger);
            drop(place);
            answer
        });
        answer.await.map_err(|error| {
            tracing::error!(%error, "the history cannot be read");
            ApiError::internal()
        })
    }
}

fn missed(ledger: &Ledger, seq: u64) -> io::Result<Vec<Arc<RunRecord>>> {
    let latest = ledger.next_seq().saturating_sub(1);
    let mut next = Some(seq.max(latest.saturating_sub(EVENTS_MISSED_MAX as u64)));
    let mut lines = VecDeque::new();
    let mut bytes = 0;
    while let Some(seq) = next {
        let page = ledger.since(seq, EVENTS_MISSED_MAX)?;
        next = page.next;
        for line in page.lines {
            bytes += line.len();
            lines.push_back(line);
        }
        while bytes > EVENTS_MISSED_BYTES_MAX || lines.len() > EVENTS_MISSED_MAX {
            bytes -= lines.pop_front().map_or(0, |line| line.len());
        }
    }
    // Only what was read with a good checksum comes so far.
    Ok(lines.iter().filter_map(|line| serde_json::from_slice(line).ok()).map(Arc::new).collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use futures_lite::future::{block_on, poll_once};
    use jiff::Timestamp;

    use super::*;
    use crate::api::testing::eventually;
    use crate::job::{Attempt, JobId, Origin, Seen, Status, Trigger};
    use crate::ledger::{Bounds, Position};
    use crate::store::Directory;

    /// One whose records wait in memory.
    fn history(seqs: std::ops::RangeInclusive<u64>, body_bytes: usize) -> History {
        let bounds = Bounds { bytes: u64::MAX, age: Duration::MAX };
        let ledger = Ledger::open(Arc::new(Directory::look(Path::new("/nonexistent/runs"))), bounds);
        let ledger = ledger.expect("nothing lies there");
        let body = "x".repeat(body_bytes);
        ledger.push(seqs.map(|seq| Arc::new(record(seq, &body))), Position::default());
        History::new(Arc::new(ledger))
    }

    fn record(seq: u64, body: &str) -> RunRecord {
        let at = Timestamp::UNIX_EPOCH;
        let seen = Seen { body: body.into(), ..Seen::default() };
        RunRecord {
            seq,
            run_id: Uuid::from_u128(seq.into()),
            job_id: JobId::parse("a").expect("an id"),
            trigger: Trigger::Schedule,
            origin: Origin::default(),
            scheduled_at: at,
            stretch: None,
            started_at: Some(at),
            ended_at: at,
            lateness_us: Some(0),
            status: Status::Success,
            reason: "".into(),
            attempts: vec![Attempt { number: 1, started_at: at, reason: "".into(), seen }],
        }
    }

    fn missed_seqs(history: &History, seq: u64) -> Vec<u64> {
        block_on(history.missed(seq)).iter().map(|record| record.seq).collect()
    }

    #[test]
    fn of_what_was_missed_the_latest_comes_in_its_order() {
        let last = EVENTS_MISSED_MAX as u64 + 1_000;
        let history = history(1..=last, 0);
        assert_eq!(missed_seqs(&history, last - 3), [last - 2, last - 1, last]);
        assert_eq!(missed_seqs(&history, 7), (1_001..=last).collect::<Vec<_>>());
        assert!(missed_seqs(&history, last).is_empty());
    }

    #[test]
    fn what_was_missed_is_bounded_in_size_too() {
        let bytes = EVENTS_MISSED_BYTES_MAX / 8;
        let seqs = missed_seqs(&history(1..=20, bytes), 0);
        assert_eq!(seqs, (14..=20).collect::<Vec<_>>(), "eight of them and their heads are too much");
    }

    #[test]
    fn a_few_questions_are_looked_for_at_a_time_and_one_that_nobody_waits_for_keeps_its_place() {
        let history = history(1..=1, 0);
        let begun = Arc::new(AtomicUsize::new(0));
        let (release, released) = async_channel::bounded::<()>(HISTORY_QUESTIONS_MAX + 1);
        let ask = || {
            let (history, begun, released) = (history.clone(), Arc::clone(&begun), released.clone());
            Box::pin(async move {
                let question = move |_: &Ledger| {
                    begun.fetch_add(1, Ordering::SeqCst);
                    released.recv_blocking().map_err(io::Error::other)
                };
                history.ask(question).await.is_ok()
            })
        };
        for _ in 0..HISTORY_QUESTIONS_MAX {
            assert_eq!(block_on(poll_once(ask())), None, "it is under way, and nobody waits for it");
        }
        eventually("all places are taken", || begun.load(Ordering::SeqCst) == HISTORY_QUESTIONS_MAX);
        assert!(history.questions.try_acquire().is_none(), "their places are still taken");
        let mut waits = ask();
        assert_eq!(block_on(poll_once(&mut waits)), None);
        assert_eq!(begun.load(Ordering::SeqCst), HISTORY_QUESTIONS_MAX);
        for _ in 0..=HISTORY_QUESTIONS_MAX {
            release.send_blocking(()).expect("it is waited for");
        }
        assert!(block_on(waits), "it is answered");
    }
}
