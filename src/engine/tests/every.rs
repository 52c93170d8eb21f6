//! The grid of an `every`, its jitter, and fires that meet a run.

use super::harness::{World, check};
use super::words::{at, seconds};

#[test]
fn fires_on_the_grid_of_its_creation_without_drift_whatever_a_run_takes() {
    check("every=10s", "0 create; next=10; 10 start; 11 ok; next=20; 20 start");
    check("every=10s", "3 create; 13 start; 22 ok; 23 start; 23.5 ok; 33 start");
    check("every=300ms", "0 create; 0.3 start; 0.4 ok; 0.6 start; 0.65 ok; 0.9 start");
}

#[test]
fn start_at_is_the_first_instant_and_the_phase() {
    check("every=10s start=25", "0 create; next=25; 25 start; 26 ok; 35 start");
    check("every=10s start=3", "100 create; next=103; 103 start");
    check("every=10s start=100", "100 create; next=110; 110 start");
}

#[test]
fn a_fire_that_is_due_while_a_run_is_going_is_skipped() {
    check(
        "every=10s",
        "0 create; 10 start; 20 skip @20; status=skipped; error=skipped: a run was still going at 1970-01-01T00:00:20Z;
         next=30; 25 ok; status=success; error=; last=10; 30 start",
    );
    check("every=10s", "0 create; 5 run-now; start; 10 skip @10; 11 ok; 20 start");
}

#[test]
fn a_run_that_waits_for_its_retry_is_going() {
    check("every=10s retries=1 backoff=15s", "0 create; 10 start; 11 fail; 20 skip @20; 26 start #2; 27 ok; 30 start");
    check("every=10s retries=1 backoff=9s", "0 create; 10 start; 11 fail; 20 skip @20; start #2; 21 ok; 30 start");
}

#[test]
fn a_run_that_ends_in_the_turn_of_the_next_fire_is_not_in_its_way() {
    check("every=10s", "0 create; 10 start; 20 ok; start");
}

#[test]
fn an_overdue_job_fires_once_for_its_latest_due_instant() {
    check("every=10s", "0 create; 5 clock 45; 45 start @40; next=50; 46 ok; 50 start");
    check("every=10s", "0 create; 10 start; 11 clock 45; 45 skip @40; 46 ok; next=50; 50 start");
}

#[test]
fn the_grid_ends_with_the_year_9999() {
    check("every=87600h", "253402207000 create; next=none; wake=none");
    check("every=10s", "253402207195 create; next=none; run-now; start; 253402207196 ok; status=success");
    check("every=10s", "253402207185 create; 253402207195 start; next=none; wake=none");
    assert_eq!(jiff::Timestamp::MAX.as_second(), 253_402_207_200, "the cases lie before it");
}

#[test]
fn jitter_delays_each_fire_by_less_than_itself_and_the_grid_does_not_move() {
    let mut world = World::new(1);
    world.play("0 create every=10s jitter=8s start=10");
    let mut delays = Vec::new();
    for instant in (10..2010).step_by(10) {
        let planned = at(&instant.to_string());
        let next = world.job("a").progress.next_run_at.expect("a plan");
        let delay = next.duration_since(planned);
        assert!((0..8000).contains(&delay.as_millis()), "{delay:?} at {instant}");
        delays.push(delay);
        // Not a nanosecond early.
        world.run_until(next, false);
        assert_eq!(world.starts.len(), delays.len() - 1);
        world.run_until(next, true);
        let start = world.starts.last().expect("a start");
        assert_eq!((start.scheduled_at, start.lateness.as_nanos()), (planned, 0));
        world.played();
        world.step_at(next, "ok");
    }
    delays.sort();
    delays.dedup();
    assert!(delays.len() > 190, "each fire draws anew");
    assert!(delays[0].as_millis() < 1000 && delays[delays.len() - 1].as_millis() > 7000, "from the whole span");
}

#[test]
fn an_overdue_job_with_a_jitter_fires_for_the_latest_instant_that_is_due_with_it() {
    let mut world = World::new(1);
    world.play("0 create every=10s jitter=10s start=10");
    for seconds_now in (100..3000).step_by(37) {
        world.now = at(&seconds_now.to_string());
        world.turn(Vec::new(), None);
        let start = world.starts.last().expect("a start").clone();
        assert!(start.lateness.as_nanos() >= 0, "never early");
        let next = world.job("a").progress.next_run_at.expect("a plan");
        assert!(next > world.now, "none that is due is left");
        let planned = world.job("a").progress.state.planned.unwrap_or(next);
        assert_eq!(planned.duration_since(start.scheduled_at).as_secs(), 10, "it was the latest");
        world.played();
        world.step_at(world.now, "ok");
    }
}

#[test]
fn lateness_counts_from_next_run_at() {
    let mut world = World::new(1);
    world.play("0 create every=10s jitter=5s start=10; 0 create every=1h :b");
    let next = world.job("a").progress.next_run_at.expect("a plan");
    world.play("0 clock 19; start @10");
    let start = world.starts.last().expect("a start");
    assert_eq!(start.lateness, at("19").duration_since(next));
    assert_eq!(seconds(start.scheduled_at), "10");
}
