//! `GET /jobs`: the list of jobs, a page or all of it.

use std::borrow::Cow;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::vec;

use futures_lite::future::yield_now;
use futures_lite::{AsyncRead, Stream, ready, stream};
use trillium::{KnownHeaderName, Status};

use super::Api;
use super::endpoint::Answer;
use super::error::ApiError;
use super::reply::Reply;
use crate::engine::{Filter, Kind, Page};
use crate::inbox::Client;
use crate::job::{self, Job, JobId, Shown};
use crate::limits::{LIST_LIMIT_MAX, LIST_PIECE_BYTES, PAGE_JOBS_MAX};

/// Which part of the list is asked for.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Query {
    filter: Filter,
    /// How many jobs at most; all of them where it is not given.
    limit: Option<usize>,
    /// The id behind which the list begins.
    after: Option<Box<str>>,
}

impl Query {
    /// Reads the parameters. An empty one is an unset one; one that is not known is passed over,
    /// because clients append their own to get past caches.
    pub(super) fn read<'a>(pairs: impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)>) -> Result<Self, ApiError> {
        let mut query = Self::default();
        for (name, value) in pairs.filter(|(_, value)| !value.is_empty()) {
            let refuse = |accepted: &str| ApiError::parameter(&name, &value, accepted);
            match name.as_ref() {
                "name" => query.filter.name = Some(value.as_ref().into()),
                "enabled" => query.filter.enabled = Some(value.parse().map_err(|_| refuse("true and false"))?),
                "status" => {
                    let accepted = "success, failed, timeout, skipped, missed and paused";
                    query.filter.status = Some(job::Status::parse(&value).ok_or_else(|| refuse(accepted))?);
                }
                "kind" => {
                    query.filter.kind = Some(match value.as_ref() {
                        "once" => Kind::Once,
                        "every" => Kind::Every,
                        "after" => Kind::After,
                        "cron" => Kind::Cron,
                        _ => return Err(refuse("once, every, after and cron")),
                    });
                }
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=LIST_LIMIT_MAX).contains(limit));
                    query.limit = Some(limit.ok_or_else(|| refuse(&format!("1 to {LIST_LIMIT_MAX}")))?);
                }
                "after" => query.after = Some(value.as_ref().into()),
                _ => {}
            }
        }
        Ok(query)
    }

    /// Where the list goes on behind an id, as a reference relative to this one.
    fn next(&self, limit: usize, after: &str) -> String {
        let mut parameters = url::form_urlencoded::Serializer::new(String::new());
        let Filter { name, enabled, status, kind } = &self.filter;
        let kind = kind.map(|kind| match kind {
            Kind::Once => "once",
            Kind::Every => "every",
            Kind::After => "after",
            Kind::Cron => "cron",
        });
        let enabled = enabled.map(|enabled| enabled.to_string());
        let given = [
            ("name", name.as_deref()),
            ("enabled", enabled.as_deref()),
            ("status", status.map(job::Status::as_str)),
            ("kind", kind),
        ];
        for (key, value) in given {
            parameters.extend_pairs(value.map(|value| (key, value)));
        }
        parameters.append_pair("limit", &limit.to_string()).append_pair("after", after);
        format!("</jobs?{}>; rel=\"next\"", parameters.finish())
    }
}

pub(super) async fn answer(api: &Api, query: &Query) -> Answer {
    match query.limit {
        Some(limit) => Ok(page(api, query, limit).await),
        None => Ok(all(api, query).await),
    }
}

/// At most `limit` jobs, and where more follow the reference to them: so one more is looked for.
async fn page(api: &Api, query: &Query, limit: usize) -> Reply {
    let mut jobs = Vec::new();
    let mut after = query.after.clone();
    loop {
        let Page { jobs: more, next, .. } = api.jobs.page(after.as_deref(), &query.filter, limit + 1 - jobs.len());
        jobs.extend(more);
        after = next.map(|id| id.as_str().into());
        if after.is_none() || jobs.len() > limit {
            break;
        }
        yield_now().await;
    }
    let more_follow = jobs.len() > limit;
    jobs.truncate(limit);
    let link = jobs.last().filter(|_| more_follow).map(|last| query.next(limit, last.spec.id.as_str()));
    let reply = shown(api, query, jobs, None).await;
    match link {
        Some(link) => reply.with_header(KnownHeaderName::Link, link),
        None => reply,
    }
}

