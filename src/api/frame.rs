//! What every answer has in common, whoever made it: the headers, the rest of a body that nobody
//! read, the line of log and the count.

use std::sync::Arc;

use trillium::{Conn, Handler, KnownHeaderName, Status};

use super::{Api, body};
use crate::metrics::Metrics;
use crate::vitals::Vitals;

/// Stands first, so that it sees each answer last.
#[derive(Debug)]
pub(super) struct Frame {
    vitals: Arc<Vitals>,
    metrics: Arc<Metrics>,
}

impl Frame {
    pub(super) fn of(api: &Api) -> Self {
        Self { vitals: Arc::clone(&api.vitals), metrics: Arc::clone(&api.metrics) }
    }
}

impl Handler for Frame {
    async fn run(&self, conn: Conn) -> Conn {
        conn
    }

    async fn before_send(&self, mut conn: Conn) -> Conn {
        // With the body out of the way, the next byte that comes is the next request's, and a
        // client that reads only after it has written gets its answer.
        let clear = body::discard(&mut conn).await;
        let headers = conn.response_headers_mut();
        headers.insert(KnownHeaderName::Server, "ksana");
        headers.insert(KnownHeaderName::AccessControlAllowOrigin, "*");
        headers.insert(KnownHeaderName::AccessControlExposeHeaders, "Link, Location, Retry-After");
        if !clear || self.vitals.is_shutting_down() {
            headers.insert(KnownHeaderName::Connection, "close");
        }
        // Where nobody has set one, the library says 404.
        let status = conn.status().unwrap_or(Status::NotFound);
        self.metrics.requests.add(conn.method().as_str(), status as u16);
        log(&conn);
        conn
    }
}

/// The path only: a query may hold what is nobody's business.
fn log(conn: &Conn) {
    let (method, path) = (conn.method(), conn.path());
    let status = conn.status().map(|status| status as u16);
    let latency_ms = conn.start_time().elapsed().as_secs_f64() * 1_000.0;
    if matches!(path, "/health" | "/ready" | "/metrics") {
        tracing::debug!(%method, path, status, latency_ms, "request");
    } else {
        tracing::info!(%method, path, status, latency_ms, "request");
    }
}
