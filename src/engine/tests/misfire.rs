//! Downtime × `misfire` × kind: what was missed, and what of it is made up for.

use jiff::Timestamp;

use super::harness::{World, check};
use super::words::at;

#[test]
fn by_default_what_passed_while_nothing_could_run_is_missed() {
    for skip in ["", " misfire=skip"] {
        check(&format!("every=10s{skip}"), "0 create; 10 start; 11 ok; down; 45 up; next=50; status=success; 50 start");
        check(&format!("cron=*/10_*_*_*_*_*{skip}"), "0 create; 10 start; 11 ok; down; 45 up; next=50; 50 start");
        check(&format!("once=10{skip}"), "0 create; down; 45 up; missed @10; status=missed; wake=none");
        check(
            &format!("after=10s{skip}"),
            "0 create; 10 start; 11 ok; down; 45 up; missed @21; next=55; status=success; 55 start",
        );
    }
}

#[test]
fn with_once_the_latest_is_made_up_for_under_its_own_instant() {
    for every in ["every=10s", "cron=*/10_*_*_*_*_*"] {
        let script = "0 create; 10 start; 11 ok; down; 45 up; make-up @40-40 1; start @40; next=50; 46 ok; 50 start";
        check(&format!("{every} misfire=once"), script);
    }
    check("once=10 misfire=once", "0 create; down; 45 up; start @10; 46 ok; status=success; wake=none");
    check("after=10s misfire=once", "0 create; 10 start; 11 ok; down; 45 up; start @21; 46 ok; next=56");
}

#[test]
fn with_all_each_is_made_up_for_the_oldest_first_one_at_a_time() {
    for every in ["every=10s", "cron=*/10_*_*_*_*_*"] {
        check(
            &format!("{every} misfire=all"),
            "0 create; 10 start; 11 ok; down; 45 up; make-up @20-40 3; start @20; next=50; 46 ok; start @30; 47 ok;
             start @40; 48 ok; wake=50; 50 start",
        );
    }
    check("once=10 misfire=all", "0 create; down; 45 up; start @10; 46 ok; status=success; wake=none");
    check("after=10s misfire=all", "0 create; 10 start; 11 ok; down; 45 up; start @21; 46 ok; next=56");
}

#[test]
fn a_downtime_between_two_fires_misses_nothing() {
    for misfire in ["skip", "once", "all"] {
        check(&format!("every=10s misfire={misfire}"), "0 create; 10 start; 11 ok; down; 19 up; next=20; 20 start");
        check(&format!("once=10 misfire={misfire}"), "0 create; down; 9 up; next=10; 10 start");
        check(&format!("after=10s misfire={misfire}"), "0 create; down; 9 up; next=10; 10 start");
    }
    // What is due at the very moment of the start was missed by nobody, but only a start can tell it.
    check("every=10s misfire=once", "0 create; down; 10 up; make-up @10-10 1; start; next=20");
}

#[test]
fn what_is_older_than_the_window_is_missed() {
    check("every=10s misfire=all window=25s", "0 create; down; 45 up; missed @10; make-up @20-40 3; start @20");
    check("every=10s misfire=all window=24s", "0 create; down; 45 up; missed @10-20 2; make-up @30-40 2; start @30");
    check("every=10s misfire=once window=4s", "0 create; down; 45 up; missed @10-40 4; next=50; 50 start");
    check("once=10 misfire=once window=35s", "0 create; down; 45 up; start @10");
    check("once=10 misfire=once window=34s", "0 create; down; 45 up; missed @10; status=missed; wake=none");
    check("after=10s misfire=once window=34s", "0 create; down; 45 up; missed @10; next=55; 55 start");
    // Also by the time that it would be its turn.
    check(
        "every=10s misfire=all window=25s",
        "0 create; down; 45 up; missed @10; make-up @20-40 3; start @20; 50 skip @50; 56 ok; missed @30; start @40",
    );
    // No attempt of it could begin.
    check("every=10s misfire=all retry-for=12s", "0 create; down; 45 up; missed @10-30 3; make-up @40-40 1; start @40");
}

/// A machine that slept, a clock that was set.
#[test]
fn a_process_that_comes_late_makes_up_for_what_it_missed_too() {
    check("every=10s misfire=once", "0 create; 10 start; 11 ok; clock 45; 45 start @40; next=50; 46 ok; 50 start");
    check(
        "every=10s misfire=all",
        "0 create; 10 start; 11 ok; clock 45; 45 make-up @20-40 3; start @20; 46 ok; start @30; 47 ok; start @40; 48 ok;
         50 start",
    );
    check("once=10 misfire=once window=34s", "0 create; 5 clock 45; 45 missed @10; status=missed; wake=none");
    check("every=10s misfire=once window=4s", "0 create; 5 clock 45; 45 missed @10-40 4; status=; next=50; 50 start");
    check("after=10s misfire=once window=34s", "0 create; 5 clock 45; 45 missed @10; status=; next=55; 55 start");
    // One that waits for the end of a run does not grow old by that.
    check("once=10 misfire=once window=5s", "0 create; 9 run-now; start; 20 ok; start @10; 21 ok; status=success");
}

