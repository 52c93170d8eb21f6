//! One record as one line of the journal: JSON with a checksum in front.
//!
//! `{"crc":"89abcdef","synced":4096,"put":{…}}` — `synced`, in the first line of a turn, says up to which byte
//! the segment was known to be on the disk: a line that is bad before there was damaged, one that
//! is bad behind it was never finished. `turn` beside it says how many lines the turn has, where
//! it has more than one: without the last of them none counts. `after`, in the first line of a
//! segment, says how long the segment before it is: if that is shorter, a power cut took its end,
//! and what follows stands on nothing.

use std::fmt;
use std::io::Write;
use std::sync::Arc;

use serde::Serialize;
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::checked_line;
use crate::engine::Record;
use crate::job::{Defaults, JobId, Progress, Stored, stored_job, stored_progress};

/// What the first line of a turn knows about the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Up to where the segment is on the disk.
    pub(super) synced: u64,
    /// How many lines the turn has.
    pub(super) turn: usize,
    /// How long the segment before it is; only in the first line of a segment.
    pub(super) after: Option<u64>,
}

/// Writes a record as a line to the end of `out`.
pub(super) fn write(out: &mut Vec<u8>, record: &Record, mark: Option<Mark>) {
    let start = checked_line::begin(out);
    if let Some(Mark { synced, turn, after }) = mark {
        write!(out, "\"synced\":{synced},").expect("a Vec takes all");
        if turn > 1 {
            write!(out, "\"turn\":{turn},").expect("a Vec takes all");
        }
        if let Some(after) = after {
            write!(out, "\"after\":{after},").expect("a Vec takes all");
        }
    }
    match record {
        Record::Put(job) => value(out, "put", &Stored(job)),
        Record::Progress { id, progress } => {
            value(out, "progress", id);
            out.push(b',');
            value(out, "of", progress.as_ref());
        }
        Record::Delete(id) => value(out, "delete", id),
        Record::Run(run) => value(out, "run", run.as_ref()),
    }
    out.push(b'}');
    checked_line::end(out, start);
}

fn value(out: &mut Vec<u8>, key: &str, value: &impl Serialize) {
    write!(out, "\"{key}\":").expect("a Vec takes all");
    serde_json::to_writer(out, value).expect("jobs are made of strings, numbers and maps with string keys");
}

/// A line that was read back.
#[derive(Debug, PartialEq)]
pub(super) struct Line {
    pub(super) record: Record,
    pub(super) mark: Option<Mark>,
}

/// Reads a line without its newline. The error says why it is none.
pub(super) fn read(line: &[u8], defaults: &Defaults) -> Result<Line, String> {
    read_as(line, LineVisitor { defaults })
}

/// Reads the mark of a line that is whole, whatever its record is.
pub(super) fn read_mark(line: &[u8]) -> Option<Mark> {
    read_as(line, MarkVisitor).ok().flatten()
}

fn read_as<T>(line: &[u8], visitor: impl for<'de> Visitor<'de, Value = T>) -> Result<T, String> {
    checked_line::content(line)?;
    let text = std::str::from_utf8(line).map_err(|_| "it is not UTF-8".to_owned())?;
    let mut json = serde_json::Deserializer::from_str(text);
    let line = json.deserialize_map(visitor).map_err(|error| error.to_string())?;
    json.end().map_err(|error| error.to_string())?;
    Ok(line)
}

/// Passes the checksum, which is the first thing in a line.
fn skip_checksum<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    map.next_entry::<&str, IgnoredAny>().map(drop)
}

struct LineVisitor<'a> {
    defaults: &'a Defaults,
}

impl<'de> Visitor<'de> for LineVisitor<'_> {
    type Value = Line;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Line, A::Error> {
        skip_checksum(&mut map)?;
        let mut mark = MarkFields::default();
        let mut id = None;
        let mut record = None;
        while let Some(key) = map.next_key::<&str>()? {
            match key {
                "synced" | "turn" | "after" => mark.take(key, &mut map)?,
                "put" => record = Some(Record::Put(map.next_value_seed(JobSeed { defaults: self.defaults })?)),
                "progress" => id = Some(map.next_value::<Id>()?.0),
                "of" => {
                    let id = id.take().ok_or_else(|| de::Error::custom("a progress of no job"))?;
                    record = Some(Record::Progress { id, progress: Box::new(map.next_value_seed(ProgressSeed)?) });
                }
                "run" => record = Some(Record::Run(Arc::new(map.next_value()?))),
                "delete" => record = Some(Record::Delete(map.next_value::<Id>()?.0)),
                other => return Err(de::Error::custom(format!("a record of an unknown kind, {other:?}"))),
            }
        }
        let record = record.ok_or_else(|| de::Error::custom("no record"))?;
        Ok(Line { record, mark: mark.whole() })
    }
}

/// Reads the mark alone.
struct MarkVisitor;

impl<'de> Visitor<'de> for MarkVisitor {
    type Value = Option<Mark>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<Mark>, A::Error> {
        skip_checksum(&mut map)?;
        let mut mark = MarkFields::default();
        while let Some(key) = map.next_key::<&str>()? {
            match key {
                "synced" | "turn" | "after" => mark.take(key, &mut map)?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(mark.whole())
    }
}

/// A mark as it is read.
#[derive(Default)]
struct MarkFields {
    synced: Option<u64>,
    turn: Option<usize>,
    after: Option<u64>,
}

impl MarkFields {
    fn take<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "synced" => self.synced = Some(map.next_value()?),
            "turn" => self.turn = Some(map.next_value()?),
            _ => self.after = Some(map.next_value()?),
        }
        Ok(())
    }

    fn whole(self) -> Option<Mark> {
        let (turn, after) = (self.turn.unwrap_or(1), self.after);
        self.synced.map(|synced| Mark { synced, turn, after })
    }
}

/// Reads a job, with the environment's defaults for what it leaves out.
#[derive(Clone, Copy)]
pub(super) struct JobSeed<'a> {
    pub(super) defaults: &'a Defaults,
}

impl<'de> DeserializeSeed<'de> for JobSeed<'_> {
    type Value = crate::job::Job;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        stored_job(deserializer, self.defaults)
    }
}

struct ProgressSeed;

impl<'de> DeserializeSeed<'de> for ProgressSeed {
    type Value = Progress;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Progress, D::Error> {
        stored_progress(deserializer)
    }
}

struct Id(JobId);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        JobId::parse(&text).map(Id).map_err(de::Error::custom)
    }
}
