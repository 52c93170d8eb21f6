//! The one place that asks the machine what time it is. Everything else is handed the answer.

use jiff::Timestamp;

/// The wall clock, now.
#[expect(clippy::disallowed_methods, reason = "this is the place that asks the machine")]
pub fn now() -> Timestamp {
    Timestamp::now()
}
