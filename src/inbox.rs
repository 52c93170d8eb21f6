//! What reaches the owner of the engine, and the way there.

use async_channel::{Receiver, Sender};

use crate::engine::{Command, Filter, Page, Refusal};
use crate::job::{Job, JobId};
use crate::limits::{INBOX_MAX, PAGE_JOBS_MAX};

/// A question to the owner, with the way back.
#[derive(Debug)]
pub enum Letter {
    /// A change; answered when it is on the disk.
    Change {
        /// What is to change.
        command: Command,
        /// Takes the job as it is then, or the refusal.
        reply: Sender<Result<Job, Refusal>>,
    },
    /// One job; answered at once.
    Read {
        /// Which one.
        id: JobId,
        /// Takes it, if it is there.
        reply: Sender<Option<Job>>,
    },
    /// A piece of the list; answered at once.
    List {
        /// The id behind which it begins.
        after: Option<Box<str>>,
        /// Which jobs are wanted.
        filter: Filter,
        /// How many at most.
        jobs_max: usize,
        /// Takes them.
        reply: Sender<Page>,
    },
}

/// The way to the owner; a clone for everyone who asks.
#[derive(Clone, Debug)]
pub struct Client {
    letters: Sender<Letter>,
}

/// Makes the way and its end. While as many letters wait as it holds, who writes another waits.
pub fn inbox() -> (Client, Receiver<Letter>) {
    let (letters, received) = async_channel::bounded(INBOX_MAX);
    (Client { letters }, received)
}

impl Client {
    /// Has a command done; the answer comes when it is on the disk.
    ///
    /// # Errors
    ///
    /// Why it was not done.
    pub async fn change(&self, command: Command) -> Result<Job, Refusal> {
        let (reply, answer) = async_channel::bounded(1);
        self.letters.send(Letter::Change { command, reply }).await.map_err(|_| Refusal::ShuttingDown)?;
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
    /// There is none, or the service is about to end.
    pub async fn job(&self, id: JobId) -> Result<Job, Refusal> {
        self.ask(|reply| Letter::Read { id, reply }).await?.ok_or(Refusal::NotFound)
    }

    /// The next jobs of the list, as of one moment: at most `jobs_max`, and no more than fit into
    /// one piece.
    ///
    /// # Errors
    ///
    /// The service is about to end.
    pub async fn page(&self, after: Option<Box<str>>, filter: Filter, jobs_max: usize) -> Result<Page, Refusal> {
        let jobs_max = jobs_max.min(PAGE_JOBS_MAX);
        self.ask(|reply| Letter::List { after, filter, jobs_max, reply }).await
    }

    async fn ask<T>(&self, letter: impl FnOnce(Sender<T>) -> Letter) -> Result<T, Refusal> {
        let (reply, answer) = async_channel::bounded(1);
        self.letters.send(letter(reply)).await.map_err(|_| Refusal::ShuttingDown)?;
        answer.recv().await.map_err(|_| Refusal::ShuttingDown)
    }
}
