//! One simulation: chance decides what happens next, and after each step the service is held
//! against the model.

mod arrivals;
mod checks;
mod ends;

use std::collections::VecDeque;
use std::time::Duration;

use jiff::SignedDuration;
use ksana::clock::Clock;
use ksana::limits::Bites;
use ksana::scheduler::{Fatal, Wake};
use ksana::store::DiskEvent;

use ends::Crash;

use crate::clients::Clients;
use crate::clock::Clocks;
use crate::disk::{Device, Trouble};
use crate::found::Found;
use crate::history::After;
use crate::model::{Asked, Back, Model, Seen};
use crate::older;
use crate::process::Process;
use crate::random::Random;
use crate::story::{Story, Tally};

/// How the world of one simulation is, in thousandths of all steps.
#[derive(Debug)]
struct Climate {
    /// Crashes of all kinds.
    crashes: u64,
    /// Clean stops.
    stops: u64,
    /// Disks that fail.
    troubles: u64,
    /// Clocks that step.
    clock_steps: u64,
    /// How often the helpers are done at once.
    quick_disk: u64,
    /// How often an attempt that could come back does.
    quick_targets: u64,
    /// How often the machine is busy with something else before a turn.
    slow_turns: u64,
    /// How often the answer of a target is long.
    long_answers: u64,
}

impl Climate {
    fn new(random: &mut Random) -> Self {
        let mut one_of = |rates: [u64; 3]| *random.pick(&rates);
        Self {
            crashes: one_of([0, 10, 40]),
            stops: one_of([0, 5, 10]),
            troubles: one_of([0, 0, 40]),
            clock_steps: one_of([0, 0, 30]),
            quick_disk: one_of([0, 300, 900]),
            quick_targets: one_of([100, 500, 1_000]),
            slow_turns: one_of([0, 100, 600]),
            // They take time to be written, again and again.
            long_answers: if random.per_mille(40) { 700 } else { 0 },
        }
    }
}

/// How much is taken at a time: as in life, or so little that a few jobs are too many.
fn bites(random: &mut Random) -> Bites {
    if random.per_mille(600) {
        let all = Bites::default();
        // So that a start, and the end of a refusal, take some turns.
        return if random.per_mille(500) { Bites { late_records: 1, ..all } } else { all };
    }
    let mut few = || 1 + random.index(3);
    Bites {
        letters: few(),
        reports: few(),
        fires: few(),
        late_records: few(),
        chunk_jobs: few(),
        piece_bytes: 100 * few(),
    }
}

/// One simulation.
pub(crate) struct World {
    random: Random,
    climate: Climate,
    clients: Clients,
    clocks: Clocks,
    device: Device,
    model: Model,
    /// `None` only while one process ends and the next begins.
    process: Option<Process>,
    workers: usize,
    bites: Bites,
    /// What clients have sent and the loop has not taken yet.
    sent: VecDeque<Asked>,
    reports: VecDeque<Back>,
    /// Something was wrong with the disk, so changes may be refused.
    may_refuse: bool,
    /// Something may have gone unrecorded that is not written down yet.
    is_behind: bool,
    tally: Tally,
    /// What happened last.
    story: Story,
}

impl World {
    /// With a story to tell where a check fails, or without, which is faster.
    pub(crate) fn new(seed: u64, is_told: bool) -> Self {
        let mut random = Random::new(seed);
        let climate = Climate::new(&mut random);
        let clients = Clients::new(&mut random);
        let clocks = Clocks::of(&mut random);
        let device = Device::new(Random::new(random.next()));
        let workers = 1 + random.index(3);
        let bites = bites(&mut random);
        let mut model = Model::new(workers, bites);
        if random.per_mille(333) {
            let (text, jobs) = older::file(&mut random, &clients, clocks.now().wall);
            device.put("jobs.json", text.as_bytes());
            model.begin_with(jobs);
        }
        let process = Process::start(&device, &clocks, workers, bites).expect("nothing is wrong with the disk yet");
        let found = Found::on(&device.seen()).expect("it was just read");
        model.restart(&found, process.jobs(), After { now: clocks.now().wall, power_cut: false });
        let mut world = Self {
            random,
            climate,
            clients,
            clocks,
            device,
            model,
            process: Some(process),
            workers,
            bites,
            sent: VecDeque::new(),
            reports: VecDeque::new(),
            may_refuse: false,
            is_behind: true,
            tally: Tally::default(),
            story: Story::new(is_told),
        };
        world.turn(Wake::Time);
        world
    }

