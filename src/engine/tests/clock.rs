//! A wall clock that steps.

use super::harness::check;

#[test]
fn a_clock_that_steps_back_fires_no_instant_twice() {
    check("every=10s", "0 create; 10 start; 11 ok; 20 start; 21 ok; clock 5; next=30; 30 start; 31 ok; 40 start");
    check("every=10s", "0 create; 9 clock 25; 25 start @20; 26 ok; clock 5; 29 next=30; 30 start");
    check("once=10", "0 create; 10 start; 11 ok; clock 5; 20 wake=none");
}

#[test]
fn not_after_a_pause_or_a_restart_either() {
    check("every=10s", "0 create; 10 start; 11 ok; 20 start; 21 ok; clock 5; pause; 6 resume; next=30");
    check("every=10s", "0 create; 10 start; 11 ok; 20 start; 21 ok; 22 down; 5 up; next=30; 30 start");
    check(
        "every=10s start=0",
        "0 create; 10 start; 11 ok; 20 start; 21 ok; clock 5; patch name=x; pause; down; 7 up; 8 resume; next=30",
    );
}

#[test]
fn a_skipped_instant_counts_as_taken() {
    check("every=10s", "0 create; 10 start; 20 skip @20; 21 ok; clock 12; next=30; pause; 13 resume; next=30");
}

#[test]
fn forth_and_back_and_forth() {
    check(
        "every=10s",
        "0 create; 5 clock 35; 35 start @30; 36 ok; clock 8; 38 next=40; 39 clock 77; 77 start @70; 78 ok; clock 79; 80 start",
    );
}

#[test]
fn a_step_forward_fires_each_overdue_job_once_at_once() {
    check(
        "every=10s | once=20 | every=30s",
        "0 create; create :b; create :c; 5 clock 65; 65 start @60 ; start @20 :b; start @60 :c; next=70; next=90 :c",
    );
}

#[test]
fn a_run_during_a_step_back_ends_and_is_recorded() {
    check("every=10s", "0 create; 10 start; 11 clock 3; 4 ok; status=success; last=10; next=20; 20 start");
    check("every=10s retries=1", "0 create; 10 start; 11 clock 3; 4 fail; wake=9; 9 start #2; 10 ok; 20 start");
}

#[test]
fn a_changed_schedule_counts_from_the_clock_as_it_is() {
    check("every=10s", "0 create; 10 start; 11 ok; clock 2; patch every=3s; next=5; 5 start");
}

#[test]
fn a_run_from_later_than_the_new_instant_is_not_taken_for_its_fire() {
    check(
        "once=100",
        "0 create; 50 run-now; start; clock 10; patch once=20; pause; 15 ok; last=50; down; 30 up; resume; missed @20; status=missed",
    );
}

#[test]
fn a_fire_that_waited_for_a_run_is_not_early_by_a_clock_that_stepped_back() {
    check("once=20", "0 create; 18 run-now; start; 21 clock 10; 12 ok; next=20; 20 start; 21 ok; status=success");
    check("once=20 retries=0", "0 create; 18 run-now; start; 21 down; 10 up; lost; next=20; 20 start");
}

#[test]
fn a_miss_of_an_earlier_instant_is_not_taken_for_one_of_the_new() {
    check(
        "once=10",
        "0 create; pause; 15 resume; missed @10; status=missed; pause; patch once=20; down; 30 up; resume; missed @20; error=missed: 1970-01-01T00:00:20Z passed while it could not run",
    );
}
