//! What a job is called on the wire.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::limits::JOB_ID_CHARS_MAX;

/// The name of a job in paths and files: 1 to 128 of the characters that a path segment holds
/// without escapes (RFC 3986 §2.3 "unreserved"). Ordered bytewise; a clone costs no allocation.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(Arc<str>);

impl JobId {
    /// Takes a text that keeps the rule above; the error says what it is.
    pub fn parse(text: &str) -> Result<Self, String> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte);
        if (1..=JOB_ID_CHARS_MAX).contains(&text.len()) && text.bytes().all(allowed) {
            return Ok(Self(text.into()));
        }
        Err(format!("not an id; accepted are 1 to {JOB_ID_CHARS_MAX} of the characters A-Z a-z 0-9 . _ ~ -"))
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<uuid::Uuid> for JobId {
    fn from(id: uuid::Uuid) -> Self {
        Self(id.to_string().into())
    }
}

impl Borrow<str> for JobId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Serialize for JobId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_to_128_unreserved_characters() {
        for text in ["a", "0198c9f2-5d0e-7a40-9a61-0c8f1b0d3b11", ".", "..", "~x_Y-9", &"x".repeat(128)] {
            assert_eq!(JobId::parse(text).expect(text).as_str(), text);
        }
        for text in ["", "a b", "a/b", "a%20", "ä", "a\n", &"x".repeat(129)] {
            assert!(JobId::parse(text).expect_err(text).contains("accepted are 1 to 128"));
        }
    }
}
