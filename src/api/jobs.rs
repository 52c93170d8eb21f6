//! The endpoints of `/jobs`.

use std::sync::Arc;

use serde::Serialize;
use trillium::{KnownHeaderName, Status};
use uuid::Uuid;

use super::Api;
use super::endpoint::{Answer, Request};
use super::error::ApiError;
use super::list;
use super::reply::Reply;
use crate::engine::{Command, Refusal, RunNow};
use crate::job::{self, Invalid, Job, JobDraft, JobId, Origin, Overrides, OverridesDraft, PauseDraft, Shown};

/// What a command on a job is answered with.
#[derive(Serialize)]
struct Done {
    message: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<Uuid>,
}

pub(super) async fn list(api: &Api, request: Request<'_>) -> Answer {
    list::answer(api, &list::Query::read(request.query())?).await
}

pub(super) async fn create(api: &Api, mut request: Request<'_>) -> Answer {
    let draft: JobDraft<job::Request> = request.json().await?;
    let (spec, enabled) = draft.into_new(&api.defaults, || Uuid::now_v7().into())?;
    let job = api.jobs.change(Command::Create { spec: Arc::new(spec), enabled }).await?;
    let location = format!("/jobs/{}", job.spec.id);
    Ok(show_job(Status::Created, &job).with_header(KnownHeaderName::Location, location))
}

pub(super) async fn show(api: &Api, request: Request<'_>) -> Answer {
    let job = api.jobs.job(&id(&request)?)?;
    Ok(show_job(Status::Ok, &job))
}

pub(super) async fn change(api: &Api, mut request: Request<'_>) -> Answer {
    let id = id(&request)?;
    let draft: JobDraft<job::Request> = request.json().await?;
    let patch = Box::new(draft.into_patch(&api.defaults)?);
    let job = api.jobs.change(Command::Patch { id, patch }).await?;
    Ok(show_job(Status::Ok, &job))
}

pub(super) async fn delete(api: &Api, request: Request<'_>) -> Answer {
    api.jobs.change(Command::Delete(id(&request)?)).await?;
    Ok(Reply::no_content())
}

pub(super) async fn run_now(api: &Api, mut request: Request<'_>) -> Answer {
    let id = id(&request)?;
    let overrides = overrides(&mut request).await?.filter(|overrides| !overrides.is_empty());
    let run_id = Uuid::now_v7();
    let origin = Origin { key: request.fingerprint(), ..Origin::default() };
    let asked = RunNow { run_id, overrides: overrides.map(Arc::new), origin, ..RunNow::default() };
    api.jobs.change(Command::RunNow { id, asked }).await?;
    Ok(Reply::json(Status::Ok, &Done { message: "run started", run_id: Some(run_id) }))
}

/// What a run that is asked for sends in the place of what its job says; `None` where nobody says a word about that.
pub(super) async fn overrides(request: &mut Request<'_>) -> Result<Option<Overrides>, ApiError> {
    let draft: Option<OverridesDraft> = request.optional_json(&["url", "headers", "body"]).await?;
    Ok(draft.map(OverridesDraft::into_overrides))
}

pub(super) async fn pause(api: &Api, mut request: Request<'_>) -> Answer {
    let id = id(&request)?;
    let until = request.optional_json::<PauseDraft>(&["until"]).await?.and_then(PauseDraft::until);
    api.jobs.change(Command::Pause { id, until }).await?;
    Ok(Reply::json(Status::Ok, &Done { message: "job paused", run_id: None }))
}

pub(super) async fn resume(api: &Api, request: Request<'_>) -> Answer {
    api.jobs.change(Command::Resume(id(&request)?)).await?;
    Ok(Reply::json(Status::Ok, &Done { message: "job resumed", run_id: None }))
}

pub(super) async fn cancel(api: &Api, request: Request<'_>) -> Answer {
    api.jobs.change(Command::Cancel(id(&request)?)).await?;
    Ok(Reply::json(Status::Ok, &Done { message: "run cancelled", run_id: None }))
}

fn show_job(status: Status, job: &Job) -> Reply {
    Reply::json(status, &Shown(job))
}

/// The id in the path. What is no id names no job.
pub(super) fn id(request: &Request<'_>) -> Result<JobId, ApiError> {
    JobId::parse(&request.id()?).map_err(|_| Refusal::NotFound.into())
}

impl From<Invalid> for ApiError {
    fn from(invalid: Invalid) -> Self {
        let message = format!("{}: {}", invalid.field.trim_start_matches('/').replace('/', "."), invalid.message);
        Self::invalid(invalid.field, message)
    }
}

/// The one place that says what a refusal is in HTTP.
impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotFound => Self::not_found("no job has such an id"),
            Refusal::Taken => Self::conflict("id_taken", "a job with this id is there; PATCH /jobs/{id} changes it"),
            Refusal::Running => {
                Self::conflict("running", "a run of this job is going; it takes the next when that has ended")
            }
            Refusal::NotRunning => Self::conflict("not_running", "no run of this job is going"),
            Refusal::Invalid(invalid) => invalid.into(),
            Refusal::Disk(reason) => Self::unavailable(format!("nothing was changed: {reason}")),
            Refusal::ShuttingDown => Self::unavailable("the service is shutting down"),
        }
    }
}
