//! An answer, before it becomes HTTP.

use futures_lite::AsyncRead;
use serde::Serialize;
use trillium::{Body, Conn, HeaderName, HeaderValue, KnownHeaderName, Status};

use super::error::ApiError;
use crate::limits;

/// Status, headers and a body, or none; it is JSON unless a header says otherwise.
#[derive(Debug)]
pub struct Reply {
    status: Status,
    headers: Vec<(HeaderName<'static>, HeaderValue)>,
    body: Option<Body>,
}

impl Reply {
    /// This value as JSON.
    pub fn json(status: Status, value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(bytes) => Self::bytes(status, bytes),
            Err(error) => {
                tracing::error!(%error, "an answer could not be written as JSON");
                ApiError::internal().into()
            }
        }
    }

    /// These bytes, which are JSON.
    pub fn bytes(status: Status, json: Vec<u8>) -> Self {
        Self { status, headers: Vec::new(), body: Some(json.into()) }
    }

    /// What comes out of this reader, which is JSON. A reader that fails breaks the connection, so
    /// that no client takes a part for the whole.
    pub fn stream(status: Status, json: impl AsyncRead + Send + 'static) -> Self {
        Self { status, headers: Vec::new(), body: Some(Body::new_streaming(json, None)) }
    }

    /// A text of this media type, which is no JSON.
    pub fn text(media_type: &'static str, text: String) -> Self {
        Self::bytes(Status::Ok, text.into_bytes()).with_header(KnownHeaderName::ContentType, media_type)
    }

    /// 204: done, and nothing to say.
    pub fn no_content() -> Self {
        Self { status: Status::NoContent, headers: Vec::new(), body: None }
    }

    /// The same with this header.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<HeaderName<'static>>, value: impl Into<HeaderValue>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The same with a word on when to come back.
    #[must_use]
    pub(super) fn retry_later(self) -> Self {
        self.with_header(KnownHeaderName::RetryAfter, limits::UNAVAILABLE_RETRY_SECS.to_string())
    }

    /// Makes it the connection's answer, and keeps later handlers from touching it.
    pub(super) fn put(self, mut conn: Conn) -> Conn {
        let headers = conn.response_headers_mut();
        if self.body.is_some() {
            headers.insert(KnownHeaderName::ContentType, "application/json");
        }
        for (name, value) in self.headers {
            headers.insert(name, value);
        }
        conn.set_status(self.status);
        if let Some(body) = self.body {
            conn.set_body(body);
        }
        conn.halt()
    }
}
