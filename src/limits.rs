//! Every limit, with its unit in its name and its reason beside it.

use crate::job::GoDuration;

/// Each callback in flight holds a connection and a buffer; past this the descriptors run out first.
pub const WORKERS_MAX: u64 = 10_000;

/// Shorter than this no connection on any network opens.
pub const TIMEOUT_MIN: GoDuration = GoDuration::from_millis(1);

/// A target that needs longer should answer at once and work afterwards.
pub const TIMEOUT_MAX: GoDuration = GoDuration::from_hours(1);

/// More attempts than this hide a fault instead of riding it out.
pub const RETRIES_MAX: u64 = 100;

/// A run that waits for more than a day between attempts should be a job of its own.
pub const RETRY_BACKOFF_MAX: GoDuration = GoDuration::from_hours(24);

/// What a connection costs stays below 100 MB in all.
pub const CONNECTIONS_DEFAULT: u64 = 4_096;

/// The most that a Linux process may hold descriptors by default of the kernel (`fs.nr_open`), about.
pub const CONNECTIONS_MAX: u64 = 1_000_000;

/// The clock that wakes the scheduler is no finer.
pub const LATE_WARN_MIN: GoDuration = GoDuration::from_millis(1);

/// A warning that waits for longer than a day warns nobody.
pub const LATE_WARN_MAX: GoDuration = GoDuration::from_hours(24);

/// A wrong value is told, but a novel in a variable does not become a log line.
pub const PROBLEM_VALUE_CHARS_MAX: usize = 100;

/// Lines that wait for standard output: some seconds of a busy service, a few MiB at most in practice.
pub const LOG_QUEUE_LINES_MAX: usize = 4_096;

/// One write takes about as much as a pipe holds.
pub const LOG_BATCH_BYTES: usize = 64 * 1024;

/// An outsider's path or a target's error must not make a line that log shippers cut or refuse.
pub const LOG_VALUE_BYTES_MAX: usize = 4 * 1024;

/// How long to leave a standard output alone that was made non-blocking and is full.
pub const LOG_STDOUT_FULL_WAIT_MS: u64 = 10;

/// Room for some 16,000 keys; what is larger is the wrong file.
pub const KEY_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// How often the key file is looked at where no event comes. With the settling time below, also a
/// deletion that nothing tells of takes effect within the second that is promised.
pub const KEY_LOOK_MS: u64 = 400;

/// How long a key file must be absent or empty before all keys are revoked: a truncating write
/// shows an empty file for a moment.
pub const KEY_ABSENCE_SETTLES_MS: u64 = 500;

/// How often the key file is looked at while it is absent or empty and the keys are still in force.
pub const KEY_ABSENCE_LOOK_MS: u64 = 50;

/// Events of one rotation come in bursts; one look after this time answers them all.
pub const KEY_EVENTS_GATHER_MS: u64 = 50;