/// All jobs, a page at a time, each as of its own moment.
async fn all(api: &Api, query: &Query) -> Reply {
    let Page { jobs, next, .. } = api.jobs.page(query.after.as_deref(), &query.filter, PAGE_JOBS_MAX);
    shown(api, query, jobs, next).await
}

/// These jobs, and those behind `next`. A list whose text is one piece goes out with its length. Of
/// a longer one there is never more than a piece as text: a job may be a mebibyte, and its reader slow.
async fn shown(api: &Api, query: &Query, jobs: Vec<Job>, next: Option<JobId>) -> Reply {
    let filter = query.filter.clone();
    let mut rest = Rest { client: api.jobs.clone(), filter, jobs: jobs.into_iter(), next, begun: false, ended: false };
    let piece = rest.piece().await;
    if rest.ended {
        return Reply::bytes(Status::Ok, piece);
    }
    let pieces = stream::unfold(rest, |mut rest| async move {
        if rest.ended {
            return None;
        }
        Some((rest.piece().await, rest))
    });
    Reply::stream(Status::Ok, Pieces { rest: Box::pin(pieces), piece, read: 0 })
}

/// What of a list is still to be sent.
struct Rest {
    client: Client,
    filter: Filter,
    /// What is left of the present page.
    jobs: vec::IntoIter<Job>,
    /// Behind which id the next page begins; `None` if the present one is the last.
    next: Option<JobId>,
    /// The bracket that opens the list has been written.
    begun: bool,
    /// The one that closes it, too.
    ended: bool,
}

impl Rest {
    /// The next piece as text.
    async fn piece(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        while text.len() < LIST_PIECE_BYTES {
            if let Some(job) = self.jobs.next() {
                text.push(if std::mem::replace(&mut self.begun, true) { b',' } else { b'[' });
                serde_json::to_writer(&mut text, &Shown(&job)).expect("a job is always JSON");
            } else if let Some(after) = self.next.take() {
                let page = self.client.page(Some(after.as_str()), &self.filter, PAGE_JOBS_MAX);
                (self.jobs, self.next) = (page.jobs.into_iter(), page.next);
                // A filter that nothing passes looks at all jobs.
                yield_now().await;
            } else {
                text.extend_from_slice(if self.begun { b"]" } else { b"[]" });
                self.ended = true;
                break;
            }
        }
        text
    }
}

/// A stream of texts as a reader, the first at hand. Texts may be empty; only the stream's end is an end.
struct Pieces<S> {
    rest: S,
    piece: Vec<u8>,
    read: usize,
}

impl<S: Stream<Item = Vec<u8>> + Unpin> AsyncRead for Pieces<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut [u8]) -> Poll<io::Result<usize>> {
        while self.read == self.piece.len() {
            match ready!(Pin::new(&mut self.rest).poll_next(cx)) {
                None => return Poll::Ready(Ok(0)),
                Some(piece) => (self.piece, self.read) = (piece, 0),
            }
        }
        let left = &self.piece[self.read..];
        let count = left.len().min(out.len());
        out[..count].copy_from_slice(&left[..count]);
        self.read += count;
        Poll::Ready(Ok(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Query, ApiError> {
        Query::read(url::form_urlencoded::parse(query.as_bytes()))
    }

    #[test]
    fn parameters_that_are_empty_or_unknown_are_passed_over() {
        assert_eq!(read("").expect("nothing"), Query::default());
        assert_eq!(read("name=&limit=&_=1732300000").expect("nothing known"), Query::default());
    }

    #[test]
    fn a_wrong_value_is_refused_with_what_is_accepted() {
        for (query, accepted) in [
            ("limit=0", "1 to 1000"),
            ("limit=1001", "1 to 1000"),
            ("limit=ten", "1 to 1000"),
            ("enabled=yes", "true and false"),
            ("status=fine", "success, failed"),
            ("kind=hourly", "once, every, after and cron"),
        ] {
            let error = read(query).expect_err(query);
            assert!(error.message.contains(accepted), "{}", error.message);
            assert!(error.message.contains(query.split('=').next().expect("a name")), "{}", error.message);
        }
    }

    #[test]
    fn the_next_page_keeps_the_filter() {
        let query = read("name=a%26b&enabled=true&status=paused&kind=every&limit=7&after=x").expect("all known");
        let next = query.next(7, "y~1");
        let parameters = next.strip_prefix("</jobs?").and_then(|next| next.strip_suffix(">; rel=\"next\""));
        let again = read(parameters.expect(&next)).expect(&next);
        assert_eq!(again, Query { after: Some("y~1".into()), ..query });
    }
}
