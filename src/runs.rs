//! `ksana runs`: the history of runs for the shell, read from its files, whether the service runs or not.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::config::Config;
use crate::job::{GoDuration, JobId, Status, parse_time};
use crate::ledger::{FOLDER, Query, Reader};
use crate::limits::{HISTORY_LIMIT_DEFAULT, HISTORY_LIMIT_MAX};
use crate::store::Directory;

/// What may stand behind the command.
pub const OPTIONS: &str = "[--job ID] [--status STATUS] [--since TIME] [--until TIME] [--limit N] [--help]";

/// Reads what stands behind the command, at `now`; `None` where that asks for help.
///
/// # Errors
///
/// What is wrong and what is accepted.
pub fn parse(arguments: impl IntoIterator<Item = OsString>, now: Timestamp) -> Result<Option<Query>, String> {
    let mut query = Query { limit: HISTORY_LIMIT_DEFAULT, ..Query::default() };
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let argument = argument.to_string_lossy().into_owned();
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (argument.as_str(), None),
        };
        let mut value = |accepted: &str| {
            let value = value.clone().or_else(|| Some(arguments.next()?.to_string_lossy().into_owned()));
            value.ok_or_else(|| format!("{name} needs a value; accepted is {accepted}"))
        };
        match name {
            "--job" => {
                let value = value("the id of a job")?;
                query.job = Some(JobId::parse(&value).map_err(|error| format!("--job {value:?}: {error}"))?);
            }
            "--status" => {
                let accepted = format!("one of {}", Status::ENDS);
                let value = value(&accepted)?;
                query.status = Some(Status::parse_end(&value).ok_or_else(|| refused(name, &value, &accepted))?);
            }
            "--since" => query.since = Some(moment(name, &value(MOMENT)?, now)?),
            "--until" => query.until = Some(moment(name, &value(MOMENT)?, now)?),
            "--limit" => {
                let accepted = "a whole number from 1 on";
                let value = value(accepted)?;
                let limit = value.parse().ok().filter(|limit| *limit > 0);
                query.limit = limit.ok_or_else(|| refused(name, &value, accepted))?;
            }
            "--help" | "-h" => return Ok(None),
            _ => return Err(format!("unexpected argument {argument:?} of runs; accepted are {OPTIONS}")),
        }
    }
    Ok(Some(query))
}

const MOMENT: &str = "a time of RFC 3339, such as 2025-09-19T11:05:00Z, or how long ago, such as 24h or 90m";

fn refused(name: &str, value: &str, accepted: &str) -> String {
    format!("{name} {value:?} is not valid; accepted is {accepted}")
}

fn moment(name: &str, text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let ago = |text: &str| text.parse().ok().filter(|ago: &GoDuration| *ago >= GoDuration::ZERO);
    let before =
        |ago: GoDuration| now.checked_sub(SignedDuration::from_nanos(ago.as_nanos())).unwrap_or(Timestamp::MIN);
    parse_time(text).ok().or_else(|| ago(text).map(before)).ok_or_else(|| refused(name, text, MOMENT))
}

/// Prints the records, each as JSON on a line of its own, the newest first.
pub fn runs(query: Query) -> ExitCode {
    match print(query, &mut BufWriter::new(io::stdout().lock())) {
        Ok(()) => ExitCode::SUCCESS,
        // Who has seen enough, as `head`, closes the pipe.
        Err(Failure::Write(error)) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(io::stderr(), "ksana: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Why not all could be printed.
#[derive(Debug)]
enum Failure {
    Read(PathBuf, io::Error),
    Write(io::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(path, error) => {
                write!(f, "cannot read {}: {error}; DATA_DIR says where to look", path.display())
            }
            Self::Write(error) => write!(f, "cannot write: {error}"),
        }
    }
}

/// A page at a time, so that of a long history there is never more in memory.
fn print(mut query: Query, out: &mut impl Write) -> Result<(), Failure> {
    let data_dir = Config::data_dir_from_env();
    // A history that is not there yet is an empty one, a folder that is not there the wrong one.
    fs::metadata(&data_dir).map_err(|error| Failure::Read(data_dir.clone(), error))?;
    let path = data_dir.join(FOLDER);
    let reader = Reader::new(Arc::new(Directory::look(&path)));
    let mut left = query.limit;
    while left > 0 {
        query.limit = left.min(HISTORY_LIMIT_MAX);
        let page = reader.page(&query).map_err(|error| Failure::Read(path.clone(), error))?;
        for line in &page.lines {
            out.write_all(line).and_then(|()| out.write_all(b"\n")).map_err(Failure::Write)?;
        }
        left = left.saturating_sub(page.lines.len());
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    out.flush().map_err(Failure::Write)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Option<Query>, String> {
        parse(arguments.iter().map(OsString::from), at("2025-09-19T11:05:00Z"))
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn options_say_which_runs() {
        let all = Query { limit: HISTORY_LIMIT_DEFAULT, ..Query::default() };
        assert_eq!(parsed(&[]), Ok(Some(all.clone())));
        assert_eq!(parsed(&["--job", "a", "--help"]), Ok(None));
        assert_eq!(parsed(&["-h"]), Ok(None));
        let job = Some(JobId::parse("a").expect("an id"));
        let arguments = ["--job", "a", "--status=failed", "--since", "24h", "--until=2025-09-19T13:00:00+02:00"];
        let [since, until] = ["2025-09-18T11:05:00Z", "2025-09-19T11:00:00Z"].map(|text| Some(at(text)));
        let wanted = Query { job, status: Some(Status::Failed), since, until, ..all.clone() };
        assert_eq!(parsed(&arguments), Ok(Some(wanted)));
        assert_eq!(parsed(&["--limit", "1", "--limit", "70000"]), Ok(Some(Query { limit: 70_000, ..all })));
    }

    #[test]
    fn what_is_wrong_is_told_with_what_is_accepted() {
        for (arguments, told) in [
            (&["--jobs", "a"][..], "unexpected argument \"--jobs\" of runs; accepted are [--job ID]"),
            (&["a"], "unexpected argument \"a\""),
            (&["--job"], "--job needs a value; accepted is the id of a job"),
            (&["--job", "a/b"], "--job \"a/b\""),
            (&["--status", "paused"], "--status \"paused\" is not valid; accepted is one of success, failed"),
            (&["--since", "yesterday"], "accepted is a time of RFC 3339"),
            (&["--until", "-1h"], "such as 24h"),
            (&["--limit", "0"], "from 1 on"),
            (&["--limit="], "from 1 on"),
        ] {
            let error = parsed(arguments).expect_err(told);
            assert!(error.contains(told), "{error}");
        }
    }
}
