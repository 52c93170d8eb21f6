//! Commands: run-now, pause and resume, PATCH, DELETE, and the same id again.

use super::harness::{World, check};

#[test]
fn a_taken_id_and_an_unknown_one_are_refused() {
    check("every=10s", "0 create; 1 create -> taken; patch name=x -> not found :b; pause -> not found :b");
    check("every=10s", "0 resume -> not found; delete -> not found; run-now -> not found; job=gone");
}

#[test]
fn run_now_starts_at_once_and_moves_no_plan() {
    check("every=10s", "0 create; 4 run-now; start; next=10; 5 ok; last=4; status=success; next=10; 10 start");
    check("once=10", "0 create; 4 run-now; start; 5 ok; next=10; 10 start");
}

#[test]
fn run_now_runs_a_paused_job_too() {
    check("every=10s paused", "0 create; 4 run-now; start; 5 ok; enabled=false; status=success; next=none; wake=none");
}

#[test]
fn run_now_while_a_run_is_going_is_refused() {
    check(
        "every=10s retries=1",
        "0 create; 10 start; 11 run-now -> running; 12 fail; 13 run-now -> running; 17 start #2; 18 ok; 19 run-now; start",
    );
}

#[test]
fn run_now_is_retried_and_survives_a_restart_like_any_run() {
    check(
        "every=1h retries=1",
        "0 create; 4 run-now; start; 5 fail; 6 down; 7 up; 10 start #2; 11 ok; last=4; next=3600",
    );
}

#[test]
fn pause_takes_the_plan_and_resume_takes_the_next_instant_of_the_same_grid() {
    check(
        "every=10s",
        "0 create; 5 pause; enabled=false; next=none; status=paused; wake=none; 33 resume; enabled=true; next=40; 40 start",
    );
    check("every=10s", "0 create; 5 patch paused; status=paused; 33 patch enabled; next=40; 40 start");
    check("every=10s start=7", "0 create; 5 pause; 33 resume; next=37");
    check("every=10s", "0 create; 5 pause; 40 resume; next=50");
    check("every=10s paused", "0 create; next=none; status=; 33 resume; next=40");
}

#[test]
fn pausing_the_paused_and_resuming_the_enabled_change_nothing() {
    let mut world = World::new(1);
    world.play("0 create every=10s; 1 resume; 2 patch enabled; next=10");
    assert_eq!(world.journal.len(), 1);
    world.play("3 pause; 4 pause; 5 patch paused; status=paused");
    assert_eq!(world.journal.len(), 2);
}

#[test]
fn a_run_that_is_going_at_a_pause_ends_as_it_would() {
    check(
        "every=10s retries=1",
        "0 create; 10 start; 11 pause; status=paused; 12 fail; 17 start #2; 18 ok; status=success; last=10; enabled=false; wake=none",
    );
    check("every=10s", "0 create; 10 start; 11 pause; 12 resume; next=20; 20 skip @20; 21 ok; 30 start");
}

#[test]
fn a_change_of_anything_but_the_schedule_leaves_the_plan() {
    check("every=10s jitter=0s", "0 create; 5 patch name=x retries=9 backoff=1s; next=10; name=x; 10 start");
    let mut world = World::new(1);
    world.play("0 create every=1h jitter=1h");
    let progress = world.job("a").progress.clone();
    world.play("5 patch name=x; 6 patch as-shown; 7 patch every=1h jitter=60m");
    assert_eq!(world.job("a").progress, progress);
}

#[test]
fn a_patch_that_changes_nothing_writes_nothing() {
    let mut world = World::new(1);
    world.play("0 create every=10s; 5 patch as-shown; 6 patch every=10s; 7 patch name=a");
    assert_eq!(world.journal.len(), 1);
}

#[test]
fn a_changed_schedule_plans_anew_from_now_where_it_has_no_start_at() {
    check("every=10s", "0 create; 5 patch every=20s; next=25; 25 start; 26 ok; 45 start");
    check("every=10s", "0 create; 5 patch every=20s start=3; next=23; 23 start");
    check("every=10s", "0 create; 5 patch every=10s start=12; next=12");
    check("every=10s start=3", "0 create; 2 patch every=10s; next=12");
    check("every=10s", "0 create; 5 patch once=7; next=7; 7 start; 8 ok; wake=none; patch every=10s; next=18");
    check("every=10s paused", "0 create; 5 patch every=20s; next=none; 30 resume; next=45");
}

#[test]
fn a_schedule_and_enabled_in_one_patch() {
    check("every=10s paused", "0 create; 5 patch every=20s enabled; next=25; status=; enabled=true");
    check("every=10s", "0 create; 5 patch every=20s paused; next=none; status=paused; 30 resume; next=45");
    check(
        "once=10",
        "0 create; 10 start; 11 ok; 12 patch once=20 paused; status=paused; next=none; 15 resume; next=20",
    );
    check("once=10", "0 create; 5 pause; 20 patch once=30 enabled; missed @10; next=30; status=paused; 30 start");
}

#[test]
fn a_changed_schedule_during_a_run_stands_and_the_run_is_recorded() {
    check("every=10s", "0 create; 10 start; 12 patch every=3s; next=15; 15 skip @15; 16 ok; last=10; 18 start");
    check(
        "every=10s retries=1",
        "0 create; 10 start; 12 patch once=30; 13 fail; 18 start #2; 19 ok; last=10; next=30; 30 start",
    );
}

#[test]
fn delete_drops_what_waits() {
    check("every=10s", "0 create; 5 delete; job=gone; 50 job=gone");
    check("once=10 retries=1", "0 create; 10 start; 11 fail; 12 delete; 50 job=gone");
    check("workers=1 once=10 | once=11", "0 create; create :b; 10 start; 12 delete :b; queued=0; 13 ok; 20 wake=none");
    check("once=10", "0 create; 9 run-now; start; 11 delete; missed @10; 12 ok; job=gone");
}

#[test]
fn what_is_in_flight_at_a_delete_brings_nothing_back() {
    check("once=10 retries=3", "0 create; 10 start; 11 delete; 12 fail; job=gone; 100 job=gone");
    check("once=10", "0 create; 10 start; 11 delete; 12 down; 13 up; job=gone");
}

#[test]
fn the_same_id_again_gets_nothing_of_the_attempt_of_the_one_before() {
    check(
        "every=10s",
        "0 create; 10 start; 11 delete; 12 create; next=22; 13 ok; status=; last=none; in-flight=0; 22 start; 23 ok; status=success",
    );
    check(
        "every=10s retries=3",
        "0 create; 10 start; 11 delete; 12 create; 13 fail; status=; wake=22; 14 down; 15 up; next=22; 22 start",
    );
    check(
        "every=10s",
        "0 create; 10 start; 11 delete; 12 create; 12 run-now; start; 13 run-now -> running; in-flight=2",
    );
}

#[test]
fn another_job_in_the_place_of_a_deleted_one_gets_nothing_of_its_attempt() {
    let mut world = World::new(4);
    world.play("0 create every=10s; 10 start; 11 delete; 12 create every=10s :b; run-now :b; start :b; in-flight=2 :b");
    world.land("fail");
    world.play("13 in-flight=1 :b; status= :b; 14 ok :b; status=success :b; last=12 :b");
}
