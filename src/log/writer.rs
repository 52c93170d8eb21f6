//! The queue and the thread between an event and standard output, so that a blocked reader stalls
//! the lines and never the caller.

use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::Level;
use super::line::dropped_lines;
use crate::clock;
use crate::limits::{LOG_BATCH_BYTES, LOG_QUEUE_LINES_MAX, LOG_STDOUT_FULL_WAIT_MILLIS, LOG_STREAM_REST_MILLIS};

/// The sending side. Clones name the same queue.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    lines: SyncSender<String>,
    progress: Arc<Progress>,
}

/// What the two sides tell each other beside the lines.
#[derive(Debug, Default)]
struct Progress {
    /// Lines that the queue took.
    taken: AtomicU64,
    /// Lines lost since the last time that a loss was told.
    lost: AtomicU64,
    /// Lines of the queue that are written, or lost in the writing.
    done: Mutex<u64>,
    /// Told of each change of `done`.
    moved: Condvar,
}

impl Queue {
    /// Starts the thread, which lives as long as there is a queue.
    pub(super) fn start(out: impl Write + Send + 'static, text: bool) -> io::Result<Self> {
        let (lines, received) = sync_channel(LOG_QUEUE_LINES_MAX);
        let progress = Arc::new(Progress::default());
        let mut writer = Writer { out, text, torn: false, progress: Arc::clone(&progress) };
        thread::Builder::new().name("ksana-log".into()).spawn(move || writer.run(&received))?;
        Ok(Self { lines, progress })
    }

    /// Never waits: a line for which there is no room is counted instead.
    pub(super) fn push(&self, line: String) {
        let count = if self.lines.try_send(line).is_ok() { &self.progress.taken } else { &self.progress.lost };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits until every line pushed before this call is done with; false if `patience` ran out.
    pub(super) fn flush(&self, patience: Duration) -> bool {
        let goal = self.progress.taken.load(Ordering::Relaxed);
        // A panic cannot leave a number half changed, and flush is what a panic hook calls.
        let done = self.progress.done.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.progress.moved.wait_timeout_while(done, patience, |done| *done < goal);
        *waited.unwrap_or_else(PoisonError::into_inner).0 >= goal
    }
}

struct Writer<W> {
    out: W,
    text: bool,
    /// The last write ended within a line, so the next one begins with a newline.
    torn: bool,
    progress: Arc<Progress>,
}

impl<W: Write> Writer<W> {
    /// Waits for one line, takes what else is there, writes it all at once.
    fn run(&mut self, lines: &Receiver<String>) {
        let mut last_write: Option<Instant> = None;
        while let Ok(line) = lines.recv() {
            // A line after a silence goes out at once; of a stream each wake takes some, so that who says
            // them need not wake this thread for each.
            let rest = Duration::from_millis(LOG_STREAM_REST_MILLIS);
            if let Some(rest) = last_write.and_then(|last| rest.checked_sub(last.elapsed())) {
                thread::sleep(rest);
            }
            let (mut batch, mut count) = (line, 1);
            while batch.len() < LOG_BATCH_BYTES
                && let Ok(line) = lines.try_recv()
            {
                batch.push_str(&line);
                count += 1;
            }
            if self.write(&batch).is_err() {
                // Nobody reads, or the disk behind is full. The lines are lost; whoever reads
                // again later is told how many. Each batch is tried once, so nothing spins.
                self.progress.lost.fetch_add(count, Ordering::Relaxed);
            } else {
                self.tell_losses();
            }
            last_write = Some(Instant::now());
            *self.progress.done.lock().unwrap_or_else(PoisonError::into_inner) += count;
            self.progress.moved.notify_all();
        }
    }

    fn tell_losses(&mut self) {
        let lost = self.progress.lost.swap(0, Ordering::Relaxed);
        if lost > 0 && self.write(&dropped_lines(self.text, clock::now(), Level::Warn, lost)).is_err() {
            self.progress.lost.fetch_add(lost, Ordering::Relaxed);
        }
    }

    fn write(&mut self, lines: &str) -> io::Result<()> {
        if self.torn {
            self.write_bytes(b"\n")?;
        }
        self.write_bytes(lines.as_bytes())
    }

    fn write_bytes(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.out.write(bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.torn = bytes[written - 1] != b'\n';
                    bytes = &bytes[written..];
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Whoever shares this pipe or terminal made it non-blocking. It is full, not broken.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    thread::sleep(Duration::from_millis(LOG_STDOUT_FULL_WAIT_MILLIS));
                }
                Err(error) => return Err(error),
            }
        }
        self.out.flush()
    }
}
