//! Every limit of what comes from outside and of what is kept waiting, with its reason.

/// Common servers and proxies take 8 to 16 KiB of request line and headers.
pub const REQUEST_HEAD_BYTES_MAX: usize = 16 * 1024;

/// A job's body of 1 MiB, with every byte of it escaped in JSON, fits.
pub const REQUEST_BODY_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// What of a refused body is still read and dropped, so that a client which reads its answer only after it has
/// sent everything gets one. Beyond this the connection is closed after the answer.
pub const REQUEST_DISCARD_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// How much room for a body is made on the word of its `Content-Length` alone.
pub const REQUEST_BODY_BYTES_TRUSTED: u64 = 64 * 1024;

/// No object of the interface has more than some hundred keys; each costs memory while doubles are looked for.
pub const JSON_OBJECT_KEYS_MAX: usize = 1_000;

/// A request's head is one packet or two; who needs longer holds a connection on purpose.
pub const REQUEST_HEAD_SECONDS_MAX: u64 = 10;

/// The largest body at a little over 2 Mbit/s.
pub const REQUEST_BODY_SECONDS_MAX: u64 = 30;

/// Longer than the 60 s after which common proxies drop their own side of an idle connection.
pub const CONNECTION_IDLE_SECONDS_MAX: u64 = 75;

/// A client that takes not one byte of its answer for this long is gone.
pub const ANSWER_STALL_SECONDS_MAX: u64 = 30;

/// The scheduler's loop turns at least once a second; five missed turns are no accident.
pub const LOOP_TURN_SECONDS_MAX: u64 = 5;

/// How long a browser may remember a preflight's answer; Chromium caps it here, too.
pub const PREFLIGHT_SECONDS_MAX: u32 = 7_200;

/// When a client that was told 503 may come back: the store tries again about as often.
pub const UNAVAILABLE_RETRY_SECONDS: u32 = 5;
