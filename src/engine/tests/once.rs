//! A `once`: at its instant, late, missed, held, done.

use super::harness::check;

#[test]
fn runs_at_run_at_and_is_done() {
    check(
        "once=10",
        "0 create; next=10; wake=10; 10 start; next=none; 11 ok; status=success; last=10; wake=none; enabled=true",
    );
    check("once=10", "0 create; 10 start; 11 refuse; status=failed; error=status 404; wake=none");
}

#[test]
fn run_at_must_lie_ahead_when_it_is_set() {
    check("once=10", "10 create -> /schedule/run_at; 11 create -> /schedule/run_at; job=gone");
    check("every=1h", "0 create; 20 patch once=20 -> /schedule/run_at; next=3600; patch once=21; next=21");
    check("once=10 paused", "11 create -> /schedule/run_at");
}

#[test]
fn late_while_the_service_is_up_it_runs_at_once() {
    check("once=10", "0 create; 5 clock 45; 45 start @10; 46 ok; status=success; last=45");
}

#[test]
fn passed_while_the_service_was_down_is_missed_and_never_run() {
    check(
        "once=10",
        "0 create; 5 down; 20 up; missed @10; status=missed; next=none; wake=none; last=none; run-now; start",
    );
    check("once=10", "0 create; 5 down; 10 up; missed @10");
    check("once=10", "0 create; 5 down; 9 up; next=10; 10 start");
}

#[test]
fn passed_when_it_is_resumed_is_missed() {
    check("once=10", "0 create; 5 pause; 10 resume; missed @10; status=missed; enabled=true; next=none; wake=none");
    check("once=10", "0 create; 5 pause; 20 patch enabled; missed @10; status=missed; wake=none");
    check("once=10", "0 create; 5 pause; 9 resume; next=10; 10 start");
    check("once=10 paused", "0 create; next=none; 15 resume; missed @10; status=missed");
}

#[test]
fn missed_stays_missed_whatever_follows() {
    check(
        "once=10",
        "0 create; 5 down; 20 up; missed @10; 21 pause; status=missed; 22 resume; 23 patch name=x; 24 patch as-shown;
         25 down; 26 up; status=missed; enabled=true; wake=none; patch once=30; next=30; 30 start; 31 ok; status=success",
    );
}

#[test]
fn a_paused_one_whose_instant_passes_while_the_service_is_down_is_missed_when_it_is_resumed() {
    check(
        "once=10",
        "0 create; 5 pause; 6 down; 20 up; status=paused; 21 resume; missed @10; status=missed; wake=none",
    );
    // A run-now after the instant is not its fire.
    check(
        "once=10",
        "0 create; 5 pause; 12 run-now; start; 13 ok; 14 down; 20 up; status=success; 21 resume; missed @10; status=missed; wake=none",
    );
}

#[test]
fn done_is_touched_by_no_restart_resume_pause_or_other_patch() {
    let done = "0 create; 10 start; 11 ok;";
    for after in [
        "12 down; 13 up",
        "12 pause; enabled=false; 13 resume",
        "12 pause; 13 down; 14 up; 15 resume",
        "12 patch paused; 13 patch enabled",
        "12 patch name=x backoff=1s retries=9",
        "12 patch as-shown",
        "12 patch once=10",
        "12 down; 13 up; 14 down; 15 up; 16 pause; 17 resume",
        "12 clock 5; 5 pause; 6 resume; 7 patch as-shown; 8 down; 9 up; 10 wake=none",
        "12 clock 5; 6 down; 7 up; 11 wake=none",
    ] {
        check("once=10", &format!("{done} {after}; status=success; last=10; error=; next=none; wake=none"));
    }
}

#[test]
fn a_new_run_at_plans_anew() {
    check("once=10", "0 create; 10 start; 11 ok; 12 patch once=30; next=30; status=success; 30 start; 31 ok; last=30");
    check("once=10", "0 create; 5 patch once=8; 8 start; 9 ok; 10 wake=none");
    check("once=10", "0 create; 5 pause; 6 patch once=30; next=none; 20 resume; next=30; 30 start");
}

#[test]
fn done_it_can_be_run_now_and_stays_done() {
    check(
        "once=10",
        "0 create; 10 start; 11 ok; 12 run-now; start; 13 refuse; status=failed; last=12; wake=none; 14 resume; 15 down; 16 up; status=failed; wake=none",
    );
}

#[test]
fn a_fire_that_meets_a_run_now_waits_for_its_end() {
    check("once=10", "0 create; 9 run-now; start; 12 ok; start @10; 13 ok; last=12; status=success; wake=none");
    check(
        "once=10 retries=1 backoff=20s",
        "0 create; 9 run-now; start; 11 fail; wake=31; 31 start #2; 32 fail; start @10; 33 ok; status=success; wake=none",
    );
    check("once=10", "0 create; 9 run-now; start; 10 ok; start; 11 ok; wake=none");
}

#[test]
fn a_fire_that_waits_outlasts_a_restart() {
    check(
        "once=10",
        "0 create; 9 run-now; start; 12 wake=none; down; 20 up; lost; start @10; 21 ok; status=success; wake=none",
    );
    check(
        "once=10 retries=1",
        "0 create; 9 run-now; start; 12 wake=none; down; 20 up; wake=25; 25 start #2; 26 ok; start @10; 27 ok; wake=none",
    );
}

#[test]
fn a_fire_that_waits_is_dropped_by_pause_and_by_a_new_run_at() {
    check(
        "once=10",
        "0 create; 9 run-now; start; 12 pause; status=paused; 13 ok; status=success; 14 resume; missed @10; status=missed; wake=none",
    );
    check(
        "once=10",
        "0 create; 9 run-now; start; 12 patch once=20; missed @10; 13 ok; next=20; 20 start; 21 ok; wake=none",
    );
    check("once=10", "0 create; 9 run-now; start; 12 patch name=x; 13 ok; start @10");
}

#[test]
fn a_fire_of_a_new_run_at_waits_for_the_run_of_the_old_one() {
    check("once=10", "0 create; 10 start; 15 patch once=20; 25 ok; start @20; last=10; 26 ok; last=25; wake=none");
}

#[test]
fn paused_during_its_own_run_it_shows_paused_until_that_ends() {
    check(
        "once=10",
        "0 create; 10 start; 11 pause; status=paused; 12 ok; status=success; 13 resume; status=success; wake=none",
    );
    check("once=10", "0 create; 10 start; 11 pause; 12 resume; status=paused; 13 ok; status=success; wake=none");
}
