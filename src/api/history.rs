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
use crate::limits::{EVENTS_MISSED_BYTES_MAX, EVENTS_MISSED_MAX, HISTORY_QUESTIONS_MAX, HISTORY_SEARCHES_MAX};

/// The history, to be asked; a clone is another hold on the same.
#[derive(Clone, Debug)]
pub struct History {
    ledger: Arc<Ledger>,
    questions: Arc<Semaphore>,
    searches: Arc<Semaphore>,
}

/// How much has to be read for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// What is as long as the answer.
    Page,
    /// Thousands of records, or all there is, for what is nowhere.
    Search,
}

impl History {
    /// The way to this history.
    pub fn new(ledger: Arc<Ledger>) -> Self {
        let [questions, searches] =
            [HISTORY_QUESTIONS_MAX, HISTORY_SEARCHES_MAX].map(|places| Arc::new(Semaphore::new(places)));
        Self { ledger, questions, searches }
    }

    /// What there is, in numbers.
    pub(super) fn figures(&self) -> Figures {
        self.ledger.figures()
    }

    /// A page, the newest first.
    pub(super) async fn page(&self, query: Query) -> Result<Page, ApiError> {
        let reading = if query.is_filtered() { Reading::Search } else { Reading::Page };
        self.ask(reading, move |ledger| ledger.page(&query)).await
    }

    /// The newest record of a run, as JSON.
    pub(super) async fn find(&self, run_id: Uuid) -> Result<Option<Vec<u8>>, ApiError> {
        self.ask(Reading::Search, move |ledger| ledger.find(run_id)).await
    }

    /// What ended behind that seq, the latest of it and the oldest first; nothing where it cannot be read.
    pub(super) async fn missed(&self, seq: u64) -> Vec<Arc<RunRecord>> {
        self.ask(Reading::Search, move |ledger| missed(ledger, seq)).await.unwrap_or_default()
    }

    /// Who does not wait for the answer any more leaves the question to its end, and only then its place to others.
    async fn ask<T: Send + 'static>(
        &self,
        reading: Reading,
        question: impl FnOnce(&Ledger) -> io::Result<T> + Send + 'static,
    ) -> Result<T, ApiError> {
        let search = match reading {
            Reading::Page => None,
            Reading::Search => Some(self.searches.acquire_arc().await),
        };
        let places = (search, self.questions.acquire_arc().await);
        let ledger = Arc::clone(&self.ledger);
        let answer = smol::unblock(move || {
            let answer = question(&ledger);
            drop(places);
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
    // One that was never given is from before the numbers began anew.
    let seq = if seq > latest { 0 } else { seq };
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
