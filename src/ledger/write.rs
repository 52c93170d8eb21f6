//! From memory to the files: appending, fsyncs, the next segment, and what is too much or too old.

use std::io;
use std::mem;
use std::sync::{Arc, MutexGuard};

use jiff::{SignedDuration, Timestamp};

use super::line::{self, Glance};
use super::segment::{Both, Segment, Stream};
use super::tail::Tail;
use super::{Ledger, Position, State};
use crate::disk::{Failure, is_full};
use crate::job::RunRecord;
use crate::limits::{
    HISTORY_AGE_PARTS, HISTORY_FAILURES_AGE_FACTOR, HISTORY_SEGMENT_BYTES_MAX, HISTORY_SEGMENT_BYTES_MIN,
    HISTORY_SEGMENTS, LEDGER_WRITE_BYTES,
};

/// What only he has who writes. Who looks for something does not wait for it.
#[derive(Debug)]
pub(super) struct Files {
    /// The segments that are written to.
    pub(super) tails: Both<Option<Tail>>,
    /// An fsync failed, and none after it says anything.
    pub(super) has_failed: bool,
}

/// One write to the files, with nobody beside it.
struct Writing<'a> {
    ledger: &'a Ledger,
    files: MutexGuard<'a, Files>,
    now: Timestamp,
}

/// Lines of a stream that are written together.
#[derive(Default)]
struct Chunk<'a> {
    text: Vec<u8>,
    records: Vec<&'a RunRecord>,
}

impl Ledger {
    /// Appends what stands in the journal up to there, which must be on the disk: the history never knows an
    /// outcome that the jobs forgot. Then what is too old goes.
    ///
    /// # Errors
    ///
    /// [`Failure::Other`]: what is not written waits for the next time. [`Failure::Sync`]: the process must end.
    pub fn write(&self, upto: Position, now: Timestamp) -> Result<(), Failure> {
        self.writing(now, |writing| {
            let appended = writing.append_due(|position| position <= upto);
            writing.remove_old()?;
            appended
        })
    }

    /// Puts on the disk what stands in segments of the journal before this one, so that they may go.
    ///
    /// # Errors
    ///
    /// [`Failure::Other`]: they must stay. [`Failure::Sync`]: the process must end.
    pub fn settle(&self, before_segment: u64, now: Timestamp) -> Result<(), Failure> {
        self.writing(now, |writing| {
            writing.append_due(|position| position.segment < before_segment)?;
            writing.sync()
        })
    }

    fn writing(
        &self,
        now: Timestamp,
        write: impl FnOnce(&mut Writing<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut writing = Writing { ledger: self, files: self.files(), now };
        if writing.files.has_failed {
            return Err(Failure::Sync(io::Error::other("an fsync before this one failed")));
        }
        let result = write(&mut writing);
        writing.files.has_failed = matches!(result, Err(Failure::Sync(_)));
        result
    }

    /// How large a segment becomes.
    fn segment_bytes(&self) -> u64 {
        (self.bounds.bytes / HISTORY_SEGMENTS).clamp(HISTORY_SEGMENT_BYTES_MIN, HISTORY_SEGMENT_BYTES_MAX)
    }

    /// How long the records of a stream are kept.
    fn age(&self, stream: Stream) -> SignedDuration {
        let age = SignedDuration::try_from(self.bounds.age).unwrap_or(SignedDuration::MAX);
        match stream {
            Stream::Runs => age,
            Stream::Failures => age.saturating_mul(HISTORY_FAILURES_AGE_FACTOR),
        }
    }
}

impl Writing<'_> {
    fn append_due(&mut self, is_due: impl Fn(Position) -> bool) -> Result<(), Failure> {
        loop {
            let records = self.ledger.state().pending.begin(&is_due, LEDGER_WRITE_BYTES);
            if records.is_empty() {
                return Ok(());
            }
            let result = Stream::ALL.into_iter().try_for_each(|stream| self.append(stream, &records));
            let mut state = self.ledger.state();
            state.pending.end();
            state.is_losing &= result.is_err();
            drop(state);
            result?;
        }
    }

