//! The endpoints for those who watch over the process: is it alive, and should it get requests.

use serde::Serialize;
use trillium::Status;

use super::Api;
use super::endpoint::{Answer, Request};
use super::reply::Reply;
use crate::metrics::{CONTENT_TYPE, Seen};

#[derive(Serialize)]
struct Health {
    status: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Ready {
    status: &'static str,
    reasons: Vec<String>,
    warnings: Vec<String>,
}

/// Alive, and nothing more: who restarts a process because its disk is full makes it worse.
pub(super) async fn health(_api: &Api, _request: Request<'_>) -> Answer {
    Ok(Reply::json(Status::Ok, &Health { status: "ok", version: env!("CARGO_PKG_VERSION") }))
}

pub(super) async fn ready(api: &Api, _request: Request<'_>) -> Answer {
    let mut readiness = api.vitals.readiness();
    readiness.warnings.extend(api.keys.warning());
    let unavailable = !readiness.reasons.is_empty();
    let (status, told) = if unavailable { (Status::ServiceUnavailable, "unavailable") } else { (Status::Ok, "ready") };
    let reply = Reply::json(status, &Ready { status: told, reasons: readiness.reasons, warnings: readiness.warnings });
    Ok(if unavailable { reply.retry_later() } else { reply })
}

/// What a collector draws curves of. Unlike a probe it needs a key: it tells how much is going on.
pub(super) async fn metrics(api: &Api, _request: Request<'_>) -> Answer {
    let history = api.history.figures();
    let seen = Seen {
        connections: api.guard.open(),
        unread: api.guard.unread(),
        keys: api.keys.len(),
        key_reloads: api.keys.changes(),
        is_key_file_unreadable: api.keys.warning().is_some(),
        history_bytes: history.bytes,
        history_pending: history.pending,
        history_lost: history.lost,
        event_streams: api.events.readers(),
        event_streams_cut_off: api.events.cut_off(),
    };
    Ok(Reply::text(CONTENT_TYPE, api.metrics.page(&seen)))
}
