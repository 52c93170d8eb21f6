//! The endpoints of `/runs` and of the runs of a job: what came of each, and a run once more.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Serialize;
use trillium::{KnownHeaderName, Status};
use uuid::Uuid;

use super::endpoint::{Answer, Request};
use super::error::ApiError;
use super::reply::Reply;
use super::{Api, jobs};
use crate::engine::{Command, Refusal, RunNow};
use crate::job::{self, JobId, Origin, RunRecord, parse_time};
use crate::ledger::{Page, Query};
use crate::limits::{HISTORY_LIMIT_DEFAULT, HISTORY_LIMIT_MAX};

/// What a repetition is answered with.
#[derive(Serialize)]
struct Replayed {
    message: &'static str,
    run_id: Uuid,
    replay_of: Uuid,
}

pub(super) async fn list(api: &Api, request: Request<'_>) -> Answer {
    let query = read(request.query(), None)?;
    let page = api.history.page(query.clone()).await?;
    Ok(shown(&page, |after| next(&query, "/runs", after)))
}

/// Those of a job, also of one that was deleted.
pub(super) async fn of_job(api: &Api, request: Request<'_>) -> Answer {
    let id = jobs::id(&request)?;
    let query = read(request.query(), Some(&id))?;
    let page = api.history.page(query.clone()).await?;
    if page.lines.is_empty() && api.jobs.job(&id).is_err() && !has_runs(api, &id).await? {
        return Err(ApiError::not_found("no job has such an id, and no run that is kept is of such a job"));
    }
    let path = format!("/jobs/{id}/runs");
    Ok(shown(&page, |after| next(&Query { job: None, ..query.clone() }, &path, after)))
}

async fn has_runs(api: &Api, id: &JobId) -> Result<bool, ApiError> {
    let any = Query { job: Some(id.clone()), limit: 1, ..Query::default() };
    Ok(!api.history.page(any).await?.lines.is_empty())
}

pub(super) async fn show(api: &Api, request: Request<'_>) -> Answer {
    let line = api.history.find(request.run_id()?).await?;
    Ok(Reply::bytes(Status::Ok, line.ok_or_else(no_such_run)?))
}

/// Runs the job of a record again, as it is now, for the same instant; of a stretch for the last one, as
/// `"misfire": "once"` does.
pub(super) async fn replay(api: &Api, mut request: Request<'_>) -> Answer {
    let replay_of = request.run_id()?;
    let overrides = jobs::overrides(&mut request).await?;
    let line = api.history.find(replay_of).await?.ok_or_else(no_such_run)?;
    let record: RunRecord = serde_json::from_slice(&line).map_err(|error| {
        tracing::error!(%error, run_id = %replay_of, "a record of the history cannot be read");
        ApiError::internal()
    })?;
    if record.origin.is_overridden && overrides.is_none() && api.jobs.job(&record.job_id).is_ok() {
        let message = "this run sent something in the place of what its job says, which is not kept; send that again as url, \
                       headers and body, or {} to send what the job says";
        return Err(ApiError::conflict("overridden", message));
    }
    let run_id = Uuid::now_v7();
    let scheduled_at = record.stretch.map_or(record.scheduled_at, |stretch| stretch.last_scheduled_at);
    let overrides = overrides.filter(|overrides| !overrides.is_empty()).map(Arc::new);
    let origin = Origin { key: request.fingerprint(), replay_of: Some(replay_of), ..Origin::default() };
    let asked = RunNow { run_id, scheduled_at: Some(scheduled_at), overrides, origin };
    api.jobs.change(Command::RunNow { id: record.job_id, asked }).await.map_err(|refusal| match refusal {
        Refusal::NotFound => ApiError::not_found("the job of this run is not there any more"),
        refusal => refusal.into(),
    })?;
    Ok(Reply::json(Status::Ok, &Replayed { message: "run started", run_id, replay_of }))
}

pub(super) fn no_such_run() -> ApiError {
    ApiError::not_found("no run that has ended has such an id")
}

/// The lines as they are kept, and where more follow the reference to them.
fn shown(page: &Page, next: impl FnOnce(u64) -> String) -> Reply {
    let mut text = vec![b'['];
    text.extend(page.lines.join(&b','));
    text.push(b']');
    let reply = Reply::bytes(Status::Ok, text);
    match page.next {
        Some(after) => reply.with_header(KnownHeaderName::Link, next(after)),
        None => reply,
    }
}

