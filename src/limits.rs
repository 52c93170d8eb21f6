//! Every limit of what comes from outside and of what is kept waiting, with its reason.

/// A job's id is a path segment and a key of the file; longer ones help nobody.
pub const JOB_ID_CHARS_MAX: usize = 128;
/// A name is for people.
pub const JOB_NAME_CHARS_MAX: usize = 256;
/// The body that a job sends; more belongs into a store that the target reads.
pub const JOB_BODY_BYTES_MAX: usize = 1024 * 1024;
/// More headers than any server takes by default.
pub const JOB_HEADERS_MAX: usize = 100;
/// Names and values of all headers together; common servers take 8 to 64 KiB of head.
pub const JOB_HEADERS_BYTES_MAX: usize = 64 * 1024;
/// Below this a scheduler is a load generator.
pub const EVERY_MILLIS_MIN: i64 = 100;
/// Ten years of 365 days.
pub const EVERY_HOURS_MAX: i64 = 10 * 365 * 24;
/// The shortest bound of an attempt.
pub const TIMEOUT_MILLIS_MIN: i64 = 1;
/// The longest bound of an attempt: it holds a worker as long.
pub const TIMEOUT_HOURS_MAX: i64 = 1;
/// The most attempts after the first.
pub const MAX_RETRIES_MAX: i64 = 100;
/// The longest wait for a retry.
pub const RETRY_BACKOFF_HOURS_MAX: i64 = 24;
/// The longest wait that a target may ask for with `Retry-After`.
pub const RETRY_AFTER_HOURS_MAX: i64 = 1;
/// How long after a change the snapshot begins: a person who opens `jobs.json` two seconds later
/// sees it, and a burst of changes makes one snapshot.
pub const SNAPSHOT_DELAY_MILLIS: u64 = 1_000;
/// How long after a failed snapshot the next one is tried.
pub const SNAPSHOT_RETRY_MILLIS: u64 = 1_000;
/// After a snapshot that took t seconds the next begins 49 t later, so that writing takes at
/// most 2 % of the time.
pub const SNAPSHOT_REST_FACTOR: u32 = 49;
/// A journal that is larger than this and than the snapshot is worth a snapshot at once.
pub const SNAPSHOT_JOURNAL_BYTES_MIN: u64 = 64 * 1024 * 1024;
/// Cloning as many jobs takes well below a millisecond of the scheduler's time.
pub const SNAPSHOT_CHUNK_JOBS: usize = 512;
/// The most of what nobody waits for that a power cut may cost.
pub const SYNC_DELAY_MILLIS: u64 = 1_000;
/// How many requests wait for the scheduler; more wait in their connections.
pub const INBOX_MAX: usize = 1_024;
/// How many jobs one piece of a list holds: cloning them takes well below a millisecond.
pub const PAGE_JOBS_MAX: usize = 256;
/// How many jobs are looked at for one piece of a list, so that a filter that nothing passes
/// takes no longer.
pub const PAGE_SCAN_MAX: usize = 4_096;
/// How many letters a turn takes.
pub const TURN_LETTERS_MAX: usize = 256;
/// How many due jobs a turn takes.
pub const TURN_FIRES_MAX: usize = 256;
/// The loop turns at least this often: wall clocks step and machines sleep, and no timer tells.
pub const TURN_SLEEP_MILLIS_MAX: u64 = 1_000;
/// Runs that wait this long for a worker are worth a line in the log.
pub const WORKERS_BUSY_MILLIS: u64 = 1_000;
/// A write to the journal that takes this long is named in the log.
pub const WRITE_STALL_MILLIS: u64 = 100;
/// How long a line about late fires is not repeated.
pub const LATE_WARN_REST_SECS: u64 = 60;
/// How long attempts in flight may take to end at a shutdown.
pub const SHUTDOWN_ATTEMPTS_SECS: u64 = 30;
