//! Kept: what happens when the clock of the machine is set, forward and back, while the service runs and while it is down.

use std::collections::BTreeSet;
use std::fs;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::support::{
    Answer, Builder, Ksana, Receiver, Request, WallClock, eventually, every, hourly, once, time, with,
};

const HOUR: i64 = 3_600;
const HOUR_MILLIS: u64 = 3_600_000;

/// Longer than the loop sleeps at most: what it would wrongly do has been done after it.
const A_TURN_MILLIS: u64 = 1_500;

/// So many instants of the ticking job that it would fire more than one again.
const SOME_TICKS_MILLIS: u64 = 2_500;

fn begin() -> Option<(WallClock, Ksana, Receiver)> {
    let (clock, builder) = WallClock::of(Builder::new())?;
    Some((clock, builder.start(), Receiver::start()))
}

/// Waits until the job stands in `jobs.json`, so that the loop has nothing left to do but sleep.
fn await_rest(ksana: &Ksana, id: &str) {
    let has_it = || fs::read_to_string(ksana.jobs_file()).is_ok_and(|text| text.contains(id));
    eventually("a snapshot with the job", || has_it().then_some(()));
}

fn instants(fires: &[Request]) -> Vec<Timestamp> {
    fires.iter().map(Request::scheduled_at).collect()
}

/// Checks that no run and no instant came twice, but for retries.
#[track_caller]
fn nothing_twice(receiver: &Receiver) {
    let (mut runs, mut fires) = (BTreeSet::new(), BTreeSet::new());
    let requests = receiver.requests();
    for fire in requests.iter().filter(|request| request.attempt() == 1) {
        assert!(runs.insert(fire.run_id()), "the run {} came twice", fire.run_id());
        let instant = fire.scheduled_at();
        assert!(fires.insert((fire.path(), instant)), "{instant} came twice at {}", fire.path());
    }
}

#[test]
fn a_step_forward_over_a_once_fires_it_at_once_and_never_again() {
    let Some((clock, ksana, receiver)) = begin() else { return };
    let run_at = clock.ahead(HOUR_MILLIS);
    let id = ksana.create_id(&once(&receiver.url("/once"), run_at));
    await_rest(&ksana, &id);
    clock.step(2 * HOUR);
    receiver.wait_for_path("/once", 1);
    assert_eq!(ksana.await_status(&id, "success")["next_run_at"], "");
    clock.let_pass(&ksana, &receiver, A_TURN_MILLIS);
    assert_eq!(instants(&receiver.at("/once")), [run_at]);
}

/// Steps over many instants of a job that is due at each full hour.
fn check_a_step_over_many(schedule: &Value) {
    let Some((clock, ksana, receiver)) = begin() else { return };
    let at = |time: &str| -> Timestamp { format!("2030-03-05T{time}:00Z").parse().expect("a time") };
    clock.step_to(at("00:30"));
    let job = json!({"name": "at each full hour", "http": {"url": receiver.url("/hour")}, "schedule": schedule});
    let id = ksana.create_id(&job);
    assert_eq!(time(&ksana.job(&id)["next_run_at"]), at("01:00"));
    await_rest(&ksana, &id);
    clock.step(5 * HOUR);
    receiver.wait_for_path("/hour", 1);
    assert_eq!(time(&ksana.await_status(&id, "success")["next_run_at"]), at("06:00"));
    clock.let_pass(&ksana, &receiver, A_TURN_MILLIS);
    assert_eq!(instants(&receiver.at("/hour")), [at("05:00")], "the latest, and no earlier one");
    clock.step(HOUR);
    receiver.wait_for_path("/hour", 2);
    clock.let_pass(&ksana, &receiver, A_TURN_MILLIS);
    assert_eq!(instants(&receiver.at("/hour")), [at("05:00"), at("06:00")], "the grid goes on");
}

#[test]
fn a_step_forward_over_many_instants_of_an_every_fires_the_latest_and_goes_on_along_the_grid() {
    check_a_step_over_many(&json!({"kind": "every", "every": "1h", "start_at": "2030-03-05T00:00:00Z"}));
}

#[test]
fn a_step_forward_over_many_instants_of_a_cron_fires_the_latest_and_goes_on_along_the_grid() {
    check_a_step_over_many(&json!({"kind": "cron", "cron": "0 * * * *"}));
}

/// A job that fires each second, and one that has fired, both before the clock steps back.
struct Fired {
    tick: String,
    once: String,
}

impl Fired {
    fn before_the_step(clock: &WallClock, ksana: &Ksana, receiver: &Receiver) -> Self {
        let tick = ksana.create_id(&every(&receiver.url("/tick"), "1s"));
        let once = ksana.create_id(&once(&receiver.url("/once"), clock.ahead(500)));
        ksana.await_status(&once, "success");
        receiver.wait_for_path("/tick", 2);
        Self { tick, once }
    }

    /// Checks that nothing fires before the clock, which has stepped back from `left`, shows that again.
    #[track_caller]
    fn stays_silent(&self, clock: &WallClock, ksana: &Ksana, receiver: &Receiver, left: Timestamp) {
        clock.let_pass(ksana, receiver, SOME_TICKS_MILLIS);
        let next = time(&ksana.job(&self.tick)["next_run_at"]);
        for instant in instants(&receiver.at("/tick")) {
            assert!(instant <= left, "{instant} came while the clock showed less than {left}");
            assert!(instant < next, "{instant} has fired, and {next} is planned");
        }
        assert_eq!(ksana.job(&self.once)["next_run_at"], "", "it is done");
    }

