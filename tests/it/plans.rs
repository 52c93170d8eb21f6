//! Kept: what happens when — once, every, pause, resume, and time that passed without us.

use jiff::Timestamp;
use rustix::process::Signal;
use serde_json::json;

use crate::support::{
    Ksana, Receiver, Request, ago, ahead, await_clock, eventually, every, hourly, now, once, time, with,
};

/// Checks that every fire is of an instant of the grid, each of another, none early.
#[track_caller]
fn on_the_grid(fires: &[Request], anchor: Timestamp, every_ms: i128) {
    for fire in fires {
        let offset = fire.scheduled_at().duration_since(anchor).as_nanos();
        assert_eq!(offset % (every_ms * 1_000_000), 0, "{} is not on the grid", fire.scheduled_at());
        assert!(fire.at >= fire.scheduled_at(), "{} came before {}", fire.at, fire.scheduled_at());
    }
    for pair in fires.windows(2) {
        assert!(pair[0].scheduled_at() < pair[1].scheduled_at(), "an instant is fired once, in order");
    }
}

#[test]
fn once_runs_at_run_at_and_then_never_again() {
    let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
    let run_at = ahead(400);
    let id = ksana.create_id(&once(&receiver.url("/once"), run_at));
    assert_eq!(time(&ksana.job(&id)["next_run_at"]), run_at);
    let fire = receiver.wait_for_path("/once", 1).remove(0);
    assert!(fire.at >= run_at, "{} is early", fire.at);
    assert_eq!(fire.scheduled_at(), run_at);
    let done = ksana.await_status(&id, "success");
    assert_eq!((&done["next_run_at"], &done["last_error"]), (&json!(""), &json!("")));
    assert!(time(&done["last_run_at"]) >= run_at);

    ksana.restart();
    ksana.act(&id, "resume").expect(200);
    ksana.patch(&id, &json!({"name": "renamed", "enabled": true})).expect(200);
    ksana.let_pass(&receiver, 300);
    assert_eq!(receiver.at("/once").len(), 1);
    let after = ksana.job(&id);
    assert_eq!((&after["last_status"], &after["next_run_at"]), (&json!("success"), &json!("")));
}

#[test]
fn once_that_passed_while_the_service_was_down_is_missed() {
    for killed in [false, true] {
        let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
        let run_at = ahead(1000);
        let id = ksana.create_id(&once(&receiver.url("/missed"), run_at));
        if killed {
            ksana.kill();
        } else {
            assert_eq!(ksana.stop(), 0);
        }
        await_clock(run_at);
        ksana.start_again();
        assert_eq!(ksana.await_status(&id, "missed")["next_run_at"], "");
        ksana.let_pass(&receiver, 200);
        assert_eq!(receiver.at("/missed").len(), 0, "never run");
    }
}

#[test]
fn once_that_passed_while_paused_is_missed_when_resumed() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let run_at = ahead(600);
    let id = ksana.create_id(&once(&receiver.url("/missed"), run_at));
    ksana.act(&id, "pause").expect(200);
    await_clock(run_at);
    ksana.act(&id, "resume").expect(200);
    ksana.await_status(&id, "missed");
    ksana.let_pass(&receiver, 200);
    assert_eq!(receiver.at("/missed").len(), 0);
}

#[test]
fn once_that_is_resumed_in_time_runs() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let run_at = ahead(800);
    let id = ksana.create_id(&once(&receiver.url("/once"), run_at));
    ksana.act(&id, "pause").expect(200);
    ksana.act(&id, "resume").expect(200);
    assert_eq!(time(&ksana.job(&id)["next_run_at"]), run_at);
    assert_eq!(receiver.wait_for_path("/once", 1)[0].scheduled_at(), run_at);
}

#[test]
fn every_fires_on_the_grid_of_start_at_also_one_in_the_past() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    for (path, start_at) in [("/past", ago(3_600_123)), ("/ahead", ahead(500))] {
        let schedule = json!({"schedule": {"start_at": start_at.to_string()}});
        let id = ksana.create_id(&with(every(&receiver.url(path), "150ms"), &schedule));
        let fires = receiver.wait_for_path(path, 4);
        on_the_grid(&fires, start_at, 150);
        assert!(fires[0].scheduled_at() >= start_at);
        ksana.delete(&id).expect(204);
    }
    let first = &receiver.at("/ahead")[0];
    assert!(first.at >= first.scheduled_at());
}

