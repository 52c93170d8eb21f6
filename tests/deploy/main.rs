//! What `deploy/` ships, held against the tools that read it, and run for real.

mod docker;
mod kubernetes;
mod support;
