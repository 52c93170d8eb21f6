//! How one line looks, as JSON and as text, so that nothing that an outsider sends can forge another.

use std::error::Error;
use std::fmt::{self, Write};

use jiff::Timestamp;
use tracing::field::{Field, Visit};

use super::Level;
use crate::limits::LOG_VALUE_BYTES_MAX;

/// The fields of one event, written down in their order as they are visited.
pub(super) struct Fields {
    text: bool,
    message: String,
    /// All but the message, each with what separates it from the one before.
    rest: String,
}

impl Fields {
    pub(super) fn new(text: bool) -> Self {
        Self { text, message: String::new(), rest: String::new() }
    }

    /// The whole line with its newline.
    pub(super) fn line(&self, time: Timestamp, level: Level) -> String {
        let (message, rest) = (&self.message, &self.rest);
        if self.text {
            let level = level.name().to_ascii_uppercase();
            format!("{time:.6} {level:<5} {}{rest}\n", printable(message))
        } else {
            format!("{{\"time\":\"{time:.6}\",\"level\":\"{}\",\"msg\":{}{rest}}}\n", level.name(), json(message))
        }
    }

    fn string(&mut self, field: &Field, value: &str) {
        let value = clipped(value);
        if field.name() == "message" {
            self.message = value.into_owned();
        } else if self.text {
            let plain = !value.is_empty() && value.chars().all(|c| c.is_alphanumeric() || "-_./:@%+,~#".contains(c));
            self.put(field, &if plain { value.into_owned() } else { format!("{value:?}") });
        } else {
            self.put(field, &json(&value));
        }
    }

    /// A number or a truth, which needs no quotes in either form.
    fn bare(&mut self, field: &Field, value: impl fmt::Display) {
        if field.name() == "message" {
            self.message = value.to_string();
        } else {
            self.put(field, &value.to_string());
        }
    }

    fn put(&mut self, field: &Field, value: &str) {
        let name = field.name();
        let written =
            if self.text { write!(self.rest, " {name}={value}") } else { write!(self.rest, ",{}:{value}", json(name)) };
        written.expect("a String takes all");
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.string(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.string(field, &format!("{value:?}"));
    }

    /// With what caused it: `cannot read: permission denied`.
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut told = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            write!(told, ": {error}").expect("a String takes all");
            cause = error.source();
        }
        self.string(field, &told);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.bare(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.bare(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.bare(field, value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.bare(field, value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.bare(field, value);
    }

    /// JSON has no infinities; they become strings.
    /// Rounded to a thousandth: what is measured in milliseconds here is not known better, and
    /// nobody wants to read the rest.
    fn record_f64(&mut self, field: &Field, value: f64) {
        let value = (value * 1_000.0).round() / 1_000.0;
        if value.is_finite() { self.bare(field, value) } else { self.string(field, &value.to_string()) }
    }
}

/// The line that tells of lines that are missing.
pub(super) fn dropped_lines(text: bool, time: Timestamp, level: Level, lost: u64) -> String {
    let message = String::from("log lines were dropped because standard output did not take them in time");
    let rest = if text { format!(" dropped={lost}") } else { format!(",\"dropped\":{lost}") };
    Fields { text, message, rest }.line(time, level)
}

fn json(text: &str) -> String {
    serde_json::to_string(text).expect("a string is always JSON")
}

/// Long values lose their end, at a character's boundary.
fn clipped(value: &str) -> std::borrow::Cow<'_, str> {
    if value.len() <= LOG_VALUE_BYTES_MAX {
        return value.into();
    }
    let end = value.floor_char_boundary(LOG_VALUE_BYTES_MAX);
    format!("{}…", &value[..end]).into()
}

/// A message for a terminal: whatever would move the cursor, or hide or turn text, is escaped.
fn printable(message: &str) -> String {
    let mut shown = String::with_capacity(message.len());
    for c in message.chars() {
        if matches!(c, '"' | '\'' | '\\') { shown.push(c) } else { shown.extend(c.escape_debug()) }
    }
    shown
}
