//! Schedules that come to an end.

use serde_json::json;

use super::harness::{check, check_file};

#[test]
fn after_the_last_instant_before_end_at_the_job_is_done() {
    check(
        "every=10s end=25",
        "0 create; 10 start; 11 ok; next=20; 20 start; next=none; enabled=false; 21 fail; status=failed; wake=none",
    );
    check("every=10s end=20", "0 create; 10 start; 11 ok; 20 start; 21 ok; enabled=false; status=success; wake=none");
    check("cron=*/20_*_*_*_*_* end=45", "0 create; 20 start; 21 ok; 40 start; enabled=false; 41 ok; wake=none");
}

#[test]
fn after_so_many_runs_the_job_is_done() {
    check(
        "every=10s max=2",
        "0 create; 10 start; 11 ok; 20 start; next=none; enabled=false; 21 ok; status=success; wake=none",
    );
    check(
        "every=10s max=1 retries=1",
        "0 create; 10 start; enabled=false; 11 fail; 16 start #2; 17 ok; status=success",
    );
}

#[test]
fn only_runs_of_the_schedule_count() {
    check("every=10s max=1", "0 create; 5 run-now; start; 6 ok; enabled=true; 10 start; 11 ok; enabled=false");
    check("every=10s max=2", "0 create; 10 start; 20 skip @20; 21 ok; next=30; 30 start; 31 ok; enabled=false");
}

#[test]
fn the_count_outlasts_a_restart() {
    check(
        "every=10s max=2",
        "0 create; 10 start; 11 ok; down; 15 up; next=20; 20 start; 21 ok; enabled=false; down; 25 up; wake=none",
    );
}

#[test]
fn what_ends_while_the_service_is_down_or_the_job_paused_is_done() {
    check("every=10s end=25", "0 create; 10 start; 11 ok; down; 100 up; enabled=false; next=none; status=success");
    check("every=10s end=25", "0 create; 10 start; 11 ok; 12 pause; 100 resume; enabled=false; next=none");
}

#[test]
fn what_is_done_stays_so_until_its_schedule_changes() {
    check(
        "every=10s max=1",
        "0 create; 10 start; 11 ok; resume; enabled=false; status=success; 12 run-now; start; 13 ok; wake=none",
    );
    check(
        "every=10s max=1",
        "0 create; 10 start; 11 ok; patch every=10s max=2 enabled; next=21; 21 start; 22 ok; 31 start; enabled=false",
    );
}

#[test]
fn one_without_an_instant_is_refused_and_changes_nothing() {
    check("every=10s end=5", "0 create -> /schedule/end_at");
    check("every=10s", "0 create; 1 patch every=10s end=5 -> /schedule/end_at; next=10; 10 start");
}

/// As a hand may have put it there.
#[test]
fn a_file_may_hold_a_bound_that_makes_no_sense() {
    for schedule in [
        json!({"kind": "every", "every": "10s", "max_runs": 0}),
        json!({"kind": "every", "every": "10s", "max_runs": -1}),
        json!({"kind": "every", "every": "0s", "end_at": "2001-01-01T00:00:00Z"}),
    ] {
        check_file(&json!({ "schedule": schedule }), "0 up; next=none; enabled=true; wake=none");
    }
    let keys = json!({
        "schedule": {"kind": "every", "every": "10s", "start_at": "1970-01-01T00:00:10Z", "max_runs": 2},
        "next_run_at": "1970-01-01T00:00:20Z", "state": {"runs": 5}
    });
    check_file(&keys, "11 up; next=none; enabled=false; wake=none");
}

#[test]
fn no_jitter_passes_the_next_instant() {
    check("cron=*/2_*_*_*_*_* jitter=1h end=3", "0 create; 2.891635125 start @2; enabled=false; 3 ok");
    check("cron=*/2_*_*_*_*_* jitter=1h", "0 create; 2.891635125 start @2; 3 ok; clock 60; 60 start @58");
}
