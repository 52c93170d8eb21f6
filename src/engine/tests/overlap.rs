//! The length of a run × `overlap`: what becomes of a fire that is due while a run is going.

use super::harness::check;

#[test]
fn a_run_that_ends_in_time_meets_nothing() {
    for overlap in ["overlap=skip", "overlap=queue", "allow=2", "overlap=replace"] {
        check(
            &format!("every=10s {overlap}"),
            "0 create; 10 start; 19 ok; 20 start; 30 ok; start; 31 ok; status=success",
        );
    }
}

#[test]
fn by_default_the_fire_is_skipped() {
    for skip in ["", "overlap=skip"] {
        check(&format!("every=10s {skip}"), "0 create; 10 start; 20 skip @20; 30 skip @30; 35 ok; 40 start");
    }
}

#[test]
fn with_queue_one_waits_for_the_end_and_of_several_the_newest() {
    check(
        "every=10s overlap=queue",
        "0 create; 10 start; 20 status=; next=30; 25 ok; start @20; last=10; 26 ok; 30 start",
    );
    check(
        "every=10s overlap=queue",
        "0 create; 10 start; 30 skip @20; status=skipped; 35 ok; start @30; status=success; 36 ok; last=30; 40 start",
    );
    check(
        "every=10s overlap=queue retries=1 backoff=12s",
        "0 create; 10 start; 11 fail; 23 start #2; 24 ok; start @20",
    );
    check("every=10s overlap=queue", "0 create; 5 run-now; start; 10 run-now -> running; 11 ok; start @10");
}

#[test]
fn what_waits_behind_a_run_outlasts_a_restart() {
    check(
        "every=10s overlap=queue",
        "0 create; 10 start; 20 status=; 22 down; 25 up; lost; start @20; 26 ok; 30 start",
    );
    check("every=10s overlap=queue", "0 create; 10 start; 20 status=; down; 45 up; lost; start @20; 46 ok; 50 start");
}

#[test]
fn a_pause_and_another_schedule_forget_what_waits_behind_a_run() {
    check(
        "every=10s overlap=queue",
        "0 create; 10 start; 20 status=; 21 pause; skip @20; status=paused; 22 ok; wake=none",
    );
    check("every=10s overlap=queue", "0 create; 10 start; 20 status=; 21 patch every=60s; skip @20; 22 ok; wake=81");
    check(
        "every=10s overlap=queue end=25",
        "0 create; 10 start; 20 enabled=false; 21 pause; skip @20; 22 ok; wake=none",
    );
    let by_patch = "0 create; 10 start; 20 enabled=false; 21 patch paused=; skip @20; 22 ok; wake=none";
    check("every=10s overlap=queue end=25", by_patch);
    check("every=10s overlap=queue", "0 create; 10 start; 20 status=; 21 delete; skip @20; 22 ok; job=gone");
}

#[test]
fn with_allow_so_many_run_side_by_side() {
    check(
        "every=10s allow=2",
        "0 create; 10 start; 20 start; 30 skip @30; in-flight=2; 31 ok; last=10; in-flight=1; 40 start; 41 ok; last=20",
    );
    check("every=10s allow=2", "0 create; 10 start; run-now; start; run-now -> running; 20 skip @20");
    check("every=10s allow=2 retries=1", "0 create; 10 start; 12 fail; 17 start #2; 20 start; 21 ok; 22 ok; last=20");
    check("every=10s allow=3", "0 create; 10 start; 20 start; down; 25 up; lost; lost; 30 start");
    check("workers=1 every=10s allow=3", "0 create; 10 start; 30 queued=2; 31 ok; start @20; 32 ok; start @30");
}

#[test]
fn with_replace_the_run_is_cancelled_and_the_new_one_begins() {
    check(
        "every=10s overlap=replace",
        "0 create; 10 start; 20 cancelled; start; status=failed; last=10;
         error=cancelled: the fire of 1970-01-01T00:00:20Z took its place; in-flight=2; 21 ok; status=success; last=20;
         22 ok; in-flight=0; status=success",
    );
    check(
        "every=10s overlap=replace retries=1 backoff=15s",
        "0 create; 10 start; 11 fail; 20 cancelled; start; 21 ok; wake=30",
    );
    // What is let go holds its worker until it is back.
    check("workers=1 every=10s overlap=replace", "0 create; 10 start; 20 cancelled; queued=1; 21 ok; start @20");
}

#[test]
fn the_fire_of_a_once_is_never_skipped() {
    for overlap in ["overlap=skip", "overlap=queue"] {
        check(
            &format!("once=10 {overlap}"),
            "0 create; 5 run-now; start; 10 next=10; 11 ok; start @10; 12 ok; next=none",
        );
    }
    check("once=10 allow=2", "0 create; 5 run-now; start; 10 start; next=none; 11 ok; 12 ok; last=10");
    check("once=10 overlap=replace", "0 create; 5 run-now; start; 10 cancelled; start; 11 ok; last=10; status=success");
}

#[test]
fn what_waits_begins_when_another_policy_gives_it_room() {
    check("once=10", "0 create; 5 run-now; start; 10 next=10; 11 patch allow=2; start @10; in-flight=2");
    check(
        "every=10s misfire=all",
        "0 create; down; 25 up; make-up @10-20 2; start @10; 26 patch misfire=skip; 27 ok; 30 start",
    );
    check("every=10s overlap=queue", "0 create; 10 start; 20 status=; 21 patch allow=2; start @20; in-flight=2");
    check(
        "every=10s overlap=queue",
        "0 create; 10 start; 20 status=; 21 patch overlap=replace; skip @20; status=skipped",
    );
}

/// The clock stepped back, and the schedule was set anew: its next instant is one that goes already.
#[test]
fn an_instant_that_goes_never_goes_beside_itself() {
    check("every=10s start=10 allow=3", "0 create; 10 start; clock 5; patch every=5s; next=10; 10 skip @10; 15 start");
    check(
        "every=10s start=10 allow=3 misfire=all",
        "0 create; 10 start; clock 5; patch every=5s; clock 16; 16 make-up @10-15 2; start @15; in-flight=2",
    );
    check(
        "once=10 allow=3",
        "0 create; 10 start; clock 5; patch once=12; patch once=10; 10 in-flight=1; next=none; 11 ok",
    );
}

#[test]
fn max_runs_bounds_what_waits_behind_a_run_too() {
    check(
        "every=10s overlap=queue misfire=all max=2",
        "0 create; 10 start; 20 status=; down; 45 up; make-up @30-40 2; lost; skip @20; start @30; enabled=false; 46 ok; wake=none",
    );
}

/// A run that is replaced while it waits for a worker leaves its place to the new one, or a job whose period is shorter
/// than the wait would never have its turn.
#[test]
fn who_replaces_a_run_that_waits_for_a_worker_waits_in_its_place() {
    check(
        "workers=1 every=10s start=5 overlap=replace|once=4|once=6",
        "0 create; create :b; create :c; 4 start :b; 15 cancelled; 16 ok :b; start @15; 17 ok; start @6 :c",
    );
}

#[test]
fn only_runs_that_begin_count_towards_max_runs() {
    check(
        "every=10s overlap=queue max=2",
        "0 create; 10 start; 30 skip @20; enabled=true; 31 ok; start @30; enabled=false",
    );
    check("every=10s allow=2 max=2", "0 create; 10 start; 20 start; enabled=false; next=none");
    check(
        "every=10s overlap=replace max=2",
        "0 create; 10 start; 20 cancelled; start; enabled=false; 21 ok; wake=none",
    );
}
