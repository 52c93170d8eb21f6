//! `jobs.json`: all jobs in the documented format, always a whole valid file.

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;
use std::io::{self, BufWriter, Write};

use crc32fast::Hasher;
use jiff::Timestamp;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_path_to_error::Track;

use super::line::JobSeed;
use super::mistake;
use crate::job::{Defaults, Job, JobId, Stored};

/// A byte order mark, which some editors put there and which says nothing.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// The version of the format. A file that names none is of this one.
const VERSION: u64 = 1;

const ACCEPTED: &str = "an object with version, updated_at and jobs";

/// What tells one content of the file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) crc: u32,
    pub(super) len: u64,
}

impl Sum {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self { crc: crc32fast::hash(bytes), len: bytes.len() as u64 }
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x} {}", self.crc, self.len)
    }
}

/// Writes the file from jobs that come one by one, and says what it wrote.
pub(super) fn write(out: impl Write, updated_at: Timestamp, jobs: impl Iterator<Item = Job>) -> io::Result<Sum> {
    let mut out = BufWriter::with_capacity(WRITE_BYTES, Summed { out, crc: Hasher::new(), len: 0 });
    let mut json = serde_json::Serializer::pretty(&mut out);
    let mut map = json.serialize_map(None)?;
    map.serialize_entry("version", &VERSION)?;
    map.serialize_entry("updated_at", &updated_at.to_string())?;
    map.serialize_entry("jobs", &Jobs(Cell::new(Some(jobs))))?;
    SerializeMap::end(map)?;
    out.write_all(b"\n")?;
    let Summed { crc, len, .. } = out.into_inner()?;
    Ok(Sum { crc: crc.finalize(), len })
}

/// Some hundred jobs of the file go to the disk at once.
const WRITE_BYTES: usize = 256 * 1024;

/// A list that is made while it is written: the jobs are never all in memory twice.
struct Jobs<I>(Cell<Option<I>>);

impl<I: Iterator<Item = Job>> Serialize for Jobs<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let jobs = self.0.take().expect("a snapshot is serialized once");
        serializer.collect_seq(jobs.map(StoredJob))
    }
}

struct StoredJob(Job);

impl Serialize for StoredJob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Stored(&self.0).serialize(serializer)
    }
}

struct Summed<W> {
    out: W,
    crc: Hasher,
    len: u64,
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.crc.update(&bytes[..written]);
        self.len += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Reads the file and hands over its jobs one by one.
///
/// # Errors
///
/// What cannot be parsed, with line and column.
pub(super) fn read(text: &[u8], defaults: &Defaults, mut take: impl FnMut(Job)) -> Result<(), String> {
    let text = text.strip_prefix(MARK).unwrap_or(text);
    let text = match std::str::from_utf8(text) {
        Ok(text) => text,
        Err(error) => {
            let before = String::from_utf8_lossy(&text[..error.valid_up_to()]);
            return Err(mistake::told_at(
                &before,
                before.len(),
                "it is not UTF-8 from here on, and only that is accepted",
            ));
        }
    };
    if text.trim().is_empty() {
        let message = format!("the file is empty; accepted is {ACCEPTED}, or no file at all");
        return Err(mistake::told_at(text, 0, &message));
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let result = json.deserialize_map(visitor(defaults, &mut take)).and_then(|()| json.end());
    result.map_err(|error| tell(text, defaults).unwrap_or_else(|| error.to_string()))
}

/// Reads it once more, to know where in the file it went wrong: keeping the path all the time would cost
/// every start its time.
fn tell(text: &str, defaults: &Defaults) -> Option<String> {
    let mut json = serde_json::Deserializer::from_str(text);
    let mut track = Track::new();
    let mut take = |_| {};
    let file = visitor(defaults, &mut take);
    let result = serde_path_to_error::Deserializer::new(&mut json, &mut track).deserialize_map(file);
    let error = result.and_then(|()| json.end()).err()?;
    Some(mistake::told(text, &track.path(), &error))
}

/// Whether this is a whole file, with a list of what `jobs` reads.
pub(super) fn is_file_of<'de>(text: &'de [u8], jobs: impl DeserializeSeed<'de, Value = ()>) -> bool {
    let Ok(text) = std::str::from_utf8(text.strip_prefix(MARK).unwrap_or(text)) else { return false };
    let mut json = serde_json::Deserializer::from_str(text);
    json.deserialize_map(FileVisitor { jobs: Some(jobs) }).and_then(|()| json.end()).is_ok()
}

fn visitor<'a, F: FnMut(Job)>(defaults: &'a Defaults, take: &'a mut F) -> FileVisitor<JobsSeed<'a, F>> {
    FileVisitor { jobs: Some(JobsSeed { defaults, take }) }
}

struct FileVisitor<S> {
    /// Reads the list, which stands there once.
    jobs: Option<S>,
}

impl<'de, S: DeserializeSeed<'de, Value = ()>> Visitor<'de> for FileVisitor<S> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ACCEPTED)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut seen = [false; 3];
        let mut once = |index: usize, key: &str| {
            let again = std::mem::replace(&mut seen[index], true);
            if again { Err(de::Error::custom(format!("the key {key:?} stands twice"))) } else { Ok(()) }
        };
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            match key.as_ref() {
                "version" => {
                    once(0, "version")?;
                    map.next_value::<Version>()?;
                }
                "updated_at" => {
                    once(1, "updated_at")?;
                    map.next_value::<IgnoredAny>()?;
                }
                "jobs" => {
                    once(2, "jobs")?;
                    map.next_value_seed(self.jobs.take().expect("a second list was refused"))?;
                }
                other => {
                    let message = format!("unknown key {other:?}; accepted are version, updated_at and jobs");
                    return Err(de::Error::custom(message));
                }
            }
        }
        Ok(())
    }
}

struct JobsSeed<'a, F> {
    defaults: &'a Defaults,
    take: &'a mut F,
}

impl<'de, F: FnMut(Job)> DeserializeSeed<'de> for JobsSeed<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, F: FnMut(Job)> Visitor<'de> for JobsSeed<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of jobs")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut ids = HashSet::new();
        let Self { defaults, take } = self;
        while seq.next_element_seed(NewJobSeed { defaults, ids: &mut ids, take: &mut *take })?.is_some() {}
        Ok(())
    }
}

/// Reads a job and hands it over, if its id is a new one.
struct NewJobSeed<'a, F> {
    defaults: &'a Defaults,
    ids: &'a mut HashSet<JobId>,
    take: &'a mut F,
}

impl<'de, F: FnMut(Job)> DeserializeSeed<'de> for NewJobSeed<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let job = JobSeed { defaults: self.defaults }.deserialize(deserializer)?;
        if !self.ids.insert(job.spec.id.clone()) {
            return Err(de::Error::custom(format!("/id: the id {} stands twice; each job has its own", job.spec.id)));
        }
        (self.take)(job);
        Ok(())
    }
}

/// The version, if it is ours.
struct Version;

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl Visitor<'_> for Version {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{VERSION}")
    }

    fn visit_u64<E: de::Error>(self, version: u64) -> Result<Self, E> {
        if version == VERSION {
            return Ok(self);
        }
        Err(E::custom(format!("version {version} is not known; accepted is {VERSION}")))
    }
}
