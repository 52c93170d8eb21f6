//! Every limit of what comes from outside and of what is kept waiting, with its unit in its name
//! and its reason beside it.

use std::time::Duration;

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
/// Longer than any cron expression that a person can still read, short enough to parse in microseconds.
pub const CRON_BYTES_MAX: usize = 256;
/// Below this a scheduler is a load generator.
pub const EVERY_MILLIS_MIN: i64 = 100;
/// Ten years of 365 days.
pub const EVERY_HOURS_MAX: i64 = 10 * 365 * 24;
/// Instants of an expression have no one distance; most are a day apart or less.
pub const CRON_JITTER_HOURS_MAX: i64 = 24;
/// The shortest bound of an attempt.
pub const TIMEOUT_MILLIS_MIN: i64 = 1;
/// The longest bound of an attempt: it holds a worker as long.
pub const TIMEOUT_HOURS_MAX: i64 = 1;
/// The most attempts after the first.
pub const MAX_RETRIES_MAX: i64 = 100;
/// The longest wait for a retry.
pub const RETRY_BACKOFF_HOURS_MAX: i64 = 24;
/// The longest time in which attempts of a run may begin: past a week nobody waits for it.
pub const RETRY_FOR_HOURS_MAX: i64 = 7 * 24;
/// The oldest fire that is made up for: a year of 366 days.
pub const MISFIRE_WINDOW_HOURS_MAX: i64 = 366 * 24;
/// So many fires of a job are made up for at most, the latest of those that were missed: some of them may take
/// days one by one, and finding them takes a start some milliseconds a job.
pub const CATCH_UP_FIRES_MAX: u32 = 1_000;
/// What all runs of a job that are going may send in the place of what it says: each record of the job's progress
/// holds it.
pub const OVERRIDES_BYTES_MAX: usize = 256 * 1024;
/// What attempts of a job's runs that are going saw of bodies and is kept for their records: each record of the job's
/// progress holds it. All attempts of one run fit.
pub const TRIED_BODY_BYTES_MAX: usize = 128 * 1024;
/// How many records of runs are held back in memory while the disk takes none: some 20 MB, and 100 MB where each has the
/// longest excerpt of a body.
pub const RUNS_HELD_BACK_MAX: usize = 65_536;
/// The most runs of one job that may go at once; a target that needs more has jobs of its own for them.
pub const OVERLAP_MAX_MAX: i64 = 100;
/// How long after a change the snapshot begins: a person who opens `jobs.json` two seconds later
/// sees it, and a burst of changes makes one snapshot.
pub const SNAPSHOT_DELAY_MILLIS: u64 = 1_000;
/// How long after a failed snapshot the next one is tried at the earliest; one that took its time to
/// fail rests as long as one that is written.
pub const SNAPSHOT_RETRY_MILLIS: u64 = 1_000;
/// While changes are refused until there is a snapshot it rests only as long as the last one took, and no
/// longer than this.
pub const SNAPSHOT_REFUSED_REST_SECS_MAX: u64 = 30;
/// After a snapshot that took t seconds, written or not, the next begins 49 t later, so that writing takes at
/// most 2 % of the time.
pub const SNAPSHOT_REST_FACTOR: u32 = 49;
/// How often a disk that has no room for the journal is tried again.
pub const ROOM_LOOK_MILLIS: u64 = 1_000;
/// How much room there must be for changes to be taken again: some turns of small jobs, so that an
/// almost full disk does not let in and refuse by turns.
pub const ROOM_BYTES: usize = 64 * 1024;
/// A journal that is larger than this and than the snapshot is worth a snapshot at once.
pub const SNAPSHOT_JOURNAL_BYTES_MIN: u64 = 64 * 1024 * 1024;
/// Cloning as many jobs takes well below a millisecond of the scheduler's time.
pub const SNAPSHOT_CHUNK_JOBS: usize = 512;
/// A `jobs.json` up to this size is read whole; a larger one in pieces of it, each of about a
/// thousand jobs, so that its text costs a start no memory.
pub const SNAPSHOT_PIECE_BYTES: usize = 1024 * 1024;
/// A segment of the journal is read in pieces of this size, on one thread where it is no longer: what stands in a
/// few of them fits into a processor's cache until it is applied.
pub const JOURNAL_PIECE_BYTES: usize = 128 * 1024;
/// A job of the largest body and the most headers, with every byte of them escaped, takes half of this. What
/// is longer in a large `jobs.json` has lost its end, which only a strict reader of the whole can tell.
pub const SNAPSHOT_JOB_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How many threads read a large `jobs.json`, or a long segment, at most; behind as many, the one that takes what
/// they read is the last.
pub const READERS_MAX: usize = 4;
/// How many pieces wait for one of them, and how many results of its own: enough that no thread waits for one
/// that the machine lets rest.
pub const READER_PIECES_MAX: usize = 1;
/// The most of what nobody waits for that a power cut may cost.
pub const SYNC_DELAY_MILLIS: u64 = 1_000;
/// How many requests wait for the scheduler; more wait in their connections.
pub const INBOX_MAX: usize = 1_024;
/// How many jobs one piece of a list holds: cloning them takes well below a millisecond.
pub const PAGE_JOBS_MAX: usize = 256;
/// How many jobs are looked at for one piece of a list, so that a filter that nothing passes
/// takes no longer.
pub const PAGE_SCAN_MAX: usize = 1_024;
/// How many letters a turn takes.
pub const TURN_LETTERS_MAX: usize = 256;
/// How many bytes of bodies the changes of a turn may have before the rest waits for the next one: writing
/// them down takes some milliseconds.
pub const TURN_BODY_BYTES_MAX: usize = 1024 * 1024;
/// How many changes may wait for an fsync. More come together only where the disk hangs and clients come
/// again and again.
pub const CHANGES_WAITING_MAX: usize = 16_384;
/// How many words of the disk's helpers a turn takes; they tell at most as many at once. A snapshot
/// wants a chunk of jobs each time, and must not hold a turn up until it is whole.
pub const TURN_DISK_EVENTS_MAX: usize = 4;
/// How many due jobs a turn takes, and how many attempts it starts.
pub const TURN_FIRES_MAX: usize = 128;
/// How many late records a turn writes down: after a long stop, or a full disk, it may be one of every job.
pub const TURN_LATE_RECORDS_MAX: usize = 128;
/// Of how many jobs at once it is written down which instants passed while the service was down.
pub const OPEN_BITE: usize = 8;
/// And how long nothing more of that is: of a million jobs it would be gigabytes at once, and most of them fire by
/// themselves before.
pub const OPEN_REST_MILLIS: i64 = 10;
/// How many entries of a growing list lie together; about half a megabyte of jobs.
pub const BLOCK_ENTRIES: usize = 1_024;
/// The loop turns at least this often: wall clocks step and machines sleep, and no timer tells.
pub const TURN_SLEEP_MILLIS_MAX: u64 = 1_000;
/// Runs that wait this long for a worker are worth a line in the log.
pub const WORKERS_BUSY_MILLIS: u64 = 1_000;
/// Problems of a file's jobs that are warned of after a start: more would push other lines out of
/// the log, and `ksana check` names them all.
pub const FILE_WARNINGS_MAX: usize = 1_000;
/// A write to the journal that takes this long is named in the log.
pub const WRITE_STALL_MILLIS: u64 = 100;
/// A write that takes this long is a disk that hangs: clients are better told than kept waiting.
pub const DISK_HANGS_SECS: u64 = 5;
/// How long a line about late fires is not repeated.
pub const LATE_WARN_REST_SECS: u64 = 60;
/// How long attempts in flight may take to end at a shutdown.
pub const SHUTDOWN_ATTEMPTS_SECS: u64 = 30;
/// Each callback in flight holds a connection and a buffer; past this the descriptors run out first.
pub const WORKERS_MAX: u64 = 10_000;
/// What a connection costs stays below 100 MB in all.
pub const CONNECTIONS_DEFAULT: u64 = 4_096;
/// The most that a Linux process may hold descriptors by default of the kernel (`fs.nr_open`), about.
pub const CONNECTIONS_MAX: u64 = 1_000_000;
/// What the address of a Unix socket holds on Linux (`unix(7)`), less the byte that ends it.
pub const SOCKET_PATH_BYTES_MAX: usize = 107;
/// A socket that gives no connection is asked again after this; descriptors that have run out do not come back sooner.
pub const ACCEPT_REST_MILLIS: u64 = 100;
/// It is told of no more often than this.
pub const ACCEPT_WARN_REST_SECS: u64 = 60;
/// The clock that wakes the scheduler is no finer.
pub const LATE_WARN_MILLIS_MIN: i64 = 1;
/// A warning that waits for longer than a day warns nobody.
pub const LATE_WARN_HOURS_MAX: i64 = 24;
/// A wrong value is told, but a novel in a variable does not become a log line.
pub const PROBLEM_VALUE_CHARS_MAX: usize = 100;
/// Lines that wait for standard output: some seconds of a busy service, a few MiB at most in practice.
pub const LOG_QUEUE_LINES_MAX: usize = 4_096;
/// One write takes about as much as a pipe holds.
pub const LOG_BATCH_BYTES: usize = 64 * 1024;
/// An outsider's path or a target's error must not make a line that log shippers cut or refuse.
pub const LOG_VALUE_BYTES_MAX: usize = 4 * 1024;
/// How long after a write the next one waits, so that a stream of lines goes out in batches.
pub const LOG_STREAM_REST_MILLIS: u64 = 2;
/// How long to leave a standard output alone that was made non-blocking and is full.
pub const LOG_STDOUT_FULL_WAIT_MILLIS: u64 = 10;
/// What is told of a mistake in `jobs.json`: the longest refusal of our own, with a text of its file in it.
pub const MISTAKE_CHARS_MAX: usize = 800;
/// Room for some 16,000 keys; what is larger is the wrong file.
pub const KEY_FILE_BYTES_MAX: u64 = 1024 * 1024;
/// How often the key file is looked at where no event comes. With the settling time below, also a
/// deletion that nothing tells of takes effect within the second that is promised.
pub const KEY_LOOK_MILLIS: u64 = 400;
/// How long a key file must be absent or empty before all keys are revoked: a truncating write
/// shows an empty file for a moment.
pub const KEY_ABSENCE_SETTLES_MILLIS: u64 = 500;
/// How often the key file is looked at while it is absent or empty and the keys are still in force.
pub const KEY_ABSENCE_LOOK_MILLIS: u64 = 50;
/// How long the times of the key file must have been the same before they tell of each later change: those of FAT
/// tick every two seconds.
pub const KEY_STAMP_SETTLES_SECS: u64 = 3;
/// How often the key file is read though it shows no change.
pub const KEY_READ_SECS: u64 = 10;
/// Events of one rotation come in bursts; one look after this time answers them all.
pub const KEY_EVENTS_GATHER_MILLIS: u64 = 50;
/// So short a wait the loop's thread parks for by itself: to arm a timer and to be woken by it takes several
/// system calls, and at some hundred fires a second that was a tenth of all that they cost.
pub const NAP_MICROS_MAX: u64 = 5_000;
/// How long after a turn an attempt that comes back waits for the next one where nothing depends on it: a turn
/// costs some ten microseconds, most of them for waking threads, whatever it takes.
pub const REPORT_REST_MICROS: u64 = 1_000;
/// How many ended attempts a turn takes.
pub const TURN_REPORTS_MAX: usize = 128;
/// How long requests that are being answered may take to end at a shutdown; the attempts in
/// flight end meanwhile.
pub const SHUTDOWN_REQUESTS_SECS: u64 = 5;
/// How long the last lines of the log may take at the end of the process.
pub const LOG_FLUSH_MILLIS: u64 = 1_000;
/// How often the daemon looks whether its parts live; each also says so itself where it can.
pub const PARTS_LOOK_SECS: u64 = 10;
/// How many fires a preview shows at most: of the dearest expression with a jitter they take some 9 ms.
pub const PREVIEW_COUNT_MAX: usize = 1_000;
/// How many where nobody says: a month of workdays, about.
pub const PREVIEW_COUNT_DEFAULT: usize = 20;
/// After so many fires a preview lets others have its thread: they take well below a millisecond.
pub const PREVIEW_BITE: usize = 16;
/// How many events are kept for those who come back, or are slow: some seconds at full speed, hours of a usual day.
pub const EVENTS_KEPT_MAX: usize = 8_192;
/// How much memory they take at most, about: a job may be as large as its body.
pub const EVENTS_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How many may listen at a time: each event has the scheduler look at all of them.
pub const EVENTS_READERS_MAX: usize = 100;
/// How many jobs one of them may name.
pub const EVENTS_JOBS_MAX: usize = 100;
/// How many events are looked at in one go for one who wants few of them: it takes some microseconds.
pub const EVENTS_SCAN_MAX: usize = 256;
/// How many ended runs one is sent who was away for long; they wait in memory until he has taken them.
pub const EVENTS_MISSED_MAX: usize = 4_096;
/// How much they are as text.
pub const EVENTS_MISSED_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How much of such runs all who are sent some hold together, about: past it they are told of the gap alone, because a
/// hundred who come back at once after a restart must not take the memory of a small container.
pub const EVENTS_MADE_UP_BYTES_MAX: usize = 16 * 1024 * 1024;
/// A stream says something at least this often: common proxies drop a connection that is silent for 30 to 60 s.
pub const EVENTS_HEARTBEAT_SECS: u64 = 15;
/// How often a stream looks whether its key is still in force.
pub const EVENTS_KEY_LOOK_MILLIS: u64 = 1_000;
/// How many jobs a page of the list holds at most.
pub const LIST_LIMIT_MAX: usize = 1_000;
/// A list is written as text in pieces of about this size, each once the one before has left: of text a
/// slow reader holds up this much and one job. The jobs of its page wait with it, at most [`PAGE_JOBS_MAX`]: they
/// are the engine's own until they are changed or deleted, and then live for this reader alone, each as large as
/// its body.
pub const LIST_PIECE_BYTES: usize = 64 * 1024;
/// Common servers and proxies take 8 to 16 KiB of request line and headers.
pub const REQUEST_HEAD_BYTES_MAX: usize = 16 * 1024;
/// A job's body of 1 MiB, with every byte of it escaped in JSON, fits.
pub const REQUEST_BODY_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// What of a refused body is still read and dropped, so that a client which reads its answer only after it has
/// sent everything gets one. Beyond this the connection is closed after the answer.
pub const REQUEST_DISCARD_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// How much room for a body is made on the word of its `Content-Length` alone.
pub const REQUEST_BODY_BYTES_TRUSTED: u64 = 64 * 1024;
/// A request's head is one packet or two; who needs longer holds a connection on purpose.
pub const REQUEST_HEAD_SECS_MAX: u64 = 10;
/// The largest body at a little over 2 Mbit/s.
pub const REQUEST_BODY_SECS_MAX: u64 = 30;
/// Longer than the 60 s after which common proxies drop their own side of an idle connection.
pub const CONNECTION_IDLE_SECS_MAX: u64 = 75;
/// At the end, what began less than this ago is still waited for: a connection, the pause behind an answer, a head, a body.
pub const ENDING_CONNECTION_MILLIS: u64 = 500;
/// A client that takes not one byte of its answer for this long is gone.
pub const ANSWER_STALL_SECS_MAX: u64 = 30;
/// The scheduler's loop turns at least once a second; five missed turns are no accident.
pub const LOOP_TURN_SECS_MAX: u64 = 5;
/// How long the service manager is waited for with what it must hear: the start, a reload, the end.
pub const MANAGER_SECS: u64 = 1;
/// How long a Unix socket of somebody else is waited for, to see whether he lives.
pub const SOCKET_CONNECT_SECS: u64 = 1;
/// Such a part of the watchdog's time passes before it is given the next sign of life.
pub const WATCHDOG_FEEDS: u32 = 4;
/// How long `ksana healthcheck` waits for the whole answer: less than whoever runs it, so that it can say why.
pub const HEALTHCHECK_SECS: u64 = 4;
/// What it reads of an answer.
pub const HEALTHCHECK_BYTES_MAX: usize = 64 * 1024;
/// How long a browser may remember a preflight's answer; Chromium caps it here, too.
pub const PREFLIGHT_SECS_MAX: u32 = 7_200;
/// When a client that was told 503 may come back: the store tries again about as often.
pub const UNAVAILABLE_RETRY_SECS: u32 = 5;
/// Longer than any URL that servers take (most stop at 8 KiB), short enough to keep a million of.
pub const URL_BYTES_MAX: usize = 16 * 1024;
/// Longer than any registered method; what is longer is a mistake.
pub const METHOD_CHARS_MAX: usize = 32;
/// Of an answer's body this much is read, so that the connection can be kept; what is longer costs
/// more than a new connection.
pub const ANSWER_BODY_BYTES_MAX: usize = 1024 * 1024;
/// One read of an answer's body. Each attempt in flight may hold one such buffer.
pub const ANSWER_READ_BYTES: usize = 8 * 1024;
/// What is kept of an answer's body in a run's record: an error's message and its first lines, and small enough to keep
/// one of each attempt.
pub const ANSWER_EXCERPT_BYTES_MAX: usize = 1024;
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
/// The least history on the disk: sixteen of the smallest segments, so that what goes at once is little of it.
pub const HISTORY_BYTES_MIN: u64 = 1024 * 1024;
/// The most: what is known in memory of as much takes some 40 MiB.
pub const HISTORY_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;
/// A history that is shorter than this helps nobody in the morning.
pub const HISTORY_AGE_HOURS_MIN: i64 = 1;
/// Ten years of 365 days.
pub const HISTORY_AGE_HOURS_MAX: i64 = 10 * 365 * 24;
/// Failures are kept so many times as long as what went its way: they are few, and looked for later.
pub const HISTORY_FAILURES_AGE_FACTOR: i32 = 3;
/// The files of a history go one by one, each such a part of its size.
pub const HISTORY_SEGMENTS: u64 = 64;
/// A smaller segment would hold one long record.
pub const HISTORY_SEGMENT_BYTES_MIN: u64 = 64 * 1024;
/// A question reads a segment whole: one of this size takes a few milliseconds.
pub const HISTORY_SEGMENT_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// No segment spans more than such a part of the age that is kept, and so much longer do its oldest records stay.
pub const HISTORY_AGE_PARTS: i32 = 10;
/// How many questions to the history are looked for at a time; more wait. Each reads files, on threads that others need
/// too.
pub const HISTORY_QUESTIONS_MAX: usize = 4;
/// How many of them may look for what is perhaps nowhere, and read all there is for it: the last place is for pages of
/// the latest runs.
pub const HISTORY_SEARCHES_MAX: usize = HISTORY_QUESTIONS_MAX - 1;
/// How many records a page of the history holds at most, where a client asks.
pub const HISTORY_LIMIT_MAX: usize = 1_000;
/// How many where nobody says.
pub const HISTORY_LIMIT_DEFAULT: usize = 100;
/// A page of the history ends early at about this much text.
pub const HISTORY_PAGE_BYTES_MAX: usize = 1024 * 1024;
/// How much of the journal waits for a history that cannot be written: the disk has to hold the jobs first.
pub const HISTORY_WAIT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Records that wait for the history's files in memory: an hour of some thirty runs a second. Past this the oldest are
/// given up, because a history must not cost the service its memory.
pub const LEDGER_PENDING_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How often it is looked whether some of the history is too old, where nothing is written.
pub const HISTORY_LOOK_SECS: u64 = 600;
/// About how much of them is made text at a time.
pub const LEDGER_WRITE_BYTES: usize = 1024 * 1024;

/// How much is taken at a time of what may be much. A simulation takes less, so that a few jobs make many bites.
#[derive(Clone, Copy, Debug)]
pub struct Bites {
    /// [`TURN_LETTERS_MAX`].
    pub letters: usize,
    /// [`TURN_REPORTS_MAX`].
    pub reports: usize,
    /// [`TURN_FIRES_MAX`].
    pub fires: usize,
    /// [`TURN_LATE_RECORDS_MAX`].
    pub late_records: usize,
    /// [`SNAPSHOT_CHUNK_JOBS`].
    pub chunk_jobs: usize,
    /// [`SNAPSHOT_PIECE_BYTES`].
    pub piece_bytes: usize,
}

impl Default for Bites {
    fn default() -> Self {
        Self {
            letters: TURN_LETTERS_MAX,
            reports: TURN_REPORTS_MAX,
            fires: TURN_FIRES_MAX,
            late_records: TURN_LATE_RECORDS_MAX,
            chunk_jobs: SNAPSHOT_CHUNK_JOBS,
            piece_bytes: SNAPSHOT_PIECE_BYTES,
        }
    }
}
