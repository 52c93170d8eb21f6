//! A crash, and what the next process finds. The records are all that it has.

use jiff::Timestamp;

use super::harness::{World, check};
use super::words::at;
use crate::engine::{Command, Engine, Planned, Record, RunNow, Turn};
use crate::job::{Job, JobId, Status};

/// How many late records a turn takes here.
const BITE: usize = 10;

#[test]
fn instants_that_passed_while_the_service_was_down_are_skipped_on_the_same_grid() {
    check("every=10s", "0 create; 10 start; 11 ok; 12 down; 45 up; next=50; status=success; 50 start");
    check("every=10s", "0 create; 5 down; 20 up; next=30; status=");
    check("every=10s start=3", "0 create; 3 start; 4 ok; 5 down; 45 up; next=53");
}

#[test]
fn a_plan_that_lies_ahead_stands() {
    check("every=10s", "0 create; 5 down; 6 up; next=10; 10 start");
    let mut world = World::new(1);
    world.play("0 create every=1h jitter=1h; 10 down");
    world.play("11 up");
    let recovered = world.job("a").progress.clone();
    world.play("12 down; 13 up; 14 down; 15 up");
    assert_eq!(world.job("a").progress, recovered);
    assert_eq!(world.journal.len(), 1, "a start that changes nothing writes nothing");
}

#[test]
fn a_jitter_that_reaches_past_a_restart_is_kept() {
    let mut world = World::new(1);
    world.play("0 create every=1h jitter=1h start=10");
    let next = world.job("a").progress.next_run_at.expect("a plan");
    assert!(next > at("30"), "the draw of this job and instant is long enough for the case");
    world.play("20 down; 30 up; status=");
    assert_eq!(world.job("a").progress.next_run_at, Some(next));
    world.run_until(next, true);
    assert_eq!(world.starts[0].scheduled_at, at("10"));
}

#[test]
fn an_attempt_cut_off_is_retried_while_retries_remain() {
    check(
        "once=10 retries=1 backoff=5s",
        "0 create; 10 start; 11 down; 20 up; wake=25; status=; 25 start #2; 26 ok; status=success; last=10; wake=none",
    );
    check("every=10s retries=1", "0 create; 10 start; 11 down; 14 up; next=20; 19 start #2; 20 ok; start");
    check(
        "every=10s retries=1",
        "0 create; 10 start; 11 down; 16 up; next=20; 20 skip @20; 21 start #2; 22 ok; 30 start",
    );
}

#[test]
fn an_attempt_cut_off_without_retries_left_is_failed() {
    check(
        "once=10 retries=0",
        "0 create; 10 start; 11 down; 20 up; lost; status=failed; error=interrupted by a restart; last=10; wake=none",
    );
    check(
        "once=10 retries=1",
        "0 create; 10 start; 11 down; 20 up; 25 start #2; 26 down; 30 up; lost; status=failed; wake=none",
    );
    check("every=10s", "0 create; 10 start; 11 down; 45 up; lost; next=50; 50 start");
}

#[test]
fn a_run_of_a_paused_job_goes_on_after_a_restart() {
    check(
        "every=10s retries=1",
        "0 create; 10 start; 11 pause; 12 down; 20 up; status=paused; 25 start #2; 26 ok; status=success; next=none; wake=none",
    );
}

#[test]
fn an_accepted_run_now_that_had_not_begun_begins_after_the_restart() {
    let mut world = World::new(1);
    world.play("0 create every=1h; 5 run-now; down; 20 up; start @5; 21 ok; last=5; status=success");
}

