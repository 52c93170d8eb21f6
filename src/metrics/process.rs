//! What the system says of this process, by the names that all of Prometheus's own clients give it.

use std::fs;

use jiff::Timestamp;
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use super::number::{Moment, Seconds};
use super::text::{Kind, Text};

/// What cannot be found out is left out.
pub(super) fn write(text: &mut Text, began: Timestamp) {
    let started = Moment::default();
    started.set(Some(began));
    if let Some(started) = started.get() {
        text.one("process_start_time_seconds", Kind::Gauge, "When the process began, in Unix time.", started);
    }
    if let Some(cpu) = cpu() {
        text.one("process_cpu_seconds_total", Kind::Counter, "Time on processors, user and system.", cpu);
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(bytes) = bytes_of(&status, "VmRSS:") {
        text.one("process_resident_memory_bytes", Kind::Gauge, "Memory that is resident.", bytes);
    }
    if let Some(bytes) = bytes_of(&status, "VmSize:") {
        text.one("process_virtual_memory_bytes", Kind::Gauge, "Memory that is addressed.", bytes);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // One of them is that of this look.
        let open = open.count().saturating_sub(1);
        text.one("process_open_fds", Kind::Gauge, "Descriptors that are open.", open);
    }
    if let Some(most) = getrlimit(Resource::Nofile).current {
        text.one("process_max_fds", Kind::Gauge, "Descriptors that may be open.", most);
    }
}

fn cpu() -> Option<Seconds> {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let nanos = i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec);
    u128::try_from(nanos).ok().map(Seconds)
}

/// A line of `/proc/self/status` that is in kB, of 1,024 bytes each.
fn bytes_of(status: &str, name: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(value.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_found_by_its_name() {
        let status = "Name:\tksana\nVmPeak:\t  300 kB\nVmSize:\t  200 kB\nVmRSS:\t    10 kB\nThreads:\t7\n";
        assert_eq!(bytes_of(status, "VmRSS:"), Some(10_240));
        assert_eq!(bytes_of(status, "VmSize:"), Some(204_800));
        assert_eq!(bytes_of(status, "Threads:"), None);
        assert_eq!(bytes_of("", "VmRSS:"), None);
    }
}
