//! The tools that a machine may lack, and commands that have to succeed.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// How long anything that must come may take; far beyond what a loaded machine needs.
const PATIENCE: Duration = Duration::from_mins(1);

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The folder that is tested.
pub(crate) fn deploy() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy"))
}

/// Whether all these tools are there. Where `CI` is set a missing one is a failure, because there everything has to
/// be tried; elsewhere it is said, and the caller returns.
#[expect(clippy::disallowed_methods, reason = "the environment of the test")]
pub(crate) fn has(tools: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |tool: &&&str| std::env::split_paths(&path).any(|folder| folder.join(tool).is_file());
    let Some(missing) = tools.iter().find(|tool| !is_there(tool)) else { return true };
    not_tried(&format!("there is no {missing}"));
    false
}

/// Says what this machine does not let us try; where `CI` is set that is a failure.
#[expect(clippy::disallowed_methods, reason = "the environment of the test")]
pub(crate) fn not_tried(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "not tried, and CI must try everything: {why}");
    eprintln!("not tried: {why}");
}

/// Runs a command to its end and gives what it printed on its standard output.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let told = String::from_utf8_lossy(&output.stderr);
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}: {}\n{stdout}{told}", output.status);
    stdout
}

/// Waits until `probe` gives something, and names `what` when it never does.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain for: {what}");
        thread::sleep(LOOK_EVERY);
    }
}
