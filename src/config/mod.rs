//! What can be set: parsed once from the environment, then always valid.

mod host;
mod problem;
mod table;

use std::ffi::OsString;
use std::path::PathBuf;

use crate::job::GoDuration;
use crate::log;

pub use host::Host;
pub use problem::Problem;
use table::Value;
pub use table::{Accepts, Fallback, VARIABLES, Variable};

/// All that can be set. [`VARIABLES`] says what each is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where to listen.
    pub host: Host,
    /// TCP port; 0 takes a free one.
    pub port: u16,
    /// Folder of `jobs.json`.
    pub data_dir: PathBuf,
    /// The key file.
    pub keys_file: KeysFile,
    /// Most callbacks in flight at once.
    pub workers: usize,
    /// A job's timeout where it names none.
    pub default_timeout: GoDuration,
    /// A job's number of retries where it names none.
    pub max_retries: u32,
    /// A job's pause before a retry where it names none.
    pub retry_backoff: GoDuration,
    /// A fire later than this is warned of.
    pub late_warn: GoDuration,
    /// How large the history of runs may become, in bytes.
    pub history_max_bytes: u64,
    /// How long it goes back.
    pub history_max_age: GoDuration,
    /// Whether callbacks obey the usual variables of a proxy.
    pub proxy_from_env: bool,
    /// Most connections of clients at once; by the descriptors there are where this is unset.
    pub max_connections: Option<usize>,
    /// The least grave lines that are logged.
    pub log_level: log::Level,
    /// How a log line looks.
    pub log_format: log::Format,
}

/// Where the keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeysFile {
    /// The file.
    pub path: PathBuf,
    /// Nobody named it: then a missing one is made at the first start.
    pub is_default: bool,
}

impl Config {
    /// Reads the environment of this process.
    ///
    /// # Errors
    ///
    /// All wrong values, not only the first.
    pub fn from_env() -> Result<Self, Vec<Problem>> {
        Self::from_vars(variable)
    }

    /// The data folder alone, for who needs nothing else: whatever is wrong with the other variables.
    pub fn data_dir_from_env() -> PathBuf {
        let get = |name: &str| variable(name).filter(|value| !value.is_empty());
        Reader { get: &get, problems: Vec::new() }.path("DATA_DIR")
    }

    /// Reads variables from anywhere. An empty one counts as unset.
    ///
    /// # Errors
    ///
    /// All wrong values, not only the first.
    pub fn from_vars(get: impl Fn(&str) -> Option<OsString>) -> Result<Self, Vec<Problem>> {
        let get = |name: &str| get(name).filter(|value| !value.is_empty());
        let mut reader = Reader { get: &get, problems: Vec::new() };
        let config = Self {
            host: reader.host("HOST"),
            port: narrow(reader.whole("PORT")),
            data_dir: reader.path("DATA_DIR"),
            keys_file: KeysFile { path: reader.path("AUTH_KEYS_FILE"), is_default: get("AUTH_KEYS_FILE").is_none() },
            workers: narrow(reader.whole("WORKERS")),
            default_timeout: reader.duration("DEFAULT_TIMEOUT"),
            max_retries: narrow(reader.whole("MAX_RETRIES")),
            retry_backoff: reader.duration("RETRY_BACKOFF"),
            late_warn: reader.duration("LATE_WARN"),
            history_max_bytes: reader.whole("HISTORY_MAX_BYTES"),
            history_max_age: reader.duration("HISTORY_MAX_AGE"),
            proxy_from_env: reader.word("PROXY_FROM_ENV") == Some("true"),
            max_connections: reader.whole_if_set("MAX_CONNECTIONS").map(narrow),
            log_level: reader.word("LOG_LEVEL").and_then(log::Level::named).expect("the table lists the levels"),
            log_format: match reader.word("LOG_FORMAT") {
                Some("json") => log::Format::Json,
                Some(_) => log::Format::Text,
                None => log::Format::Auto,
            },
        };
        if reader.problems.is_empty() { Ok(config) } else { Err(reader.problems) }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the place that reads the environment, once")]
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// The bounds in the table are those of the field's type, or closer.
fn narrow<T: TryFrom<u64>>(number: u64) -> T {
    T::try_from(number).ok().expect("the table bounds it")
}

/// Looks each variable up in the table, so that nothing is read that the table does not tell of.
struct Reader<'a> {
    get: &'a dyn Fn(&str) -> Option<OsString>,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    /// What is set, else the default. A wrong value is noted, and the default stands in, so that
    /// the next ones are read too.
    fn read(&mut self, name: &str) -> Option<Value> {
        let variable = VARIABLES.iter().find(|variable| variable.name == name).expect("every variable is in the table");
        let set = [Some(variable.name), variable.older_name]
            .into_iter()
            .flatten()
            .find_map(|name| Some((name, (self.get)(name)?)));
        if let Some((name, text)) = set {
            match variable.accepts.read(&text) {
                Some(value) => return Some(value),
                None => self.problems.push(Problem::new(name, &text, variable.accepts.to_string())),
            }
        }
        match variable.default {
            Fallback::Value(text) => Some(variable.accepts.read(text.as_ref()).expect("a default is accepted")),
            Fallback::Rule(_) => None,
        }
    }

    fn whole_if_set(&mut self, name: &str) -> Option<u64> {
        self.read(name).map(|value| match value {
            Value::Whole(number) => number,
            other => unreachable!("{name} is no number in the table but {other:?}"),
        })
    }

    fn whole(&mut self, name: &str) -> u64 {
        self.whole_if_set(name).expect("the table has a default for it")
    }

    fn duration(&mut self, name: &str) -> GoDuration {
        match self.read(name) {
            Some(Value::Duration(duration)) => duration,
            other => unreachable!("{name} is no duration in the table but {other:?}"),
        }
    }

    fn word(&mut self, name: &str) -> Option<&'static str> {
        self.read(name).map(|value| match value {
            Value::Word(word) => word,
            other => unreachable!("{name} is no word in the table but {other:?}"),
        })
    }

    fn host(&mut self, name: &str) -> Host {
        match self.read(name) {
            Some(Value::Host(host)) => host,
            other => unreachable!("{name} is no host in the table but {other:?}"),
        }
    }

    fn path(&mut self, name: &str) -> PathBuf {
        match self.read(name) {
            Some(Value::Path(path)) => path,
            other => unreachable!("{name} is no path in the table but {other:?}"),
        }
    }
}

#[cfg(test)]
mod tests;
