//! What Ksana says of itself: a line an event on standard output, and nobody ever waits for who reads it.

mod line;
mod writer;

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata};

use crate::clock;
use line::Fields;
use writer::Queue;

/// How much is said. Ordered: the later, the graver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What helps to find a fault.
    Debug,
    /// What an operator wants to know of a service that is well.
    Info,
    /// What is not as it should be, while the service goes on.
    Warn,
    /// What failed.
    Error,
}

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Text where standard output is a terminal, else JSON.
    Auto,
    /// One JSON object a line.
    Json,
    /// `time LEVEL message key=value …`, for eyes.
    Text,
}

impl Level {
    /// The level of this lower-case name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Debug, Self::Info, Self::Warn, Self::Error].into_iter().find(|level| level.name() == name)
    }

    /// `debug`, `info`, `warn` or `error`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }

    /// Tracing knows one level more, which Ksana never shows.
    fn of(level: tracing::Level) -> Option<Self> {
        match level {
            tracing::Level::ERROR => Some(Self::Error),
            tracing::Level::WARN => Some(Self::Warn),
            tracing::Level::INFO => Some(Self::Info),
            tracing::Level::DEBUG => Some(Self::Debug),
            _ => None,
        }
    }

    const fn filter(self) -> LevelFilter {
        match self {
            Self::Debug => LevelFilter::DEBUG,
            Self::Info => LevelFilter::INFO,
            Self::Warn => LevelFilter::WARN,
            Self::Error => LevelFilter::ERROR,
        }
    }
}

/// The running log. It lives as long as the process; clones name the same one.
#[derive(Clone, Debug)]
pub struct Log {
    queue: Queue,
}

impl Log {
    /// Waits until what was said before this call is written, for at most `patience`; false if it is not.
    /// To be called before the process ends, also from a panic hook: a process that ends does not
    /// wait for the writer.
    pub fn flush(&self, patience: Duration) -> bool {
        self.queue.flush(patience)
    }
}

/// Starts the writer on standard output and makes it the log of the whole process.
///
/// # Errors
///
/// Where a log runs already, or the system refuses a thread or a descriptor.
pub fn init(level: Level, format: Format) -> io::Result<Log> {
    let stdout = io::stdout();
    // Not through the standard library's own handle: that one holds a lock and a buffer, and a
    // `println!` elsewhere would wait for it.
    let out = std::fs::File::from(stdout.as_fd().try_clone_to_owned()?);
    let text = match format {
        Format::Auto => io::IsTerminal::is_terminal(&stdout),
        Format::Json => false,
        Format::Text => true,
    };
    let (subscriber, log) = start(out, level, text)?;
    tracing::subscriber::set_global_default(subscriber).map_err(io::Error::other)?;
    Ok(log)
}

fn start(out: impl io::Write + Send + 'static, level: Level, text: bool) -> io::Result<(Lines, Log)> {
    let queue = Queue::start(out, text)?;
    Ok((Lines { level, text, queue: queue.clone() }, Log { queue }))
}

/// Makes lines of events. Spans are accepted and ignored.
struct Lines {
    level: Level,
    text: bool,
    queue: Queue,
}

impl tracing::Subscriber for Lines {
    /// Only what Ksana says itself: the libraries' lines are noise that an outsider can cause, and
    /// some of them would show what travels.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
            && metadata.target().starts_with("ksana")
            && Level::of(*metadata.level()).is_some_and(|level| level >= self.level)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level.filter())
    }

    fn event(&self, event: &Event<'_>) {
        let Some(level) = Level::of(*event.metadata().level()) else { return };
        let mut fields = Fields::new(self.text);
        event.record(&mut fields);
        self.queue.push(fields.line(clock::now(), level));
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[cfg(test)]
mod tests;
