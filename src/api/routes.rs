//! Every path there is, on one screen.

use std::time::Duration;

use trillium::{Conn, Handler, KnownHeaderName, Method, Status};
use trillium_router::Router;

use super::auth::Authorization;
use super::endpoint::endpoint;
use super::error::ApiError;
use super::events::events;
use super::frame::Frame;
use super::reply::Reply;
use super::{Api, jobs, preview, probes, runs};
use crate::limits::EVENTS_HEARTBEAT_SECS;

/// `HEAD` is answered where `GET` is, with the same headers; the library leaves out the body.
const READ: [Method; 2] = [Method::Get, Method::Head];

/// The whole service, in production and in tests alike.
///
/// One slash at the end of a path is passed over. Ids are decoded by the endpoint, not here: `%2F`
/// is a character of an id and divides nothing.
pub(super) fn service(api: &Api) -> impl Handler + use<> {
    let routes = Router::new()
        .without_options_handling()
        .with_method_not_allowed()
        .any(&READ, "/health", endpoint(api, probes::health))
        .any(&READ, "/ready", endpoint(api, probes::ready))
        .any(&READ, "/metrics", endpoint(api, probes::metrics))
        .any(&READ, "/events", events(api, Duration::from_secs(EVENTS_HEARTBEAT_SECS)))
        .any(&READ, "/jobs", endpoint(api, jobs::list))
        .post("/jobs", endpoint(api, jobs::create))
        .any(&READ, "/jobs/:id", endpoint(api, jobs::show))
        .patch("/jobs/:id", endpoint(api, jobs::change))
        .delete("/jobs/:id", endpoint(api, jobs::delete))
        .any(&READ, "/jobs/:id/runs", endpoint(api, runs::of_job))
        .any(&READ, "/runs", endpoint(api, runs::list))
        .any(&READ, "/runs/:run_id", endpoint(api, runs::show))
        .post("/runs/:run_id/replay", endpoint(api, runs::replay))
        .any(&READ, "/jobs/:id/next", endpoint(api, preview::of_job))
        .post("/schedules/preview", endpoint(api, preview::of_schedule))
        .post("/jobs/:id/run-now", endpoint(api, jobs::run_now))
        .post("/jobs/:id/pause", endpoint(api, jobs::pause))
        .post("/jobs/:id/resume", endpoint(api, jobs::resume))
        .post("/jobs/:id/cancel", endpoint(api, jobs::cancel));
    (Frame::of(api), Authorization::new(api.keys.clone()), no_empty_segment, routes, no_such_route)
}

/// The router takes `//` for `/`, so that a client with an empty id would hit a job by the name of what follows.
async fn no_empty_segment(conn: Conn) -> Conn {
    if conn.path().contains("//") { no_such_route(conn).await } else { conn }
}

/// Whatever no route has answered. The router leaves the `Allow` of a known path behind.
async fn no_such_route(conn: Conn) -> Conn {
    let allow = conn.response_headers().get_str(KnownHeaderName::Allow).map(str::to_owned);
    let error = match allow {
        Some(allow) if conn.status() == Some(Status::MethodNotAllowed) => ApiError::method_not_allowed(allow),
        _ => {
            ApiError::not_found("there is nothing at this path; jobs are at /jobs and /jobs/{id}, their runs at /runs")
        }
    };
    Reply::from(error).put(conn)
}

#[cfg(test)]
mod tests;
