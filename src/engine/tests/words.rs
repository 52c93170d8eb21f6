//! The words of a script: times, definitions, outcomes, and what is told of events.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::engine::{Event, EventKind, Missed, Outcome, Refusal, Verdict};
use crate::job::{JobId, Schedule, Stretch};

pub(super) fn at(seconds: &str) -> Timestamp {
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
    let nanos = format!("{fraction:0<9}").parse().expect("at most nine digits");
    Timestamp::new(whole.parse().expect("seconds"), nanos).expect("a time")
}

pub(super) fn id(name: &str) -> JobId {
    JobId::parse(name).expect("an id")
}

/// `every=10s start=5 retries=2` as the JSON of a request.
pub(super) fn request(words: &str) -> Map<String, Value> {
    let (mut job, mut schedule) = (Map::new(), Map::new());
    for word in words.split_whitespace() {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        match key {
            "every" => {
                schedule.insert("kind".into(), "every".into());
                schedule.insert("every".into(), value.into());
            }
            "once" => {
                schedule.insert("kind".into(), "once".into());
                schedule.insert("run_at".into(), at(value).to_string().into());
            }
            // Blanks are written as underscores.
            "cron" => {
                schedule.insert("kind".into(), "cron".into());
                schedule.insert("cron".into(), value.replace('_', " ").into());
            }
            "zone" => drop(schedule.insert("timezone".into(), value.into())),
            "end" => drop(schedule.insert("end_at".into(), at(value).to_string().into())),
            "max" => drop(schedule.insert("max_runs".into(), value.parse::<i64>().expect("a number").into())),
            "start" => drop(schedule.insert("start_at".into(), at(value).to_string().into())),
            "after" => {
                schedule.insert("kind".into(), "after".into());
                schedule.insert("after".into(), value.into());
            }
            "misfire" => drop(job.insert("misfire".into(), value.into())),
            "window" => drop(job.insert("misfire_window".into(), value.into())),
            "backoff-max" => drop(job.insert("retry_backoff_max".into(), value.into())),
            "retry-for" => drop(job.insert("retry_for".into(), value.into())),
            "allow" => {
                job.insert("overlap".into(), "allow".into());
                job.insert("overlap_max".into(), value.parse::<i64>().expect("a number").into());
            }
            "overlap" => drop(job.insert("overlap".into(), value.into())),
            "jitter" => drop(schedule.insert("jitter".into(), value.into())),
            "retries" => drop(job.insert("max_retries".into(), value.parse::<i64>().expect("a number").into())),
            "backoff" => drop(job.insert("retry_backoff".into(), value.into())),
            "paused" => drop(job.insert("enabled".into(), false.into())),
            "enabled" => drop(job.insert("enabled".into(), true.into())),
            "name" => drop(job.insert("name".into(), value.into())),
            _ => panic!("{word}"),
        }
    }
    if !schedule.is_empty() {
        job.insert("schedule".into(), schedule.into());
    }
    job
}

pub(super) fn outcome(verb: &str, rest: &str) -> Outcome {
    let (verdict, error) = match verb {
        "ok" => (Verdict::Success, ""),
        "fail" => (Verdict::Retryable, "status 503"),
        "time-out" => (Verdict::TimedOut, "no answer in time"),
        _ => (Verdict::Final, "status 404"),
    };
    let retry_after = rest.strip_prefix("after ").map(|wait| wait.parse().expect("a duration"));
    Outcome { verdict, error: error.into(), retry_after }
}

pub(super) fn told(event: &Event) -> Option<String> {
    match &event.kind {
        EventKind::Skipped { scheduled_at, .. } => Some(format!("skip @{}", seconds(*scheduled_at))),
        // What passes because a job does not fire is looked at where it matters: `passed` tells it.
        EventKind::Missed { why, .. }
            if matches!(event.spec.schedule, Schedule::Every { .. } | Schedule::Cron { .. })
                && *why != Missed::TooOld =>
        {
            None
        }
        EventKind::Missed { scheduled_at, stretch: None, .. } => Some(format!("missed @{}", seconds(*scheduled_at))),
        EventKind::Missed { scheduled_at, stretch: Some(Stretch { last_scheduled_at, count }), .. } => {
            let [first, last] = [*scheduled_at, *last_scheduled_at].map(seconds);
            Some(format!("missed @{first}-{last} {count}"))
        }
        EventKind::Ended { error, .. } if error.contains("deleted") => None,
        EventKind::Ended { error, .. } if error.starts_with("cancelled") => Some("cancelled".into()),
        EventKind::Ended { error, .. } if error.starts_with("retry_for") => Some("over".into()),
        EventKind::CatchUp { span } => {
            let [next, last] = [span.next, span.last].map(seconds);
            Some(format!("make-up @{next}-{last} {}", span.left))
        }
        EventKind::Retry { .. } | EventKind::Ended { .. } => None,
    }
}

/// What passed of a repeated schedule, and why.
pub(super) fn passed(event: &Event) -> Option<String> {
    let EventKind::Missed { scheduled_at, stretch, why } = event.kind else { return None };
    let last = stretch.map_or(scheduled_at, |stretch| stretch.last_scheduled_at);
    let [first, last] = [scheduled_at, last].map(seconds);
    let why = format!("{why:?}").to_lowercase();
    Some(match stretch {
        Some(stretch) => format!("@{first}-{last} {} {why}", stretch.count),
        None => format!("@{first} {why}"),
    })
}

pub(super) fn short(refusal: &Refusal) -> &str {
    match refusal {
        Refusal::NotFound => "not found",
        Refusal::Taken => "taken",
        Refusal::Running => "running",
        Refusal::NotRunning => "not running",
        Refusal::Invalid(invalid) => &invalid.field,
        Refusal::Disk(_) | Refusal::ShuttingDown => unreachable!("the owner's, not the engine's"),
    }
}

pub(super) fn seconds(time: Timestamp) -> String {
    let nanos = time.as_nanosecond();
    if nanos % 1_000_000_000 == 0 { time.as_second().to_string() } else { time.to_string() }
}
