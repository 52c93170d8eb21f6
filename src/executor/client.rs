//! The one HTTP client that all attempts share, and its replacement should its thread die.

use super::failure::Failure;
use super::request::{Prepared, Way};
use crate::limits::{KEPT_CONNECTION_TTL, KEPT_CONNECTIONS_MAX};
use futures_lite::FutureExt;
use isahc::config::{Configurable, RedirectPolicy, VersionNegotiation};
use isahc::{AsyncBody, HttpClient, Response};
use std::any::Any;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError};

pub(super) struct Client {
    current: Mutex<Arc<HttpClient>>,
    proxy_from_env: bool,
}

impl Client {
    pub(super) fn new(proxy_from_env: bool) -> Result<Self, isahc::Error> {
        let current = Mutex::new(Arc::new(build(proxy_from_env)?));
        Ok(Self { current, proxy_from_env })
    }

    /// Sends a request. Where the client turns out to be dead nothing was sent, and a new one sends it.
    pub(super) async fn send(&self, call: &Prepared, way: &Way) -> Result<Response<AsyncBody>, Failure> {
        let client = self.current();
        let sent = AssertUnwindSafe(client.send_async(call.request(way))).catch_unwind().await;
        let sent = match sent {
            Ok(sent) => sent,
            Err(panic) if is_death(&*panic) => {
                tracing::error!("the HTTP client's thread has died; a new one takes over");
                let client = self.replace(&client).map_err(|error| Failure::of_client(&error, &call.target()))?;
                client.send_async(call.request(way)).await
            }
            Err(panic) => resume_unwind(panic),
        };
        sent.map_err(|error| Failure::of_client(&error, &call.target()))
    }

    fn current(&self) -> Arc<HttpClient> {
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts a new client in the dead one's place, unless another attempt has done so already. The
    /// dead one is kept for ever: dropping it would panic, and its thread and sockets are gone anyway.
    fn replace(&self, dead: &Arc<HttpClient>) -> Result<Arc<HttpClient>, isahc::Error> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&current, dead) {
            let new = Arc::new(build(self.proxy_from_env)?);
            std::mem::forget(std::mem::replace(&mut *current, new));
        }
        Ok(Arc::clone(&current))
    }
}

/// Every setting that matters is said here, whatever the library's default is or becomes.
fn build(proxy_from_env: bool) -> Result<HttpClient, isahc::Error> {
    let builder = HttpClient::builder()
        .version_negotiation(VersionNegotiation::http11())
        .redirect_policy(RedirectPolicy::None)
        .automatic_decompression(false)
        .expect_continue(false)
        .tcp_nodelay()
        .connection_cache_size(KEPT_CONNECTIONS_MAX)
        .connection_cache_ttl(KEPT_CONNECTION_TTL);
    // Where nothing is said, curl looks for a proxy in the environment.
    if proxy_from_env { builder.build() } else { builder.proxy(None).build() }
}

/// Whether a panic says that the client's thread has ended; the library tells it in no other way.
fn is_death(panic: &(dyn Any + Send)) -> bool {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.is_some_and(|text| text.starts_with("agent thread "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_client_is_replaced_once() {
        let client = Client::new(false).expect("a client can be made");
        let dead = client.current();
        let first = client.replace(&dead).expect("a client can be made");
        let second = client.replace(&dead).expect("a client can be made");
        assert!(!Arc::ptr_eq(&dead, &first));
        assert!(Arc::ptr_eq(&first, &second));
    }

    #[test]
    fn only_the_death_of_the_thread_is_a_death() {
        assert!(is_death(&"agent thread panicked"));
        assert!(is_death(&"agent thread terminated with error: x".to_owned()));
        assert!(!is_death(&"index out of bounds"));
        assert!(!is_death(&1));
    }
}
