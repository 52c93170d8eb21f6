//! New: `misfire` and `misfire_window`, what becomes of fires that were due while nothing could run.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use jiff::Timestamp;
use rustix::process::Signal;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Answer, Ksana, Receiver, Request, ahead, await_clock, eventually, every, now, once, with};

/// The instants of a job, of which none passes before the service can be down, and the last before it is up again.
struct Outage {
    instants: Vec<Timestamp>,
    millis: u64,
}

impl Outage {
    fn of(count: u32, millis: u64) -> Self {
        let first = ahead(1_700);
        Self { instants: (0..count).map(|k| first + Duration::from_millis(millis) * k).collect(), millis }
    }

    fn first(&self) -> Timestamp {
        self.instants[0]
    }

    fn last(&self) -> Timestamp {
        self.instants[self.instants.len() - 1]
    }

    /// A job that is due then, and no more afterwards.
    fn job(&self, url: &str, change: &Value) -> Value {
        let schedule = json!({"start_at": self.first().to_string(), "end_at": self.last().to_string()});
        let job = with(every(url, &format!("{}ms", self.millis)), &json!({"schedule": schedule}));
        with(job, change)
    }

    fn pass(&self, ksana: &mut Ksana, is_killed: bool) {
        ksana.end(is_killed);
        assert!(now() < self.first(), "the machine is too slow: it was up when the first was due");
        await_clock(self.last());
        ksana.start_again();
    }
}

fn instants(fires: &[Request]) -> Vec<Timestamp> {
    fires.iter().map(Request::scheduled_at).collect()
}

/// Waits until so many runs have succeeded. The schedule may be over before its last run is.
fn await_runs(ksana: &Ksana, id: &str, count: usize) {
    let succeeded = || ksana.log.find("info", &["run succeeded", id]).len();
    eventually(&format!("{count} runs of {id} to succeed"), || (succeeded() >= count).then_some(()));
}

#[test]
fn by_default_and_with_skip_what_passed_is_never_called() {
    for is_killed in [true, false] {
        let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
        let outage = Outage::of(4, 300);
        for (path, change) in [("/default", json!({})), ("/skip", json!({"misfire": "skip"}))] {
            ksana.create(&outage.job(&receiver.url(path), &change));
        }
        let endless = json!({"misfire": "skip", "schedule": {"end_at": ""}});
        ksana.create(&outage.job(&receiver.url("/endless"), &endless));
        outage.pass(&mut ksana, is_killed);
        let fires = receiver.wait_for_path("/endless", 2);
        assert!(fires[0].scheduled_at() > ksana.launched_at, "{} had passed", fires[0].scheduled_at());
        assert_eq!((receiver.at("/default").len(), receiver.at("/skip").len()), (0, 0), "killed: {is_killed}");
    }
}

#[test]
fn with_once_the_latest_is_called_once() {
    for is_killed in [true, false] {
        let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
        let outage = Outage::of(4, 300);
        let id = ksana.create_id(&outage.job(&receiver.url("/once"), &json!({"misfire": "once"})));
        outage.pass(&mut ksana, is_killed);
        await_runs(&ksana, &id, 1);
        ksana.end(is_killed);
        ksana.start_again();
        ksana.let_pass(&receiver, 200);
        assert_eq!(instants(&receiver.at("/once")), [outage.last()], "killed: {is_killed}");
    }
}

#[test]
fn with_all_each_is_called_once_the_oldest_first_and_one_at_a_time() {
    for is_killed in [true, false] {
        let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
        receiver.script("/all", [Answer::ok().delayed(60)]);
        let outage = Outage::of(4, 300);
        let id = ksana.create_id(&outage.job(&receiver.url("/all"), &json!({"misfire": "all"})));
        outage.pass(&mut ksana, is_killed);
        await_runs(&ksana, &id, 4);
        let fires = receiver.at("/all");
        assert_eq!(instants(&fires), outage.instants, "killed: {is_killed}");
        assert_eq!(receiver.in_flight_most(), 1, "one at a time");
        let runs: BTreeSet<&str> = fires.iter().map(Request::run_id).collect();
        assert_eq!(runs.len(), 4, "each has a run of its own");
        for fire in &fires {
            let run = Uuid::parse_str(fire.run_id()).expect("a run id is a UUID");
            assert_eq!((run.get_version_num(), fire.attempt()), (5, 1), "as if it had come in time");
            assert!(fire.at >= ksana.launched_at);
        }
        ksana.end(is_killed);
        ksana.start_again();
        ksana.let_pass(&receiver, 200);
        assert_eq!(receiver.at("/all").len(), 4, "none twice");
    }
}

#[test]
fn behind_what_is_made_up_for_the_grid_goes_on() {
    let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
    let outage = Outage::of(4, 300);
    ksana.create(&outage.job(&receiver.url("/tick"), &json!({"misfire": "all", "schedule": {"end_at": ""}})));
    outage.pass(&mut ksana, true);
    let up = now();
    let fires = eventually("two fires that were due later", || {
        let fires = receiver.at("/tick");
        (fires.iter().filter(|fire| fire.scheduled_at() > up).count() >= 2).then_some(fires)
    });
    let instants = instants(&fires);
    assert_eq!(instants[..4], outage.instants);
    for pair in instants.windows(2) {
        let distance = pair[1].duration_since(pair[0]).as_nanos();
        assert!(distance > 0 && distance % 300_000_000 == 0, "{} after {}", pair[1], pair[0]);
    }
}

