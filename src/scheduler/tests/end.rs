//! The end of a process: what is over is told to the next one.

use crate::ledger::{Query, Reader};

use super::*;

/// After a long stop every job may have missed its instant, and the service may end before it has told of them all.
#[test]
fn a_clean_stop_writes_down_what_is_over_and_has_had_no_turn() {
    const JOBS: usize = 2 * TURN_LATE_RECORDS_MAX + 1;
    let schedule = json!({"kind": "once", "run_at": "2020-01-01T00:00:00Z"});
    let missed = (0..JOBS).map(|number| job(&format!("j{number:06}"), &json!({"schedule": schedule})));
    let Bench { folder, scheduler, letters, starts } = bench(missed);
    block_on(scheduler.save()).expect("own folder");
    drop((letters, starts));
    let reader = Reader::new(Arc::new(Directory::look(&folder.0.join("runs"))));
    let told = reader.page(&Query { limit: JOBS + 1, ..Query::default() }).expect("it can be read").lines;
    assert_eq!(told.len(), JOBS, "each is told of once");
    assert!(!folder.0.join("journal-000001.jsonl").exists(), "jobs.json is left alone");
}
