//! A daemon's wall clock with a hand on it: libfaketime shifts what that process reads, and no other clock.

use std::cell::Cell;
use std::env::consts::ARCH;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::namespace::not_tried;
use super::{Builder, Ksana, Receiver, now};

pub(crate) struct WallClock {
    file: PathBuf,
    /// How far it is ahead of the machine's.
    shift_secs: Cell<i64>,
}

impl WallClock {
    /// Gives the daemon a wall clock of its own, which shows the machine's time at first; nothing, and a word about
    /// it, where there is no libfaketime.
    pub(crate) fn of(builder: Builder) -> Option<(Self, Builder)> {
        let Some(library) = library() else {
            not_tried("there is no libfaketime on this machine");
            return None;
        };
        let clock = Self { file: builder.path("wall-clock"), shift_secs: Cell::new(0) };
        clock.step(0);
        let builder = builder
            .env("LD_PRELOAD", library.display().to_string())
            .env("FAKETIME_TIMESTAMP_FILE", clock.file.display().to_string())
            // A step counts from the next look at the clock on.
            .env("FAKETIME_NO_CACHE", "1")
            // The steady clock and the times of files are no wall clock.
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("NO_FAKE_STAT", "1")
            // What it shares with other processes stays behind in /dev/shm after a kill.
            .env("FAKETIME_DISABLE_SHM", "1");
        Some((clock, builder))
    }

    /// Steps it, whether the daemon runs or not.
    pub(crate) fn step(&self, secs: i64) {
        self.shift_secs.set(self.shift_secs.get() + secs);
        // It is opened by its name at each look; an empty one, which a write in place leaves for a moment, may end the process.
        let fresh = self.file.with_extension("new");
        fs::write(&fresh, format!("{:+}\n", self.shift_secs.get())).expect("own folder");
        fs::rename(&fresh, &self.file).expect("own folder");
    }

    /// Steps it to `instant`, to the second.
    pub(crate) fn step_to(&self, instant: Timestamp) {
        self.step(instant.as_second() - self.now().as_second());
    }

    /// What it shows.
    pub(crate) fn now(&self) -> Timestamp {
        now() + SignedDuration::from_secs(self.shift_secs.get())
    }

    /// What it shows `millis` from now, unless it is stepped.
    pub(crate) fn ahead(&self, millis: u64) -> Timestamp {
        self.now() + Duration::from_millis(millis)
    }

    /// As [`Ksana::let_pass`], by this clock.
    pub(crate) fn let_pass(&self, ksana: &Ksana, receiver: &Receiver, millis: u64) {
        let instant = self.ahead(millis);
        ksana.let_pass_until(receiver, instant);
        assert!(self.now() >= instant, "what is due at {instant} came at {}", self.now());
    }
}

/// Where Debian has it for this architecture.
fn library() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?.flatten();
    let mut ours = folders.filter(|folder| folder.file_name().to_string_lossy().starts_with(ARCH));
    ours.find_map(|folder| Some(folder.path().join("faketime/libfaketime.so.1")).filter(|path| path.is_file()))
}