#[test]
fn a_second_kill_in_the_middle_loses_none_of_them_and_calls_none_twice() {
    let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/all", [Answer::ok(), Answer::ok().held()]);
    let outage = Outage::of(4, 300);
    let change = json!({"misfire": "all", "retry_backoff": "10ms"});
    ksana.create(&outage.job(&receiver.url("/all"), &change));
    outage.pass(&mut ksana, true);
    receiver.wait_for_path("/all", 2);
    ksana.kill();
    receiver.script("/all", [Answer::ok()]);
    ksana.start_again();
    receiver.wait_for_path("/all", 5);
    ksana.let_pass(&receiver, 200);
    let seen = receiver.at("/all");
    let attempts: Vec<_> = seen.iter().map(|fire| (fire.scheduled_at(), fire.attempt())).collect();
    let [first, second, third, fourth] = outage.instants[..] else { panic!("there are four") };
    // The attempt that was cut off is one that has failed.
    assert_eq!(attempts, [(first, 1), (second, 1), (second, 2), (third, 1), (fourth, 1)]);
    assert_eq!(seen[1].run_id(), seen[2].run_id());
}

#[test]
fn a_stop_in_the_middle_leaves_the_rest_to_the_next_start() {
    let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
    receiver.script("/all", [Answer::ok(), Answer::ok().delayed(500), Answer::ok()]);
    let outage = Outage::of(4, 300);
    let id = ksana.create_id(&outage.job(&receiver.url("/all"), &json!({"misfire": "all"})));
    outage.pass(&mut ksana, false);
    receiver.wait_for_path("/all", 2);
    assert_eq!(ksana.stop(), 0);
    assert_eq!(receiver.at("/all").len(), 2, "a service that stops begins nothing");
    ksana.start_again();
    receiver.wait_for_path("/all", 4);
    ksana.let_pass(&receiver, 200);
    assert_eq!(instants(&receiver.at("/all")), outage.instants);
    let job = ksana.job(&id);
    assert_eq!((&job["enabled"], &job["last_status"]), (&json!(false), &json!("success")));
}

#[test]
fn a_once_is_made_up_for_with_once_and_with_all() {
    for is_killed in [true, false] {
        let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
        let outage = Outage::of(1, 300);
        let ids = ["once", "all"].map(|misfire| {
            let job = once(&receiver.url(&format!("/{misfire}")), outage.first());
            ksana.create_id(&with(job, &json!({"misfire": misfire})))
        });
        outage.pass(&mut ksana, is_killed);
        for id in &ids {
            assert_eq!(ksana.await_status(id, "success")["next_run_at"], "");
        }
        ksana.end(is_killed);
        ksana.start_again();
        ksana.let_pass(&receiver, 200);
        for path in ["/once", "/all"] {
            assert_eq!(instants(&receiver.at(path)), outage.instants, "{path}, killed: {is_killed}");
        }
    }
}

#[test]
fn what_is_older_than_the_misfire_window_is_missed() {
    let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
    // The first is past the window when the service is up again, the second has as long to be made up for.
    let outage = Outage::of(2, 3_000);
    let change = json!({"misfire": "all", "misfire_window": "2500ms"});
    let id = ksana.create_id(&outage.job(&receiver.url("/window"), &change));
    let missed = ksana.create_id(&with(once(&receiver.url("/missed"), outage.first()), &change));
    let wide = with(change, &json!({"misfire_window": "1h"}));
    let made_up = ksana.create_id(&with(once(&receiver.url("/made-up"), outage.first()), &wide));
    outage.pass(&mut ksana, true);
    await_runs(&ksana, &id, 1);
    ksana.await_status(&made_up, "success");
    assert_eq!(ksana.await_status(&missed, "missed")["next_run_at"], "");
    ksana.let_pass(&receiver, 200);
    assert_eq!(instants(&receiver.at("/window")), [outage.last()]);
    assert_eq!(instants(&receiver.at("/made-up")), [outage.first()]);
    assert!(receiver.at("/missed").is_empty());
}

#[test]
fn a_service_that_was_suspended_makes_up_for_each_too() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let outage = Outage::of(4, 300);
    let id = ksana.create_id(&outage.job(&receiver.url("/all"), &json!({"misfire": "all"})));
    ksana.signal(Signal::STOP);
    let stat = format!("/proc/{}/stat", ksana.pid().as_raw_nonzero());
    eventually("the daemon to stand still", || {
        fs::read_to_string(&stat).expect("it lives").contains(") T ").then_some(())
    });
    assert!(now() < outage.first(), "the machine is too slow");
    await_clock(outage.last());
    ksana.signal(Signal::CONT);
    await_runs(&ksana, &id, 4);
    assert_eq!(instants(&receiver.at("/all")), outage.instants);
}

#[test]
fn what_passed_in_a_pause_is_never_made_up_for() {
    let (mut ksana, receiver) = (Ksana::start(), Receiver::start());
    let outage = Outage::of(4, 300);
    let change = json!({"misfire": "all", "schedule": {"end_at": ""}});
    let id = ksana.create_id(&outage.job(&receiver.url("/all"), &change));
    ksana.act(&id, "pause").expect(200);
    outage.pass(&mut ksana, true);
    let resumed = now();
    ksana.act(&id, "resume").expect(200);
    let fires = receiver.wait_for_path("/all", 2);
    assert!(fires[0].scheduled_at() > resumed, "{} had passed", fires[0].scheduled_at());
}
