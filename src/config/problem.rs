//! A wrong value, and what would be a right one.

use std::error::Error;
use std::ffi::OsStr;
use std::fmt;

use crate::limits::PROBLEM_VALUE_CHARS_MAX;

/// A variable that is set to something it does not accept. Shown as one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The variable, under the name by which it was set.
    pub variable: &'static str,
    /// What it is set to, quoted and escaped, and cut where it is long.
    pub value: String,
    /// What it accepts.
    pub accepted: String,
}

impl Problem {
    #[expect(
        clippy::unnecessary_debug_formatting,
        reason = "quotes and escapes are wanted, of bytes that are no UTF-8 too"
    )]
    pub(super) fn new(variable: &'static str, value: &OsStr, accepted: String) -> Self {
        let quoted = format!("{value:?}");
        let value = match quoted.char_indices().nth(PROBLEM_VALUE_CHARS_MAX) {
            Some((end, _)) => format!("{}…\"", &quoted[..end]),
            None => quoted,
        };
        Self { variable, value, accepted }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is set to {}; accepted is {}", self.variable, self.value, self.accepted)
    }
}

impl Error for Problem {}
