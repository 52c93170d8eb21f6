//! What clients have to do with the owner of the engine: they send him changes, and look at the jobs themselves.

use async_channel::{Receiver, Sender};

use crate::engine::{Command, Filter, Page, Refusal};
use crate::job::{Job, JobId};
use crate::limits::INBOX_MAX;
use crate::shared::View;

/// A change, with the way back.
#[derive(Debug)]
pub struct Letter {
    /// What is to change.
    pub command: Command,
    /// Takes, once it is on the disk, the job as it is then; or the refusal.
    pub reply: Sender<Result<Job, Refusal>>,
}

/// The way to the owner; a clone for everyone who asks.
#[derive(Clone, Debug)]
pub struct Client {
    letters: Sender<Letter>,
    view: View,
}

/// Makes the way and its end. While as many letters wait as it holds, who writes another waits.
pub fn inbox(view: View) -> (Client, Receiver<Letter>) {
    let (letters, received) = async_channel::bounded(INBOX_MAX);
    (Client { letters, view }, received)
}

impl Client {
    /// Has a command done; the answer comes when it is on the disk.
    ///
    /// # Errors
    ///
    /// Why it was not done.
    pub async fn change(&self, command: Command) -> Result<Job, Refusal> {
        let (reply, answer) = async_channel::bounded(1);
        self.letters.send(Letter { command, reply }).await.map_err(|_| Refusal::ShuttingDown)?;
        match answer.recv().await {
            Ok(answer) => answer,
            // The owner ended with the change in its hands, and the process ends: what a restart will find is not
            // known. An error would say that nothing was changed, so the connection ends without an answer.
            Err(_) => std::future::pending().await,
        }
    }

    /// One job as it is now.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn job(&self, id: &JobId) -> Result<Job, Refusal> {
        self.view.job(id).ok_or(Refusal::NotFound)
    }

    /// The next jobs of the list, as of one moment: at most `jobs_max`, and no more than fit into
    /// one piece.
    pub fn page(&self, after: Option<&str>, filter: &Filter, jobs_max: usize) -> Page {
        self.view.page(after, filter, jobs_max)
    }

    /// Whether the owner takes nothing more: the service is about to end.
    pub fn is_closed(&self) -> bool {
        self.letters.is_closed()
    }
}