    /// Checks that the clock, once it is past `left` again, finds both as they were.
    #[track_caller]
    fn goes_on(&self, clock: &WallClock, ksana: &Ksana, receiver: &Receiver, left: Timestamp) {
        eventually("two fires behind the step", || {
            let ticks = instants(&receiver.at("/tick"));
            (ticks.iter().filter(|instant| **instant > left).count() >= 2).then_some(())
        });
        clock.let_pass(ksana, receiver, A_TURN_MILLIS);
        nothing_twice(receiver);
        let ticks = instants(&receiver.at("/tick"));
        for tick in &ticks {
            assert_eq!(tick.duration_since(ticks[0]).subsec_nanos(), 0, "{tick} is not on the grid of {}", ticks[0]);
        }
        assert_eq!(receiver.at("/once").len(), 1);
        assert_eq!(ksana.job(&self.once)["last_status"], "success");
    }
}

#[test]
fn a_step_back_of_seconds_fires_nothing_twice() {
    let Some((clock, ksana, receiver)) = begin() else { return };
    let fired = Fired::before_the_step(&clock, &ksana, &receiver);
    clock.step(-10);
    let left = clock.ahead(10_000);
    fired.stays_silent(&clock, &ksana, &receiver, left);
    // It catches up by itself.
    fired.goes_on(&clock, &ksana, &receiver, left);
}

#[test]
fn a_step_back_of_an_hour_fires_nothing_twice() {
    let Some((clock, ksana, receiver)) = begin() else { return };
    let fired = Fired::before_the_step(&clock, &ksana, &receiver);
    clock.step(-HOUR);
    let left = clock.ahead(HOUR_MILLIS);
    fired.stays_silent(&clock, &ksana, &receiver, left);
    clock.step(HOUR);
    fired.goes_on(&clock, &ksana, &receiver, left);
}

#[test]
fn a_step_back_leaves_a_once_that_is_ahead_where_it_is() {
    let Some((clock, ksana, receiver)) = begin() else { return };
    // So near that the loop may have set its timer for it already.
    let run_at = clock.ahead(5_000);
    let id = ksana.create_id(&once(&receiver.url("/once"), run_at));
    clock.step(-HOUR);
    clock.let_pass(&ksana, &receiver, 5_500);
    let job = ksana.job(&id);
    assert_eq!((time(&job["next_run_at"]), &job["last_status"]), (run_at, &json!("")));
    assert!(receiver.at("/once").is_empty(), "its time has not come");
    clock.step(HOUR);
    receiver.wait_for_path("/once", 1);
    ksana.await_status(&id, "success");
    clock.let_pass(&ksana, &receiver, A_TURN_MILLIS);
    assert_eq!(instants(&receiver.at("/once")), [run_at]);
}

fn end(ksana: &mut Ksana, is_killed: bool) {
    if is_killed {
        ksana.kill();
    } else {
        assert_eq!(ksana.stop(), 0);
    }
}

#[test]
fn what_a_clock_passes_that_steps_forward_while_the_service_is_down_never_fires() {
    for is_killed in [false, true] {
        let Some((clock, mut ksana, receiver)) = begin() else { return };
        let missed = ksana.create_id(&once(&receiver.url("/once"), clock.ahead(HOUR_MILLIS)));
        let hours = ksana.create_id(&hourly(&receiver.url("/hour")));
        let first = time(&ksana.job(&hours)["next_run_at"]);
        end(&mut ksana, is_killed);
        clock.step(5 * HOUR / 2);
        ksana.start_again();
        assert_eq!(ksana.await_status(&missed, "missed")["next_run_at"], "");
        assert_eq!(time(&ksana.job(&hours)["next_run_at"]), first + SignedDuration::from_hours(2));
        clock.let_pass(&ksana, &receiver, A_TURN_MILLIS);
        assert!(receiver.at("/once").is_empty() && receiver.at("/hour").is_empty(), "killed: {is_killed}");
    }
}

#[test]
fn a_clock_that_steps_back_while_the_service_is_down_fires_nothing_twice() {
    for is_killed in [false, true] {
        let Some((clock, mut ksana, receiver)) = begin() else { return };
        let fired = Fired::before_the_step(&clock, &ksana, &receiver);
        end(&mut ksana, is_killed);
        let left = clock.now();
        clock.step(-HOUR);
        ksana.start_again();
        fired.stays_silent(&clock, &ksana, &receiver, left);
        clock.step(HOUR);
        fired.goes_on(&clock, &ksana, &receiver, left);
    }
}

#[test]
fn a_step_neither_ends_nor_prolongs_an_attempt() {
    let Some((clock, ksana, receiver)) = begin() else { return };
    receiver.script("/held", [Answer::ok().held()]);
    receiver.script("/hangs", [Answer::hang()]);
    let held = ksana.create_id(&with(hourly(&receiver.url("/held")), &json!({"timeout": "1m"})));
    ksana.run_now(&held);
    receiver.wait_for_path("/held", 1);
    clock.step(HOUR / 2);
    clock.let_pass(&ksana, &receiver, A_TURN_MILLIS);
    assert_eq!(ksana.job(&held)["last_status"], "", "its minute has not passed");
    receiver.release("/held");
    ksana.await_status(&held, "success");

    let hangs = json!({"timeout": "1s", "max_retries": 0});
    let hangs = ksana.create_id(&with(hourly(&receiver.url("/hangs")), &hangs));
    ksana.run_now(&hangs);
    receiver.wait_for_path("/hangs", 1);
    clock.step(-HOUR / 2);
    ksana.await_status(&hangs, "timeout");
}
