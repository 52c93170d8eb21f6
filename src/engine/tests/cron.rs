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

#[test]
fn a_distance_is_counted_in_real_time_from_the_creation_or_start_at() {
    check("cron=@every_10s", "3 create; next=13; 13 start; 14 ok; next=23; 23 start; 33 skip @33; 34 ok; 43 start");
    check("cron=@Every__1m30s zone=Asia/Kolkata", "5 create; next=95");
    check("cron=@every_10s start=25", "0 create; next=25; 25 start; 26 ok; 35 start");
    check("cron=@every_10s start=3", "100 create; next=103; 103 start");
    // As with an `every` of the same job.
    let jitter = "0 create; 22.994840897 start @20; 23 ok";
    check("cron=@every_10s jitter=10s start=20", jitter);
    check("every=10s jitter=10s start=20", jitter);
}

#[test]
fn a_distance_goes_on_through_a_restart_a_pause_and_a_clock_that_steps() {
    check("cron=@every_10s", "3 create; 13 start; 14 ok; down; 27 up; next=33; 33 start");
    check("cron=@every_10s", "3 create; 4 pause; next=none; 27 resume; next=33; 33 start");
    check("cron=@every_10s", "3 create; 5 clock 45; 45 start @43; next=53; 46 ok; clock 5; next=53");
    // Another distance counts from the change on; so does another text for the same.
    check("cron=@every_10s", "3 create; 5 patch cron=@every_20s; next=25; 6 patch cron=@every_20s; next=25");
    check("cron=@every_60s", "3 create; 5 patch cron=@every_1m; next=65; 6 patch cron=*_*_*_*_*; next=60");
}

#[test]
fn a_distance_comes_to_an_end() {
    check("cron=@every_10s max=2", "0 create; 10 start; 11 ok; 20 start; enabled=false; 21 ok; wake=none");
    check("cron=@every_10s end=15", "0 create; 10 start; enabled=false; 11 ok; wake=none");
    check("cron=@every_10s end=9", "0 create -> /schedule/end_at");
    // Like an `every`, it is not done at the end of time.
    check("cron=@every_87600h", "253402207000 create; next=none; enabled=true; wake=none");
}

/// No grid is so fine that the loop does nothing else, and none stands still.
#[test]
fn a_file_may_hold_any_distance() {
    let file =
        |text: &str| json!({"schedule": {"kind": "cron", "cron": text}, "state": {"anchor": "1970-01-01T00:00:00Z"}});
    check_file(&file("@every 30ms"), "0 up; 0.03 start; 0.04 ok; 0.15 start");
    for text in ["@every 0s", "@every -5m", "@every", "@every 5"] {
        check_file(&file(text), "0 up; next=none; enabled=true; wake=none");
    }
}

/// Without an anchor the next instant has the phase that people know.
#[test]
fn a_file_without_an_anchor_keeps_the_phase_that_it_shows() {
    let schedule = json!({"kind": "cron", "cron": "@every 10s"});
    check_file(
        &json!({"schedule": schedule, "next_run_at": "1970-01-01T00:00:07Z"}),
        "5 up; next=7; 7 start; 8 ok; 17 start",
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
