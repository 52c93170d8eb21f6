//! What Linux says of a process: its memory, its time on the processor, how often it wakes.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crate::table::Figure;

/// A process that runs, by its id.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process(pub(crate) u32);

/// Its memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) resident: u64,
    pub(crate) anonymous: u64,
    pub(crate) peak: u64,
}

/// What it has used since it began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Use {
    pub(crate) processor: Duration,
    /// How often a thread of it went to sleep by itself, and so was woken again.
    pub(crate) sleeps: usize,
}

impl Process {
    fn path(self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.0))
    }

    pub(crate) fn memory(self) -> Memory {
        let status = fs::read_to_string(self.path("status")).expect("the process runs");
        let bytes = |name| 1024 * u64::try_from(value(&status, name)).expect("64 bits");
        Memory { resident: bytes("VmRSS:"), anonymous: bytes("RssAnon:"), peak: bytes("VmHWM:") }
    }

    /// The memory once it stays as it is.
    pub(crate) fn settled_memory(self) -> Memory {
        let mut before = self.memory();
        for _ in 0..20 {
            thread::sleep(Duration::from_millis(150));
            let now = self.memory();
            if now == before {
                break;
            }
            before = now;
        }
        before
    }

    /// Adds up its threads; one that ends between two looks is missed, and the service's do not end.
    pub(crate) fn used(self) -> Use {
        let mut used = Use { processor: Duration::ZERO, sleeps: 0 };
        for thread in fs::read_dir(self.path("task")).expect("the process runs").flatten() {
            let read = |name| fs::read_to_string(thread.path().join(name));
            let (Ok(schedule), Ok(status)) = (read("schedstat"), read("status")) else { continue };
            let nanos = schedule.split(' ').next().and_then(|nanos| nanos.parse().ok()).expect("Linux tells the time");
            used.processor += Duration::from_nanos(nanos);
            used.sleeps += value(&status, "voluntary_ctxt_switches:");
        }
        used
    }
}

impl Use {
    /// What was used since an earlier look.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            processor: self.processor.saturating_sub(before.processor),
            sleeps: self.sleeps.saturating_sub(before.sleeps),
        }
    }

    /// The time on the processor for each of so many things.
    pub(crate) fn per(self, count: usize) -> Figure {
        let count = u32::try_from(count.max(1)).expect("a run does not do so much");
        Figure::time("CPU each", self.processor / count)
    }
}

/// The number on the line that begins so.
fn value(status: &str, name: &str) -> usize {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("Linux tells it");
    line.trim().trim_end_matches(" kB").parse().expect("it is a number")
}
