//! What the service takes while it has nothing to do.

use std::thread;
use std::time::{Duration, Instant};

use crate::daemon::Daemon;
use crate::folder::Folder;
use crate::jobs::{far, write_file};
use crate::options::Options;
use crate::table::{Figure, Row, Table};

pub(crate) fn measure(options: &Options, table: &mut Table) {
    for size in [0, 100_000] {
        let folder = Folder::new();
        if size > 0 {
            write_file(&folder.join("data/jobs.json"), (0..size).map(far));
        }
        let daemon = Daemon::start(&folder, &[]);
        let memory = daemon.process().settled_memory();
        thread::sleep(Duration::from_secs(1));
        let (began, before) = (Instant::now(), daemon.process().used());
        thread::sleep(options.millis(10_000, 1_500));
        let (took, used) = (began.elapsed(), daemon.process().used().since(before));
        daemon.stop();
        let figures = vec![
            Figure::time("CPU a second", used.processor.div_f64(took.as_secs_f64())),
            Figure::rate("wake-ups", used.sleeps, took),
            Figure::bytes("RSS", memory.resident),
        ];
        table.push(Row { name: "idle", jobs: Some(size), figures, beside: None });
    }
}
