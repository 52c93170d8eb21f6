//! Every limit that has a name, its unit and the reason for its value.

use std::time::Duration;

/// Longer than any URL that servers take (most stop at 8 KiB), short enough to keep a million of.
pub const URL_BYTES_MAX: usize = 16 * 1024;

/// Longer than any registered method; what is longer is a mistake.
pub const METHOD_CHARS_MAX: usize = 32;

/// Of an answer's body this much is read, so that the connection can be kept; what is longer costs
/// more than a new connection.
pub const ANSWER_BODY_BYTES_MAX: usize = 1024 * 1024;

/// One read of an answer's body. Each attempt in flight may hold one such buffer.
pub const ANSWER_READ_BYTES: usize = 8 * 1024;

/// A target may put its next attempt off by this much at most.
pub const RETRY_AFTER_MAX: Duration = Duration::from_hours(1);

/// A name's addresses are believed for this long: a burst of jobs asks once, a changed name is
/// noticed within seconds.
pub const NAME_CACHE_TTL: Duration = Duration::from_secs(10);

/// Names whose addresses are remembered; about 1 MiB when full.
pub const NAME_CACHE_HOSTS_MAX: usize = 4_096;

/// Name look-ups under way at once. Each holds a thread, for many seconds where no name server answers.
pub const NAME_LOOKUPS_MAX: usize = 64;

/// Addresses of one name that one attempt tries.
pub const ADDRESSES_TRIED_MAX: usize = 16;

/// An address that does not answer gives way to the next after this; one lost packet is sent again
/// after a second and still gets through.
pub const CONNECT_TRY_MAX: Duration = Duration::from_secs(2);

/// How long after its deadline an attempt is ended from outside if it has not ended by itself. The
/// HTTP client keeps the deadline to a millisecond.
pub const TIMEOUT_GRACE: Duration = Duration::from_millis(5);

/// Idle connections to targets that are kept. Each holds a descriptor.
pub const KEPT_CONNECTIONS_MAX: usize = 256;

/// An idle connection is not used again after this; most servers have closed it by then.
pub const KEPT_CONNECTION_TTL: Duration = Duration::from_mins(1);

/// Of a text that a target or a library chose, this much stands in a job's `last_error`.
pub const ERROR_DETAIL_CHARS_MAX: usize = 200;
