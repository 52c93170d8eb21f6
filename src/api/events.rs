//! `GET /events`: what happens, as it happens, as Server-Sent Events.
//!
//! The answer has no end of its own. The HTTP library hands the connection over once the head has left, so that the
//! frame has logged and counted it by then; the guard knows such an answer by its head.

use std::borrow::Cow;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::{Duration, Instant};

use async_io::Timer;
use futures_lite::{FutureExt, Stream, stream};
use trillium::{Conn, Handler, Headers, Info, KnownHeaderName, Method, Status, Upgrade};
use trillium_sse::{Event, Sse, SseHandler, sse};

use super::Api;
use super::auth::key_of;
use super::error::ApiError;
use super::reply::Reply;
use crate::events::{EventId, Filter, Reader, Refused};
use crate::job::{self, JobId};
use crate::keys::Pass;
use crate::limits::{EVENTS_JOBS_MAX, EVENTS_KEY_LOOK_MILLIS};

const MEDIA_TYPE: &str = "text/event-stream";

/// What a proxy must do with a stream: hand each event on as it comes.
const HEADERS: [(&str, &str); 2] = [("X-Accel-Buffering", "no"), ("Cache-Control", "no-cache")];

/// A handler of the path; a stream is never silent for longer than `heartbeat`.
pub(super) fn events(api: &Api, heartbeat: Duration) -> impl Handler + use<> {
    Endpoint { api: api.clone(), heartbeat, sse: sse(connect as fn(&mut Conn) -> Messages) }
}

/// Whether an answer that begins with these bytes is a stream of events.
pub(super) fn is_stream(answer: &[u8]) -> bool {
    const HEADER: &[u8] = b"\r\nContent-Type: text/event-stream\r\n";
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").map_or(answer.len(), |end| end + 2);
    answer.starts_with(b"HTTP/1.") && answer[..end].windows(HEADER.len()).any(|window| window == HEADER)
}

struct Endpoint<S> {
    api: Api,
    heartbeat: Duration,
    sse: Sse<S>,
}

type Messages = Pin<Box<dyn Stream<Item = Event> + Send>>;

/// Hands over the stream that the endpoint has made ready.
fn connect(conn: &mut Conn) -> Messages {
    conn.take_state::<Prepared>()
        .map_or_else(|| Box::pin(stream::empty()) as Messages, |prepared| prepared.0.messages())
}

struct Prepared(Feed);

impl<S: SseHandler> Endpoint<S> {
    async fn feed(&self, conn: &Conn) -> Result<Option<Feed>, ApiError> {
        let headers = conn.request_headers();
        let filter = filter(url::form_urlencoded::parse(conn.querystring().as_bytes()))?;
        let last = last_event_id(headers)?;
        if !takes_events(headers) {
            let message = "events are sent as text/event-stream; accepted is an Accept that takes it, or none";
            return Err(ApiError::new(Status::NotAcceptable, "not_acceptable", message));
        }
        if conn.method() == Method::Head {
            return Ok(None);
        }
        let missed = |seq| self.api.history.missed(seq);
        let reader = self.api.events.subscribe(filter, last, conn.peer_ip(), missed).await.map_err(refused)?;
        // There is a key, or the request would not have come here.
        let pass = self.api.keys.pass(key_of(headers).unwrap_or_default());
        Ok(Some(Feed { reader, client_ip: conn.peer_ip(), pass, heartbeat: self.heartbeat, spoken_at: None }))
    }
}

fn refused(why: Refused) -> ApiError {
    ApiError::unavailable(match why {
        Refused::Full => "as many streams of events are open as may be",
        Refused::Ended => "the service is shutting down",
    })
}

impl<S: SseHandler> Handler for Endpoint<S> {
    async fn run(&self, mut conn: Conn) -> Conn {
        let feed = match self.feed(&conn).await {
            Ok(feed) => feed,
            Err(error) => return Reply::from(error).put(conn),
        };
        for (name, value) in HEADERS {
            conn.response_headers_mut().insert(name, value);
        }
        let Some(feed) = feed else {
            let head = [(KnownHeaderName::ContentType, MEDIA_TYPE), (KnownHeaderName::Connection, "close")];
            conn.response_headers_mut().extend(head);
            return conn.with_status(Status::Ok).halt();
        };
        // The library wants to be asked for events by name, and passes on whoever takes anything.
        conn.request_headers_mut().insert(KnownHeaderName::Accept, MEDIA_TYPE);
        conn.insert_state(Prepared(feed));
        self.sse.run(conn).await
    }

    async fn init(&mut self, info: &mut Info) {
        self.sse.init(info).await;
    }

    fn has_upgrade(&self, upgrade: &Upgrade) -> bool {
        self.sse.has_upgrade(upgrade)
    }

