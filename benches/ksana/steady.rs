//! Jobs that fire each second, evenly spread over it, as many as the service holds.

use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use ksana::clock;
use serde_json::{Value, json};

use crate::bare_calls;
use crate::burst::WORKERS;
use crate::daemon::Daemon;
use crate::folder::Folder;
use crate::jobs::{once, write_file};
use crate::options::Options;
use crate::probe::lateness;
use crate::receiver::{Caller, Receiver};
use crate::statistics::Sample;
use crate::table::{Beside, Figure, Row, Table, number};

const SIZES: &[usize] = &[100, 1_000, 2_000, 5_000];
/// The steps of the search for as many as it holds.
const STEP_JOBS: usize = 1_000;
/// A service whose calls come so late is behind.
const LATE: Duration = Duration::from_millis(500);
/// One that makes a smaller part of its calls leaves some out.
const SEEN_PART_MIN: f64 = 0.98;

/// What came of so many jobs.
#[derive(Debug)]
struct Outcome {
    lateness: Sample,
    figures: Vec<Figure>,
    holds: bool,
}

pub(crate) fn measure(options: &Options, table: &mut Table) {
    let receiver = Receiver::start();
    let sizes = if options.quick { &SIZES[1..2] } else { SIZES };
    let mut held = None;
    let mut row = |name, size, outcome: &Outcome| {
        let beside = Some(Beside { name: "bare client", figures: bare(size, &receiver, options) });
        table.push(Row { name, jobs: Some(size), figures: outcome.figures.clone(), beside });
    };
    for &size in sizes {
        let outcome = run(size, &receiver, options);
        row("steady, every 1s", size, &outcome);
        held = if outcome.holds { Some((size, outcome)) } else { held };
    }
    let Some((mut size, mut outcome)) = held.filter(|_| !options.quick) else { return };
    loop {
        let next = run(size + STEP_JOBS, &receiver, options);
        eprintln!("{} jobs: p50 {:?}, it holds: {}", size + STEP_JOBS, next.lateness.median(), next.holds);
        if !next.holds {
            break;
        }
        (size, outcome) = (size + STEP_JOBS, next);
    }
    row("steady, as many as it holds", size, &outcome);
}

fn run(size: usize, receiver: &Receiver, options: &Options) -> Outcome {
    let folder = Folder::new();
    let grid = clock::now();
    let target = receiver.url(Caller::Service);
    let jobs = (0..size).map(|index| every_second(&target, grid, index, size));
    write_file(&folder.join("data/jobs.json"), jobs);
    let daemon = Daemon::start(&folder, &[("WORKERS", &WORKERS.to_string())]);
    thread::sleep(options.millis(2_500, 500));
    receiver.clear();
    let (began, before) = (clock::now(), daemon.process().used());
    let span = options.millis(6_000, 2_000);
    thread::sleep(span);
    let lateness = lateness(&receiver.take(), Caller::Service);
    let took: Duration = clock::now().duration_since(began).try_into().expect("the clock goes on");
    let used = daemon.process().used().since(before);
    daemon.stop();
    let asked = number(size) * took.as_secs_f64();
    let holds = number(lateness.len()) >= asked * SEEN_PART_MIN && lateness.median() < LATE;
    let mut figures = vec![used.per(lateness.len()), Figure::rate("seen", lateness.len(), took)];
    figures.extend(lateness.spread());
    Outcome { lateness, figures, holds }
}

/// As many calls at the same pace, by the HTTP client alone.
fn bare(rate: usize, receiver: &Receiver, options: &Options) -> Vec<Figure> {
    let span = options.millis(6_000, 2_000);
    let pace = Duration::from_secs(1) / u32::try_from(rate).expect("it is small");
    let count = usize::try_from(span.as_nanos() / pace.as_nanos()).expect("a run is smaller");
    receiver.clear();
    let processor = bare_calls::run(receiver, count, WORKERS, pace);
    let lateness = lateness(&receiver.take(), Caller::Bare);
    let each = processor / u32::try_from(count).expect("a run is smaller");
    let mut figures = vec![Figure::time("CPU each", each)];
    figures.extend(lateness.spread());
    figures
}

fn every_second(target: &str, grid: Timestamp, index: usize, size: usize) -> Value {
    let mut job = once(target, grid);
    let share = Duration::from_secs(1) * u32::try_from(index).expect("small") / u32::try_from(size).expect("small");
    job["schedule"] = json!({"kind": "every", "every": "1s", "start_at": (grid + share).to_string(), "jitter": ""});
    job
}
