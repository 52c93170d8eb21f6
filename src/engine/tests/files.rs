//! Jobs of files: what the older service wrote, and what nobody should have.

use serde_json::json;

use super::harness::{World, check_file};
use super::words::at;

#[test]
fn the_older_service_kept_no_anchor_and_its_next_run_at_has_the_phase() {
    let every = |next: &str| json!({"schedule": {"kind": "every", "every": "10s", "start_at": "", "jitter": ""}, "next_run_at": next});
    check_file(&every("1970-01-01T00:00:13Z"), "45 up; next=53; 53 start; 54 ok; 63 start");
    check_file(&every("1970-01-01T00:00:48Z"), "45 up; next=48; 48 start; 49 ok; 50 down; 61 up; next=68");
    check_file(&every(""), "45 up; next=55; 55 start; 56 ok; 57 down; 71 up; next=75");
    check_file(&every("0001-01-01T00:00:00Z"), "45 up; next=50; 50 start");
}

#[test]
fn a_next_run_at_of_the_older_service_fires_whatever_our_share_of_the_jitter() {
    for jitter in ["1ms", "5s", "9s"] {
        let schedule = json!({"kind": "every", "every": "10s", "start_at": "", "jitter": jitter});
        let mut world = World::with_file(&json!({"schedule": schedule, "next_run_at": "1970-01-01T00:00:48Z"}));
        world.play("45 up; next=48; 48 start; 49 ok");
        let next = world.job("a").progress.next_run_at.expect("it is planned on");
        assert!((at("58")..at("67")).contains(&next), "{next}");
    }
}

#[test]
fn a_next_run_at_beside_the_grid_of_start_at_is_put_right() {
    let job = json!({
        "schedule": {"kind": "every", "every": "10s", "start_at": "1970-01-01T00:00:03Z"},
        "next_run_at": "1970-01-01T00:00:48Z",
    });
    check_file(&job, "45 up; next=53; 53 start");
}

#[test]
fn a_once_of_the_older_service_that_ran_is_done() {
    let once = |last: &str, status: &str, enabled: bool| {
        json!({
            "schedule": {"kind": "once", "run_at": "1970-01-01T00:00:10Z"},
            "enabled": enabled, "last_run_at": last, "last_status": status,
        })
    };
    for enabled in [true, false] {
        let done = once("1970-01-01T00:00:10.002Z", "success", enabled);
        check_file(
            &done,
            "45 up; status=success; next=none; 46 pause; 47 resume; status=success; 48 down; 49 up; status=success; wake=none",
        );
        // A simulation found it fired again by a clock that was stepped back over a restart.
        check_file(&done, "5 up; next=none; 6 down; 45 up; status=success; wake=none");
        let missed = once("", "missed", enabled);
        check_file(&missed, "45 up; 46 clock 5; 5 down; 6 up; status=missed; wake=none");
        check_file(&missed, "45 up; status=missed; 46 pause; 47 resume; status=missed; wake=none");
    }
    check_file(&once("", "", true), "45 up; missed @10; status=missed; wake=none");
    check_file(&once("1970-01-01T00:00:05Z", "success", true), "45 up; missed @10; status=missed; last=5");
    check_file(&once("", "paused", false), "45 up; status=paused; 46 resume; missed @10; status=missed");
    check_file(&once("", "", true), "5 up; next=10; 10 start");
}

#[test]
fn a_new_run_at_by_hand_plans_a_done_once_anew() {
    let job = json!({
        "schedule": {"kind": "once", "run_at": "1970-01-01T00:01:00Z"},
        "last_run_at": "1970-01-01T00:00:10Z", "last_status": "success", "state": {"fired": "1970-01-01T00:00:10Z"},
    });
    check_file(&job, "45 up; next=60; 60 start");
}

#[test]
fn an_anchor_is_never_counted_back_into_years_that_a_file_cannot_hold() {
    let schedule = json!({"kind": "every", "every": "87600h"});
    check_file(&json!({"schedule": schedule, "next_run_at": "0001-01-01T00:00:00Z"}), "45 up; name=a");
}

#[test]
fn an_instant_that_was_taken_is_not_planned_again_by_hand() {
    let job = json!({
        "schedule": {"kind": "every", "every": "10s"}, "next_run_at": "1970-01-01T00:01:00Z",
        "state": {"anchor": "1970-01-01T00:00:00Z", "fired": "1970-01-01T00:01:00Z"},
    });
    check_file(&job, "45 up; next=70; 70 start");
}

#[test]
fn a_distance_that_is_not_above_zero_never_fires() {
    for every in ["0s", "-10s", "-2562047h47m16.854775808s"] {
        let job = json!({"schedule": {"kind": "every", "every": every}, "next_run_at": "1970-01-01T00:00:48Z"});
        check_file(
            &job,
            "45 up; next=none; 1000 wake=none; run-now; start; 1001 ok; status=success; patch name=x; patch as-shown; patch every=10s; next=1011",
        );
    }
}

#[test]
fn a_distance_below_the_limit_keeps_its_grid_and_fires_no_more_often_than_the_limit() {
    let job = json!({"schedule": {"kind": "every", "every": "10ms", "start_at": "1970-01-01T00:00:00Z"}});
    check_file(&job, "45 up; 45.01 start; 45.02 ok; 45.11 start; 45.12 ok; 45.21 start");
}

