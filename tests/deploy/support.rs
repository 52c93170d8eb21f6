//! The tools that a machine may lack, and commands that have to succeed.

use std::path::Path;
use std::process::Command;

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
    assert!(std::env::var_os("CI").is_none(), "not tried, and CI must try everything: there is no {missing}");
    eprintln!("not tried: there is no {missing}");
    false
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
