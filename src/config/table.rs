//! The variables as a table: the parser, `--help`, the README and the example file all come from it.

use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;

use super::Host;
use crate::job::GoDuration;
use crate::limits;

/// One variable of the environment.
#[derive(Debug)]
pub struct Variable {
    /// What it is called.
    pub name: &'static str,
    /// What it was called once; counts where `name` is not set.
    pub older_name: Option<&'static str>,
    /// What holds where it is not set.
    pub default: Fallback,
    /// Which values it takes.
    pub accepts: Accepts,
    /// What it is for, in half a sentence.
    pub meaning: &'static str,
}

/// What holds where a variable is not set.
#[derive(Debug)]
pub enum Fallback {
    /// The same as if it were set to this.
    Value(&'static str),
    /// Something that depends on where the service runs, in words.
    Rule(&'static str),
}

/// Which values a variable takes. Shown as it stands in messages: `a whole number from 0 to 65535`.
#[derive(Debug)]
pub enum Accepts {
    /// A whole number within these bounds.
    Whole(u64, u64),
    /// A duration within these bounds.
    Duration(GoDuration, GoDuration),
    /// One of these words, in any case.
    Word(&'static [&'static str]),
    /// Where to listen.
    Host,
    /// A path, which need not be UTF-8.
    Path,
}

/// A value that was accepted.
#[derive(Debug, PartialEq)]
pub(super) enum Value {
    Whole(u64),
    Duration(GoDuration),
    Word(&'static str),
    Host(Host),
    Path(PathBuf),
}

/// Every variable that Ksana reads.
pub const VARIABLES: &[Variable] = &[
    Variable {
        name: "HOST",
        older_name: None,
        default: Fallback::Value("0.0.0.0"),
        accepts: Accepts::Host,
        meaning: "address to listen on",
    },
    Variable {
        name: "PORT",
        older_name: None,
        default: Fallback::Value("7100"),
        accepts: Accepts::Whole(0, u16::MAX as u64),
        meaning: "TCP port; 0 takes a free one and the log says which",
    },
    Variable {
        name: "DATA_DIR",
        older_name: Some("KSANA_DATA"),
        default: Fallback::Value("./data"),
        accepts: Accepts::Path,
        meaning: "folder of jobs.json",
    },
    Variable {
        name: "AUTH_KEYS_FILE",
        older_name: None,
        default: Fallback::Value("./config/api_keys.txt"),
        accepts: Accepts::Path,
        meaning: "the key file; where this is not set and there is no file, the first start makes one",
    },
    Variable {
        name: "WORKERS",
        older_name: None,
        default: Fallback::Value("4"),
        accepts: Accepts::Whole(1, limits::WORKERS_MAX),
        meaning: "most callbacks in flight at once",
    },
    Variable {
        name: "DEFAULT_TIMEOUT",
        older_name: None,
        default: Fallback::Value("10s"),
        accepts: Accepts::Duration(
            GoDuration::from_millis(limits::TIMEOUT_MILLIS_MIN),
            GoDuration::from_hours(limits::TIMEOUT_HOURS_MAX),
        ),
        meaning: "a job's timeout where it names none",
    },
    Variable {
        name: "MAX_RETRIES",
        older_name: None,
        default: Fallback::Value("3"),
        accepts: Accepts::Whole(0, limits::MAX_RETRIES_MAX.unsigned_abs()),
        meaning: "a job's max_retries where it names none",
    },
    Variable {
        name: "RETRY_BACKOFF",
        older_name: None,
        default: Fallback::Value("5s"),
        accepts: Accepts::Duration(GoDuration::ZERO, GoDuration::from_hours(limits::RETRY_BACKOFF_HOURS_MAX)),
        meaning: "a job's retry_backoff where it names none",
    },
    Variable {
        name: "LATE_WARN",
        older_name: None,
        default: Fallback::Value("1s"),
        accepts: Accepts::Duration(
            GoDuration::from_millis(limits::LATE_WARN_MILLIS_MIN),
            GoDuration::from_hours(limits::LATE_WARN_HOURS_MAX),
        ),
        meaning: "a fire that is later than this is warned of, at most once a minute",
    },
    Variable {
        name: "HISTORY_MAX_BYTES",
        older_name: None,
        default: Fallback::Value("268435456"),
        accepts: Accepts::Whole(limits::HISTORY_BYTES_MIN, limits::HISTORY_BYTES_MAX),
        meaning: "size of the history of runs; the oldest go first, and failures later than successes",
    },
    Variable {
        name: "HISTORY_MAX_AGE",
        older_name: None,
        default: Fallback::Value("720h"),
        accepts: Accepts::Duration(
            GoDuration::from_hours(limits::HISTORY_AGE_HOURS_MIN),
            GoDuration::from_hours(limits::HISTORY_AGE_HOURS_MAX),
        ),
        meaning: "age of the history of runs; failures and what was missed are kept three times as long",
    },
    Variable {
        name: "PROXY_FROM_ENV",
        older_name: None,
        default: Fallback::Value("false"),
        accepts: Accepts::Word(&["true", "false"]),
        meaning: "whether callbacks obey http_proxy, https_proxy, all_proxy and no_proxy",
    },
    Variable {
        name: "MAX_CONNECTIONS",
        older_name: None,
        default: Fallback::Rule("4096, or 75 % of the file descriptors if that is less"),
        accepts: Accepts::Whole(1, limits::CONNECTIONS_MAX),
        meaning: "most connections of clients at once",
    },
    Variable {
        name: "LOG_LEVEL",
        older_name: None,
        default: Fallback::Value("info"),
        accepts: Accepts::Word(&["debug", "info", "warn", "error"]),
        meaning: "the least grave lines that are logged",
    },
    Variable {
        name: "LOG_FORMAT",
        older_name: None,
        default: Fallback::Rule("text on a terminal, else json"),
        accepts: Accepts::Word(&["json", "text"]),
        meaning: "how a log line looks",
    },
];

impl Variable {
    /// The row of this variable in a Markdown table: name, default, accepted, meaning.
    pub fn markdown_row(&self) -> String {
        let older = self.older_name.map(|name| format!(" (older name `{name}`)")).unwrap_or_default();
        let default = match self.default {
            Fallback::Value(value) => format!("`{value}`"),
            Fallback::Rule(rule) => rule.to_owned(),
        };
        format!("| `{}`{older} | {default} | {} | {} |", self.name, self.accepts, self.meaning)
    }
}

impl fmt::Display for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Value(text) | Self::Rule(text)) = self;
        f.write_str(text)
    }
}

