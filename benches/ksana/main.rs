//! `cargo bench`: what the service does, beside what the machine does, in one table.
//!
//! Figures are printed and never judged. But what is measured must be what is meant: an answer that
//! is not the expected one, or a job that never fires, ends the run.

mod api;
mod bare;
mod bare_calls;
mod bare_server;
mod burst;
mod client;
mod daemon;
mod folder;
mod idle;
mod jobs;
mod lateness;
mod load;
mod machine;
mod options;
mod probe;
mod process;
mod receiver;
mod restarts;
mod statistics;
mod steady;
mod store;
mod table;

use std::process::ExitCode;
use std::time::Instant;

use options::Options;
use table::Table;

/// A group of rows: its name, and what measures it.
type Group = (&'static str, fn(&Options, &mut Table));

const GROUPS: &[Group] = &[
    ("store", store::measure),
    ("lateness", lateness::measure),
    ("burst", burst::measure),
    ("steady", steady::measure),
    ("api", api::measure),
    ("idle", idle::measure),
];

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some(bare_calls::WORD) => bare_calls::main(&arguments[1..]),
        Some(bare_server::WORD) => bare_server::main(),
        _ => return measure(&arguments),
    }
    ExitCode::SUCCESS
}

/// Measures what is asked for.
fn measure(arguments: &[String]) -> ExitCode {
    let names: Vec<_> = GROUPS.iter().map(|(name, _)| *name).collect();
    let options = match Options::parse(arguments, &names) {
        Ok(Some(options)) => options,
        Ok(None) => return ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let mut table = Table::new(machine::lines());
    for (name, measure) in GROUPS.iter().filter(|(name, _)| options.wants(name)) {
        let began = Instant::now();
        measure(&options, &mut table);
        table.group_took(name, began.elapsed());
    }
    print!("{}", if options.json { table.json() } else { table.text() });
    ExitCode::SUCCESS
}
