//! Cancelling, a pause that ends by itself, and the bounds of retrying.

use jiff::SignedDuration;

use super::harness::{World, check};

#[test]
fn a_cancelled_run_has_failed_at_once_and_its_answer_is_nobodys() {
    check(
        "every=10s retries=3",
        "0 create; 5 cancel -> not running; 10 start; 12 cancel; cancelled; status=failed; error=cancelled by request; last=10;
         in-flight=1; 13 ok; status=failed; in-flight=0; 20 start",
    );
    check("every=60s retries=1 backoff=20s", "0 create; 60 start; 61 fail; 65 cancel; cancelled; wake=120");
    check("workers=1 every=60s", "0 create; 60 start; 61 cancel; cancelled; run-now; queued=1; 62 ok; start @61");
    check("once=10", "0 create; 10 start; 11 cancel; cancelled; 12 cancel -> not running; wake=none; status=failed");
    check("after=10s", "0 create; 10 start; 12 cancel; cancelled; next=22");
    check("every=10s max=1", "0 create; 10 start; 12 cancel; cancelled; enabled=false; wake=none");
}

#[test]
fn all_that_go_are_cancelled_and_what_waits_behind_them_begins() {
    check("every=10s allow=2", "0 create; 10 start; 20 start; 21 cancel; cancelled; cancelled; last=20; 30 start");
    check("every=10s overlap=queue", "0 create; 10 start; 20 status=; 22 cancel; cancelled; start @20");
    check("once=10", "0 create; 5 run-now; start; 10 next=10; 11 cancel; cancelled; start @10");
    check("every=10s misfire=all", "0 create; down; 25 up; make-up @10-20 2; start @10; cancel; cancelled; start @20");
}

#[test]
fn a_cancelled_run_stays_cancelled_through_a_restart() {
    check("every=10s retries=1", "0 create; 10 start; 12 cancel; cancelled; down; 15 up; status=failed; wake=20");
}

#[test]
fn a_pause_may_end_by_itself() {
    check(
        "every=10s",
        "0 create; 5 pause until 25; next=none; enabled=false; status=paused; wake=25; 30 start; enabled=true",
    );
    check("every=10s", "0 create; 5 pause until 3 -> /until; pause until 5 -> /until; next=10");
    check("every=10s", "0 create; 5 pause until 25; 8 resume; next=10; 10 start; 11 ok; 20 start");
    check("every=10s", "0 create; 5 pause until 25; 6 pause; wake=none");
    check("every=10s", "0 create; 5 pause; 6 pause until 25; wake=25; 7 pause until 15; wake=15; 20 start");
    check("every=10s", "0 create; 5 pause until 25; 6 patch enabled=true; wake=10");
    check("every=10s", "0 create; 5 pause until 25; 6 patch paused=; wake=25; patch every=7s; wake=25; 27 start");
    check("every=10s", "0 create; 5 pause until 25; down; 45 up; next=50");
    // What is due behind it is missed for the outage.
    check("every=10s misfire=once", "0 create; 5 pause until 25; down; 45 up; make-up @40-40 1; start @40; next=50");
    check(
        "every=10s misfire=all",
        "0 create; 5 pause until 25; down; 45 up; make-up @30-40 2; start @30; 46 ok; start @40",
    );
    check(
        "every=10s misfire=all",
        "0 create; 5 pause until 25; clock 45; 45 make-up @30-40 2; start @30; 46 ok; start @40",
    );
    check("once=30 misfire=once", "0 create; 5 pause until 25; down; 45 up; start @30");
    check("once=30", "0 create; 5 pause until 25; down; 45 up; missed @30; status=missed");
    check("once=20 misfire=once", "0 create; 5 pause until 25; down; 45 up; missed @20; status=missed; wake=none");
    check("every=10s misfire=all", "0 create; 5 pause until 25; down; 8 up; wake=25; 30 start");
    check("once=10", "0 create; 5 pause until 15; 15 missed @10; status=missed; wake=none");
    check("once=20", "0 create; 5 pause until 15; 15 status=paused; next=20; 20 start");
    check("after=10s", "0 create; 5 pause until 15; 15 next=25; 25 start");
    check("every=10s end=25", "0 create; 5 pause until 45; 45 enabled=false; wake=none");
    check("every=10s end=15", "0 create; 10 start; enabled=false; 11 pause until 45; wake=none; 12 ok; wake=none");
    check("once=10", "0 create; 10 start; 11 ok; pause until 45; wake=none");
}

#[test]
fn no_attempt_begins_later_than_retry_for_allows() {
    check(
        "once=10 retries=5 backoff=5s retry-for=12s",
        "0 create; 10 start; 11 fail; 16 start #2; 17 fail; 22 start #3; 23 fail; status=failed; error=status 503; wake=none",
    );
    check(
        "once=10 retries=1 backoff=5s retry-for=60s",
        "0 create; 10 start; 11 fail; 16 start #2; 17 fail; status=failed",
    );
    check("once=10 retries=5 retry-for=12s", "0 create; 10 start; 11 fail after 20s; status=failed; error=status 503");
    check("once=10 retries=5 retry-for=12s", "0 create; 10 start; down; 30 up; lost; status=failed");
    check(
        "workers=1 once=10 | once=10 retry-for=5s",
        "0 create; create :b; 10 start; 15 ok; start @10 :b; 16 ok :b; status=success :b",
    );
    check(
        "workers=1 once=10 | once=10 retry-for=5s",
        "0 create; create :b; 10 start; 15.1 ok; over :b; status=failed :b; wake=none;
         error=retry_for was over before an attempt could begin :b",
    );
}

/// How long each wait is of a run that fails again and again.
fn waits(job: &str, restarts: bool) -> Vec<SignedDuration> {
    let mut world = World::new(1);
    world.play(&format!("0 create once=10 retries=8 {job}; 10 start; fail"));
    let mut waits = Vec::new();
    for attempt in 2..=9 {
        if restarts {
            world.play("down; up");
        }
        let now = world.now;
        let wake = world.engine().next_wake(now).expect("it waits");
        waits.push(wake.duration_since(now));
        world.run_until(wake, true);
        world.played();
        assert_eq!(world.starts.last().expect("it began").attempt, attempt);
        world.step_at(wake, "fail");
    }
    waits
}

#[test]
fn with_retry_backoff_max_the_waits_double_up_to_it_with_full_jitter() {
    assert_eq!(waits("backoff=4s", false), [SignedDuration::from_secs(4); 8]);
    let drawn = waits("backoff=4s backoff-max=60s", false);
    for (wait, most) in drawn.iter().zip([4, 8, 16, 32, 60, 60, 60, 60]) {
        assert!(*wait < SignedDuration::from_secs(most), "{drawn:?}");
    }
    assert!(drawn.iter().any(|wait| *wait > SignedDuration::from_secs(16)), "they grow: {drawn:?}");
    assert_eq!(waits("backoff=4s backoff-max=60s", true), drawn, "a restart draws the same");
    check("once=10 retries=1 backoff=0s backoff-max=60s", "0 create; 10 start; 12 fail; start #2");
    // The target's wish makes it longer all the same.
    check("once=10 retries=1 backoff=1s backoff-max=2s", "0 create; 10 start; 12 fail after 60s; wake=72");
}
