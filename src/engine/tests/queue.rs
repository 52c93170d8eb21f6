//! Runs that wait for a worker, and due jobs that are taken in bites.

use super::harness::{World, check};
use super::words::at;
use crate::engine::{Engine, Turn};

#[test]
fn runs_wait_for_a_worker_first_come_first_served() {
    check(
        "workers=1 once=10 | once=11 | once=12",
        "0 create; create :b; create :c; 10 start; 12 queued=2; 13 ok; start @11 :b; 14 ok :b; start @12 :c; 15 ok :c; queued=0",
    );
}

#[test]
fn a_run_that_waits_for_a_worker_is_going() {
    check(
        "workers=1 every=1h | every=10s",
        "0 create; create :b; 1 run-now; start; 10 queued=1; 20 skip @20 :b; run-now -> running :b; 25 ok; start @10 :b; last=none :b;
         26 ok :b; last=10 :b; next=30 :b",
    );
}

#[test]
fn a_queued_run_survives_a_restart_under_its_run_id_and_its_attempts_begin_at_one() {
    check(
        "workers=1 once=10 | once=11",
        "0 create; create :b; 10 start; 12 queued=1; down; 20 up; lost; start @11 :b; 21 ok :b; status=success :b; wake=none",
    );
}

#[test]
fn what_was_queued_longest_goes_first_after_a_restart_too() {
    check(
        "workers=1 once=13 | once=12 | once=11 | once=10",
        "0 create; create :b; create :c; create :d; 10 start :d; 14 queued=3; down; 20 up; lost :d; start @11 :c; 21 ok :c; start @12 :b;
         22 ok :b; start @13",
    );
}

#[test]
fn a_queued_run_uses_what_a_patch_brought_meanwhile() {
    let mut world = World::new(1);
    world.play("0 create every=1h; create once=10 :b; 1 run-now; start; 11 patch name=new :b; 12 ok; start @10 :b");
    assert_eq!(world.starts[1].spec.name.as_ref(), "new");
}

#[test]
fn due_jobs_are_taken_in_bites_and_the_earliest_first() {
    let mut world = World::new(1);
    for (name, second) in [("a", 14), ("b", 11), ("c", 13), ("d", 12), ("e", 10)] {
        world.play(&format!("0 create once={second} :{name}"));
    }
    let mut engine = Engine::new(9);
    for record in &world.journal {
        engine.apply(record.clone());
    }
    let (now, mut turn) = (at("100"), Turn::default());
    assert!(engine.fire_due(now, 2, &mut turn), "three more are due");
    engine.dispatch(now, 1, &mut turn);
    assert_eq!((turn.starts.len(), engine.next_wake(now)), (1, Some(now)), "one more can start");
    engine.dispatch(now, usize::MAX, &mut turn);
    assert_eq!(engine.next_wake(now), Some(now));
    assert!(engine.fire_due(now, 2, &mut turn));
    assert!(!engine.fire_due(now, 2, &mut turn), "the bite was not full");
    engine.dispatch(now, usize::MAX, &mut turn);
    let order: Vec<_> = turn.starts.iter().map(|start| start.spec.id.as_str()).collect();
    assert_eq!(order, ["e", "b", "d", "c", "a"]);
    let records = engine.take_records(usize::MAX, now, &mut Turn::default());
    assert_eq!(records.iter().map(|record| record.id().as_str()).collect::<Vec<_>>(), order, "one record a job");
    assert_eq!(engine.next_wake(now), None);
}

#[test]
fn a_job_that_is_always_due_starves_nobody() {
    let mut world = World::new(1);
    world.play("0 create every=100ms; create every=10s :b");
    let mut engine = Engine::new(2);
    for record in &world.journal {
        engine.apply(record.clone());
    }
    let mut starts_of_b = 0;
    for second in 10..60 {
        let mut turn = Turn::default();
        engine.fire_due(at(&second.to_string()), 1, &mut turn);
        engine.dispatch(at(&second.to_string()), usize::MAX, &mut turn);
        starts_of_b += turn.starts.iter().filter(|start| start.spec.id.as_str() == "b").count();
    }
    assert!(starts_of_b > 0);
}

#[test]
fn attempts_of_deleted_jobs_hold_their_worker_until_they_end() {
    check(
        "workers=1 once=10 | once=11",
        "0 create; create :b; 10 start; 11 queued=1 :b; 12 delete; in-flight=1 :b; queued=1 :b; 20 ok; start @11 :b",
    );
}
