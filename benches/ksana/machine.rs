//! What the figures were taken on: without it they say nothing.

use std::fs;
use std::process::Command;
use std::thread;

use ksana::clock;

use crate::folder::Folder;

/// The lines above the table.
pub(crate) fn lines() -> Vec<(&'static str, String)> {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let build = if cfg!(debug_assertions) { "DEBUG BUILD, say nothing by these figures" } else { "release" };
    vec![
        (
            "Ksana",
            format!("{} {} ({build})", env!("CARGO_PKG_VERSION"), said_by("git", &["describe", "--always", "--dirty"])),
        ),
        ("date", clock::now().strftime("%Y-%m-%d %H:%M UTC").to_string()),
        ("processor", format!("{cores} cores, {}", value_of("/proc/cpuinfo", "model name"))),
        ("memory", value_of("/proc/meminfo", "MemTotal")),
        ("kernel", fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()),
        ("file system", file_system()),
        ("compiler", said_by("rustc", &["--version"])),
    ]
}

/// The first line that a program prints.
fn said_by(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or("unknown").to_owned()
}

fn value_of(path: &str, name: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name)).and_then(|line| line.split_once(':'));
    line.map_or("unknown", |(_, value)| value.trim()).to_owned()
}

/// The file system under the data folders: the longest mount point that leads there.
fn file_system() -> String {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let leading = fields.filter(|fields| fields.len() > 2 && Folder::parent().starts_with(fields[1]));
    let longest = leading.max_by_key(|fields| fields[1].len());
    longest.map_or_else(|| "unknown".to_owned(), |fields| format!("{} on {}", fields[2], fields[0]))
}
