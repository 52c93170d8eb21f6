//! From a connection to an endpoint's plain function and back, whatever it does.

use std::borrow::Cow;
use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_lite::FutureExt;
use serde::de::DeserializeOwned;
use trillium::{Conn, Handler};
use trillium_router::RouterConnExt;
use uuid::Uuid;

use super::auth::fingerprint_of;
use super::error::ApiError;
use super::reply::Reply;
use super::runs::no_such_run;
use super::{Api, body};

/// What an endpoint may know of a request.
#[derive(Debug)]
pub struct Request<'a> {
    conn: &'a mut Conn,
}

impl Request<'_> {
    /// The `{id}` of the path, decoded. What cannot be decoded names nothing: 404.
    ///
    /// # Errors
    ///
    /// Not found, if the path's id is not UTF-8 or has a broken escape.
    pub fn id(&self) -> Result<String, ApiError> {
        let raw = self.conn.param("id").unwrap_or_default();
        percent_decoded(raw).ok_or_else(|| ApiError::not_found("no job has such an id"))
    }

    /// The `{run_id}` of the path.
    ///
    /// # Errors
    ///
    /// Not found, if it is no UUID.
    pub(super) fn run_id(&self) -> Result<Uuid, ApiError> {
        let raw = self.conn.param("run_id").unwrap_or_default();
        Uuid::try_parse(raw).map_err(|_| no_such_run())
    }

    /// The fingerprint of the key that came with it.
    pub(super) fn fingerprint(&self) -> Option<Box<str>> {
        fingerprint_of(self.conn.request_headers())
    }

    /// The query's parameters in their order, decoded.
    pub fn query(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        url::form_urlencoded::parse(self.conn.querystring().as_bytes())
    }

    /// The body, read from JSON.
    ///
    /// # Errors
    ///
    /// Why the body could not be had, is not JSON, or is not such a value.
    pub async fn json<T: DeserializeOwned>(&mut self) -> Result<T, ApiError> {
        body::parse(&body::read(self.conn).await?)
    }

    /// The same where a body may be left out. What is no JSON object is none, because older clients may send anything here;
    /// but not a string, nor what names one of the keys: that is meant, and wrong.
    ///
    /// # Errors
    ///
    /// As above.
    pub async fn optional_json<T: DeserializeOwned>(&mut self, keys: &[&str]) -> Result<Option<T>, ApiError> {
        let body = body::read(self.conn).await?;
        let text = body.trim_ascii();
        let is_meant = || keys.iter().any(|key| text.windows(key.len()).any(|part| part == key.as_bytes()));
        if text.starts_with(b"{") || text.starts_with(b"\"") || is_meant() {
            return body::parse(&body).map(Some);
        }
        Ok(None)
    }

    /// The body as it came.
    ///
    /// # Errors
    ///
    /// Why the body could not be had.
    pub async fn body(&mut self) -> Result<Vec<u8>, ApiError> {
        body::read(self.conn).await
    }
}

/// What an endpoint says.
pub(super) type Answer = Result<Reply, ApiError>;

/// An `async fn(&Api, Request<'_>) -> Answer`. A trait of its own, because a bound
/// on such a function cannot otherwise say that its future may move between threads.
pub(super) trait Answers<'a>: Fn(&'a Api, Request<'a>) -> Self::Future {
    type Future: Future<Output = Answer> + Send + 'a;
}

impl<'a, F, Future_> Answers<'a> for F
where
    F: Fn(&'a Api, Request<'a>) -> Future_,
    Future_: Future<Output = Answer> + Send + 'a,
{
    type Future = Future_;
}

/// Makes a handler of a function.
pub(super) fn endpoint<F>(api: &Api, function: F) -> impl Handler + use<F>
where
    F: for<'a> Answers<'a> + Send + Sync + 'static,
{
    Endpoint { api: api.clone(), function }
}

struct Endpoint<F> {
    api: Api,
    function: F,
}

impl<F> Handler for Endpoint<F>
where
    F: for<'a> Answers<'a> + Send + Sync + 'static,
{
    async fn run(&self, mut conn: Conn) -> Conn {
        // The endpoint only borrows the connection, so one that panics cannot take it down.
        let answer = (self.function)(&self.api, Request { conn: &mut conn });
        let reply = match AssertUnwindSafe(answer).catch_unwind().await {
            Ok(Ok(reply)) => reply,
            Ok(Err(error)) => error.into(),
            Err(_panic) => {
                // What it said may hold anything of the request; the panic hook tells where it was.
                tracing::error!(method = %conn.method(), path = conn.path(), "an endpoint panicked");
                ApiError::internal().into()
            }
        };
        reply.put(conn)
    }
}

/// A path's segment in plain; `None` for a broken escape or what is not UTF-8.
fn percent_decoded(raw: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' { hex(rest.next()?)? << 4 | hex(rest.next()?)? } else { byte });
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_decoded() {
        let check = |raw: &str, plain: Option<&str>| assert_eq!(percent_decoded(raw).as_deref(), plain, "{raw}");
        check("a.b_c~d-e", Some("a.b_c~d-e"));
        check("%61%2fb", Some("a/b"));
        check("a+b", Some("a+b"));
        check("%C3%A4", Some("ä"));
        check("%ff", None);
        check("%", None);
        check("%6", None);
        check("%zz", None);
        check("%+6", None);
    }
}