    /// So many steps, and then a disk without trouble, on which all must become well.
    pub(crate) fn run(mut self, steps: usize) -> Tally {
        for _ in 0..steps {
            self.step();
        }
        self.calm_down();
        self.stop();
        self.model.check_outcomes();
        self.tally.runs = self.model.began;
        self.tally.made_up = self.model.made_up;
        self.tally.let_go = self.model.let_go;
        self.tally
    }

    fn step(&mut self) {
        let chance = self.random.below(1_000);
        let Climate { crashes, stops, troubles, clock_steps, .. } = self.climate;
        let bounds = [crashes, stops, troubles, clock_steps].into_iter().scan(0, |sum, rate| {
            *sum += rate;
            Some(*sum)
        });
        match bounds.into_iter().position(|bound| chance < bound) {
            Some(0) => self.crash_somewhere(),
            Some(1) => self.stop(),
            Some(2) => self.change_trouble(),
            Some(3) => self.step_clock(),
            _ => self.ordinary_step(),
        }
    }

    fn ordinary_step(&mut self) {
        match self.random.below(10) {
            0..=2 => self.ask(),
            3 | 4 => self.come_back(),
            5 | 6 => (0..=self.random.below(4)).for_each(|_| self.move_disk()),
            7 => {
                self.turn_while_woken();
                self.check_disk();
                if self.random.per_mille(100) {
                    self.model.check_outcomes();
                }
            }
            _ => {
                let most = *self.random.pick(&[10, 1_000, 4_000, 4_000, 90_000]);
                let time = Duration::from_micros(self.random.below(most * 1_000));
                self.pass(time);
            }
        }
        self.turn_while_woken();
    }

    /// A helper does one operation, or what it told arrives.
    fn move_disk(&mut self) {
        let waiting = self.up().waiting_helpers();
        if !self.up().events.is_empty() && (waiting.is_empty() || self.random.per_mille(500)) {
            self.deliver_event();
        } else if !waiting.is_empty() {
            let helper = *self.random.pick(&waiting);
            self.story.tell(|| format!("{helper:?} does one thing"));
            self.up().let_through(helper);
            self.look_for_death();
        }
    }

    /// An event has its turn to itself: whether changes were refused when it began is then known.
    fn deliver_event(&mut self) {
        self.turn_while_woken();
        if !self.up().events.is_empty() {
            let process = self.process.as_ref().expect("it is up");
            let event = process.events.front();
            self.tally.snapshots += u64::from(matches!(event, Some(DiskEvent::Snapshot(Ok(_)))));
            self.story.tell(|| format!("deliver {event:?}"));
            self.up().deliver_event();
            self.turn_while_woken();
        }
    }

    /// All helpers do what they have to.
    fn finish_disk(&mut self) {
        let life = self.tally.crashes;
        loop {
            let waiting = self.up().waiting_helpers();
            if let Some(helper) = waiting.first() {
                self.story.tell(|| format!("{helper:?} does one thing"));
                self.up().let_through(*helper);
                self.look_for_death();
            } else if self.up().events.is_empty() {
                return;
            } else {
                self.deliver_event();
            }
            if self.tally.crashes != life {
                return;
            }
        }
    }

    /// Time passes, and the loop wakes when it meant to.
    fn pass(&mut self, time: Duration) {
        let end = self.clocks.now().steady + time;
        loop {
            self.turn_while_woken();
            let now = self.clocks.now().steady;
            let wakes_at = self.up().wakes_at;
            self.clocks.pass(wakes_at.min(end).saturating_duration_since(now));
            if wakes_at > end {
                return;
            }
            self.turn(Wake::Time);
            if self.random.per_mille(self.climate.quick_disk) {
                self.finish_disk();
            }
            if self.random.per_mille(self.climate.quick_targets / 4) {
                self.come_back();
            }
        }
    }

    fn step_clock(&mut self) {
        let most: u64 = *self.random.pick(&[10, 2_000, 60_000, 7_200_000]);
        let by = self.random.below(2 * most).cast_signed() - most.cast_signed();
        self.story.tell(|| format!("the clock steps by {by} ms"));
        self.clocks.step(SignedDuration::from_millis(by));
    }

