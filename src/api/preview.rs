//! `GET /jobs/{id}/next` and `POST /schedules/preview`: when a schedule is to fire.
//!
//! A preview goes by the same rules as the fires themselves, as if nothing got in the way: no run takes longer than the
//! next instant, and a paused job is resumed. It changes nothing, and holds up nobody: it works on a copy of the job.

use std::borrow::Cow;
use std::sync::Arc;

use futures_lite::future::yield_now;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use trillium::Status;

use super::endpoint::{Answer, Request};
use super::error::ApiError;
use super::reply::Reply;
use super::{Api, jobs};
use crate::engine::{Coming, coming, new_job};
use crate::job::{Job, JobId, Schedule, ScheduleDraft, parse_time};
use crate::limits::{JOB_ID_CHARS_MAX, PREVIEW_BITE, PREVIEW_COUNT_DEFAULT, PREVIEW_COUNT_MAX};

/// The id that is taken for a schedule without one.
const NO_ID: &str = "preview";

const GUESSED: &str =
    "a job's own id decides its H and jitter; these are drawn for the id preview, because none is given";
const DELAYED: &str = "the next one comes so long after the end of a run, which nobody knows before";
const COUNTED_ANEW: &str = "max_runs is counted from the time on that was asked for";

/// A preview as its client sees it.
#[derive(Serialize)]
struct Shown<'a> {
    /// Of a job, whether anything of this comes.
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
    /// Whose clock `local` is.
    timezone: &'a str,
    /// What is to be known of all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    remark: Option<String>,
    next: Vec<Fire>,
}

#[derive(Serialize)]
struct Fire {
    /// The instant of the schedule.
    at: String,
    /// The same on the clock of its zone.
    local: String,
    /// When it is called, where a jitter delays that.
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at: Option<String>,
    /// What a change of the clock made of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    remark: Option<String>,
}

/// Which fires are asked for.
#[derive(Debug, PartialEq)]
struct Query {
    count: usize,
    /// Only later instants are shown. Without it, all that is due from now on.
    from: Option<Timestamp>,
    /// For whom `H` and the jitter are drawn, of a schedule alone.
    id: Option<JobId>,
}

impl Query {
    /// Reads the parameters, by the rules of `GET /jobs`.
    fn read<'a>(pairs: impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)>) -> Result<Self, ApiError> {
        let mut query = Self { count: PREVIEW_COUNT_DEFAULT, from: None, id: None };
        for (name, value) in pairs.filter(|(_, value)| !value.is_empty()) {
            let refuse = |accepted: &str| ApiError::parameter(&name, &value, accepted);
            match name.as_ref() {
                "count" => {
                    let count = value.parse().ok().filter(|count| (1..=PREVIEW_COUNT_MAX).contains(count));
                    query.count = count.ok_or_else(|| refuse(&format!("1 to {PREVIEW_COUNT_MAX}")))?;
                }
                "from" => {
                    let accepted =
                        "times of RFC 3339, such as 2026-03-29T00:00:00Z (the + of an offset is written %2B here)";
                    query.from = Some(parse_time(&value).map_err(|_| refuse(accepted))?);
                }
                "id" => {
                    let accepted = format!("1 to {JOB_ID_CHARS_MAX} of the characters A-Z a-z 0-9 . _ ~ -");
                    query.id = Some(JobId::parse(&value).map_err(|_| refuse(&accepted))?);
                }
                _ => {}
            }
        }
        Ok(query)
    }
}

/// What a job is to fire next. `enabled` false beside it says that nothing of it comes before the job is resumed.
pub(super) async fn of_job(api: &Api, request: Request<'_>) -> Answer {
    let query = Query::read(request.query().filter(|(name, _)| name != "id"))?;
    let job = api.jobs.job(&jobs::id(&request)?)?;
    let enabled = Some(job.progress.enabled);
    Ok(preview(job, &query, (api.clock)(), enabled, Vec::new()).await)
}

