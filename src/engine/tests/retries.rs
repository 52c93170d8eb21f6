//! What follows a failed attempt, and what a run leaves behind.

use super::harness::{World, check};

#[test]
fn a_failure_that_may_pass_is_retried_up_to_max_retries_after_the_backoff() {
    check(
        "once=10 retries=2 backoff=5s",
        "0 create; 10 start; 12 fail; wake=17; status=; 17 start #2; 20 time-out; 25 start #3; 26 fail;
         status=failed; error=status 503; last=10; wake=none",
    );
    check("once=10 retries=2", "0 create; 10 start; 12 fail; 17 start #2; 18 ok; status=success; error=; wake=none");
    check("once=10 retries=0", "0 create; 10 start; 12 fail; status=failed; wake=none");
}

#[test]
fn other_failures_are_not_retried() {
    check("once=10 retries=2", "0 create; 10 start; 12 refuse; status=failed; error=status 404; wake=none");
    check("once=10 retries=2", "0 create; 10 start; 12 fail; 17 start #2; 18 refuse; status=failed; wake=none");
}

#[test]
fn the_last_attempt_decides_between_failed_and_timeout() {
    check(
        "once=10 retries=1",
        "0 create; 10 start; 12 fail; 17 start #2; 18 time-out; status=timeout; error=no answer in time",
    );
    check("once=10 retries=1", "0 create; 10 start; 12 time-out; 17 start #2; 18 fail; status=failed");
}

#[test]
fn retry_after_makes_the_wait_longer_and_never_shorter() {
    check("once=10 retries=1 backoff=5s", "0 create; 10 start; 12 fail after 60s; wake=72; 72 start #2");
    check("once=10 retries=1 backoff=5s", "0 create; 10 start; 12 fail after 1s; wake=17; 17 start #2");
    check("once=10 retries=1 backoff=0s", "0 create; 10 start; 12 fail; start #2; 13 fail; status=failed");
}

#[test]
fn a_waiting_retry_holds_no_worker() {
    check(
        "workers=1 once=10 retries=1 | once=11",
        "0 create; create :b; 10 start; 10.5 fail; 11 start :b; 15.5 in-flight=1; queued=1; 16 ok :b; start #2",
    );
}

#[test]
fn a_waiting_retry_survives_a_restart_under_its_run_id() {
    check(
        "once=10 retries=1 backoff=30s",
        "0 create; 10 start; 12 fail; 13 down; 20 up; wake=42; 42 start #2; 43 ok; last=10",
    );
    check(
        "once=10 retries=1 backoff=5s",
        "0 create; 10 start; 12 fail; 13 down; 20 up; start #2; 21 ok; status=success",
    );
}

#[test]
fn all_attempts_of_a_run_bear_one_id_and_each_run_another() {
    let mut world = World::new(1);
    world.play("0 create every=10s retries=1 backoff=1s; 10 start; 11 fail; 12 start #2; 13 fail; 20 start; 21 ok; 22 run-now; start");
    let ids: Vec<_> = world.starts.iter().map(|start| start.run_id).collect();
    assert_eq!(ids[0], ids[1]);
    assert!(ids[1] != ids[2] && ids[2] != ids[3]);
    assert_eq!(ids[0].get_version_num(), 5);
    assert_eq!(ids[3].as_u128(), 1, "the one that was handed in");
}

#[test]
fn the_next_attempt_uses_what_a_patch_brought_and_its_result_is_recorded() {
    let mut world = World::new(1);
    world.play(
        "0 create once=10 retries=1 backoff=5s; 10 start; 11 patch name=new backoff=20s; 12 fail; wake=32; 32 start #2",
    );
    assert_eq!(world.starts[0].spec.name.as_ref(), "a");
    assert_eq!(world.starts[1].spec.name.as_ref(), "new");
    world.play("33 ok; status=success; name=new");
    check("once=10 retries=5", "0 create; 10 start; 11 patch retries=0; 12 fail; status=failed; wake=none");
    check("once=10 retries=0", "0 create; 10 start; 11 patch retries=1; 12 fail; 17 start #2");
}
