//! What stands behind `cargo bench --`.

use std::time::Duration;

/// How the run is to be.
#[derive(Debug)]
pub(crate) struct Options {
    /// One object for tools in place of the table for people.
    pub(crate) json: bool,
    /// Less than a minute: fewer sizes, shorter slices.
    pub(crate) quick: bool,
    groups: Vec<String>,
}

impl Options {
    /// Reads the arguments; nothing where this is no `cargo bench`, because tests are not timed.
    pub(crate) fn parse(arguments: &[String], names: &[&str]) -> Result<Option<Self>, String> {
        // Cargo's own word: `cargo test --benches` leaves it out.
        if !arguments.iter().any(|argument| argument == "--bench") {
            return Ok(None);
        }
        let mut options = Self { json: false, quick: false, groups: Vec::new() };
        for argument in arguments {
            match argument.as_str() {
                "--bench" => {}
                "--json" => options.json = true,
                "--quick" => options.quick = true,
                name if names.contains(&name) => options.groups.push(name.to_owned()),
                other => {
                    let names = names.join(", ");
                    return Err(format!("unexpected argument {other:?}; accepted are --json, --quick, {names}"));
                }
            }
        }
        Ok(Some(options))
    }

    /// Whether a group of rows is asked for. Where none is named, all are.
    pub(crate) fn wants(&self, group: &str) -> bool {
        self.groups.is_empty() || self.groups.iter().any(|name| name == group)
    }

    /// A span of a whole run, or of a quick one.
    pub(crate) fn millis(&self, whole: u64, quick: u64) -> Duration {
        Duration::from_millis(if self.quick { quick } else { whole })
    }
}