/// Reads the parameters, of all runs or of those of a job. An empty one is an unset one; one that is not known is
/// passed over.
fn read<'a>(pairs: impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)>, job: Option<&JobId>) -> Result<Query, ApiError> {
    let mut query = Query { job: job.cloned(), limit: HISTORY_LIMIT_DEFAULT, ..Query::default() };
    for (name, value) in pairs.filter(|(_, value)| !value.is_empty()) {
        let refuse = |accepted: &str| ApiError::parameter(&name, &value, accepted);
        let time =
            || parse_time(&value).map(Some).map_err(|_| refuse("times of RFC 3339, such as 2025-09-19T11:05:00Z"));
        match name.as_ref() {
            "job" if job.is_none() => query.job = Some(JobId::parse(&value).map_err(|_| refuse("ids of jobs"))?),
            "status" => {
                query.status = Some(job::Status::parse_end(&value).ok_or_else(|| refuse(job::Status::ENDS))?);
            }
            "since" => query.since = time()?,
            "until" => query.until = time()?,
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=HISTORY_LIMIT_MAX).contains(limit));
                query.limit = limit.ok_or_else(|| refuse(&format!("1 to {HISTORY_LIMIT_MAX}")))?;
            }
            "after" => query.after = Some(value.parse().map_err(|_| refuse("the seq of a run, a whole number"))?),
            _ => {}
        }
    }
    Ok(query)
}

/// Where a page goes on behind a seq, as a reference relative to this one.
fn next(query: &Query, path: &str, after: u64) -> String {
    let mut parameters = url::form_urlencoded::Serializer::new(String::new());
    let Query { job, status, since, until, limit, .. } = query;
    let given = [
        ("job", job.as_ref().map(ToString::to_string)),
        ("status", status.map(|status| status.to_string())),
        ("since", since.map(|since| since.to_string())),
        ("until", until.map(|until| until.to_string())),
        ("limit", Some(limit.to_string())),
        ("after", Some(after.to_string())),
    ];
    parameters.extend_pairs(given.into_iter().filter_map(|(key, value)| Some((key, value?))));
    format!("<{path}?{}>; rel=\"next\"", parameters.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(query: &str) -> Result<Query, ApiError> {
        read(url::form_urlencoded::parse(query.as_bytes()), None)
    }

    #[test]
    fn parameters_that_are_empty_or_unknown_are_passed_over() {
        let all = Query { limit: HISTORY_LIMIT_DEFAULT, ..Query::default() };
        assert_eq!(read_all("").expect("nothing"), all);
        assert_eq!(read_all("job=&status=&since=&after=&_=1732300000").expect("nothing known"), all);
        let job = JobId::parse("a").expect("an id");
        let of_job = read(url::form_urlencoded::parse(b"job=b"), Some(&job)).expect("nothing known");
        assert_eq!(of_job, Query { job: Some(job), ..all });
    }

    #[test]
    fn a_wrong_value_is_refused_with_what_is_accepted() {
        for (query, accepted) in [
            ("job=a%2Fb", "ids of jobs"),
            ("status=fine", job::Status::ENDS),
            ("status=paused", job::Status::ENDS),
            ("since=24h", "times of RFC 3339"),
            ("until=2025-09-19", "times of RFC 3339"),
            ("limit=0", "1 to 1000"),
            ("limit=1001", "1 to 1000"),
            ("after=-1", "the seq of a run"),
        ] {
            let error = read_all(query).expect_err(query);
            assert!(error.message.contains(accepted), "{}", error.message);
            assert!(error.message.contains(query.split('=').next().expect("a name")), "{}", error.message);
        }
    }

    #[test]
    fn the_next_page_keeps_the_filter() {
        let query =
            "job=a&status=failed&since=2025-09-19T13:05:00%2B02:00&until=2025-09-20T00:00:00.5Z&limit=7&after=9";
        let query = read_all(query).expect("all known");
        let next = next(&query, "/runs", 3);
        let parameters = next.strip_prefix("</runs?").and_then(|next| next.strip_suffix(">; rel=\"next\""));
        assert_eq!(read_all(parameters.expect(&next)).expect(&next), Query { after: Some(3), ..query });
    }
}
