//! A `jobs.json` that this service did not write: the older one's, or one that a person edited.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use ksana::job::{GoDuration, Job, stored_job};
use serde_json::{Value, json};

use crate::clients::Clients;
use crate::process::DEFAULTS;
use crate::random::Random;

/// The file, and what stands in it.
pub(crate) fn file(random: &mut Random, clients: &Clients, now: Timestamp) -> (String, BTreeMap<String, Job>) {
    let mut jobs: Vec<Value> = clients.ids().map(|id| job(random, clients, &id, now)).collect();
    jobs.retain(|_| random.per_mille(700));
    if random.per_mille(500) {
        jobs.reverse();
    }
    let file = serde_json::to_string_pretty(&json!({"version": 1, "updated_at": text(now), "jobs": jobs}));
    let jobs = jobs.into_iter().map(|job| stored_job(job, &DEFAULTS).expect("a job of a file"));
    (file.expect("it is JSON"), jobs.map(|job| (job.spec.id.to_string(), job)).collect())
}

fn job(random: &mut Random, clients: &Clients, id: &str, now: Timestamp) -> Value {
    let mut job = json!({
        "id": id,
        "name": format!("name {}", random.below(100)),
        "enabled": random.per_mille(800),
        "type": "http",
        "http": {"method": "GET", "url": "http://127.0.0.1:9/", "headers": null, "body": ""},
        "timeout": "10s",
        "max_retries": random.below(3),
        "retry_backoff": *random.pick(&["0s", "1s", "5m0s"]),
        "last_run_at": "",
        "next_run_at": "",
        "last_status": "",
        "last_error": "",
    });
    let more = if random.per_mille(300) { once(random, now) } else { every(random, clients, now) };
    merge(&mut job, more);
    job
}

/// What a `once` shows: nothing yet, a run before its time or after it, that it was missed.
fn once(random: &mut Random, now: Timestamp) -> Value {
    let after = |time: Timestamp, millis| time + SignedDuration::from_millis(millis);
    let run_at = after(now, *random.pick(&[-600_000, -5_000, -1, 1, 5_000, 60_000]));
    let shown = match random.below(5) {
        0 if run_at <= now => json!({"last_run_at": text(run_at), "last_status": "success"}),
        1 if run_at <= now => json!({"last_status": "missed"}),
        2 => {
            json!({"last_run_at": text(after(run_at.min(now), -1)), "last_status": "failed", "last_error": "status 404"})
        }
        3 => json!({"last_status": "paused"}),
        _ => json!({}),
    };
    let next = *random.pick(&[Some(run_at), None, Some(after(run_at, 700))]);
    let mut job = json!({"schedule": {"kind": "once", "run_at": text(run_at)}, "next_run_at": next.map(text)});
    merge(&mut job, shown);
    job
}

fn every(random: &mut Random, clients: &Clients, now: Timestamp) -> Value {
    let every = clients.distance(random);
    let nanos = every.as_nanos();
    let some = |random: &mut Random, most: i64| {
        SignedDuration::from_nanos(random.below(most.unsigned_abs() + 1).cast_signed())
    };
    let jitter = if random.per_mille(500) { some(random, nanos) } else { SignedDuration::ZERO };
    // An instant that is past, or ahead; a first one and one on its grid.
    let first = now - some(random, 3 * nanos) + some(random, 2 * nanos);
    let later = first + SignedDuration::from_nanos(nanos) * i32::try_from(random.below(4)).expect("it is small");
    let delay = some(random, i64::try_from(jitter.as_nanos()).expect("a jitter"));
    let (start_at, next, state) = match random.below(7) {
        // As the older service wrote it.
        0 | 1 => (None, Some(later + delay), json!(null)),
        2 => (Some(first), Some(later + delay), json!(null)),
        3 => (None, None, json!(null)),
        // Go's zero time.
        4 => (None, Some("0001-01-01T00:00:00Z".parse().expect("a time")), json!(null)),
        // Ours, and a hand moved it within the jitter, or beside all of that.
        5 => (Some(first), Some(later + delay), json!({"planned": text(later)})),
        _ => {
            let anchor = first - SignedDuration::from_nanos(nanos);
            let fired = random.per_mille(500).then_some(first);
            (
                None,
                Some(later + delay + some(random, 1)),
                json!({"anchor": text(anchor), "planned": text(later), "fired": fired.map(text)}),
            )
        }
    };
    let schedule = json!({"kind": "every", "every": long(every), "start_at": start_at.map(text), "jitter": format!("{}ns", jitter.as_nanos())});
    let mut job = json!({"schedule": schedule, "next_run_at": next.map(text)});
    if !state.is_null() {
        merge(&mut job, json!({"state": state}));
    }
    job
}

fn text(time: Timestamp) -> String {
    time.to_string()
}

/// As Go shows a duration.
fn long(duration: GoDuration) -> String {
    let minutes = duration.as_nanos() / 60_000_000_000;
    if minutes > 0 { format!("{}h{}m0s", minutes / 60, minutes % 60) } else { duration.to_string() }
}

fn merge(job: &mut Value, more: Value) {
    let (Some(job), Value::Object(more)) = (job.as_object_mut(), more) else { panic!("both are objects") };
    job.extend(more);
}
