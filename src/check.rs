//! `ksana check`: what is wrong with the settings and the files, without running anything.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use crate::config::Config;
use crate::daemon::{EXIT_CONFIG, bounds, defaults};
use crate::engine::Engine;
use crate::keys;
use crate::ledger::{FOLDER, Ledger};
use crate::store::{self, Directory, Inspection};

/// Reads the settings, the key file and the data folder, and says what it finds. Ends as a start would end that what
/// was found forbids; what a start only warns of is warned of here.
pub fn check() -> ExitCode {
    let mut report = Report::default();
    match Config::from_env() {
        Err(problems) => problems.iter().for_each(|problem| report.wrong(problem)),
        Ok(config) => {
            report.right("settings: good");
            check_keys(&config, &report);
            check_jobs(&config, &mut report);
            check_history(&config, &report);
        }
    }
    report.end()
}

fn check_keys(config: &Config, report: &Report) {
    let path = config.keys_file.path.display();
    match keys::count(&config.keys_file.path) {
        Ok(Some(0)) => report.warning(format!("{path}: holds no key, so every request would be refused")),
        Ok(Some(count)) => report.right(format!("{path}: {count} keys")),
        Ok(None) if config.keys_file.is_default => report.right(format!("{path}: missing; the first start makes it")),
        Ok(None) => report.warning(format!("{path}: missing, so every request would be refused")),
        Err(reason) => report.warning(format!("{path}: {reason}, so every request would be refused")),
    }
    if keys::is_mount_point(&config.keys_file.path) {
        report.warning(format!("{path}: is itself a mount point, so a file that replaces it outside is never seen"));
    }
}

fn check_jobs(config: &Config, report: &mut Report) {
    let path = config.data_dir.display();
    let mut engine = Engine::loading(config.workers);
    let inspected = store::inspect(&config.data_dir, &defaults(config), |record| engine.apply(record));
    for job in engine.jobs() {
        for problem in job.spec.problems() {
            report.warning(format!("{path}: job {}: {}: {}", job.spec.id, problem.field, problem.message));
        }
    }
    let jobs = engine.len();
    match inspected {
        Ok(Inspection::Missing) => report.right(format!("{path}: missing; the first start makes it")),
        Ok(Inspection::InUse) => report.right(format!("{path}: {jobs} jobs in jobs.json; a running service uses it")),
        Ok(Inspection::Whole(0)) => report.right(format!("{path}: {jobs} jobs")),
        Ok(Inspection::Whole(records)) => {
            report.right(format!("{path}: {jobs} jobs, after {records} records in the journal of an unclean stop"));
        }
        Err(error) => report.wrong(error),
    }
}

fn check_history(config: &Config, report: &Report) {
    let path = config.data_dir.join(FOLDER);
    if let Err(error) = Ledger::open(Arc::new(Directory::look(&path)), bounds(config)) {
        let path = path.display();
        report.warning(format!("{path}: the history of runs cannot be read, so it would begin anew: {error}"));
    }
}

/// What was found, as it is told: good news on standard output, the rest on standard error.
#[derive(Default)]
struct Report {
    is_wrong: bool,
}

impl Report {
    #[expect(clippy::unused_self, reason = "told together with `wrong`")]
    fn right(&self, line: impl std::fmt::Display) {
        // One who closed his standard output does not want to know.
        let _ = writeln!(io::stdout(), "{line}");
    }

    #[expect(clippy::unused_self, reason = "told together with `wrong`")]
    fn warning(&self, line: impl std::fmt::Display) {
        let _ = writeln!(io::stderr(), "warning: {line}");
    }

    /// What stops a start.
    fn wrong(&mut self, line: impl std::fmt::Display) {
        self.is_wrong = true;
        let _ = writeln!(io::stderr(), "wrong: {line}");
    }

    fn end(self) -> ExitCode {
        if self.is_wrong { ExitCode::from(EXIT_CONFIG) } else { ExitCode::SUCCESS }
    }
}