#[test]
fn a_fire_sent_again_after_a_crash_bears_the_same_id() {
    let mut world = World::new(1);
    world.play("0 create every=10s retries=1; 10 start; 11 down; 12 up; 17 start #2");
    assert_eq!(world.starts[0].run_id, world.starts[1].run_id);
    // The record of the fire was lost with the crash: the clock of the restart is before it.
    let mut again = World::new(2);
    again.play("0 create every=10s; 9 down; 9 up; 10 start");
    assert_eq!(again.starts[0].run_id, world.starts[0].run_id);
    again.play("11 ok; 20 start; 21 ok; create every=10s start=10 :b; 30 start; start :b");
    assert_ne!(again.starts[2].run_id, again.starts[3].run_id, "another job's is another");
}

#[test]
fn what_was_paused_deleted_and_changed_is_so_after_a_restart() {
    check("every=10s", "0 create; 5 pause; 6 down; 33 up; status=paused; enabled=false; wake=none; 35 resume; next=40");
    check("every=10s", "0 create; 5 delete; 6 down; 33 up; job=gone");
    check("every=10s", "0 create; 5 patch every=7s name=x; 6 down; 33 up; next=40; name=x");
}

#[test]
fn many_restarts_are_like_one() {
    check(
        "every=10s",
        "0 create; 1 down; 2 up; 3 down; 14 up; 15 down; 27 up; next=30; 30 start; 31 down; 32 up; lost; next=40; 40 start",
    );
}

/// Jobs like this one, more than two bites of them.
fn many(schedule: &str) -> Vec<Record> {
    let mut world = World::new(1);
    world.play(&format!("0 create {schedule}"));
    let template = world.job("a").clone();
    let named = |number: usize| {
        let mut spec = (*template.spec).clone();
        spec.id = id(number);
        Record::Put(Job { spec: spec.into(), progress: template.progress.clone() })
    };
    (0..2 * BITE + 7).map(named).collect()
}

fn id(number: usize) -> JobId {
    JobId::parse(&format!("j{number:05}")).expect("an id")
}

fn started(records: &[Record], now: Timestamp) -> Engine {
    let mut engine = Engine::new(1);
    for record in records {
        engine.apply(record.clone());
    }
    engine.recover(now);
    engine
}

fn take(engine: &mut Engine, bite: usize) -> Vec<Record> {
    engine.take_records(bite, at("60"), &mut Turn::default())
}

/// How many of them say how a job is.
fn changes(records: &[Record]) -> usize {
    records.iter().filter(|record| !matches!(record, Record::Run(_))).count()
}

fn jobs(engine: &Engine) -> Vec<Job> {
    engine.jobs().cloned().collect()
}

#[test]
fn what_a_recovery_changed_goes_into_records_in_bites_by_id() {
    let mut stored = many("once=10");
    let (count, now) = (stored.len(), at("45"));
    let mut engine = started(&stored, now);
    let mut taken = Vec::new();
    for bite in [BITE, BITE, 7] {
        assert_eq!(engine.next_wake(now), Some(now), "there is more to write down");
        let records = take(&mut engine, BITE);
        assert_eq!(changes(&records), bite);
        taken.extend(records);
    }
    assert_eq!(engine.next_wake(now), None);
    let about: Vec<_> = taken.chunks(2).map(|records| records.iter().map(Record::id).collect::<Vec<_>>()).collect();
    let expected: Vec<_> = (0..count).map(id).collect();
    assert!(
        about.iter().eq(expected.iter().map(|id| vec![id, id]).collect::<Vec<_>>().iter()),
        "each beside its outcome"
    );
    stored.extend(taken);
    assert_eq!(jobs(&started(&stored, at("46"))), jobs(&engine), "another start finds nothing to change");
}

