//! What the number of jobs costs: starting, memory, lists, firing, snapshots and changes at each size.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::bare::Appender;
use crate::client::request;
use crate::daemon::Daemon;
use crate::folder::Folder;
use crate::jobs::{self, Random, far, post, write_file};
use crate::load::{Load, Slice};
use crate::options::Options;
use crate::probe::{Probes, lateness};
use crate::process::Memory;
use crate::receiver::{Arrival, Caller, Receiver};
use crate::restarts;
use crate::table::{Beside, Figure, Row, Table};

const SIZES: &[usize] = &[0, 1_000, 10_000, 100_000, 1_000_000];
const SIZES_QUICK: &[usize] = &[0, 10_000];
/// Below this a snapshot is over before a call falls into it.
const SNAPSHOT_JOBS_MIN: usize = 10_000;
/// What a line of the journal holds besides the job as a client sees it, about.
const RECORD_EXTRA_BYTES: usize = 80;
const PAGE_JOBS: usize = 100;

pub(crate) fn measure(options: &Options, table: &mut Table) {
    let receiver = Receiver::start();
    let sizes = if options.quick { SIZES_QUICK } else { SIZES };
    let mut empty = None;
    for &size in sizes {
        let began = Instant::now();
        let folder = Folder::new();
        if size > 0 {
            write_file(&folder.join("data/jobs.json"), (0..size).map(far));
        }
        let daemon = Daemon::start(&folder, &[]);
        let (start, used) = (daemon.start, daemon.process().used());
        memory(size, &daemon, &mut empty, table);
        if size > 0 {
            list(size, &daemon, options, table);
        }
        fires(size, &daemon, &receiver, options, table);
        changes(size, &daemon, &folder, options, table);
        if Some(&size) == sizes.last() {
            growth(size, &daemon, options, table);
        }
        let stop_began = Instant::now();
        daemon.stop();
        let figures = vec![
            Figure::time("start", start),
            Figure::time("its CPU", used.processor),
            Figure::time("stop", stop_began.elapsed()),
        ];
        table.push(Row { name: "first answer after the start; stop", jobs: Some(size), figures, beside: None });
        drop(folder);
        if size > 0 {
            restarts::measure(size, table);
        }
        eprintln!("{size} jobs took {:?}", began.elapsed());
    }
}

fn memory(size: usize, daemon: &Daemon, empty: &mut Option<Memory>, table: &mut Table) {
    let memory = daemon.process().settled_memory();
    let empty = empty.get_or_insert(memory);
    let mut figures = vec![
        Figure::bytes("RSS", memory.resident),
        Figure::bytes("anonymous", memory.anonymous),
        Figure::bytes("peak", memory.peak),
    ];
    if size > 0 {
        let added = memory.anonymous.saturating_sub(empty.anonymous);
        figures.push(Figure::bytes("per job", added / u64::try_from(size).expect("64 bits")));
    }
    table.push(Row { name: "memory after the start", jobs: Some(size), figures, beside: None });
}

fn list(size: usize, daemon: &Daemon, options: &Options, table: &mut Table) {
    let random = Mutex::new(Random::new(3));
    let make = || {
        let after = random.lock().expect("nothing panics").below(u64::try_from(size - PAGE_JOBS).expect("64 bits"));
        let after = jobs::id(usize::try_from(after).expect("64 bits"));
        request("GET", &format!("/jobs?limit={PAGE_JOBS}&after={after}"), "")
    };
    let take = |answer: crate::client::Answer<'_>| {
        assert!(answer.body().len() > PAGE_JOBS * 300, "a page is shorter than it can be");
    };
    let slice = Load::new(daemon.port, 1).slice(options.millis(1000, 300), 200, make, take);
    table.push(Row { name: "GET a page of 100", jobs: Some(size), figures: slice.figures(), beside: None });
}

/// Fires while nothing else happens, and while a snapshot is written.
fn fires(size: usize, daemon: &Daemon, receiver: &Receiver, options: &Options, table: &mut Table) {
    // Its snapshot takes longer.
    let span = if size >= 1_000_000 { Duration::from_secs(20) } else { options.millis(6_000, 2_000) };
    let count = usize::try_from(span.as_millis()).expect("it is small") / if size >= 1_000_000 { 10 } else { 5 };
    let probes = Probes::plan(daemon, receiver, count, Duration::from_millis(900), span);
    let (arrivals, snapshots) = probes.await_all_and_snapshots(daemon);
    assert!(!snapshots.is_empty(), "no snapshot was made of {count} new jobs");
    let is_within = |arrival: &&Arrival| {
        // A call counts where it was to be made.
        snapshots.iter().any(|(began, ended)| (*began..*ended).contains(&arrival.due))
    };
    let measured = [(false, "fire, lateness"), (true, "fire during a snapshot, lateness")];
    for (during, name) in measured.into_iter().take(if size < SNAPSHOT_JOBS_MIN { 1 } else { 2 }) {
        let of = |caller| lateness(arrivals.iter().filter(|arrival| is_within(arrival) == during), caller);
        let (service, bare) = (of(Caller::Service), of(Caller::Bare));
        if service.len() == 0 || bare.len() == 0 {
            eprintln!("{name}: no call fell into it");
            continue;
        }
        let mut figures = service.spread();
        if during {
            let longest = snapshots.iter().map(|(began, ended)| ended.duration_since(*began)).max();
            let longest = longest.and_then(|longest| longest.try_into().ok()).unwrap_or_default();
            figures.push(Figure::time("snapshot", longest));
        }
        let beside = Some(Beside { name: "sleep + post", figures: bare.spread() });
        table.push(Row { name, jobs: Some(size), figures, beside });
    }
}

