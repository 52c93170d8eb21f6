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
