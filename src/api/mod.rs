//! HTTP in: what a client may ask, and how he is answered.
//!
//! A request passes, in this order: the [`guard`] (time and room), the HTTP library, the frame (what every answer has
//! in common), authorization, the routes, an endpoint. Whatever goes wrong ends as an [`ApiError`], and becomes HTTP
//! in one place.

use std::sync::Arc;

use jiff::Timestamp;

use crate::events::Events;
use crate::inbox::Client;
use crate::job::Defaults;
use crate::keys::KeyRing;
use crate::metrics::Metrics;
use crate::vitals::Vitals;

mod auth;
mod body;
mod connections;
mod door;
mod endpoint;
mod error;
mod events;
mod frame;
pub mod guard;
mod history;
mod jobs;
mod list;
mod preview;
mod probes;
mod refusal;
mod reply;
mod routes;
mod runs;
mod server;
#[cfg(test)]
mod testing;

pub use body::parse as parse_body;
pub use endpoint::Request;
pub use error::ApiError;
use guard::Guard;
pub use history::History;
pub use reply::Reply;
pub use server::Server;

/// What the endpoints need; a clone is another hold on the same.
#[derive(Clone, Debug)]
pub struct Api {
    /// The keys that are in force.
    pub keys: KeyRing,
    /// How the process is.
    pub vitals: Arc<Vitals>,
    /// What is counted and measured.
    pub metrics: Arc<Metrics>,
    /// Who is connected. An end of its server ends it.
    pub guard: Guard,
    /// The way to the scheduler.
    pub jobs: Client,
    /// The history of runs.
    pub history: History,
    /// What happens, for those who listen.
    pub events: Events,
    /// What a job has where it names nothing.
    pub defaults: Defaults,
    /// Tells what time it is.
    pub clock: fn() -> Timestamp,
}
