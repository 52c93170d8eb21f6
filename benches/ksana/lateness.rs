//! How late a call comes: alone, under load, and after a long silence.

use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use ksana::clock;

use crate::bare::post_at;
use crate::daemon::Daemon;
use crate::folder::Folder;
use crate::jobs::{far, once, post};
use crate::load::Load;
use crate::options::Options;
use crate::probe::{Probes, lateness};
use crate::receiver::{Arrival, Caller, Receiver};
use crate::table::{Beside, Figure, Row, Table};

/// Calls at random instants of each row.
const CALLS: usize = 1_000;
/// From a creation to its instant, in the row of the wake-up.
const WAKE_AHEAD: Duration = Duration::from_millis(50);

pub(crate) fn measure(options: &Options, table: &mut Table) {
    let receiver = Receiver::start();
    let (ahead, span) = (Duration::from_secs(1), options.millis(10_000, 2_000));
    let folder = Folder::new();
    let daemon = Daemon::start(&folder, &[]);

    let arrivals = Probes::plan(&daemon, &receiver, CALLS, ahead, span).await_all();
    table.push(row("lateness, alone", &arrivals));

    let probes = Probes::plan(&daemon, &receiver, CALLS, ahead, span);
    let mut load = Load::new(daemon.port, 64);
    let (arrivals, posted) = thread::scope(|scope| {
        let posting = scope.spawn(|| load.slice(ahead + span, 201, || post(&far(1)), |_| ()));
        (probes.await_all(), posting.join().expect("every answer was as expected"))
    });
    let mut busy = row("lateness, 64 connections post", &arrivals);
    busy.figures.push(Figure::rate("posted", posted.spans.len(), posted.took));
    table.push(busy);
    daemon.stop();

    table.push(wake(options, &receiver));
}

/// A job that is due in a moment, while the scheduler has nothing to do for an hour.
fn wake(options: &Options, receiver: &Receiver) -> Row {
    let folder = Folder::new();
    let daemon = Daemon::start(&folder, &[]);
    let mut connection = daemon.connect();
    let target = receiver.url(Caller::Service);
    let distant: Timestamp = clock::now() + Duration::from_hours(1);
    connection.expect(201, &post(&once(&target, distant)));
    receiver.clear();
    for trial in 1..=(if options.quick { 20 } else { 100 }) {
        connection.expect(201, &post(&once(&target, clock::now() + WAKE_AHEAD)));
        receiver.await_calls(Caller::Service, trial, Duration::from_secs(20));
        post_at(receiver, vec![clock::now() + WAKE_AHEAD]).join().expect("the receiver answers");
    }
    daemon.stop();
    row("lateness, due in 50 ms after a silence", &receiver.take())
}

fn row(name: &'static str, arrivals: &[Arrival]) -> Row {
    let beside = Some(Beside { name: "sleep + post", figures: lateness(arrivals, Caller::Bare).spread() });
    Row { name, jobs: None, figures: lateness(arrivals, Caller::Service).spread(), beside }
}
