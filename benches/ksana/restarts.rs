//! What a start costs on what the service itself has left: its own file, and a journal beside it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::client::request;
use crate::daemon::Daemon;
use crate::folder::Folder;
use crate::jobs::{far, id, write_file};
use crate::table::{Figure, Row, Table};

/// A journal that has grown by no more than [`TRICKLE`] in this time holds what the start told at once.
const QUIET: Duration = Duration::from_millis(50);

/// What passed of the schedules meanwhile is told little by little.
const TRICKLE: u64 = 256 * 1024;

pub(crate) fn measure(size: usize, table: &mut Table) {
    let folder = Folder::new();
    write_file(&folder.join("data/jobs.json"), (0..size).map(far));
    let daemon = Daemon::start(&folder, &[]);
    // Else the file stays as it is.
    daemon.connect().expect(200, &request("PATCH", &format!("/jobs/{}", id(0)), r#"{"name":"another"}"#));
    daemon.stop();
    age(&folder.join("data/jobs.json"));
    let daemon = Daemon::start(&folder, &[]);
    push("first answer after a start on its own file", size, &daemon, None, table);
    let journal = await_journal(&folder.join("data"));
    // Ended by SIGKILL.
    drop(daemon);
    let daemon = Daemon::start(&folder, &[]);
    push("first answer after kill -9", size, &daemon, Some(journal), table);
    daemon.stop();
}

fn push(name: &'static str, size: usize, daemon: &Daemon, journal: Option<u64>, table: &mut Table) {
    let process = daemon.process();
    let mut figures = vec![
        Figure::time("start", daemon.start),
        Figure::time("its CPU", process.used().processor),
        Figure::bytes("peak", process.memory().peak),
    ];
    figures.extend(journal.map(|bytes| Figure::bytes("journal", bytes)));
    table.push(Row { name, jobs: Some(size), figures, beside: None });
}

/// Puts every instant that lies ahead into the past, as if the service had been away for long.
fn age(path: &Path) {
    let aged = path.with_extension("aged");
    let mut out = BufWriter::new(File::create(&aged).expect("own folder"));
    for line in BufReader::new(File::open(path).expect("the service wrote it")).lines() {
        let line = line.expect("it is a text").replace("\"2036-", "\"2025-");
        writeln!(out, "{line}").expect("the disk has room");
    }
    out.into_inner().expect("the disk has room").sync_all().expect("the disk keeps what it takes");
    fs::rename(&aged, path).expect("own folder");
}

/// How many bytes of the journal there are, once they hardly grow any more.
fn await_journal(data: &Path) -> u64 {
    let mut before = 0;
    loop {
        thread::sleep(QUIET);
        let now = journal_bytes(data);
        if now > 0 && now <= before + TRICKLE {
            return now;
        }
        before = now;
    }
}

fn journal_bytes(data: &Path) -> u64 {
    let entries = fs::read_dir(data).expect("own folder").flatten();
    let segments = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("journal-"));
    // One that a snapshot has removed meanwhile has no length.
    segments.filter_map(|segment| segment.metadata().ok()).map(|metadata| metadata.len()).sum()
}
