//! Why a request was refused, and the one place that says how that looks in HTTP.

use serde::Serialize;
use trillium::{KnownHeaderName, Status};

use super::reply::Reply;
use crate::limits;

/// A refusal. Nothing has been changed by a request that ends in one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// The status of the answer.
    pub status: Status,
    /// A short code for programs, which stays as it is.
    pub error: &'static str,
    /// For people: what is wrong and what is accepted.
    pub message: String,
    /// A JSON pointer to the field that is at fault, if it is one.
    pub field: Option<String>,
    /// The methods that are allowed, of a 405.
    pub allow: Option<String>,
    /// When to come back, in seconds, of a 503.
    pub retry_after: Option<u32>,
}

#[derive(Serialize)]
struct Shown<'a> {
    error: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
}

impl ApiError {
    /// A refusal that is about no single field.
    pub fn new(status: Status, error: &'static str, message: impl Into<String>) -> Self {
        Self { status, error, message: message.into(), field: None, allow: None, retry_after: None }
    }

    /// What was parsed makes no sense: 400, about the field at this JSON pointer.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..Self::new(Status::BadRequest, "invalid", message) }
    }

    /// A parameter of the query makes no sense: 400.
    pub(super) fn parameter(name: &str, value: &str, accepted: &str) -> Self {
        let message = format!("the parameter {name}={value:?} is not valid; accepted are {accepted}");
        Self::new(Status::BadRequest, "invalid", message)
    }

    /// There is no such thing: 404.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Status::NotFound, "not_found", message)
    }

    /// It is there, but not for this method: 405.
    pub fn method_not_allowed(allow: impl Into<String>) -> Self {
        let allow = allow.into();
        let message = format!("this path takes {allow}");
        Self { allow: Some(allow), ..Self::new(Status::MethodNotAllowed, "method_not_allowed", message) }
    }

    /// It cannot be done in the present state: 409.
    pub fn conflict(error: &'static str, message: impl Into<String>) -> Self {
        Self::new(Status::Conflict, error, message)
    }

    /// It cannot be done at present, through no fault of the client's: 503.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self {
            retry_after: Some(limits::UNAVAILABLE_RETRY_SECS),
            ..Self::new(Status::ServiceUnavailable, "unavailable", message)
        }
    }

    /// A fault of ours: 500. The details belong into the log.
    pub fn internal() -> Self {
        Self::new(Status::InternalServerError, "internal", "the service failed at this; its log says more")
    }

    /// The body of the answer.
    pub(super) fn to_json(&self) -> Vec<u8> {
        let shown = Shown { error: self.error, message: &self.message, field: self.field.as_deref() };
        serde_json::to_vec(&shown).expect("three strings are always JSON")
    }
}

impl From<ApiError> for Reply {
    fn from(error: ApiError) -> Self {
        let mut reply = Self::bytes(error.status, error.to_json());
        if matches!(error.status, Status::Unauthorized | Status::Forbidden) {
            reply = reply.with_header(KnownHeaderName::WwwAuthenticate, "ApiKey");
        }
        if let Some(allow) = error.allow {
            reply = reply.with_header(KnownHeaderName::Allow, allow);
        }
        if let Some(seconds) = error.retry_after {
            reply = reply.with_header(KnownHeaderName::RetryAfter, seconds.to_string());
        }
        reply
    }
}