#[test]
fn fires_that_come_due_meanwhile_meet_the_run_that_is_made_up_for() {
    let begin = "0 create; down; 25 up; make-up @10-20 2; start @10;";
    check("every=10s misfire=all", &format!("{begin} 30 skip @30; 31 ok; start @20; 32 ok; 40 start"));
    check(
        "every=10s misfire=all overlap=queue",
        &format!("{begin} 31 ok; start @20; 32 ok; start @30; 33 ok; 40 start"),
    );
    check("every=10s misfire=all allow=2", &format!("{begin} 30 start; 31 ok; start @20; 32 ok; 33 ok; 40 start"));
    check("every=10s misfire=all overlap=replace", &format!("{begin} 30 cancelled; start; 31 ok; start @20"));
}

#[test]
fn a_crash_meanwhile_loses_nothing_of_it_and_doubles_nothing() {
    check(
        "every=10s misfire=all",
        "0 create; 10 start; 11 ok; down; 45 up; make-up @20-40 3; start @20; 46 ok; start @30; down;
         67 up; make-up @50-60 2; lost; start @40; 68 ok; start @50; 69 ok; start @60; 69.5 ok; 70 start",
    );
    check(
        "every=10s misfire=all retries=1",
        "0 create; down; 25 up; make-up @10-20 2; start @10; down; 26 up; 30 skip @30; 31 start #2; 32 ok; start @20",
    );
}

#[test]
fn with_once_an_outage_puts_its_latest_in_the_place_of_an_older_one() {
    check(
        "every=10s misfire=once retries=9 backoff=30s",
        "0 create; 10 start; 11 fail; down; 25 up; make-up @20-20 1; down; 35 up; make-up @30-30 1; 40 skip @40; 41 start #2;
         42 ok; start @30; 43 ok; 50 start",
    );
}

#[test]
fn who_asks_for_less_by_now_gets_less() {
    let begin = "0 create; down; 45 up; make-up @10-40 4; start @10;";
    check("every=10s misfire=all", &format!("{begin} patch misfire=once; 46 ok; start @40; 47 ok; 50 start"));
}

/// Its jitter may lie ahead where the instant itself has passed.
#[test]
fn an_instant_whose_jitter_lies_ahead_at_a_start_still_comes() {
    for second in 201..290 {
        let mut world = World::new(9);
        world.play("0 create every=100s jitter=90s start=100 misfire=once allow=9; down");
        world.step_at(Timestamp::from_second(second).expect("a time"), "up");
        world.run_until(at("399"), true);
        world.played();
        let instants: Vec<_> = world.starts.iter().map(|start| start.scheduled_at.as_second()).collect();
        assert!(instants.contains(&200), "the start at {second}: {instants:?}");
    }
}

#[test]
fn at_most_a_thousand_are_made_up_for_the_latest_ones() {
    check("every=1s misfire=all", "0 create; down; 1000 up; make-up @1-1000 1000; start @1");
    check("every=1s misfire=all", "0 create; down; 1001 up; missed @1; make-up @2-1001 1000; start @2");
    check(
        "cron=*_*_*_*_*_* misfire=all",
        "0 create; down; 5000 up; missed @1-4000 4000; make-up @4001-5000 1000; start @4001",
    );
    // Those of two outages together.
    check(
        "every=1s misfire=all",
        "0 create; down; 600 up; make-up @1-600 600; start @1; down; 1300 up; make-up @601-1300 700; lost; start @301",
    );
}

#[test]
fn bounds_hold_for_what_is_made_up_for() {
    check(
        "every=10s misfire=all max=2",
        "0 create; down; 45 up; make-up @10-40 4; start @10; 46 ok; start @20; enabled=false; 47 ok; wake=none",
    );
    check(
        "every=10s misfire=all end=25",
        "0 create; down; 45 up; make-up @10-20 2; start @10; enabled=true; next=none; 46 ok; start @20; enabled=false;
         47 ok; wake=none",
    );
    check("every=10s misfire=skip end=25", "0 create; down; 45 up; enabled=false; wake=none");
    check("after=10s misfire=once max=1", "0 create; down; 45 up; start @10; enabled=false; 46 ok; wake=none");
}

#[test]
fn a_resume_and_another_schedule_never_replay() {
    check("every=10s misfire=all", "0 create; 5 pause; 45 resume; next=50");
    check("every=10s misfire=all", "0 create; 5 pause; down; 45 up; resume; next=50");
    check("once=10 misfire=all", "0 create; 5 pause; 15 resume; missed @10; status=missed; wake=none");
    check(
        "once=10 misfire=all",
        "0 create; 5 pause; down; 15 up; status=paused; resume; missed @10; status=missed; wake=none",
    );
    let begin = "0 create; down; 45 up; make-up @10-40 4; start @10;";
    check("every=10s misfire=all", &format!("{begin} pause; 46 ok; wake=none; 47 resume; wake=50"));
    check("every=10s misfire=all", &format!("{begin} patch every=7s; 46 ok; wake=52"));
    check("every=10s misfire=all", &format!("{begin} patch misfire=skip; 46 ok; wake=50"));
}
