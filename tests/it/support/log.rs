//! What the daemon said, a line an event.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use serde_json::Value;

use super::{eventually, in_background};

/// Everything that a daemon and its restarts have written to stdout and stderr.
#[derive(Clone, Default)]
pub(crate) struct Log {
    lines: Arc<Mutex<Vec<String>>>,
}

#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) raw: String,
    json: Value,
}

impl Log {
    /// Collects `pipe` until it ends.
    pub(crate) fn follow(&self, pipe: impl Read + Send + 'static) -> JoinHandle<()> {
        let lines = Arc::clone(&self.lines);
        in_background("log", move || {
            for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                lines.lock().expect("no holder panics").push(String::from_utf8_lossy(&line).into_owned());
            }
        })
    }

    /// Where the log stands now, for [`Log::since`].
    pub(crate) fn mark(&self) -> usize {
        self.lines.lock().expect("no holder panics").len()
    }

    pub(crate) fn since(&self, mark: usize) -> Vec<Line> {
        self.lines.lock().expect("no holder panics")[mark..].iter().map(|raw| Line::new(raw)).collect()
    }

    pub(crate) fn text(&self) -> String {
        self.lines.lock().expect("no holder panics").join("\n")
    }

    /// The lines of that level that contain all of `parts`.
    pub(crate) fn find(&self, level: &str, parts: &[&str]) -> Vec<Line> {
        self.since(0).into_iter().filter(|line| line.level() == level && line.has(parts)).collect()
    }

    /// Waits for a line of that level that contains all of `parts`.
    pub(crate) fn wait_for(&self, level: &str, parts: &[&str]) -> Line {
        eventually(&format!("a log line at {level} with {parts:?} in\n{}", self.text()), || {
            self.find(level, parts).into_iter().next()
        })
    }
}

impl Line {
    pub(crate) fn new(raw: &str) -> Self {
        Self { raw: raw.to_owned(), json: serde_json::from_str(raw).unwrap_or_default() }
    }

    pub(crate) fn level(&self) -> String {
        self.json["level"].as_str().unwrap_or_default().to_lowercase()
    }

    pub(crate) fn has(&self, parts: &[&str]) -> bool {
        parts.iter().all(|part| self.raw.contains(part))
    }

    pub(crate) fn field(&self, name: &str) -> &Value {
        &self.json[name]
    }

    /// The port, where this is the line that tells it.
    pub(crate) fn listening_port(&self) -> Option<u16> {
        if !self.json["msg"].as_str()?.starts_with("listening") {
            return None;
        }
        u16::try_from(self.json["port"].as_u64()?).ok()
    }
}