    fn change_trouble(&mut self) {
        if self.random.per_mille(150) {
            self.story.tell(|| "the next fsync will fail".to_owned());
            self.device.set_sync_fails(true);
            return;
        }
        let trouble = if self.random.per_mille(500) { *self.random.pick(&Trouble::ALL) } else { Trouble::None };
        self.story.tell(|| format!("the disk: {trouble:?}"));
        self.device.set_trouble(trouble);
        self.may_refuse |= trouble != Trouble::None;
    }

    /// Time passes, and a helper does something, between two turns for which the loop does not sleep.
    fn dawdle(&mut self) {
        // What is asked for is not to meet what becomes due meanwhile.
        if self.sent.is_empty() && !self.model.has_deferred() {
            self.clocks.pass(Duration::from_millis(self.random.below(1_500)));
        }
        let waiting = self.up().waiting_helpers();
        if !waiting.is_empty() && !self.device.dies_soon() {
            let helper = *self.random.pick(&waiting);
            self.story.tell(|| format!("before the next turn {helper:?} does one thing"));
            self.up().let_through(helper);
        }
        if self.random.per_mille(400) {
            self.check_disk();
        }
    }

    /// Turns until nothing that has arrived is left.
    fn turn_while_woken(&mut self) {
        let mut turns = 0;
        loop {
            let now = self.clocks.now().steady;
            if self.up().wakes_at <= now && self.random.per_mille(self.climate.slow_turns) {
                self.dawdle();
            }
            let now = self.clocks.now().steady;
            let process = self.up();
            let slept = process.wakes_at <= now;
            let Some(wake) = process.arrival().or(slept.then_some(Wake::Time)) else {
                assert!(process.has_taken_all(), "something has arrived, and the loop sleeps");
                let has_caught_up = !process.rests && process.scheduler.store().refusal().is_none();
                if has_caught_up && std::mem::take(&mut self.is_behind) {
                    self.model.all_recorded();
                }
                return;
            };
            self.turn(wake);
            turns += 1;
            assert!(turns < 1_000, "the loop turns and turns, and nothing has arrived");
        }
    }

    fn turn(&mut self, wake: Wake) {
        let now = self.clocks.now();
        let refuses = self.up().scheduler.store().refusal().is_some();
        self.device.take_written();
        let woken = self.story.is_told().then(|| format!("{wake:?}").chars().take(40).collect::<String>());
        if gives_up(self.up().turn(wake)) {
            return self.give_up();
        }
        let going = self.going();
        let open = self.open();
        let shown = self.up().is_writing().then(|| self.up().jobs());
        let meanwhile = self.random.index(3);
        let dies = gives_up(self.up().write(meanwhile)) || self.device.is_dead();
        let starts = self.up().take_starts();
        self.tally.turns += 1;
        let seen = Seen {
            now: now.wall,
            reports: self.take_reports(),
            starts,
            left: self.left_due(now.wall),
            going,
            open,
            written: self.device.take_written(),
            rests: self.up().rests,
            refuses,
            dies,
        };
        let Seen { now: wall, ref starts, written, .. } = seen;
        self.story.tell(|| {
            let starts = starts.iter().map(|start| (start.token, start.spec.id.as_str())).collect::<Vec<_>>();
            format!("turn at {wall} by {woken:?}: starts {starts:?}, written {written:?}, refuses {refuses}")
        });
        let asked = self.take_sent();
        self.model.turn(&seen, asked);
        if dies {
            return self.give_up();
        }
        if let Some(shown) = shown {
            checks::check_same("while something is written", shown.values(), self.model.shown());
        }
        self.up().settle();
        let refuses_now = self.up().scheduler.store().refusal().is_some();
        assert!(written != Some(false) || refuses_now, "a write failed, and changes are still taken");
        self.check_turn(now, refuses);
    }

    /// The process ends where it is.
    fn give_up(&mut self) {
        if self.device.is_dead() { self.die() } else { self.crash(Crash::Kill) }
    }

    /// The process that runs.
    fn up(&mut self) -> &mut Process {
        self.process.as_mut().expect("it is up")
    }
}

/// Whether an fsync failed, which ends the process.
fn gives_up(result: Result<(), Fatal>) -> bool {
    match result {
        Ok(()) => false,
        Err(Fatal::Sync(_)) => true,
        Err(fatal) => panic!("the scheduler gave up: {fatal}"),
    }
}
