//! Jobs as a client would write them.

use jiff::Timestamp;
use serde_json::{Value, json};

pub(crate) fn every(url: &str, every: &str) -> Value {
    json!({"name": "a job", "http": {"url": url}, "schedule": {"kind": "every", "every": every}})
}

/// A job that fires by itself in no test.
pub(crate) fn hourly(url: &str) -> Value {
    every(url, "1h")
}

pub(crate) fn once(url: &str, run_at: Timestamp) -> Value {
    json!({"name": "a job", "http": {"url": url}, "schedule": {"kind": "once", "run_at": run_at.to_string()}})
}

/// `job` with `changes` laid over it, objects field by field.
pub(crate) fn with(mut job: Value, changes: &Value) -> Value {
    lay_over(&mut job, changes);
    job
}

fn lay_over(base: &mut Value, changes: &Value) {
    match (base, changes) {
        (Value::Object(base), Value::Object(changes)) => {
            for (key, change) in changes {
                lay_over(base.entry(key.clone()).or_insert(Value::Null), change);
            }
        }
        (base, change) => *base = change.clone(),
    }
}

/// The time that a JSON string holds.
#[track_caller]
pub(crate) fn time(value: &Value) -> Timestamp {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{value} is no time"))
}
