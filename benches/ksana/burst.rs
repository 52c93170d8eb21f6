//! Many jobs at one instant.

use std::time::Duration;

use ksana::clock;

use crate::bare_calls;
use crate::daemon::Daemon;
use crate::folder::Folder;
use crate::jobs::{once, write_file};
use crate::options::Options;
use crate::probe::lateness;
use crate::receiver::{Caller, Receiver};
use crate::statistics::Sample;
use crate::table::{Beside, Figure, Row, Table};

/// Callbacks at once, of the service and of the bare loop.
pub(crate) const WORKERS: usize = 256;
/// How long all calls of a burst may take.
const PATIENCE: Duration = Duration::from_mins(3);

pub(crate) fn measure(options: &Options, table: &mut Table) {
    let sizes: &[usize] = if options.quick { &[300, 1_000, 10_000] } else { &[300, 1_000, 100_000] };
    for &size in sizes {
        let receiver = Receiver::start();
        let folder = Folder::new();
        let due = clock::now() + if size > 10_000 { Duration::from_secs(15) } else { Duration::from_secs(3) };
        let job = once(&receiver.url(Caller::Service), due);
        write_file(&folder.join("data/jobs.json"), (0..size).map(|_| job.clone()));
        let daemon = Daemon::start(&folder, &[("WORKERS", &WORKERS.to_string())]);
        assert!(clock::now() < due, "the service did not start before the burst");
        let before = daemon.process().used();
        receiver.await_calls(Caller::Service, size, PATIENCE);
        let used = daemon.process().used().since(before);
        let figures = figures(&lateness(&receiver.take(), Caller::Service), used.processor);
        daemon.stop();
        let processor = bare_calls::run(&receiver, size, WORKERS, Duration::ZERO);
        let bare = lateness(&receiver.take(), Caller::Bare);
        assert_eq!(bare.len(), size, "the bare loop makes all its calls");
        let beside = Some(Beside { name: "bare client", figures: self::figures(&bare, processor) });
        table.push(Row { name: "burst at one instant", jobs: Some(size), figures, beside });
    }
}

fn figures(sample: &Sample, processor: Duration) -> Vec<Figure> {
    let last = sample.permille(1000);
    let each = processor / u32::try_from(sample.len()).expect("a burst is smaller");
    vec![
        Figure::rate("rate", sample.len(), last),
        Figure::time("first", sample.permille(0)),
        Figure::time("median", sample.median()),
        Figure::time("last", last),
        Figure::time("CPU each", each),
    ]
}
