//! One segment of the journal, read line by line: however long it is, a turn of it is in memory at a time.

use std::io::{BufRead, BufReader, Read};

use super::folder::Folder;
use super::line::{self, Line};
use super::recovery::ReadError;
use crate::engine::Record;
use crate::job::Defaults;

/// A segment as it lies on the disk.
#[derive(Debug, Default)]
pub(super) struct Segment {
    pub(super) number: u64,
    /// How many lines the whole turns in front of the first bad line have.
    pub(super) lines: usize,
    /// The first bad line: its number, the first byte of its turn, what is wrong.
    pub(super) bad: Option<(usize, u64, String)>,
    /// How much of it was on the disk for sure, by its own lines, those behind a bad one included.
    pub(super) synced: u64,
    /// How long the segment before it was when it began, by its first line.
    pub(super) after: Option<u64>,
    pub(super) len: u64,
}

impl Segment {
    /// What is wrong where the segment behind it says that it was longer.
    pub(super) fn missing_end(&self, after: Option<u64>) -> Option<(usize, u64, String)> {
        let after = after.filter(|after| *after > self.len)?;
        Some((self.lines + 1, self.len, format!("its end is missing: it was {after} bytes long")))
    }
}

/// The way through a segment, up to the byte `end`.
pub(super) struct Walk<'a> {
    pub(super) folder: &'a Folder,
    pub(super) number: u64,
    pub(super) end: u64,
}

impl Walk<'_> {
    /// Looks at checksums and turns, and not at what the records hold.
    pub(super) fn check(&self) -> Result<Segment, ReadError> {
        self.go(line::check, |()| ())
    }

    /// Hands over the records of the whole turns in front of the first bad line.
    pub(super) fn read(
        &self,
        defaults: &Defaults,
        apply: &mut impl FnMut(Record) -> bool,
    ) -> Result<Segment, ReadError> {
        let take = |record| {
            apply(record);
        };
        self.go(|line| line::read(line, defaults), take)
    }

    fn go<R>(
        &self,
        read: impl Fn(&[u8]) -> Result<Line<R>, String>,
        mut take: impl FnMut(R),
    ) -> Result<Segment, ReadError> {
        let failed = |error| ReadError::Io(self.folder.segment_path(self.number), error);
        let reader = self.folder.segment_reader(self.number).map_err(failed)?;
        let mut reader = BufReader::with_capacity(READ_BYTES, reader.take(self.end));
        let mut segment = Segment { number: self.number, ..Segment::default() };
        let mut turn = UnfinishedTurn { records: Vec::new(), missing: 0, line: 0, offset: 0 };
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            if reader.read_until(b'\n', &mut line).map_err(failed)? == 0 {
                break;
            }
            let offset = segment.len;
            segment.len += line.len() as u64;
            let read = match line.strip_suffix(b"\n") {
                Some(line) => read(line),
                None => Err("it has no end".to_owned()),
            };
            if let Ok(Line { mark: Some(mark), .. }) = &read {
                segment.synced = segment.synced.max(mark.synced);
                segment.after = segment.after.or(mark.after);
            }
            if segment.bad.is_some() {
                continue;
            }
            match read.and_then(|line| turn.take(line, number, offset)) {
                Ok(()) if turn.is_whole() => {
                    segment.lines += turn.records.len();
                    turn.records.drain(..).for_each(&mut take);
                }
                Ok(()) => {}
                Err(reason) => segment.bad = Some((number, turn.start(offset), reason)),
            }
        }
        if segment.bad.is_none() && !turn.is_whole() {
            segment.bad = Some((turn.line, turn.offset, "its turn is not whole".to_owned()));
        }
        Ok(segment)
    }
}

/// One read of the file.
const READ_BYTES: usize = 256 * 1024;

/// The lines of a turn of which more are to come.
struct UnfinishedTurn<R> {
    records: Vec<R>,
    missing: usize,
    /// Where it begins.
    line: usize,
    offset: u64,
}

impl<R> UnfinishedTurn<R> {
    fn is_whole(&self) -> bool {
        self.missing == 0
    }

    /// From where on nothing counts if the line at `offset` is bad.
    fn start(&self, offset: u64) -> u64 {
        if self.is_whole() { offset } else { self.offset }
    }

    fn take(&mut self, read: Line<R>, line: usize, offset: u64) -> Result<(), String> {
        match read.mark {
            Some(_) if !self.is_whole() => return Err("the turn before it is not whole".to_owned()),
            Some(mark) => (self.missing, self.line, self.offset) = (mark.turn, line, offset),
            None if self.is_whole() => return Err("it belongs to no turn".to_owned()),
            None => {}
        }
        self.records.push(read.record);
        self.missing = self.missing.saturating_sub(1);
        Ok(())
    }
}