    async fn upgrade(&self, upgrade: Upgrade) {
        self.sse.upgrade(upgrade).await;
    }
}

/// What one client is sent.
#[derive(Debug)]
struct Feed {
    reader: Reader,
    client_ip: Option<IpAddr>,
    pass: Pass,
    heartbeat: Duration,
    /// `None` before the first word.
    spoken_at: Option<Instant>,
}

impl Feed {
    fn messages(self) -> Messages {
        Box::pin(stream::unfold(self, async |mut feed| Some((feed.next().await?, feed))))
    }

    /// The first word and each heartbeat is a comment with an id: who comes back with that misses nothing either,
    /// though nothing has happened yet, or nothing that his filter passes.
    async fn next(&mut self) -> Option<Event> {
        let silence_max = self.heartbeat;
        loop {
            if !self.pass.is_valid() {
                let client_ip = self.client_ip.map(tracing::field::display);
                tracing::info!(client_ip, "a stream of events ends, because its key was revoked");
                return None;
            }
            let now = Instant::now();
            if self.spoken_at.is_none_or(|spoken_at| now.saturating_duration_since(spoken_at) >= silence_max) {
                self.spoken_at = Some(now);
                return Some(Event::new_comment("").with_id(self.reader.last().to_string()));
            }
            let happening = async { Some(self.reader.next().await) };
            let look = async {
                Timer::after(silence_max.min(Duration::from_millis(EVENTS_KEY_LOOK_MILLIS))).await;
                None
            };
            if let Some(message) = happening.or(look).await {
                let message = message?;
                if self.pass.is_valid() {
                    self.spoken_at = Some(Instant::now());
                    return Some(Event::new(message.data).with_type(message.name).with_id(message.id.to_string()));
                }
            }
        }
    }
}

/// Reads the parameters. An empty one is an unset one; one that is not known is passed over.
fn filter<'a>(pairs: impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)>) -> Result<Filter, ApiError> {
    let (mut jobs, mut statuses) = (Vec::new(), Vec::new());
    for (name, value) in pairs.filter(|(_, value)| !value.is_empty()) {
        let refuse = |accepted: &str| ApiError::parameter(&name, &value, accepted);
        match name.as_ref() {
            "job" if jobs.len() == EVENTS_JOBS_MAX => return Err(refuse(&format!("at most {EVENTS_JOBS_MAX} jobs"))),
            "job" => jobs.push(JobId::parse(&value).map_err(|_| refuse("ids of jobs"))?),
            "status" => {
                let status = job::Status::parse_end(&value).ok_or_else(|| refuse(job::Status::ENDS))?;
                if !statuses.contains(&status) {
                    statuses.push(status);
                }
            }
            _ => {}
        }
    }
    Ok(Filter::new(jobs, statuses))
}

/// Where a client goes on. An empty header is none.
fn last_event_id(headers: &Headers) -> Result<Option<EventId>, ApiError> {
    let Some(value) = headers.get_values(KnownHeaderName::LastEventId).and_then(|values| values.last()) else {
        return Ok(None);
    };
    let text = value.as_str().map(str::trim);
    if text == Some("") {
        return Ok(None);
    }
    let id = text.and_then(EventId::parse).ok_or_else(|| {
        let message = format!(
            "the header Last-Event-ID: {} is not valid; accepted is the id of an event, like 12-1732300000000000",
            text.unwrap_or_default()
        );
        ApiError::new(Status::BadRequest, "invalid", message)
    })?;
    Ok(Some(id))
}

/// Whether an `Accept` takes a stream, by the range that names it best. None takes anything.
fn takes_events(headers: &Headers) -> bool {
    let values = headers.get_values(KnownHeaderName::Accept);
    let ranges = values.into_iter().flat_map(|values| values.iter()).filter_map(|value| value.as_str());
    let ranges: Vec<&str> = ranges.flat_map(|value| value.split(',')).map(str::trim).collect();
    let taken = |wanted: &str| {
        let mut named = ranges.iter().map(|range| range.split(';').map(str::trim));
        named.find_map(|mut parts| parts.next()?.eq_ignore_ascii_case(wanted).then(|| parts.all(|part| !is_zero(part))))
    };
    let best = [MEDIA_TYPE, "text/*", "*/*"].into_iter().find_map(taken);
    best.unwrap_or_else(|| ranges.iter().all(|range| range.is_empty()))
}

/// Whether a parameter of a range says that it is not taken.
fn is_zero(parameter: &str) -> bool {
    let quality = parameter.split_once('=').filter(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
    quality.and_then(|(_, quality)| quality.trim().parse().ok()).is_some_and(|quality: f32| quality <= 0.0)
}

#[cfg(test)]
mod tests;