#[test]
fn every_without_a_start_at_counts_from_creation_through_pauses_and_restarts() {
    let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
    let before = now();
    let job = ksana.create(&every(&receiver.url("/tick"), "200ms"));
    let after = now();
    let id = job["id"].as_str().expect("a job has an id");
    let first = time(&job["next_run_at"]);
    let anchor = first - std::time::Duration::from_millis(200);
    assert!(before <= anchor && anchor <= after, "{anchor} is not the creation, {before} to {after}");
    receiver.wait_for_path("/tick", 2);
    ksana.act(id, "pause").expect(200);
    ksana.act(id, "resume").expect(200);
    let count = receiver.at("/tick").len();
    receiver.wait_for_path("/tick", count + 2);
    ksana.restart();
    let count = receiver.at("/tick").len();
    receiver.wait_for_path("/tick", count + 2);
    ksana.kill();
    ksana.start_again();
    let count = receiver.at("/tick").len();
    let fires = receiver.wait_for_path("/tick", count + 2);
    for fire in &fires {
        let offset = fire.scheduled_at().duration_since(first).as_nanos();
        assert_eq!(offset % 200_000_000, 0, "{} drifted", fire.scheduled_at());
    }
}

#[test]
fn every_keeps_its_grid_whatever_a_run_takes() {
    use crate::support::Answer;
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/slow", [Answer::ok().delayed(130)]);
    let start_at = ago(1000);
    let schedule = json!({"schedule": {"start_at": start_at.to_string()}});
    ksana.create(&with(every(&receiver.url("/slow"), "200ms"), &schedule));
    on_the_grid(&receiver.wait_for_path("/slow", 5), start_at, 200);
}

#[test]
fn instants_that_passed_while_the_service_was_down_are_skipped() {
    let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
    let start_at = ago(50);
    let schedule = json!({"schedule": {"start_at": start_at.to_string()}});
    ksana.create(&with(every(&receiver.url("/tick"), "250ms"), &schedule));
    receiver.wait_for_path("/tick", 1);
    assert_eq!(ksana.stop(), 0);
    let count = receiver.at("/tick").len();
    await_clock(ahead(1100));
    ksana.start_again();
    let fires = receiver.wait_for_path("/tick", count + 3);
    for fire in &fires[count..] {
        assert!(fire.scheduled_at() >= ksana.launched_at, "{} had passed", fire.scheduled_at());
    }
    on_the_grid(&fires, start_at, 250);
}

#[test]
fn instants_that_passed_while_the_job_was_paused_are_skipped() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let start_at = ago(50);
    let schedule = json!({"schedule": {"start_at": start_at.to_string()}});
    let id = ksana.create_id(&with(every(&receiver.url("/tick"), "150ms"), &schedule));
    receiver.wait_for_path("/tick", 1);
    ksana.act(&id, "pause").expect(200);
    ksana.let_pass(&receiver, 200);
    let count = receiver.at("/tick").len();
    ksana.let_pass(&receiver, 600);
    assert_eq!(receiver.at("/tick").len(), count, "a paused job does not fire");
    let resumed = now();
    ksana.act(&id, "resume").expect(200);
    let fires = receiver.wait_for_path("/tick", count + 2);
    for fire in &fires[count..] {
        assert!(fire.scheduled_at() >= resumed, "{} had passed", fire.scheduled_at());
    }
    on_the_grid(&fires, start_at, 150);
}

#[test]
fn pause_and_resume_say_what_they_did_to_the_plan() {
    let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
    let id =
        ksana.create_id(&with(hourly(&receiver.url("/")), &json!({"schedule": {"start_at": "2099-01-01T00:00:00Z"}})));
    for _ in 0..2 {
        ksana.act(&id, "pause").expect(200);
        let job = ksana.job(&id);
        assert_eq!(job["enabled"], false);
        assert_eq!((&job["next_run_at"], &job["last_status"]), (&json!(""), &json!("paused")));
    }
    ksana.restart();
    assert_eq!(ksana.job(&id)["enabled"], false, "a pause outlasts a restart");
    assert_eq!(ksana.job(&id)["next_run_at"], "");
    for _ in 0..2 {
        ksana.act(&id, "resume").expect(200);
        let job = ksana.job(&id);
        assert_eq!((&job["enabled"], &job["next_run_at"]), (&json!(true), &json!("2099-01-01T00:00:00Z")));
    }
}