#[test]
fn the_longest_distance_overflows_nothing() {
    let longest = "2562047h47m16.854775807s";
    for jitter in ["", longest] {
        let schedule = json!({"kind": "every", "every": longest, "start_at": "9990-01-01T00:00:00Z", "jitter": jitter});
        check_file(
            &json!({"schedule": schedule, "retry_backoff": longest, "max_retries": 1}),
            "45 up; pause; 46 resume; run-now; start; 47 fail; down; 48 up",
        );
        let schedule = json!({"kind": "every", "every": longest, "jitter": jitter});
        check_file(&json!({"schedule": schedule}), "45 up; pause; 46 resume; 47 down; 48 up");
    }
    let job = json!({"schedule": {"kind": "every", "every": "2562047h"}});
    check_file(&job, "45 up; 49 clock 253402207200; 253402207200 start @249030968445; next=none; wake=none");
}

#[test]
fn a_negative_jitter_backoff_and_retry_count_mean_none() {
    let job = json!({
        "schedule": {"kind": "every", "every": "10s", "start_at": "1970-01-01T00:00:00Z", "jitter": "-5s"},
        "max_retries": -3, "retry_backoff": "-5s", "timeout": "-1s",
    });
    check_file(
        &job,
        "45 up; next=50; 50 start; 51 fail; status=failed; 60 start; 61 patch retries=1; 62 fail; start #2",
    );
}

#[test]
fn a_jitter_longer_than_the_distance_fires_no_instant_early() {
    let job = json!({
        "schedule": {"kind": "every", "every": "1s", "start_at": "1970-01-01T00:00:00Z", "jitter": "1h"},
    });
    let mut world = World::with_file(&job);
    world.play("1 up");
    for second in (50..5000).step_by(97) {
        world.now = at(&second.to_string());
        world.turn(Vec::new(), None);
        assert!(world.starts.last().expect("a start").lateness.as_nanos() >= 0);
        assert!(world.job("a").progress.next_run_at.expect("a plan") > world.now);
        world.played();
        world.step_at(world.now, "ok");
    }
}

#[test]
fn held_of_a_job_that_waits_for_nothing_is_passed_over() {
    let every = json!({
        "schedule": {"kind": "every", "every": "10s"}, "next_run_at": "1970-01-01T00:01:00Z",
        "state": {"anchor": "1970-01-01T00:00:00Z", "held": true},
    });
    check_file(&every, "45 up; next=60; 60 start");
    let once = json!({"schedule": {"kind": "once", "run_at": "1970-01-01T00:00:10Z"}, "state": {"held": true}});
    check_file(&once, "45 up; missed @10; status=missed");
    let done = json!({
        "schedule": {"kind": "once", "run_at": "1970-01-01T00:00:10Z"}, "next_run_at": "1970-01-01T00:00:10Z",
        "last_status": "success", "state": {"held": true, "fired": "1970-01-01T00:00:10Z"},
    });
    check_file(&done, "45 up; status=success; next=none; wake=none");
}

#[test]
fn a_paused_job_with_a_plan_has_none() {
    let job = json!({
        "schedule": {"kind": "every", "every": "10s"}, "enabled": false, "next_run_at": "1970-01-01T00:00:48Z",
    });
    check_file(&job, "45 up; next=none; wake=none; 46 resume; next=48");
}

#[test]
fn runs_of_files_go_on() {
    let run = |phase: &str, retry_at: &str| {
        json!({
            "schedule": {"kind": "once", "run_at": "1970-01-01T00:00:10Z"}, "max_retries": 1,
            "state": {"fired": "1970-01-01T00:00:10Z", "run": {
                "id": "0198c9f2-5d0e-5a40-9a61-0c8f1b0d3b11", "scheduled_at": "1970-01-01T00:00:10Z",
                "due_at": "1970-01-01T00:00:10Z", "began_at": "1970-01-01T00:00:10Z", "attempts": 0,
                "phase": phase, "retry_at": retry_at,
            }},
        })
    };
    check_file(&run("queued", ""), "45 up; start @10; 46 ok; status=success; last=10; wake=none");
    check_file(&run("waiting", "1970-01-01T00:00:50Z"), "45 up; wake=50; 50 start @10; 51 ok; wake=none");
    check_file(&run("waiting", "1970-01-01T00:00:40Z"), "45 up; start @10");
    check_file(&run("in_flight", ""), "45 up; wake=50; 50 start @10");
}

/// A person stops a job in its file, which then makes up for nothing; and asks for more than is ever made up for.
#[test]
fn a_hand_bounds_what_is_made_up_for() {
    let spans = |left: u64| json!([{"next": "1970-01-01T00:00:20Z", "last": "1970-01-01T00:00:40Z", "left": left}]);
    let keys = |enabled: bool, left: u64| {
        json!({
            "enabled": enabled, "misfire": "all", "schedule": {"kind": "every", "every": "10s"},
            "next_run_at": "1970-01-01T00:00:50Z",
            "state": {"anchor": "1970-01-01T00:00:00Z", "fired": "1970-01-01T00:00:40Z", "catch_up": spans(left)},
        })
    };
    check_file(&keys(true, 3), "45 up; start @20; 46 ok; start @30; 47 ok; start @40; 48 ok; 50 start");
    check_file(&keys(true, 4_000_000_000), "45 up; start @20; 46 ok; start @30; 47 ok; start @40; 48 ok; 50 start");
    check_file(&keys(false, 3), "45 up; wake=none");
}
