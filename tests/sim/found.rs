//! What a start would find on a disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use ksana::disk::Disk;
use ksana::engine::{Engine, Record};
use ksana::job::{Job, RunRecord};
use ksana::store::{self, ReadError};

use crate::disk::{Mount, Runs};
use crate::process::DEFAULTS;

/// The jobs, and the records of runs.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) jobs: BTreeMap<String, Job>,
    /// By job, each in the order in which they were numbered. A number counts for nothing but that.
    runs: BTreeMap<String, Vec<RunRecord>>,
}

impl Found {
    /// Reads all, and changes nothing.
    pub(crate) fn on(mount: &Mount) -> Result<Self, ReadError> {
        let mut engine = Engine::new(1);
        let mut journal = Vec::new();
        store::replayed(Arc::new(mount.clone()), &DEFAULTS, usize::MAX, |record| match record {
            Record::Run(run) => {
                journal.push(Arc::unwrap_or_clone(run));
                true
            }
            record => engine.apply(record),
        })?;
        let mut runs = history(mount);
        let mut last = 0;
        for run in journal {
            assert!(run.seq > last, "{run:?} stands in the journal behind number {last}");
            last = run.seq;
            let known = runs.entry(run.seq).or_insert_with(|| run.clone());
            assert_eq!(*known, run, "the history and the journal know two runs of one number");
        }
        let mut found =
            Self { jobs: engine.jobs().map(|job| (job.spec.id.to_string(), job.clone())).collect(), ..Self::default() };
        for run in runs.into_values() {
            let of_job = found.runs.entry(run.job_id.to_string()).or_default();
            of_job.push(RunRecord { seq: 0, ..run });
        }
        Ok(found)
    }

    pub(crate) fn runs_of(&self, id: &str) -> &[RunRecord] {
        self.runs.get(id).map_or(&[], Vec::as_slice)
    }

    /// The ids of all jobs that there is something of.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &String> {
        self.jobs.keys().chain(self.runs.keys())
    }
}

/// The lines of the history's files, by number. Of what a power cut has torn to pieces nothing is known.
fn history(mount: &Mount) -> BTreeMap<u64, RunRecord> {
    let folder = Runs(mount.clone());
    let mut runs = BTreeMap::new();
    for name in folder.names().expect("names can be read") {
        let text = folder.read(&name).expect("what is there can be read");
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        for run in text[..whole].split(|byte| *byte == b'\n').filter_map(read_line) {
            let before = runs.insert(run.seq, run);
            assert_eq!(before, None, "a run stands in the history twice");
        }
    }
    runs
}

/// A line is JSON with the checksum of what stands behind that in front.
fn read_line(line: &[u8]) -> Option<RunRecord> {
    let (crc, rest) = line.strip_prefix(b"{\"crc\":\"")?.split_at_checked(8)?;
    let crc = u32::from_str_radix(std::str::from_utf8(crc).ok()?, 16).ok()?;
    let rest = rest.strip_prefix(b"\",")?;
    let is_whole = crc32fast::hash(rest) == crc;
    is_whole.then(|| serde_json::from_slice(line).expect("a whole line is a record"))
}
