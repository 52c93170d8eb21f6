//! What `deploy/` ships, held against the tools that read it, and run for real.

mod deb;
mod docker;
mod http;
mod kubernetes;
mod machine;
mod package;
mod service;
mod support;
mod systemd;
mod unit;
