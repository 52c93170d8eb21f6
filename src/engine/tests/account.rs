//! Every due time has one outcome, also those that pass while nothing runs.

use super::harness::check;

#[test]
fn a_pause_is_one_stretch_up_to_its_end() {
    check("every=10s", "0 create; 10 start; 11 ok; 15 pause; 45 resume; passed @20-40 3 paused; next=50; 50 start");
    check(
        "cron=*/10_*_*_*_*_*",
        "0 create; 10 start; 11 ok; 15 pause; 3605 resume; passed @20-3600 359 paused; next=3610",
    );
    check("every=10s", "0 create; 10 start; 11 ok; 15 pause; 25 resume; passed @20 paused; next=30");
    check(
        "every=10s",
        "0 create; 10 start; 11 ok; 12 pause; 13 pause; 25 down; 45 up; 46 resume; passed @20-40 3 paused",
    );
    check("every=10s paused", "0 create; 35 resume; passed @10-30 3 paused; next=40");
    check("every=10s", "0 create; 5 pause until 32; 40 passed @10-30 3 paused; 40 start");
}

#[test]
fn an_outage_is_one_stretch_whatever_the_job_does_then() {
    check("every=10s", "0 create; 10 start; 11 ok; down; 45 up; passed @20-40 3 down; next=50; 50 start");
    check("every=10s", "0 create; down; 45 up; passed @10-40 4 down; pause; 65 resume; passed @50-60 2 paused");
    check("every=10s end=40", "0 create; down; 95 up; passed @10-40 4 down; enabled=false; wake=none");
    check("every=10s misfire=once", "0 create; down; 45 up; passed @10-30 3 others; make-up @40-40 1; start @40");
}

#[test]
fn a_loop_that_comes_late_fires_the_latest_and_misses_the_others() {
    check("every=10s", "0 create; clock 45; 45 passed @10-30 3 late; start @40");
    check("every=10s", "0 create; clock 12; 12 start @10");
}

#[test]
fn what_is_due_or_waits_when_its_schedule_goes_has_an_outcome() {
    check(
        "every=10s",
        "0 create; 10 start; 11 ok; 15 pause; 45 patch every=7s; passed @20-40 3 paused; 60 resume; passed @52-59 2 paused",
    );
    check("every=10s", "0 create; 10 start; 11 ok; 15 pause; 45 delete; passed @20-40 3 paused");
    check("once=10", "0 create; 5 pause; 15 delete; missed @10");
    check("once=10", "0 create; 5 pause; 15 patch once=20; missed @10; 25 resume; missed @20");
    let begin = "0 create; down; 45 up; make-up @10-40 4; start @10;";
    check("every=10s misfire=all", &format!("{begin} 46 delete; passed @20-40 3 deleted; 46 ok"));
    check(
        "every=10s misfire=all",
        &format!("{begin} 46 pause; passed @20-40 3 paused; 47 ok; 65 resume; passed @50-60 2 paused"),
    );
    check("every=10s misfire=all", &format!("{begin} 46 patch every=7s; passed @20-40 3 changed; 47 ok"));
    check("every=10s misfire=all", &format!("{begin} 46 patch misfire=once; passed @20-30 2 others; 47 ok; start @40"));
}

#[test]
fn nothing_is_missed_of_a_schedule_whose_last_run_has_begun() {
    check(
        "every=10s max=2 overlap=queue",
        "0 create; 10 start; 20 status=; 25 down; 45 up; lost; passed @30-40 2 down; start @20; enabled=false; 95 ok",
    );
    check(
        "every=10s max=2 overlap=queue",
        "0 create; 10 start; 20 status=; 30 ok; start @20; passed @30 usedup; enabled=false; 95 ok",
    );
}

#[test]
fn a_clock_that_steps_back_takes_nothing_a_second_time() {
    check(
        "every=10s",
        "0 create; 5 pause; 45 resume; passed @10-40 4 paused; clock 12; pause; 13 resume; next=50; 50 start",
    );
    check("every=10s", "0 create; 5 pause; 45 clock 25; 25 resume; passed @10-20 2 paused; next=30; 30 start");
}
