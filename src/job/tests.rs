//! A job's JSON in and out, by the rules of the contract.

mod file;
mod limits;
mod patch;
mod request;
mod shown;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Defaults, GoDuration, Invalid, Job, JobDraft, JobId, Patch, Request, Spec, stored_job};

const DEFAULTS: Defaults =
    Defaults { timeout: GoDuration::from_secs(7), max_retries: 4, retry_backoff: GoDuration::from_secs(2) };

/// A job that names no more than it must, with these keys besides or instead.
fn job(keys: &Value) -> Value {
    let mut job = json!({
        "name": "ping",
        "http": {"url": "http://localhost/"},
        "schedule": {"kind": "every", "every": "5m"},
    });
    for (key, value) in keys.as_object().expect("an object") {
        job[key] = value.clone();
    }
    job
}

/// What a request is told: the pointer of the field at fault and the message.
fn read<T: DeserializeOwned>(text: &str) -> Result<T, (String, String)> {
    let mut json = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut json).map_err(|error| (error.path().to_string(), error.inner().to_string()))
}

fn new(text: &Value) -> Result<(Spec, bool), Invalid> {
    let draft: JobDraft<Request> = read(&text.to_string()).expect("a job in shape");
    draft.into_new(&DEFAULTS, || JobId::parse("fresh").expect("an id"))
}

fn patch(text: &Value) -> Result<Patch, Invalid> {
    let draft: JobDraft<Request> = read(&text.to_string()).expect("a change in shape");
    draft.into_patch(&DEFAULTS)
}

/// A job as a file has it, given the same way.
fn stored(keys: &Value) -> Result<Job, String> {
    let mut text = job(keys);
    if text.get("id").is_none() {
        text["id"] = "a".into();
    }
    stored_job(&mut serde_json::Deserializer::from_str(&text.to_string()), &DEFAULTS).map_err(|error| error.to_string())
}
