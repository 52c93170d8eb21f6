//! What the parts of the process say of their own health, for whoever asks whether it is ready.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::limits;
use crate::systemd::Manager;

/// Signs of life, written by the parts themselves and read by the probes.
///
/// The clock is the machine's monotonic one: a wall clock that steps must not make a live process
/// look dead. It stands still while the machine sleeps, so a process that has just been woken up
/// is not blamed for the night. Writing costs one or two atomic stores, so the scheduler's loop may do it each turn.
#[derive(Debug)]
pub struct Vitals {
    /// All other instants are counted from here, so that each fits an atomic.
    born: Instant,
    /// When the loop last turned, in milliseconds since `born`.
    turned_ms: AtomicU64,
    /// Is told of them too.
    manager: Manager,
    /// When its watchdog was last given a sign of life, in milliseconds since `born`.
    fed_ms: AtomicU64,
    store_refusal: Mutex<Option<String>>,
    workers_busy: AtomicBool,
    shutting_down: AtomicBool,
}

/// What a probe is told. Without a reason the process is ready; warnings stand beside either.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Why requests should go elsewhere.
    pub reasons: Vec<String>,
    /// What a person should look at.
    pub warnings: Vec<String>,
}

impl Default for Vitals {
    fn default() -> Self {
        Self::new()
    }
}

impl Vitals {
    /// A process that has just begun: the loop has five seconds to make its first turn.
    pub fn new() -> Self {
        Self::told_to(Manager::default())
    }

    /// The same for a process that this manager started.
    pub fn told_to(manager: Manager) -> Self {
        Self {
            born: Instant::now(),
            turned_ms: AtomicU64::new(0),
            manager,
            fed_ms: AtomicU64::new(0),
            store_refusal: Mutex::new(None),
            workers_busy: AtomicBool::new(false),
            shutting_down: AtomicBool::new(false),
        }
    }

    /// The service manager.
    pub fn manager(&self) -> &Manager {
        &self.manager
    }

    /// The scheduler's loop has made a turn, or made progress with its end. It does so at least once a second, and
    /// nothing else feeds the watchdog.
    pub fn turned(&self) {
        self.turned_at(Instant::now());
    }

    /// The store refuses changes, with the reason; `None` when it takes them again.
    pub fn set_store_refusal(&self, refusal: Option<String>) {
        match &refusal {
            Some(refusal) => self.manager.status(format_args!("changes are refused: {refusal}")),
            None => self.manager.status("changes are taken again"),
        }
        *self.store_refusal.lock().expect("nobody panics while he holds this lock") = refusal;
    }

    /// Whether every worker has a callback in flight.
    pub fn set_workers_busy(&self, busy: bool) {
        self.workers_busy.store(busy, Ordering::Relaxed);
    }

    /// The process has been told to stop. There is no way back.
    pub fn set_shutting_down(&self) {
        self.manager.stopping();
        self.manager.status("attempts in flight may end; then the jobs are saved");
        self.shutting_down.store(true, Ordering::Relaxed);
    }

    /// Whether it has.
    pub fn is_shutting_down(&self) -> bool {
        self.shutting_down.load(Ordering::Relaxed)
    }

    /// What is to be said now.
    pub fn readiness(&self) -> Readiness {
        self.readiness_at(Instant::now())
    }

    fn turned_at(&self, now: Instant) {
        self.turned_ms.store(self.millis(now), Ordering::Relaxed);
        self.feed_at(now);
    }

    fn feed_at(&self, now: Instant) {
        let Some(watchdog) = self.manager.watchdog() else { return };
        let hungry_ms = u64::try_from((watchdog / limits::WATCHDOG_FEEDS).as_millis()).unwrap_or(u64::MAX);
        let now_ms = self.millis(now);
        if now_ms.saturating_sub(self.fed_ms.load(Ordering::Relaxed)) >= hungry_ms && self.manager.alive() {
            self.fed_ms.store(now_ms, Ordering::Relaxed);
        }
    }

    fn readiness_at(&self, now: Instant) -> Readiness {
        let mut readiness = Readiness::default();
        if self.is_shutting_down() {
            readiness.reasons.push("shutting down".to_owned());
        }
        let still = Duration::from_millis(self.millis(now).saturating_sub(self.turned_ms.load(Ordering::Relaxed)));
        if still >= Duration::from_secs(limits::LOOP_TURN_SECS_MAX) {
            readiness.reasons.push(format!("the scheduler's loop has not turned for {} s", still.as_secs()));
        }
        if let Some(refusal) = &*self.store_refusal.lock().expect("nobody panics while he holds this lock") {
            readiness.reasons.push(format!("changes are refused: {refusal}"));
        }
        if self.workers_busy.load(Ordering::Relaxed) {
            readiness.warnings.push("all workers are busy; runs that are due wait for one".to_owned());
        }
        readiness
    }

    fn millis(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.born).as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_while_the_loop_turns() {
        let vitals = Vitals::new();
        let after = |seconds| vitals.born + Duration::from_secs(seconds);
        assert_eq!(vitals.readiness_at(after(4)), Readiness::default());
        assert_eq!(vitals.readiness_at(after(5)).reasons, ["the scheduler's loop has not turned for 5 s"]);
        vitals.turned_at(after(7));
        assert_eq!(vitals.readiness_at(after(11)), Readiness::default());
        assert_eq!(vitals.readiness_at(after(3_607)).reasons, ["the scheduler's loop has not turned for 3600 s"]);
    }

    #[test]
    fn the_watchdog_is_fed_by_turns_alone_and_not_by_each() {
        let (manager, socket) = Manager::for_test(Some(Duration::from_secs(4)));
        let vitals = Vitals::told_to(manager);
        let fed = || {
            let mut bytes = [0; 64];
            std::iter::from_fn(|| socket.recv(&mut bytes).ok()).count()
        };
        let turned_after = |millis| vitals.turned_at(vitals.born + Duration::from_millis(millis));
        vitals.set_workers_busy(true);
        vitals.readiness();
        assert_eq!(fed(), 0, "nothing has turned");
        for (millis, expected) in [(999, 0), (1_000, 1), (1_999, 0), (2_001, 1), (60_000, 1)] {
            turned_after(millis);
            assert_eq!(fed(), expected, "after {millis} ms");
        }
        while vitals.manager.alive() {}
        turned_after(70_000);
        assert!(fed() > 1, "it was full of them");
        turned_after(70_001);
        assert_eq!(fed(), 1, "what did not get through is given again");
    }

    #[test]
    fn reasons_make_unready_and_warnings_do_not() {
        let vitals = Vitals::new();
        vitals.set_workers_busy(true);
        vitals.set_store_refusal(Some("no space left on device".to_owned()));
        let readiness = vitals.readiness();
        assert_eq!(readiness.reasons, ["changes are refused: no space left on device"]);
        assert_eq!(readiness.warnings, ["all workers are busy; runs that are due wait for one"]);
        vitals.set_store_refusal(None);
        vitals.set_workers_busy(false);
        assert_eq!(vitals.readiness(), Readiness::default());
        vitals.set_shutting_down();
        assert_eq!(vitals.readiness().reasons, ["shutting down"]);
    }
}