/// What a job of this schedule would fire if it were made now. The schedule is checked as that of a new job.
///
/// The id of a job decides what its `H` and its jitter are. Where such a schedule comes without one, they are drawn for
/// the id `preview`, and a remark says so.
pub(super) async fn of_schedule(api: &Api, mut request: Request<'_>) -> Answer {
    let query = Query::read(request.query())?;
    let draft: ScheduleDraft = request.json().await.map_err(in_schedule)?;
    let id = query.id.clone().unwrap_or_else(|| JobId::parse(NO_ID).expect("it is one"));
    let spec = Arc::new(draft.into_spec(id)?);
    let now = (api.clock)();
    let job = new_job(&spec, true, now)?;
    let is_guessed = query.id.is_none() && spec.schedule.is_drawn();
    let remarks = if is_guessed { vec![GUESSED] } else { Vec::new() };
    Ok(preview(job, &query, now, None, remarks).await)
}

/// The body is what stands under this key in a job.
fn in_schedule(error: ApiError) -> ApiError {
    ApiError { field: error.field.map(|field| format!("/schedule{field}")), ..error }
}

async fn preview(
    job: Job,
    query: &Query,
    now: Timestamp,
    enabled: Option<bool>,
    mut remarks: Vec<&'static str>,
) -> Reply {
    let spec = Arc::clone(&job.spec);
    let (schedule, zone) = (&spec.schedule, spec.schedule.zone());
    let start = start(schedule, query.from, now);
    if start > now && schedule.bounds().max_runs.is_some() {
        remarks.push(COUNTED_ANEW);
    }
    if matches!(schedule, Schedule::After { .. }) {
        remarks.push(DELAYED);
    }
    let mut fires = coming(job, start);
    let mut next = Vec::new();
    let mut steps = 0_usize;
    while next.len() < query.count
        && let Some(fire) = fires.next()
    {
        if query.from.is_none_or(|from| fire.instant > from) {
            next.push(shown(schedule, &zone, fire));
        }
        steps += 1;
        if steps.is_multiple_of(PREVIEW_BITE) {
            yield_now().await;
        }
    }
    let remark = Some(remarks.join("; ")).filter(|remark| !remark.is_empty());
    Reply::json(Status::Ok, &Shown { enabled, timezone: zone.iana_name().unwrap_or("UTC"), remark, next })
}

/// Where to begin. The runs before a later time use up `max_runs`, so they are gone through, where they are no more
/// than a preview may show.
fn start(schedule: &Schedule, from: Option<Timestamp>, now: Timestamp) -> Timestamp {
    let Some(from) = from else { return now };
    let is_counted = |max_runs| usize::try_from(max_runs).is_ok_and(|max_runs| max_runs <= PREVIEW_COUNT_MAX);
    if schedule.bounds().max_runs.is_some_and(is_counted) { from.min(now) } else { from }
}

fn shown(schedule: &Schedule, zone: &TimeZone, fire: Coming) -> Fire {
    let Coming { instant, due_at } = fire;
    Fire {
        at: instant.to_string(),
        local: instant.display_with_offset(zone.to_offset(instant)).to_string(),
        due_at: (due_at != instant).then(|| due_at.to_string()),
        remark: schedule.clock_change(instant).map(|change| change.to_string()),
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
        let plain = Query { count: 20, from: None, id: None };
        assert_eq!(read("").expect("nothing"), plain);
        assert_eq!(read("count=&from=&id=&_=1732300000").expect("nothing known"), plain);
        let all = read("count=1000&from=2026-03-29T00:00:00%2B02:00&id=a").expect("all known");
        let from = Some("2026-03-28T22:00:00Z".parse().expect("a time"));
        assert_eq!(all, Query { count: 1_000, from, id: Some(JobId::parse("a").expect("an id")) });
    }

    #[test]
    fn a_wrong_value_is_refused_with_what_is_accepted() {
        for (query, accepted) in [
            ("count=0", "1 to 1000"),
            ("count=1001", "1 to 1000"),
            ("count=many", "1 to 1000"),
            ("from=tomorrow", "RFC 3339"),
            // A plus that is not escaped is a blank.
            ("from=2026-03-29T00:00:00+02:00", "%2B"),
            ("id=a/b", "1 to 128 of the characters A-Z"),
        ] {
            let error = read(query).expect_err(query);
            assert!(error.message.contains(accepted), "{}", error.message);
            assert!(error.message.contains(query.split('=').next().expect("a name")), "{}", error.message);
        }
    }
}
