//! One attempt from its deadline's first instant to its outcome.

use super::Config;
use super::address::{allowed, is_refused, refusal};
use super::answer;
use super::client::Client;
use super::failure::Failure;
use super::request::{Prepared, Way};
use super::resolve::Resolver;
use super::sight::{Ended, Sight};
use crate::alarm::Alarm;
use crate::engine::{Start, Verdict};
use crate::job::ErrorClass;
use crate::limits::{ADDRESSES_TRIED_MAX, ANSWER_BODY_BYTES_MAX, ANSWER_READ_BYTES, CONNECT_TRY_MAX, TIMEOUT_GRACE};
use futures_lite::{AsyncReadExt, future};
use isahc::{AsyncBody, Response, ResponseExt};
use jiff::Timestamp;
use std::net::{IpAddr, SocketAddr};
use std::task::Poll;
use std::time::{Duration, Instant};
use url::Host;

/// What every attempt uses; one for all of them.
pub(super) struct Caller {
    client: Client,
    resolver: Resolver,
    proxied: bool,
    clock: fn() -> Timestamp,
}

impl Caller {
    pub(super) fn new(config: &Config, resolver: Resolver) -> Result<Self, isahc::Error> {
        let client = Client::new(config.proxy_from_env)?;
        Ok(Self { client, resolver, proxied: config.proxy_from_env, clock: config.clock })
    }

    /// Makes the attempt. Its timeout bounds everything from the name look-up to the body's end.
    pub(super) async fn make(&self, attempt: &Start, alarm: &mut Alarm, sight: &mut Sight) -> Ended {
        let timeout = attempt.spec.timeout.to_std();
        if timeout.is_zero() {
            let error =
                format!("a timeout of {} leaves no time for a call; accepted are 1ms to 1h", attempt.spec.timeout);
            return Ended::failure(Verdict::Final, ErrorClass::Protocol, error);
        }
        let deadline = Instant::now() + timeout;
        let timed_out = format!("timed out after {}", attempt.spec.timeout);
        let call = async { self.call(attempt, deadline, &timed_out, sight).await.unwrap_or_else(|ended| ended) };
        // The HTTP client keeps the deadline by itself and frees the connection then. This bounds
        // the name look-up, and the client where it does not let go.
        let belt = future::poll_fn(|cx| {
            let is_over = alarm.has_rung(deadline + TIMEOUT_GRACE, cx);
            if is_over { Poll::Ready(Failure::TimedOut.ended(&timed_out)) } else { Poll::Pending }
        });
        future::or(call, belt).await
    }

    /// Either side is an end; the error's one comes early.
    async fn call(
        &self,
        attempt: &Start,
        deadline: Instant,
        timed_out: &str,
        sight: &mut Sight,
    ) -> Result<Ended, Ended> {
        let call =
            Prepared::of(attempt).map_err(|error| Ended::failure(Verdict::Final, ErrorClass::Protocol, error))?;
        let addresses = self.addresses(&call, sight).await?;
        let mut response =
            self.connect(&call, &addresses, deadline, sight).await.map_err(|failure| failure.ended(timed_out))?;
        if let Some(peer) = response.remote_addr().filter(|peer| !self.proxied && is_refused(peer.ip())) {
            let error = refusal(&call.host.to_string(), peer.ip());
            return Err(Ended::failure(Verdict::Final, ErrorClass::Connect, error));
        }
        sight.answered(&response);
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        drop_body(response, sight).await.map_err(|error| Failure::of_body(&error, &call.target()).ended(timed_out))?;
        Ok(answer::ended(status, &headers, self.clock))
    }

    /// Where the host may be called, in order. Through a proxy, names are the proxy's to look up:
    /// often this machine cannot.
    async fn addresses(&self, call: &Prepared, sight: &mut Sight) -> Result<Vec<Option<SocketAddr>>, Ended> {
        let host = call.host.to_string();
        let found: Vec<IpAddr> = match &call.host {
            Host::Ipv4(v4) => vec![(*v4).into()],
            Host::Ipv6(v6) => vec![(*v6).into()],
            Host::Domain(_) if self.proxied => return Ok(vec![None]),
            Host::Domain(name) => {
                let began = Instant::now();
                let found = self.resolver.resolve(name).await;
                sight.looked_up(began);
                match found {
                    Ok(found) => found.to_vec(),
                    Err(reason) => {
                        let error = format!("name look-up of {host} failed: {reason}");
                        return Err(Ended::failure(Verdict::Retryable, ErrorClass::Dns, error));
                    }
                }
            }
        };
        let allowed =
            allowed(&host, &found).map_err(|error| Ended::failure(Verdict::Final, ErrorClass::Connect, error))?;
        if self.proxied {
            return Ok(vec![None]);
        }
        Ok(allowed.into_iter().take(ADDRESSES_TRIED_MAX).map(|ip| Some(SocketAddr::new(ip, call.port))).collect())
    }

    /// Sends the request to the first address that takes a connection. An address that stays silent
    /// leaves time for those behind it; the last one has all that is left.
    async fn connect(
        &self,
        call: &Prepared,
        addresses: &[Option<SocketAddr>],
        deadline: Instant,
        sight: &mut Sight,
    ) -> Result<Response<AsyncBody>, Failure> {
        let mut failure = Failure::TimedOut;
        for (index, &address) in addresses.iter().enumerate() {
            let now = Instant::now();
            let left = deadline.saturating_duration_since(now);
            if left.is_zero() {
                return Err(Failure::TimedOut);
            }
            let way = Way { address, timeout: left, connect_timeout: share_of(left, addresses.len() - index) };
            sight.sends(now);
            failure = match self.client.send(call, &way).await {
                Ok(response) => return Ok(response),
                // Before the deadline only a connection can time out, so that nothing was sent.
                Err(failure @ (Failure::NotConnected(..) | Failure::TimedOut)) => failure,
                Err(failure) => return Err(failure),
            };
        }
        Err(failure)
    }
}

/// How long one of so many addresses that are left may take to connect.
fn share_of(left: Duration, addresses: usize) -> Duration {
    match u32::try_from(addresses) {
        Ok(0 | 1) => left,
        Ok(count) => (left / count).min(CONNECT_TRY_MAX),
        Err(_) => CONNECT_TRY_MAX,
    }
}

/// Reads a body to its end, so that its connection can be used again, unless it is long: then the
/// connection is closed by leaving the rest unread. Its begin is all that is kept.
async fn drop_body(response: Response<AsyncBody>, sight: &mut Sight) -> std::io::Result<()> {
    let mut body = response.into_body();
    let mut buffer = vec![0; ANSWER_READ_BYTES];
    let mut total = 0;
    while total <= ANSWER_BODY_BYTES_MAX {
        match body.read(&mut buffer).await? {
            0 => break,
            count => {
                sight.read(&buffer[..count]);
                total += count;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_address_leaves_time_for_the_next() {
        let check = |left_ms: u64, addresses: usize, share_ms: u64| {
            let share = share_of(Duration::from_millis(left_ms), addresses);
            assert_eq!(share, Duration::from_millis(share_ms), "{left_ms} {addresses}");
        };
        check(10_000, 1, 10_000);
        check(10_000, 2, 2_000);
        check(1_000, 2, 500);
        check(900, 3, 300);
    }
}
