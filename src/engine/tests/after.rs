//! A fixed delay from the end of one run to the start of the next.

use super::harness::check;

#[test]
fn the_delay_counts_from_the_end_of_the_run() {
    check(
        "after=10s",
        "0 create; next=10; 10 start; next=none; 15 ok; next=25; 25 start; 70 refuse; next=80; 80 start",
    );
    check("after=10s retries=1", "0 create; 10 start; 11 fail; next=none; 16 start #2; 17 fail; next=27");
    check("after=10s", "0 create; 5 run-now; start; next=none; 6 ok; next=16; 16 start");
}

#[test]
fn start_at_is_the_first_instant() {
    check("after=10s start=25", "0 create; next=25; 25 start; 26 ok; next=36");
    check("after=10s start=3", "5 create; next=15");
    check("after=10s start=25", "0 create; 1 run-now; start; 2 ok; next=25");
    check("after=60s start=25", "0 create; 1 run-now; start; 2 ok; next=62");
}

#[test]
fn a_first_instant_that_was_taken_does_not_come_again() {
    check("after=10s start=100", "0 create; 100 start; clock 50; 51 ok; next=61");
    check("after=10s start=100", "0 create; 100 start; 101 ok; clock 50; pause; resume; next=60");
}

#[test]
fn it_comes_to_an_end() {
    check("after=10s max=2", "0 create; 10 start; 11 ok; 21 start; enabled=false; 22 ok; next=none; wake=none");
    check("after=10s end=25", "0 create; 10 start; 11 ok; next=21; 21 start; 22 ok; enabled=false; wake=none");
    check("after=10s max=1", "0 create; 10 start; 11 ok; enabled=false; 12 run-now; start; 13 ok; wake=none");
}

#[test]
fn a_pause_and_a_resume_begin_the_delay_anew() {
    check("after=10s", "0 create; 5 pause; next=none; 20 resume; next=30");
    check("after=10s", "0 create; 10 start; 11 pause; 12 ok; next=none; wake=none; 20 resume; next=30");
    check("after=10s", "0 create; 10 start; 11 pause; 12 resume; next=none; 21 ok; next=31; 31 start");
    check("after=60s", "0 create; 60 start; 61 patch after=10s; next=none; 70 ok; next=80");
    check("after=30s", "0 create; 30 start; 31 pause until 35; 64 ok; next=94");
    check("after=10s max=1", "0 create; 10 start; 11 pause; 12 resume; 13 ok; enabled=false; wake=none");
}

#[test]
fn a_restart_keeps_what_lies_ahead_and_ends_what_was_cut_off() {
    check("after=10s", "0 create; 10 start; 15 ok; down; 20 up; next=25; 25 start");
    check("after=10s", "0 create; 10 start; down; 20 up; lost; next=30; 30 start");
    check("after=10s retries=1", "0 create; 10 start; down; 20 up; next=none; 25 start #2; 26 ok; next=36");
    check("after=10s jitter=5s start=5", "0 create; down; 2 up; down; 3 up; 4 job=there");
    // A clock that was set back by an hour delays nothing by an hour.
    check("after=10s", "4000 create; 4010 start; 4015 ok; next=4025; down; 400 up; next=410");
}

#[test]
fn it_overlaps_with_nothing_whatever_is_allowed() {
    for overlap in ["overlap=queue", "allow=2", "overlap=replace"] {
        check(&format!("after=10s {overlap}"), "0 create; 10 start; 60 in-flight=1; 61 ok; next=71; 71 start");
    }
}
