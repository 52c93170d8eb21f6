//! The way through the journal: what counts of it, and where what was never finished begins.

use super::folder::Folder;
use super::line::Mark;
use super::recovery::{Cut, ReadError};
use super::segment;
use crate::engine::Record;
use crate::job::Defaults;

/// What was read of the journal so far, once and in its order.
pub(super) struct Replay<F> {
    apply: F,
    from: u64,
    /// The last of them is being read.
    segments: Vec<Segment>,
    turn: Turn,
    /// The first thing that is bad. Nothing behind it counts, but what the lines there say of the disk.
    bad: Option<Bad>,
    /// How many records were applied.
    pub(super) replayed: usize,
}

/// A segment as it lies on the disk.
pub(super) struct Segment {
    pub(super) number: u64,
    lines: usize,
    pub(super) len: u64,
    /// How much of it was on the disk for sure, by its own lines, those behind a bad one included.
    pub(super) synced: u64,
}

/// Lines of a turn of which more may be to come.
#[derive(Default)]
struct Turn {
    records: Vec<Record>,
    missing: usize,
    /// Where it begins.
    line: usize,
    offset: u64,
}

struct Bad {
    segment: u64,
    what: What,
    /// From where on nothing counts: where its turn begins.
    from: u64,
    reason: String,
}

/// What is bad.
#[derive(Clone, Copy)]
enum What {
    /// A line of the segment.
    Line(usize),
    /// This segment is not there.
    Missing(u64),
}

impl<F: FnMut(Record) -> bool> Replay<F> {
    /// Begins with the segment `from`, where that is known.
    pub(super) fn new(from: u64, apply: F) -> Self {
        Self { apply, from, segments: Vec::new(), turn: Turn::default(), bad: None, replayed: 0 }
    }

    /// Reads the segment that comes next.
    pub(super) fn read(
        &mut self,
        folder: &Folder,
        number: u64,
        defaults: &Defaults,
        piece_bytes: usize,
    ) -> Result<(), ReadError> {
        self.check_number(number);
        self.segments.push(Segment { number, lines: 0, len: 0, synced: 0 });
        segment::read(folder, number, defaults, piece_bytes, |line| self.take(line))
            .map_err(|error| ReadError::Io(folder.segment_path(number), error))?;
        if !self.turn.is_whole() {
            let Turn { line, offset, .. } = self.turn;
            self.stop(line, offset, "its turn is not whole".to_owned());
        }
        Ok(())
    }

    /// Looks whether the segment that stands before this one is there.
    fn check_number(&mut self, number: u64) {
        let bad = match self.segments.last() {
            Some(last) if last.number + 1 != number => {
                let reason = "the next segment is missing".to_owned();
                Bad { segment: last.number, what: What::Missing(last.number + 1), from: last.len, reason }
            }
            None if self.from != 0 && self.from != number => {
                let reason = "the segment before it is missing".to_owned();
                Bad { segment: number, what: What::Missing(self.from), from: 0, reason }
            }
            _ => return,
        };
        self.bad.get_or_insert(bad);
    }

    fn take(&mut self, segment::Found { bytes, mark, record }: segment::Found) {
        let segment = self.segments.last_mut().expect("a line lies in a segment");
        let offset = segment.len;
        segment.len += bytes;
        segment.lines += 1;
        segment.synced = segment.synced.max(mark.map_or(0, |mark| mark.synced));
        let line = segment.lines;
        if offset == 0 {
            self.check_last_end(mark.and_then(|mark| mark.after));
        }
        if self.bad.is_some() {
            return;
        }
        match record.and_then(|record| self.turn.take(record, mark, line, offset)) {
            Ok(()) if self.turn.is_whole() => {
                self.replayed += self.turn.records.len();
                for record in self.turn.records.drain(..) {
                    (self.apply)(record);
                }
            }
            Ok(()) => {}
            Err(reason) => self.stop(line, self.turn.start(offset), reason),
        }
    }

    /// Looks whether the segment before this one is as long as it was when this one began.
    fn check_last_end(&mut self, after: Option<u64>) {
        let [.., last, segment] = &self.segments[..] else { return };
        if let Some(after) = after.filter(|after| *after > last.len && last.number + 1 == segment.number) {
            let reason = format!("its end is missing: it was {after} bytes long");
            let bad = Bad { segment: last.number, what: What::Line(last.lines + 1), from: last.len, reason };
            self.bad.get_or_insert(bad);
        }
    }

    /// From here on in the present segment nothing counts.
    fn stop(&mut self, line: usize, from: u64, reason: String) {
        self.turn = Turn::default();
        let segment = self.segments.last().expect("what is bad lies in a segment").number;
        self.bad.get_or_insert(Bad { segment, what: What::Line(line), from, reason });
    }

    /// The segments, and where what was never finished begins.
    ///
    /// # Errors
    ///
    /// What is bad was on the disk before.
    pub(super) fn finish(self, folder: &Folder) -> Result<(Vec<Segment>, Option<Cut>), ReadError> {
        let Some(Bad { segment, what, from, reason }) = self.bad else { return Ok((self.segments, None)) };
        // A segment is synced for the first time only after all before it are synced to their ends.
        let was_synced = self.segments.iter().any(|other| match what {
            What::Line(_) if other.number == segment => other.synced > from,
            What::Line(_) => other.number > segment && other.synced > 0,
            What::Missing(missing) => other.number > missing && other.synced > 0,
        });
        match what {
            What::Missing(missing) if was_synced => return Err(ReadError::Lost(folder.segment_path(missing))),
            What::Line(line) if was_synced => {
                return Err(ReadError::Damaged { path: folder.segment_path(segment), line, reason });
            }
            _ => {}
        }
        let bytes: u64 = self.segments.iter().filter(|other| other.number >= segment).map(|other| other.len).sum();
        Ok((self.segments, Some(Cut { segment, from, bytes: bytes - from, reason })))
    }
}

impl Turn {
    fn is_whole(&self) -> bool {
        self.missing == 0
    }

    /// From where on nothing counts if the line at `offset` is bad.
    fn start(&self, offset: u64) -> u64 {
        if self.is_whole() { offset } else { self.offset }
    }

    fn take(&mut self, record: Record, mark: Option<Mark>, line: usize, offset: u64) -> Result<(), String> {
        match mark {
            Some(_) if !self.is_whole() => return Err("the turn before it is not whole".to_owned()),
            Some(mark) => (self.missing, self.line, self.offset) = (mark.turn, line, offset),
            None if self.is_whole() => return Err("it belongs to no turn".to_owned()),
            None => {}
        }
        self.records.push(record);
        self.missing = self.missing.saturating_sub(1);
        Ok(())
    }
}
