//! The binary: what the command line asks for.

use std::io::{self, Write};
use std::process::ExitCode;

use ksana::cli::{self, Command};
use ksana::{check, clock, daemon, healthcheck, runs};

fn main() -> ExitCode {
    match cli::parse(std::env::args_os().skip(1), clock::now()) {
        Ok(Command::Serve) => daemon::serve(),
        Ok(Command::Check) => check::check(),
        Ok(Command::Healthcheck(probe)) => healthcheck::healthcheck(probe.path()),
        Ok(Command::Runs(query)) => runs::runs(query),
        Ok(Command::Help) => print(&cli::help()),
        Ok(Command::Version) => print(&cli::version()),
        Err(error) => {
            eprintln!("ksana: {error}");
            ExitCode::from(2)
        }
    }
}

/// A pipe that was closed early, as by `head`, is no failure.
fn print(text: &str) -> ExitCode {
    let _ = io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}
