//! Jobs of `jobs.json` and the journal: round trips, and what the older service wrote.

use serde_json::{Value, json};

use super::super::{
    CatchUp, GoDuration, Job, Origin, Overrides, Phase, Progress, Run, Schedule, Span, State, Status, Stored, Trigger,
    parse_time, stored_progress,
};
use super::{DEFAULTS, Spec, stored, stored_job};

fn time(second: u8) -> jiff::Timestamp {
    parse_time(&format!("2025-01-01T00:00:{second:02}.000000001Z")).expect("a time")
}

fn check_round_trip(job: &Job) {
    let text = serde_json::to_string_pretty(&Stored(job)).expect("JSON");
    let read = stored_job(&mut serde_json::Deserializer::from_str(&text), &DEFAULTS).expect(&text);
    assert_eq!(read, *job, "{text}");
    let text = serde_json::to_string(&job.progress).expect("JSON");
    let read = stored_progress(&mut serde_json::Deserializer::from_str(&text)).expect(&text);
    assert_eq!(read, job.progress, "{text}");
}

#[test]
fn what_is_stored_is_what_is_read() {
    let plain = stored(&json!({})).expect("a job");
    check_round_trip(&plain);
    let phases = [Phase::Behind, Phase::Queued, Phase::InFlight, Phase::Waiting { until: time(9) }];
    let runs = phases.map(|phase| {
        let id = uuid::Uuid::from_u128(7);
        let (scheduled_at, due_at, began_at) = (time(5), time(6), time(7));
        Run {
            id,
            trigger: Trigger::CatchUp,
            scheduled_at,
            due_at,
            began_at,
            started_at: Some(began_at),
            attempt_at: Some(time(8)),
            attempts: u32::MAX,
            tried: Vec::new(),
            phase,
            origin: Origin::default(),
            overrides: None,
        }
    });
    let overrides = Overrides { url: Some("http://b/".into()), headers: Some(Vec::new()), body: Some("".into()) };
    let origin = Origin { key: Some("0a1b2c3d".into()), is_overridden: true, ..Origin::default() };
    let sent = Run { trigger: Trigger::Manual, origin, overrides: Some(overrides.into()), ..runs[0].clone() };
    let spans = [(1, 3), (5, 7)].map(|(next, last)| Span { next: time(next), last: time(last), left: 3 });
    let catch_up = Some(Box::new(CatchUp { spans: spans.to_vec() }));
    let state = State {
        anchor: Some(time(2)),
        planned: Some(time(3)),
        fired: Some(time(4)),
        missed_from: Some(time(6)),
        runs: 5,
        held: true,
        catch_up,
        runs_going: Vec::new(),
    };
    let full = Progress {
        enabled: false,
        paused_until: Some(time(8)),
        last_run_at: Some(time(0)),
        next_run_at: Some(time(1)),
        last_status: Status::Timeout,
        last_error: "no \"answer\"\n".into(),
        state,
    };
    let each = runs.iter().map(|run| vec![run.clone()]);
    for runs_going in each.chain([Vec::new(), vec![sent.clone()], runs.to_vec()]) {
        let mut job = Job { spec: plain.spec.clone(), progress: full.clone() };
        job.progress.state.runs_going = runs_going;
        check_round_trip(&job);
    }
    for one in [
        State { anchor: full.state.anchor, ..State::default() },
        State { planned: full.state.planned, ..State::default() },
        State { fired: full.state.fired, ..State::default() },
        State { missed_from: full.state.missed_from, ..State::default() },
        State { held: true, ..State::default() },
    ] {
        check_round_trip(&Job { spec: plain.spec.clone(), progress: Progress { state: one, ..Progress::default() } });
    }
    for (last_status, _) in Status::ALL {
        check_round_trip(&Job { spec: plain.spec.clone(), progress: Progress { last_status, ..Progress::default() } });
    }
}

