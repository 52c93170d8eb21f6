//! What attempts saw, while their run goes on.

use serde_json::json;
use uuid::Uuid;

use super::harness::DEFAULTS;
use super::words::{at, id};
use crate::engine::{Command, Engine, Outcome, Record, RunNow, Turn, Verdict};
use crate::job::{Seen, stored_job};
use crate::limits::TRIED_BODY_BYTES_MAX;

/// Each record of the job's progress holds them.
#[test]
fn the_bodies_that_are_kept_of_attempts_are_bounded() {
    let schedule = json!({"kind": "every", "every": "1h"});
    let job = json!({
        "id": "a", "name": "a", "http": {"url": "http://localhost/"}, "schedule": schedule,
        "max_retries": 9, "retry_backoff": "0s",
    });
    let mut engine = Engine::new(1);
    engine.apply(Record::Put(stored_job(job, &DEFAULTS).expect("a job of a file")));
    let asked = RunNow { run_id: Uuid::from_u128(1), ..RunNow::default() };
    let mut planned = engine.plan(&Command::RunNow { id: id("a"), asked }, at("1")).expect("nothing is going");
    for record in planned.take_records(at("1")) {
        engine.apply(record);
    }
    for _ in 0..3 {
        let mut turn = Turn::default();
        engine.dispatch(at("1"), 1, &mut turn);
        let seen = Seen { body: "x".repeat(TRIED_BODY_BYTES_MAX / 2).into(), ..Seen::default() };
        engine.ended(turn.starts[0].token, &Outcome::new(Verdict::Retryable, "503"), seen, at("1"), &mut turn);
    }
    let run = &engine.job(&id("a")).expect("it is there").progress.state.runs_going[0];
    let kept: Vec<usize> = run.tried.iter().map(|attempt| attempt.seen.body.len()).collect();
    assert_eq!(kept, [TRIED_BODY_BYTES_MAX / 2, TRIED_BODY_BYTES_MAX / 2, 0]);
}
