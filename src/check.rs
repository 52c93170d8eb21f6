//! `ksana check`: what is wrong with the settings and the files, without running anything.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::config::Config;
use crate::daemon::defaults;
use crate::{keys, store};

/// Reads the settings, the key file and `jobs.json`, and says what it finds. Ends with failure
/// where something is wrong.
pub fn check() -> ExitCode {
    let mut report = Report::default();
    match Config::from_env() {
        Err(problems) => problems.iter().for_each(|problem| report.wrong(problem)),
        Ok(config) => {
            report.right("settings: good");
            check_keys(&config, &mut report);
            check_jobs(&config, &mut report);
        }
    }
    report.end()
}

fn check_keys(config: &Config, report: &mut Report) {
    let path = config.keys_file.path.display();
    match keys::count(&config.keys_file.path) {
        Ok(Some(0)) => report.wrong(format!("{path}: holds no key, so every request would be refused")),
        Ok(Some(count)) => report.right(format!("{path}: {count} keys")),
        Ok(None) if config.keys_file.is_default => report.right(format!("{path}: missing; the first start makes it")),
        Ok(None) => report.wrong(format!("{path}: missing, so every request would be refused")),
        Err(reason) => report.wrong(format!("{path}: {reason}")),
    }
}

fn check_jobs(config: &Config, report: &mut Report) {
    let path = store::snapshot_path(&config.data_dir);
    let mut count = 0;
    let mut problems = Vec::new();
    let read = store::inspect(&config.data_dir, &defaults(config), |job| {
        count += 1;
        let found = job.spec.problems();
        problems.extend(found.into_iter().map(|problem| (job.spec.id.clone(), problem)));
    });
    for (id, problem) in problems {
        report.wrong(format!("{}: job {id}: {}: {}", path.display(), problem.field, problem.message));
    }
    match read {
        Ok(()) if path.exists() => report.right(format!("{}: {count} jobs", path.display())),
        Ok(()) => report.right(format!("{}: missing; the first start makes it", path.display())),
        Err(error) => report.wrong(error),
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

    fn wrong(&mut self, line: impl std::fmt::Display) {
        self.is_wrong = true;
        let _ = writeln!(io::stderr(), "wrong: {line}");
    }

    fn end(self) -> ExitCode {
        if self.is_wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}
