//! A disk on which a write does not end.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use super::*;
use crate::clock::{self, Now};
use crate::limits::DISK_HANGS_SECS;
use crate::store::tests::odd::{Notes, Odd};

/// A clock that only passes when it is told to.
#[derive(Clone, Debug)]
struct Still(Arc<Mutex<Now>>);

impl Still {
    fn pass(&self, time: Duration) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        now.steady += time;
        now.wall += time;
    }
}

impl Clock for Still {
    fn now(&self) -> Now {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A scheduler on a disk whose writes hang until they are let go.
struct Hanging {
    bench: Bench,
    notes: Arc<Notes>,
    clock: Still,
}

/// However a test ends, the threads that write must be able to.
impl Drop for Hanging {
    fn drop(&mut self) {
        self.notes.set_held(false);
        self.notes.set_syncs_held(false);
    }
}

fn hanging(jobs: impl IntoIterator<Item = Job>) -> Hanging {
    let notes = Arc::<Notes>::default();
    let odd = Arc::clone(&notes);
    let (folder, mut parts, letters, starts) = parts_on(jobs, |directory| Arc::new(Odd { directory, notes: odd }));
    let clock = Still(Arc::new(Mutex::new(Now { wall: clock::now(), steady: Instant::now() })));
    parts.clock = Box::new(clock.clone());
    notes.set_held(true);
    Hanging { bench: Bench { folder, scheduler: Scheduler::new(parts), letters, starts }, notes, clock }
}

impl Hanging {
    /// A turn that waits for no write.
    fn turn(&mut self) {
        self.bench.scheduler.turn(Wake::Time).expect("every fsync works");
    }

    fn is_enabled(&self, text: &str) -> bool {
        self.bench.scheduler.engine().job(&id(text)).expect("it is there").progress.enabled
    }
}

#[test]
fn while_a_write_hangs_its_changes_are_not_shown_and_others_wait_for_its_end() {
    let mut hanging = hanging([job("a", &json!({})), job("b", &json!({}))]);
    let first = hanging.bench.change(pause("a"));
    hanging.turn();
    let second = hanging.bench.change(pause("b"));
    hanging.turn();
    assert!(hanging.is_enabled("a"), "it is shown as it is on the disk");
    assert!(first.is_empty() && second.is_empty());
    hanging.notes.set_held(false);
    hanging.bench.until(|_| !second.is_empty());
    for answer in [first, second] {
        assert!(answer.try_recv().is_ok_and(|done| done.is_ok_and(|job| !job.progress.enabled)));
    }
    assert!(!hanging.is_enabled("a"));
}

#[test]
fn no_attempt_is_made_before_its_record_is_written() {
    let mut hanging = hanging([overdue("a")]);
    hanging.turn();
    hanging.turn();
    assert!(hanging.bench.scheduler.engine().in_flight() == 1 && hanging.bench.starts.is_empty());
    hanging.notes.set_held(false);
    hanging.bench.starts.recv_blocking().expect("it is made then");
}

#[test]
fn a_write_that_hangs_for_seconds_has_changes_refused_until_it_ends() {
    let mut hanging = hanging([job("a", &json!({})), job("b", &json!({}))]);
    let first = hanging.bench.change(pause("a"));
    hanging.turn();
    let second = hanging.bench.change(pause("b"));
    hanging.turn();
    hanging.clock.pass(Duration::from_secs(DISK_HANGS_SECS));
    hanging.turn();
    assert!(matches!(second.try_recv(), Ok(Err(Refusal::Disk(_)))));
    assert!(first.is_empty(), "nobody knows yet what becomes of it");
    let reasons = hanging.bench.scheduler.parts.vitals.readiness().reasons;
    assert!(reasons.iter().any(|reason| reason.contains("hangs")), "/ready says so: {reasons:?}");
    hanging.notes.set_held(false);
    hanging.bench.until(|_| !first.is_empty());
    assert!(first.try_recv().is_ok_and(|done| done.is_ok()));
    assert!(hanging.bench.scheduler.parts.vitals.readiness().reasons.is_empty());
    let again = hanging.bench.change(pause("b"));
    hanging.bench.until(|_| !again.is_empty());
    assert!(again.try_recv().is_ok_and(|done| done.is_ok()));
}

/// Its fsync can only be asked for when the journal is back.
#[test]
fn while_a_change_waits_for_an_fsync_the_end_of_any_write_is_awaited() {
    let soon = (clock::now() + Duration::from_secs(30)).to_string();
    let once = json!({"schedule": {"kind": "once", "run_at": soon}, "next_run_at": soon});
    let mut hanging = hanging([job("a", &json!({})), job("b", &once)]);
    hanging.notes.set_held(false);
    // So that the first is still under way when the second is written.
    hanging.notes.set_syncs_held(true);
    let first = hanging.bench.change(pause("a"));
    hanging.bench.turn();
    let second = hanging.bench.change(Command::Resume(id("a")));
    hanging.bench.turn();
    hanging.notes.set_held(true);
    hanging.clock.pass(Duration::from_mins(1));
    hanging.turn();
    assert_eq!(hanging.bench.scheduler.engine().in_flight(), 1, "its record is being written");
    hanging.notes.set_syncs_held(false);
    let scheduler = &mut hanging.bench.scheduler;
    let event = scheduler.parts.disk.recv_blocking().expect("the helpers live");
    scheduler.turn(Wake::Disk(event)).expect("every fsync works");
    assert!(!first.is_empty() && second.is_empty(), "the fsync covers the first one alone");
    assert!(scheduler.waits_for_write());
    hanging.notes.set_held(false);
    hanging.bench.until(|_| !second.is_empty());
}

/// What comes back meanwhile is not lost, and lands in the turn after it.
#[test]
fn an_attempt_that_comes_back_while_a_write_hangs_lands_after_it() {
    let mut hanging = hanging([overdue("a")]);
    let (reports, received) = async_channel::bounded(1);
    hanging.bench.scheduler.parts.reports = received;
    hanging.notes.set_held(false);
    hanging.bench.turn();
    let start = hanging.bench.starts.try_recv().expect("it was due");
    hanging.notes.set_held(true);
    let pause = hanging.bench.change(pause("a"));
    hanging.turn();
    let outcome = crate::engine::Outcome::success();
    reports
        .try_send(Report { token: start.token, outcome, seen: crate::job::Seen::default(), took: Duration::ZERO })
        .expect("there is room");
    hanging.turn();
    assert!(reports.is_empty() && hanging.bench.scheduler.engine().in_flight() == 1);
    hanging.notes.set_held(false);
    hanging.bench.until(|scheduler| scheduler.engine().in_flight() == 0);
    hanging.bench.until(|_| !pause.is_empty());
    let ended = hanging.bench.scheduler.engine().job(&id("a")).cloned().expect("it is there");
    assert!(ended.progress.last_run_at.is_some_and(|at| at > Timestamp::UNIX_EPOCH));
}
