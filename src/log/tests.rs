//! The log against writers that are slow, broken or gone.

use std::io::{self, ErrorKind, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::{debug, error, info, trace, warn};

use super::{Level, start};
use crate::limits::{LOG_QUEUE_LINES_MAX, LOG_VALUE_BYTES_MAX};

const PATIENCE: Duration = Duration::from_secs(30);

/// Says how many bytes may be written, or fails.
type Leave = dyn FnMut() -> io::Result<usize> + Send;

/// A writer that keeps what it was given and, before each write, asks for leave.
#[derive(Clone)]
struct Sink {
    written: Arc<Mutex<Vec<u8>>>,
    leave: Arc<Mutex<Box<Leave>>>,
}

impl Sink {
    fn new(leave: impl FnMut() -> io::Result<usize> + Send + 'static) -> Self {
        Self { written: Arc::default(), leave: Arc::new(Mutex::new(Box::new(leave))) }
    }

    fn open() -> Self {
        Self::new(|| Ok(usize::MAX))
    }

    fn text(&self) -> String {
        String::from_utf8(self.written.lock().unwrap().clone()).expect("lines are UTF-8")
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = (self.leave.lock().unwrap())()?.min(bytes.len());
        self.written.lock().unwrap().extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is written of what `say` says.
fn said(level: Level, text: bool, say: impl FnOnce()) -> String {
    let sink = Sink::open();
    let (subscriber, log) = start(sink.clone(), level, text).expect("a thread");
    tracing::subscriber::with_default(subscriber, say);
    assert!(log.flush(PATIENCE));
    sink.text()
}

#[test]
fn json_is_a_flat_object_with_typed_fields_in_order() {
    let line = said(Level::Info, false, || {
        let error = io::Error::other("gone");
        info!(
            port = 7100_u16,
            below = -1,
            up = true,
            ratio = 0.5,
            huge = u128::MAX,
            none = f64::NAN,
            shown = %"a\"b",
            debugged = ?Some(1),
            error = &error as &dyn std::error::Error,
            "listening\non {}",
            "all"
        );
    });
    let (time, rest) = line.split_once("\",").expect("a time");
    let time: jiff::Timestamp = time.strip_prefix("{\"time\":\"").expect("time first").parse().expect("RFC 3339");
    assert!(time > jiff::Timestamp::UNIX_EPOCH);
    assert_eq!(
        rest,
        "\"level\":\"info\",\"msg\":\"listening\\non all\",\"port\":7100,\"below\":-1,\"up\":true,\"ratio\":0.5,\
         \"huge\":340282366920938463463374607431768211455,\"none\":\"NaN\",\"shown\":\"a\\\"b\",\
         \"debugged\":\"Some(1)\",\"error\":\"gone\"}\n"
    );
    serde_json::from_str::<serde_json::Value>(&line).expect("JSON");
}

#[test]
fn time_is_utc_with_six_decimals() {
    let fields = super::line::Fields::new(true);
    let time = "2025-09-19T13:05:00.1+02:00".parse().expect("a time");
    assert_eq!(fields.line(time, Level::Warn), "2025-09-19T11:05:00.100000Z WARN  \n");
}

#[test]
fn text_cannot_be_forged() {
    let line = said(Level::Info, true, || {
        let path = "/\n2025-09-19T11:05:00Z INFO all is well\u{1b}[2J\u{202e}";
        warn!(path, %path, plain = "/jobs", empty = "", count = 3, "refused {path}");
    });
    let rest = line.split_once(' ').expect("a time").1;
    let escaped = "/\\n2025-09-19T11:05:00Z INFO all is well\\u{1b}[2J\\u{202e}";
    assert_eq!(
        rest,
        format!("WARN  refused {escaped} path=\"{escaped}\" path=\"{escaped}\" plain=/jobs empty=\"\" count=3\n")
    );
}

#[test]
fn only_own_events_at_or_above_the_level() {
    let say = || {
        trace!("trace");
        debug!("debug");
        info!("info");
        warn!("warn");
        error!("error");
        error!(target: "isahc::wire", "a library");
        let span = tracing::error_span!("span", field = 1);
        span.in_scope(|| error!("in a span"));
    };
    let check = |level, expected: &[&str]| {
        let lines = said(level, false, say);
        let messages: Vec<String> = lines
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["msg"].as_str().unwrap().into())
            .collect();
        assert_eq!(messages, expected);
    };
    check(Level::Debug, &["debug", "info", "warn", "error", "in a span"]);
    check(Level::Info, &["info", "warn", "error", "in a span"]);
    check(Level::Warn, &["warn", "error", "in a span"]);
    check(Level::Error, &["error", "in a span"]);
}

#[test]
fn long_values_lose_their_end() {
    let line = said(Level::Info, false, || info!(value = "é".repeat(LOG_VALUE_BYTES_MAX), "long"));
    assert!(line.len() < LOG_VALUE_BYTES_MAX + 200 && line.ends_with("é…\"}\n"), "{}", line.len());
}

#[test]
fn blocked_output_stalls_nobody_and_losses_are_told() {
    let (open, gate): (SyncSender<()>, Receiver<()>) = sync_channel(0);
    // Blocks until the gate is dropped.
    let sink = Sink::new(move || {
        let _ = gate.recv();
        Ok(usize::MAX)
    });
    let (subscriber, log) = start(sink.clone(), Level::Info, false).expect("a thread");
    tracing::subscriber::with_default(subscriber, || {
        for number in 0..2 * LOG_QUEUE_LINES_MAX {
            info!(number, "line");
        }
    });
    assert!(!log.flush(Duration::from_millis(1)), "nothing is written yet");
    drop(open);
    assert!(log.flush(PATIENCE));
    let text = sink.text();
    let mut whole = 0;
    let mut dropped = 0;
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        match line["dropped"].as_u64() {
            Some(count) => dropped += count,
            None => whole += 1,
        }
    }
    assert!(dropped > 0);
    assert_eq!(whole + dropped, 2 * LOG_QUEUE_LINES_MAX as u64);
}

#[test]
fn broken_output_is_survived_and_a_torn_line_ended() {
    let mut answers = vec![
        Err(ErrorKind::BrokenPipe.into()),
        Ok(5),
        Err(ErrorKind::StorageFull.into()),
        Err(ErrorKind::Interrupted.into()),
        Err(ErrorKind::WouldBlock.into()),
    ]
    .into_iter();
    let sink = Sink::new(move || answers.next().unwrap_or(Ok(usize::MAX)));
    let (subscriber, log) = start(sink.clone(), Level::Info, true).expect("a thread");
    tracing::subscriber::with_default(subscriber, || {
        for name in ["first", "second", "third"] {
            info!("{name}");
            // One batch each.
            assert!(log.flush(PATIENCE));
        }
    });
    let text = sink.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert_eq!(lines[0].len(), 5, "the torn line");
    assert!(lines[1].ends_with("INFO  third"), "{text}");
    assert!(lines[2].ends_with(" dropped=2"), "{text}");
}