/// Creating and changing, at 1 and at 64 connections.
fn changes(size: usize, daemon: &Daemon, folder: &Folder, options: &Options, table: &mut Table) {
    while daemon.is_snapshotting() {
        thread::sleep(Duration::from_millis(5));
    }
    let created = Mutex::new(Vec::new());
    let record_len = AtomicUsize::new(0);
    let serial = AtomicUsize::new(0);
    let create = || post(&far(serial.fetch_add(1, Ordering::Relaxed)));
    let note = |answer: crate::client::Answer<'_>| {
        let location = answer.header("Location").expect("an answer to a creation says where the job is");
        created.lock().expect("nothing panics").push(location.to_owned());
        record_len.store(answer.body().len() + RECORD_EXTRA_BYTES, Ordering::Relaxed);
    };
    // One to know the size of a record, and for the service to be warm.
    Load::new(daemon.port, 1).slice(Duration::from_millis(50), 201, create, note);
    let mut appender = Appender::new(folder, record_len.load(Ordering::Relaxed));
    let mut beside = |mut slice: Box<dyn FnMut(Duration) -> Slice + '_>| {
        let (mut service, mut bare) = (Slice::default(), Slice::default());
        // Short turns: a disk that others use too changes its mind within a second.
        for _ in 0..(if options.quick { 6 } else { 24 }) {
            bare.extend(appender.slice(Duration::from_millis(50)));
            service.extend(slice(Duration::from_millis(100)));
        }
        (service.figures(), Some(Beside { name: "append + fdatasync", figures: bare.figures() }))
    };
    for (connections, name) in [(1, "POST, 1 connection"), (64, "POST, 64 connections")] {
        let mut load = Load::new(daemon.port, connections);
        let (figures, beside) = beside(Box::new(|span| load.slice(span, 201, create, note)));
        table.push(Row { name, jobs: Some(size), figures, beside });
    }
    let random = Mutex::new(Random::new(4));
    let targets = created.lock().expect("nothing panics").clone();
    let change = || {
        let among = if size == 0 { targets.len() } else { size };
        let index = random.lock().expect("nothing panics").below(u64::try_from(among).expect("64 bits"));
        let index = usize::try_from(index).expect("64 bits");
        let target = if size == 0 { targets[index].clone() } else { format!("/jobs/{}", jobs::id(index)) };
        let name = serial.fetch_add(1, Ordering::Relaxed);
        request("PATCH", &target, &format!(r#"{{"name":"another name, {name}"}}"#))
    };
    for (connections, name) in [(1, "PATCH, 1 connection"), (64, "PATCH, 64 connections")] {
        let mut load = Load::new(daemon.port, connections);
        let (figures, beside) = beside(Box::new(|span| load.slice(span, 200, change, |_| ())));
        table.push(Row { name, jobs: Some(size), figures, beside });
    }
}

/// Creating at this size beside the same at a thousand jobs, in turns: what they differ by is the
/// number of jobs, and not what the disk was like a minute ago.
fn growth(size: usize, large: &Daemon, options: &Options, table: &mut Table) {
    let folder = Folder::new();
    write_file(&folder.join("data/jobs.json"), (0..1_000).map(far));
    let small = Daemon::start(&folder, &[]);
    let mut loads = [large, &small].map(|daemon| (Load::new(daemon.port, 1), Slice::default()));
    for _ in 0..(if options.quick { 10 } else { 40 }) {
        for (load, slice) in &mut loads {
            slice.extend(load.slice(Duration::from_millis(100), 201, || post(&far(1)), |_| ()));
        }
    }
    small.stop();
    let [large, small] = loads.map(|(_, slice)| slice.sample().p50_p99().to_vec());
    let beside = Some(Beside { name: "at 1,000 jobs", figures: small });
    table.push(Row { name: "growth of POST, 1 connection", jobs: Some(size), figures: large, beside });
}