#[test]
fn odd_values_are_kept_as_they_are() {
    let plain = stored(&json!({})).expect("a job");
    let (lowest, highest) = (GoDuration::from_nanos(i64::MIN), GoDuration::from_nanos(i64::MAX));
    for odd in [lowest, highest, GoDuration::from_nanos(-1)] {
        let schedule = Schedule::Every {
            every: odd,
            start_at: Some(jiff::Timestamp::MAX),
            jitter: odd,
            bounds: crate::job::Bounds::default(),
        };
        let spec = Spec {
            name: "".into(),
            schedule,
            timeout: odd,
            max_retries: odd.as_nanos(),
            retry_backoff: odd,
            ..Spec::clone(&plain.spec)
        };
        check_round_trip(&Job { spec: spec.into(), progress: Progress::default() });
    }
    let mut headers = Spec::clone(&plain.spec);
    headers.http.headers = vec![("A".into(), "1".into()), ("A".into(), "2".into()), ("".into(), "\r\n".into())];
    check_round_trip(&Job { spec: headers.into(), progress: Progress::default() });
}

#[test]
fn a_file_of_the_older_service_loads() {
    let job = stored(&json!({
        "id": "0198c9f25d0e7a409a610c8f1b0d3b11", "enabled": true, "type": "http",
        "http": {"method": "GET", "url": "http://localhost/", "headers": null, "body": ""},
        "schedule": {"kind": "every", "every": "5m0s", "start_at": "", "jitter": ""},
        "timeout": "10s", "max_retries": 3, "retry_backoff": "5s",
        "last_run_at": "", "next_run_at": "2020-01-01T00:00:00Z", "last_status": "", "last_error": "",
    }))
    .expect("a job");
    assert_eq!(job.spec.id.as_str(), "0198c9f25d0e7a409a610c8f1b0d3b11");
    assert_eq!(job.spec.http.headers, []);
    let every = GoDuration::from_secs(300);
    assert_eq!(
        job.spec.schedule,
        Schedule::Every { every, start_at: None, jitter: GoDuration::ZERO, bounds: crate::job::Bounds::default() }
    );
    assert_eq!(job.progress.state, State::default());
    assert_eq!(job.spec.problems(), []);
    let once = json!({"kind": "once", "run_at": "2020-01-01T00:00:00Z", "every": "", "start_at": "", "jitter": "0s"});
    assert!(stored(&json!({"schedule": once})).is_ok(), "keys of the other kind");
}

#[test]
fn what_a_file_leaves_out_comes_from_the_environment() {
    let job = stored(&json!({"timeout": "", "max_retries": null})).expect("a job");
    let spec = &job.spec;
    let defaults = (DEFAULTS.timeout, DEFAULTS.max_retries, DEFAULTS.retry_backoff);
    assert_eq!((spec.timeout, spec.max_retries, spec.retry_backoff), defaults);
    assert!(job.progress.enabled);
}

#[test]
fn what_cannot_be_parsed_is_told_by_its_field() {
    let check = |keys: &Value, part: &str| {
        let error = stored(keys).expect_err(part);
        assert!(error.contains(part), "{error}");
    };
    check(&json!({"schedule": null}), "/schedule: is required");
    check(&json!({"schedule": {"kind": "once"}}), "/schedule/run_at: is required");
    check(&json!({"type": "grpc"}), "/type: \"grpc\" is not a type");
    check(&json!({"id": ""}), "/id: is required in a file");
    check(&json!({"last_status": "running"}), "\"running\" is not a status; accepted are success, failed");
    check(&json!({"colour": "red"}), "unknown field `colour`");
    check(&json!({"state": {"run": {"phase": "queued"}}}), "/state/run/began_at: is required");
    check(&json!({"state": {"run": {"id": "x"}}}), "\"x\" is not a UUID");
    let run = |phase: &str, retry_at: &str| {
        let id = "0198c9f2-5d0e-7a40-9a61-0c8f1b0d3b11";
        json!({"state": {"run": {"id": id, "began_at": "2025-01-01T00:00:00Z", "phase": phase, "retry_at": retry_at}}})
    };
    check(&run("waiting", ""), "/state/run/phase: must be");
    check(&run("queued", "2025-01-01T00:00:00Z"), "/state/run/phase: must be");
    assert!(stored(&run("waiting", "2025-01-01T00:00:00Z")).is_ok());
    let array = stored_job(&mut serde_json::Deserializer::from_str("[]"), &DEFAULTS).expect_err("no object");
    assert!(array.to_string().contains("expected a job as an object"), "{array}");
}