    /// Appends those of the records that belong there: with one write, where no segment ends between them.
    fn append(&mut self, stream: Stream, records: &[Arc<RunRecord>]) -> Result<(), Failure> {
        let mut chunk = Chunk::default();
        let mut room = self.room(stream);
        for record in records.iter().filter(|record| Stream::of(record.status) == stream) {
            let begin = chunk.text.len();
            line::write(&mut chunk.text, record);
            if chunk.text.len() as u64 > room && self.may_roll(stream, record.seq, chunk.records.is_empty()) {
                let line = chunk.text.split_off(begin);
                self.flush(stream, &mut chunk)?;
                self.roll(stream, record.seq)?;
                chunk.text = line;
                room = self.ledger.segment_bytes();
            }
            chunk.records.push(record);
        }
        self.flush(stream, &mut chunk)
    }

    /// How many bytes still belong into the present segment. An old one ends early: it goes as a whole.
    fn room(&self, stream: Stream) -> u64 {
        let Some(tail) = self.tail(stream) else { return 0 };
        let oldest = tail.draft.so_far().ended_at.map(|(earliest, _)| earliest);
        let is_old = oldest.is_some_and(|oldest| self.is_older(oldest, self.ledger.age(stream) / HISTORY_AGE_PARTS));
        if is_old { 0 } else { self.ledger.segment_bytes().saturating_sub(tail.len()) }
    }

    /// Whether a record may begin the next segment: not before lower numbers stand in the present one, and not where
    /// that has nothing in it.
    fn may_roll(&self, stream: Stream, seq: u64, nothing_waits: bool) -> bool {
        self.tail(stream).is_none_or(|tail| tail.ends_before(seq) && !(tail.len() == 0 && nothing_waits))
    }

    /// Writes lines, and shows them in the file at the moment in which they wait no more.
    fn flush(&mut self, stream: Stream, chunk: &mut Chunk<'_>) -> Result<(), Failure> {
        let Chunk { text, records } = mem::take(chunk);
        if records.is_empty() {
            return Ok(());
        }
        self.make_room(text.len() as u64)?;
        self.append_text(stream, &text)?;
        let tail = self.files.tails[stream as usize].as_mut().expect("its segment was begun");
        for record in &records {
            tail.draft.add(&Glance::from(*record));
        }
        let mut state = self.ledger.state();
        let segment = state.segments[stream as usize].last_mut().expect("every tail is a segment");
        segment.len = tail.len();
        segment.is_ordered = tail.draft.so_far().is_ordered();
        for record in records {
            state.pending.remove(record.seq);
        }
        Ok(())
    }

    /// Where the disk is full the oldest segment makes room: it is worth less than what is new. One at a time, because
    /// others may be filling the disk.
    fn append_text(&mut self, stream: Stream, text: &[u8]) -> io::Result<()> {
        match self.try_append(stream, text) {
            Err(error) if is_full(&error) => {
                let oldest = oldest(&self.ledger.state());
                let (oldest_stream, first) = oldest.ok_or(error)?;
                self.remove(oldest_stream, first)?;
                self.try_append(stream, text)
            }
            result => result,
        }
    }

    fn try_append(&mut self, stream: Stream, text: &[u8]) -> io::Result<()> {
        let tail = self.files.tails[stream as usize].as_mut().expect("its segment was begun");
        tail.append(&*self.ledger.disk, text)
    }

