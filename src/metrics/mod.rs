//! What the service counts and measures of itself, for whoever draws curves of it and is woken up by them.
//!
//! Each number is an atomic that its part adds to or sets as things happen: nothing is locked and nothing is allocated
//! for it. A scrape reads them and asks nobody. No number is kept for a job: how many of them there are is a client's
//! to decide, and what each costs a collector is not.

mod number;
mod page;
mod process;
mod text;

use jiff::Timestamp;

pub use number::{Counter, Gauge, Histogram, Moment};
pub use page::Seen;

/// The media type of a page.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All numbers. The scheduler's thread writes those of runs, jobs and files, the server's those of requests.
#[derive(Debug)]
pub struct Metrics {
    began: Timestamp,
    workers: usize,
    /// Runs that have ended, and fires that came to none.
    pub runs: Runs,
    /// Attempts that are back.
    pub attempts: Attempts,
    /// From when a run was due until its first attempt was begun.
    pub lateness: Histogram,
    /// How long attempts took, but for those that nobody waited for.
    pub attempt_duration: Histogram,
    /// Jobs, as they are now.
    pub jobs: Gauge,
    /// Those that are not paused.
    pub jobs_enabled: Gauge,
    /// Runs that wait for a worker.
    pub runs_queued: Gauge,
    /// Attempts on their way.
    pub attempts_in_flight: Gauge,
    /// When something is due next.
    pub next_due: Moment,
    /// The journal and `jobs.json`.
    pub store: Files,
    /// Requests, by method and class of status.
    pub requests: Requests,
}

/// How runs ended. A fire that is skipped or missed is one without an attempt.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "the names are those of the statuses that a job shows")]
pub struct Runs {
    pub success: Counter,
    pub failed: Counter,
    pub timeout: Counter,
    pub skipped: Counter,
    pub missed: Counter,
}

/// What came of attempts.
#[derive(Debug, Default)]
pub struct Attempts {
    /// The target took it.
    pub success: Counter,
    /// It did not, or nobody came through to it.
    pub failed: Counter,
    /// It took too long.
    pub timeout: Counter,
    /// Nobody waited for it any more.
    pub cancelled: Counter,
}

/// What the disk takes, and how long it takes for it.
#[derive(Debug)]
pub struct Files {
    /// Writes of a turn's records. What is to be begun waits for them.
    pub write_duration: Histogram,
    /// Fsyncs of the journal. Who has changed a job waits for one.
    pub fsync_duration: Histogram,
    /// How long the present segment of the journal is.
    pub segment_bytes: Gauge,
    /// From the beginning of a `jobs.json` that was written to its end.
    pub snapshot_duration: Histogram,
    /// How many could not be written.
    pub snapshots_failed: Counter,
    /// When one was written last.
    pub snapshot_at: Moment,
    /// 1 while changes are refused.
    pub refusing: Gauge,
}

/// The methods that have a number of their own. A client can send any other.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"];

/// The classes of statuses that a client can be answered with.
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

/// Requests that were answered, by method and class of status.
#[derive(Debug, Default)]
pub struct Requests([[Counter; CLASSES.len()]; METHODS.len() + 1]);

impl Requests {
    /// Counts one.
    pub fn add(&self, method: &str, status: u16) {
        let row = METHODS.iter().position(|known| *known == method).unwrap_or(METHODS.len());
        let class = usize::from(status / 100).clamp(2, CLASSES.len() + 1) - 2;
        self.0[row][class].add();
    }
}

/// In microseconds. An undisturbed fire is 150 µs late; past a second nobody needs it to the tenth.
const LATENESS: &[u64] = &[
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 60_000_000,
];

/// From a target next door to the longest `timeout`.
const ATTEMPTS: &[u64] = &[
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    300_000_000,
    3_600_000_000,
];

/// From memory to a disk that hangs.
const DISK: &[u64] = &[
    10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    5_000_000,
];

/// From a handful of jobs to some millions.
const SNAPSHOTS: &[u64] = &[
    5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000, 60_000_000,
];

impl Metrics {
    /// Of a process that began then and makes at most so many attempts at once.
    pub fn new(began: Timestamp, workers: usize) -> Self {
        Self {
            began,
            workers,
            runs: Runs::default(),
            attempts: Attempts::default(),
            lateness: Histogram::new(LATENESS),
            attempt_duration: Histogram::new(ATTEMPTS),
            jobs: Gauge::default(),
            jobs_enabled: Gauge::default(),
            runs_queued: Gauge::default(),
            attempts_in_flight: Gauge::default(),
            next_due: Moment::default(),
            store: Files {
                write_duration: Histogram::new(DISK),
                fsync_duration: Histogram::new(DISK),
                segment_bytes: Gauge::default(),
                snapshot_duration: Histogram::new(SNAPSHOTS),
                snapshots_failed: Counter::default(),
                snapshot_at: Moment::default(),
                refusing: Gauge::default(),
            },
            requests: Requests::default(),
        }
    }
}
