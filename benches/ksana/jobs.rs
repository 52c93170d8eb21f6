//! The jobs that are measured with: ordinary ones, of some four hundred bytes each.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::client::request;

/// Pseudo-random numbers, the same in each run (splitmix64).
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// The id of a job of the file, of the shape that the service itself gives.
pub(crate) fn id(index: usize) -> String {
    format!("0198c9f2-5d0e-7000-8000-{index:012x}")
}

/// A job that fires in years.
pub(crate) fn far(index: usize) -> Value {
    let schedule = if index.is_multiple_of(4) {
        json!({"kind": "once", "run_at": far_instant(index)})
    } else {
        json!({"kind": "every", "every": "24h", "start_at": far_instant(index), "jitter": ""})
    };
    job(&format!("https://hooks.example.com/v1/tenants/{:06}/notify", index / 10), &schedule)
}

/// A job that calls the target at one instant.
pub(crate) fn once(target: &str, due: Timestamp) -> Value {
    job(target, &json!({"kind": "once", "run_at": due.to_string()}))
}

/// The request that creates a job.
pub(crate) fn post(job: &Value) -> Vec<u8> {
    request("POST", "/jobs", &job.to_string())
}

/// Writes so many jobs as the `jobs.json` that a start finds.
pub(crate) fn write_file(path: &Path, jobs: impl Iterator<Item = Value>) {
    std::fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("own folder");
    let mut file = BufWriter::new(File::create(path).expect("own folder"));
    let mut write = |text: &str| file.write_all(text.as_bytes()).expect("the disk has room");
    write(r#"{"version":1,"updated_at":"2026-01-01T00:00:00Z","jobs":["#);
    for (index, mut job) in jobs.enumerate() {
        job["id"] = id(index).into();
        let schedule = &job["schedule"];
        let next = if schedule["kind"] == "once" { &schedule["run_at"] } else { &schedule["start_at"] };
        job["next_run_at"] = next.clone();
        write(if index == 0 { "\n" } else { ",\n" });
        write(&job.to_string());
    }
    write("\n]}\n");
    file.into_inner().expect("the disk has room").sync_all().expect("the disk keeps what it takes");
}

fn far_instant(index: usize) -> String {
    format!("2036-01-{:02}T{:02}:{:02}:00Z", 1 + index / 1440 % 28, index / 60 % 24, index % 60)
}

fn job(target: &str, schedule: &Value) -> Value {
    json!({
        "name": "notify the tenant of the night's report",
        "http": {
            "method": "POST",
            "url": target,
            "headers": {"X-Tenant": "000123", "Content-Type": "application/json"},
            "body": "{\"report\":\"nightly\",\"full\":true}",
        },
        "schedule": schedule,
        "timeout": "10s",
        "max_retries": 3,
        "retry_backoff": "5s",
    })
}
