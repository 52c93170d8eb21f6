//! The contract, sentence by sentence, against the real binary over real sockets.
//!
//! Each module keeps one section, each test one sentence, whose words it is named after.

mod after;
mod attempts;
mod authentication;
mod cancel;
mod check;
mod clock_jumps;
mod connections;
mod cron;
mod cross_origin;
mod endpoints;
mod environment;
mod events;
mod faults;
mod fsyncs;
mod full_disk;
mod healthcheck;
mod job_limits;
mod job_shape;
mod jobs_file;
mod keys;
mod keys_in_volumes;
mod kills;
mod listening;
mod lists;
mod metrics;
mod misfire;
mod older_file;
mod overlap;
mod overrides;
mod patch;
mod pause_until;
mod plans;
mod policy_keys;
mod power_cuts;
mod preview;
mod read_only;
mod ready;
mod retries;
mod retry_bounds;
mod runs;
mod service_manager;
mod stops;
mod support;