#[test]
fn jitter_delays_each_fire_and_leaves_the_grid() {
    let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
    let start_at = ago(10);
    let tick = json!({"schedule": {"start_at": start_at.to_string(), "jitter": "200ms"}});
    ksana.create(&with(every(&receiver.url("/tick"), "250ms"), &tick));

    let far = json!({"schedule": {"start_at": "2099-01-01T00:00:00Z", "jitter": "30m"}});
    let (grid, most) = ("2099-01-01T00:00:00Z", "2099-01-01T00:30:00Z");
    let mut planned = Vec::new();
    for _ in 0..20 {
        let job = ksana.create(&with(hourly(&receiver.url("/")), &far));
        let next = time(&job["next_run_at"]);
        assert!(next >= grid.parse().expect("a time") && next <= most.parse().expect("a time"), "{next}");
        planned.push((job["id"].as_str().expect("a job has an id").to_owned(), next));
    }
    assert!(planned.iter().any(|(_, next)| *next != planned[0].1), "twenty draws are not all alike");

    on_the_grid(&receiver.wait_for_path("/tick", 4), start_at, 250);
    ksana.kill();
    ksana.start_again();
    for (id, next) in planned {
        assert_eq!(time(&ksana.job(&id)["next_run_at"]), next, "drawn once per fire");
    }
}

#[test]
fn a_job_that_became_overdue_while_suspended_fires_once_for_its_latest_instant() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let start_at = ago(50);
    let schedule = json!({"schedule": {"start_at": start_at.to_string()}});
    ksana.create(&with(every(&receiver.url("/tick"), "200ms"), &schedule));
    let run_at = ahead(900);
    let id = ksana.create_id(&once(&receiver.url("/once"), run_at));
    receiver.wait_for_path("/tick", 1);

    ksana.signal(Signal::STOP);
    let stat = format!("/proc/{}/stat", ksana.pid().as_raw_nonzero());
    eventually("the daemon to stand still", || {
        std::fs::read_to_string(&stat).expect("it lives").contains(") T ").then_some(())
    });
    let stopped = now();
    await_clock(run_at.max(ahead(1300)));
    let continued = now();
    ksana.signal(Signal::CONT);

    receiver.wait_for_path("/once", 1);
    assert_eq!(receiver.at("/once")[0].scheduled_at(), run_at, "up but late is not missed");
    ksana.await_status(&id, "success");
    ksana.let_pass(&receiver, 500);
    let fires = receiver.at("/tick");
    on_the_grid(&fires, start_at, 200);
    let slept = |fire: &&Request| fire.scheduled_at() > stopped && fire.scheduled_at() < continued;
    assert!(fires.iter().filter(slept).count() <= 1, "earlier ones are skipped");
    assert_eq!(receiver.at("/once").len(), 1);
}

#[test]
fn a_job_that_is_due_sooner_than_all_others_is_waited_for() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    ksana.create(&hourly(&receiver.url("/far")));
    let mut late_ms: Vec<i64> = (0..7)
        .map(|round| {
            let (path, run_at) = (format!("/near-{round}"), ahead(300));
            ksana.create(&once(&receiver.url(&path), run_at));
            let fire = receiver.wait_for_path(&path, 1).remove(0);
            i64::try_from(fire.at.duration_since(run_at).as_millis()).expect("it is not that late")
        })
        .collect();
    late_ms.sort_unstable();
    // A timer that was not moved would wake a whole second after the last time, whenever the job is due.
    assert!(late_ms[3] < 250, "{late_ms:?} ms late");
    assert_eq!(receiver.at("/far").len(), 0);
}

#[test]
fn jobs_that_are_due_at_one_instant_all_fire() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let run_at = ahead(4000);
    for _ in 0..200 {
        ksana.create(&once(&receiver.url("/herd"), run_at));
    }
    let fires = receiver.wait_for_path("/herd", 200);
    assert!(fires.iter().all(|fire| fire.at >= run_at && fire.scheduled_at() == run_at));
    let mut runs: Vec<&str> = fires.iter().map(Request::run_id).collect();
    runs.sort_unstable();
    runs.dedup();
    assert_eq!(runs.len(), 200);
    assert!(receiver.in_flight_most() <= 4, "WORKERS are the most at once");
}