#[test]
fn what_could_not_be_written_comes_again_once_a_job_and_as_it_is_then() {
    let mut stored = many("every=10s");
    let mut engine = started(&stored, at("45"));
    while !take(&mut engine, BITE).is_empty() {}
    for second in ["50", "60"] {
        let mut turn = Turn::default();
        while engine.fire_due(at(second), 1_000, &mut turn) {}
        engine.dispatch(at(second), usize::MAX, &mut turn);
        let records = take(&mut engine, BITE);
        assert_eq!(changes(&records), stored.len());
        engine.unwritten(records);
        assert_eq!(engine.next_wake(at(second)), Some(at(second) + jiff::SignedDuration::from_secs(10)));
        assert!(take(&mut engine, BITE).is_empty(), "it would fail again");
    }
    engine.write_again();
    let mut again = Vec::new();
    while engine.next_wake(at("60")) == Some(at("60")) {
        let records = take(&mut engine, BITE);
        assert!(changes(&records) <= BITE);
        again.extend(records);
    }
    assert_eq!(changes(&again), stored.len());
    stored.extend(again);
    let mut other = Engine::new(1);
    for record in stored {
        other.apply(record);
    }
    assert_eq!(jobs(&other), jobs(&engine));
}

/// Whatever happens to such a job first, its record is written with that, in time and once.
#[test]
fn what_happens_between_the_bites_is_written_with_its_turn() {
    let mut stored = many("once=10");
    let (last, deleted) = (id(stored.len() - 1), id(stored.len() - 2));
    let mut engine = started(&stored, at("45"));
    stored.extend(take(&mut engine, BITE));

    let asked = RunNow { run_id: uuid::Uuid::from_u128(1), ..RunNow::default() };
    let run_now = Command::RunNow { id: last.clone(), asked };
    for command in [run_now, Command::Delete(deleted.clone())] {
        let Ok(Planned { record: Some(record), .. }) = engine.plan(&command, at("46")) else { panic!("{command:?}") };
        engine.apply(record.clone());
        stored.push(record);
    }
    // Another one comes into the slot of the one that is gone.
    let Some(Record::Put(mut fresh)) = many("every=100s").pop() else { unreachable!("they are put") };
    fresh.spec = std::sync::Arc::new(crate::job::Spec { id: id(90_000), ..(*fresh.spec).clone() });
    stored.push(Record::Put(fresh.clone()));
    engine.apply(Record::Put(fresh));

    let mut turn = Turn::default();
    engine.dispatch(at("46"), usize::MAX, &mut turn);
    assert_eq!(turn.starts.iter().map(|start| &start.spec.id).collect::<Vec<_>>(), [&last]);
    let records = take(&mut engine, BITE);
    assert_eq!(records[0].id(), &last, "a fire is on the disk before its request is sent");
    stored.extend(records);
    stored.extend(take(&mut engine, BITE));
    assert!(take(&mut engine, BITE).is_empty());
    let about = |wanted: &JobId| stored.iter().filter(|record| record.id() == wanted).count();
    assert_eq!((about(&last), about(&deleted), about(&id(90_000))), (4, 3, 1));

    let mut again = Engine::new(1);
    for record in stored {
        again.apply(record);
    }
    assert_eq!(jobs(&again), jobs(&engine), "a recovery sees what runs");
}

#[test]
fn a_crash_between_the_bites_leaves_the_rest_to_the_next_recovery() {
    let mut stored = many("once=10");
    let mut engine = started(&stored, at("45"));
    stored.extend(take(&mut engine, BITE));
    let again = started(&stored, at("63"));
    assert!(again.jobs().all(|job| job.progress.last_status == Status::Missed));
    assert_eq!(jobs(&again), jobs(&engine), "both halves come to the same");
}

/// A million of them would be a journal to be read at the next start, which plans them again anyway.
#[test]
fn a_new_plan_alone_goes_into_no_record() {
    let mut stored = many("every=10s");
    for record in &mut stored {
        let Record::Put(job) = record else { unreachable!("they are put") };
        // As a person writes it.
        job.progress.next_run_at = None;
    }
    let mut engine = started(&stored, at("45"));
    assert!(take(&mut engine, usize::MAX).is_empty());
    assert!(engine.jobs().all(|job| job.progress.next_run_at == Some(at("50"))));
    assert_eq!(jobs(&started(&stored, at("46"))), jobs(&engine), "the next recovery makes it again");
}
