//! What stands behind `ksana` on the command line, and the help that tells of it.

use std::error::Error;
use std::ffi::OsString;
use std::fmt::{self, Write};

use jiff::Timestamp;

use crate::config::VARIABLES;
use crate::ledger::Query;
use crate::{cron, runs};

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Run the service: no argument.
    Serve,
    /// `check`: say what is wrong with the settings and the files, and end.
    Check,
    /// `healthcheck`: ask the running service how it is, and end.
    Healthcheck(Probe),
    /// `runs`: print what came of runs, and end.
    Runs(Query),
    /// `--help`, `-h`.
    Help,
    /// `--version`, `-V`.
    Version,
}

/// What a health check asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Whether the process answers.
    Health,
    /// `--ready`: whether it should get requests.
    Ready,
}

impl Probe {
    /// The endpoint that tells.
    pub fn path(self) -> &'static str {
        match self {
            Self::Health => "/health",
            Self::Ready => "/ready",
        }
    }
}

/// A command line that asks for nothing that there is. Shown as one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsageError {
    /// An argument that is unknown or one too many.
    Unexpected(OsString),
    /// What is wrong with the arguments of a command.
    Wrong(String),
}

/// Reads the arguments that follow the program's name, at `now`.
///
/// # Errors
///
/// At the first argument that is unknown or one too many; the process should then end with status 2.
pub fn parse(arguments: impl IntoIterator<Item = OsString>, now: Timestamp) -> Result<Command, UsageError> {
    let mut arguments = arguments.into_iter();
    let Some(argument) = arguments.next() else { return Ok(Command::Serve) };
    let command = match argument.to_str() {
        Some("check") => Command::Check,
        Some("healthcheck") => match arguments.next() {
            None => return Ok(Command::Healthcheck(Probe::Health)),
            Some(argument) if argument == "--ready" => Command::Healthcheck(Probe::Ready),
            Some(argument) => return Err(UsageError::Unexpected(argument)),
        },
        Some("runs") => {
            let query = runs::parse(arguments, now).map_err(UsageError::Wrong)?;
            return Ok(query.map_or(Command::Help, Command::Runs));
        }
        Some("--help" | "-h") => Command::Help,
        Some("--version" | "-V") => Command::Version,
        _ => return Err(UsageError::Unexpected(argument)),
    };
    match arguments.next() {
        Some(argument) => Err(UsageError::Unexpected(argument)),
        None => Ok(command),
    }
}

impl fmt::Display for UsageError {
    #[expect(clippy::unnecessary_debug_formatting, reason = "quotes and escapes are wanted")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unexpected(argument) => write!(
                f,
                "unexpected argument {argument:?}; accepted is one of check, healthcheck [--ready], runs [options], --help, --version, or none to serve"
            ),
            Self::Wrong(what) => f.write_str(what),
        }
    }
}

impl Error for UsageError {}

/// What `--version` prints, with its last newline.
pub fn version() -> String {
    format!("ksana {}\ntime zones {}\n", env!("CARGO_PKG_VERSION"), cron::zone_data())
}

/// What `--help` prints, with its last newline.
pub fn help() -> String {
    let mut text = String::from(
        "Ksana calls HTTP endpoints at the right moment.

Usage: ksana [check | healthcheck [--ready] | runs [options] | --help | --version]

  (nothing)      runs the service until SIGTERM or SIGINT; SIGHUP reads the key file at once
  check          says what is wrong with the settings and the files, and ends
  healthcheck    asks /health of the running service, as HOST and PORT say, or
                 with --ready asks /ready; ends with 0 if the answer is 200, else with 1
  runs           prints what came of runs, the newest first, one JSON object a line, from the data folder;
                 the service need not run
                   --job ID         those of this job
                   --status STATUS  success, failed, timeout, skipped or missed
                   --since TIME     those that ended then or later; --until TIME before; a time of RFC 3339,
                                    such as 2025-09-19T11:05:00Z, or how long ago, such as 24h or 90m
                   --limit N        at most so many; 100 by default
  -h, --help     prints this text
  -V, --version  prints the version, and which time zone data is used

It is set up by environment variables; an empty one is an unset one.

",
    );
    let name_width = VARIABLES.iter().map(|variable| variable.name.len()).max().unwrap_or(0);
    for variable in VARIABLES {
        let (name, meaning, indent) = (variable.name, variable.meaning, name_width + 4);
        let older = variable.older_name.map(|name| format!(" (older name {name})")).unwrap_or_default();
        let written = write!(
            text,
            "  {name:name_width$}  {meaning}{older}\n\
             {:indent$}accepted: {}\n\
             {:indent$}default: {}\n",
            "", variable.accepts, "", variable.default
        );
        written.expect("a String takes all");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Command, String> {
        parse(arguments.iter().map(OsString::from), Timestamp::UNIX_EPOCH).map_err(|error| error.to_string())
    }

    #[test]
    fn a_command_or_none() {
        assert_eq!(parsed(&[]), Ok(Command::Serve));
        assert_eq!(parsed(&["check"]), Ok(Command::Check));
        assert_eq!(parsed(&["healthcheck"]), Ok(Command::Healthcheck(Probe::Health)));
        assert_eq!(parsed(&["healthcheck", "--ready"]), Ok(Command::Healthcheck(Probe::Ready)));
        assert!(matches!(parsed(&["runs", "--limit", "3"]), Ok(Command::Runs(Query { limit: 3, .. }))));
        assert_eq!(parsed(&["runs", "--help"]), Ok(Command::Help));
        assert_eq!(parsed(&["runs", "-h"]), Ok(Command::Help));
        assert_eq!(parsed(&["--help"]), Ok(Command::Help));
        assert_eq!(parsed(&["-h"]), Ok(Command::Help));
        assert_eq!(parsed(&["--version"]), Ok(Command::Version));
        assert_eq!(parsed(&["-V"]), Ok(Command::Version));
    }

    #[test]
    fn anything_else_is_refused_by_name() {
        for (arguments, named) in [
            (&["serve"][..], "\"serve\""),
            (&["--port=1"], "\"--port=1\""),
            (&[""], "\"\""),
            (&["check", "--help"], "\"--help\""),
            (&["healthcheck", "ready"], "\"ready\""),
            (&["healthcheck", "--ready", "--ready"], "\"--ready\""),
            (&["--ready"], "\"--ready\""),
            (&["--nonsense", "check"], "\"--nonsense\""),
        ] {
            let told = parsed(arguments).expect_err(named);
            assert!(told.starts_with(&format!("unexpected argument {named}; accepted is")), "{told}");
        }
        let told = parsed(&["runs", "--limit", "none"]).expect_err("it is no number");
        assert!(told.starts_with("--limit \"none\" is not valid; accepted is"), "{told}");
    }

    #[test]
    fn help_tells_of_every_variable() {
        let help = help();
        for variable in VARIABLES {
            let told = format!("accepted: {}\n", variable.accepts);
            let after = help.split_once(&format!("  {} ", variable.name)).expect(variable.name).1;
            let lines: Vec<&str> = after.lines().take(3).collect();
            assert!(lines[0].contains(variable.meaning), "{lines:?}");
            assert!(told.trim_end().ends_with(lines[1].trim_start()), "{lines:?}");
            assert_eq!(lines[2].trim_start(), format!("default: {}", variable.default));
        }
        assert!(help.lines().all(|line| line.len() <= 120), "{help}");
    }
}
