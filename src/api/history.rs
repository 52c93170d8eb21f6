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
mod tests;
