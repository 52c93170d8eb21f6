//! Fires by an expression. Which instants one names is tested with `crate::cron`.

use serde_json::json;

use super::harness::{check, check_file};

#[test]
fn fires_at_the_instants_that_it_names() {
    check("cron=*/20_*_*_*_*_*", "5 create; next=20; 20 start; 21 ok; next=40; 40 start; 41 ok; 60 start");
    check("cron=*_*_*_*_*", "0 create; next=60; 60 start; 61 ok; 120 start");
    check("cron=0_1_*_*_*", "0 create; next=3600");
    check("cron=0_1_*_*_* zone=Asia/Kolkata", "0 create; next=70200");
}

#[test]
fn nothing_fires_before_start_at() {
    check("cron=*/20_*_*_*_*_* start=50", "0 create; next=60; 60 start");
    check("cron=*/20_*_*_*_*_* start=60", "0 create; next=60; 60 start");
}

#[test]
fn an_overdue_job_fires_once_at_once_for_its_latest_instant() {
    check("cron=*/20_*_*_*_*_*", "0 create; 5 clock 65; 65 start @60; next=80; 66 ok; 80 start");
    check("cron=*_*_*_*_*", "0 create; 5 clock 100000; 100000 start @99960; next=100020");
}

#[test]
fn a_clock_that_steps_back_fires_no_instant_twice() {
    check("cron=*/20_*_*_*_*_*", "0 create; 20 start; 21 ok; clock 5; next=40; 40 start");
}

#[test]
fn what_passes_while_the_service_is_down_or_the_job_paused_is_skipped() {
    check("cron=*/20_*_*_*_*_*", "0 create; 20 start; 21 ok; down; 70 up; next=80; 80 start");
    check("cron=*/20_*_*_*_*_*", "0 create; 10 pause; next=none; 70 resume; next=80; 80 start");
    check("cron=*/20_*_*_*_*_*", "0 create; 20 start; 40 skip @40; 41 ok; 60 start");
}

#[test]
fn another_expression_plans_anew_and_the_same_one_does_not() {
    check("cron=*/20_*_*_*_*_*", "0 create; 5 patch cron=*/30_*_*_*_*_*; next=30; 30 start");
    check("cron=*/20_*_*_*_*_* jitter=10s", "0 create; 5 patch cron=*/20_*_*_*_*_* jitter=10s; 22.994840897 start @20");
    check("every=10s", "0 create; 5 patch cron=*_*_*_*_*; next=60");
}

#[test]
fn one_that_never_comes_again_is_refused() {
    check("cron=0_0_0_1_1_*_1970", "0 create -> /schedule/cron");
    check(
        "cron=0_0_0_2_1_*_1970",
        "0 create; next=86400; 86400 start; enabled=false; next=none; 86401 ok; status=success",
    );
}

/// As a hand may have put it there. Such a job is kept and never fires.
#[test]
fn a_file_may_hold_what_makes_no_sense() {
    for schedule in [
        json!({"kind": "cron", "cron": "61 * * * *"}),
        json!({"kind": "cron", "cron": "* * * * *", "timezone": "Mars/Olympus"}),
        json!({"kind": "cron"}),
    ] {
        check_file(
            &json!({ "schedule": schedule }),
            "0 up; next=none; enabled=true; wake=none; 5 run-now; start; 6 ok; status=success",
        );
    }
}