impl fmt::Display for Accepts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(min, max) => write!(f, "a whole number from {min} to {max}"),
            Self::Duration(min, max) => write!(f, "a duration from {min} to {max}, such as 300ms, 10s or 1m30s"),
            Self::Word([most @ .., last]) => write!(f, "{} or {last}", most.join(", ")),
            Self::Word([]) => Ok(()),
            Self::Host => f.write_str(Host::ACCEPTED),
            Self::Path => f.write_str("a path"),
        }
    }
}

impl Accepts {
    /// What `text` means, or nothing if it is not accepted.
    pub(super) fn read(&self, text: &OsStr) -> Option<Value> {
        if let Self::Path = self {
            return Some(Value::Path(text.into()));
        }
        let text = text.to_str()?;
        match *self {
            Self::Whole(min, max) => text.parse().ok().filter(|number| (min..=max).contains(number)).map(Value::Whole),
            Self::Duration(min, max) => {
                text.parse().ok().filter(|duration| (min..=max).contains(duration)).map(Value::Duration)
            }
            Self::Word(words) => {
                words.iter().find(|word| word.eq_ignore_ascii_case(text)).map(|word| Value::Word(word))
            }
            Self::Host => Host::read(text).map(Value::Host),
            Self::Path => None,
        }
    }
}