    /// Begins the next segment of a stream. Its name says that all before is in the ones before, so that has to be
    /// on the disk.
    fn roll(&mut self, stream: Stream, first: u64) -> Result<(), Failure> {
        let disk = &*self.ledger.disk;
        if let Some(tail) = &mut self.files.tails[stream as usize] {
            tail.sync(disk)?;
            if tail.is_name_loose() {
                self.sync_names()?;
            }
        }
        let file = disk.create(&stream.segment_name(first))?;
        let sealed = self.files.tails[stream as usize].replace(Tail::new(stream, first, file));
        let index = sealed.map(|tail| tail.draft.index());
        let mut state = self.ledger.state();
        let segments = &mut state.segments[stream as usize];
        if let (Some(segment), Some(index)) = (segments.last_mut(), index) {
            segment.is_sealed = true;
            segment.index.get_or_init(|| index);
        }
        segments.push(Segment::new(stream, first, 0));
        Ok(())
    }

    /// Puts on the disk all that was appended.
    fn sync(&mut self) -> Result<(), Failure> {
        let disk = &*self.ledger.disk;
        self.files.tails.iter_mut().flatten().try_for_each(|tail| tail.sync(disk))?;
        if self.files.tails.iter().flatten().any(Tail::is_name_loose) {
            self.sync_names()?;
        }
        Ok(())
    }

    fn sync_names(&mut self) -> Result<(), Failure> {
        self.ledger.disk.sync().map_err(Failure::Sync)?;
        self.files.tails.iter_mut().flatten().for_each(Tail::set_name_firm);
        Ok(())
    }

    /// Removes the oldest segments until there is room for so many bytes: successes, unless most are failures.
    fn make_room(&self, bytes: u64) -> io::Result<()> {
        while let Some((stream, first)) = self.too_much(bytes) {
            self.remove(stream, first)?;
        }
        Ok(())
    }

    fn too_much(&self, coming: u64) -> Option<(Stream, u64)> {
        let state = self.ledger.state();
        if state.bytes() + coming <= self.ledger.bounds.bytes { None } else { oldest(&state) }
    }

    /// Removes the segments whose newest record is too old.
    fn remove_old(&mut self) -> Result<(), Failure> {
        for stream in Stream::ALL {
            while let Some(segment) = self.too_old(stream)? {
                if !segment.is_sealed {
                    // Its name is what the numbers go on from, so there must be another one first.
                    let next_first = self.tail(stream).expect("it is one").next_first();
                    self.roll(stream, next_first)?;
                    self.sync_names()?;
                }
                self.remove(stream, segment.first)?;
            }
        }
        Ok(())
    }

    fn too_old(&self, stream: Stream) -> io::Result<Option<Segment>> {
        let oldest = self.ledger.state().segments[stream as usize].first().cloned();
        let Some(oldest) = oldest else { return Ok(None) };
        let ended_at = if oldest.is_sealed {
            oldest.read_index(&*self.ledger.disk)?.and_then(|index| index.ended_at)
        } else {
            self.tail(stream).and_then(|tail| tail.draft.so_far().ended_at)
        };
        let is_old = ended_at.map_or(oldest.is_sealed, |(_, latest)| self.is_older(latest, self.ledger.age(stream)));
        Ok(is_old.then_some(oldest))
    }

    fn remove(&self, stream: Stream, first: u64) -> io::Result<()> {
        match self.ledger.disk.remove(&stream.segment_name(first)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => result?,
        }
        self.ledger.state().segments[stream as usize].retain(|segment| segment.first != first);
        Ok(())
    }

    fn tail(&self, stream: Stream) -> Option<&Tail> {
        self.files.tails[stream as usize].as_ref()
    }

    fn is_older(&self, instant: Timestamp, age: SignedDuration) -> bool {
        self.now.duration_since(instant) > age
    }
}

/// The segment that goes first, of those that are not written to: one of successes, unless most are failures.
fn oldest(state: &State) -> Option<(Stream, u64)> {
    let mut streams = Stream::ALL;
    if state.bytes_of(Stream::Runs) <= state.bytes() / 2 {
        streams.reverse();
    }
    let oldest = |stream| state.segments[stream as usize].first().filter(|segment| segment.is_sealed);
    streams.into_iter().find_map(|stream| oldest(stream).map(|segment| (stream, segment.first)))
}
