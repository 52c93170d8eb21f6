//! The endpoints of `/jobs`.

use super::Api;
use super::endpoint::Request;
use super::error::ApiError;
use super::reply::Reply;

type Answer = Result<Reply, ApiError>;

fn no_scheduler() -> Answer {
    Err(ApiError::unavailable("no scheduler is connected"))
}

pub(super) async fn list(_api: &Api, _request: Request<'_>) -> Answer {
    no_scheduler()
}

pub(super) async fn create(_api: &Api, _request: Request<'_>) -> Answer {
    no_scheduler()
}

pub(super) async fn show(_api: &Api, _request: Request<'_>) -> Answer {
    no_scheduler()
}

pub(super) async fn change(_api: &Api, _request: Request<'_>) -> Answer {
    no_scheduler()
}

pub(super) async fn delete(_api: &Api, _request: Request<'_>) -> Answer {
    no_scheduler()
}

pub(super) async fn run_now(_api: &Api, _request: Request<'_>) -> Answer {
    no_scheduler()
}

pub(super) async fn pause(_api: &Api, _request: Request<'_>) -> Answer {
    no_scheduler()
}

pub(super) async fn resume(_api: &Api, _request: Request<'_>) -> Answer {
    no_scheduler()
}
