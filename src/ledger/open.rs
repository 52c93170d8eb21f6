//! A start: what lies in the folder, and which records of the journal are not there yet.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;

use super::index::Draft;
use super::pending::Pending;
use super::segment::{self, Both, Segment};
use super::tail::Tail;
use super::write::Files;
use super::{Bounds, Ledger, State, line};
use crate::disk::Disk;

/// The numbers that the newest segment of a stream had at the start.
#[derive(Debug)]
pub(super) struct Known {
    /// Those below have been written: a segment begins when all before is on the disk.
    pub(super) first: u64,
    /// A power cut may have left some of the others and not the ones before them.
    pub(super) seqs: BTreeSet<u64>,
}

impl Known {
    pub(super) fn holds(&self, seq: u64) -> bool {
        seq < self.first || self.seqs.contains(&seq)
    }
}

impl Ledger {
    /// Looks at the folder and reads the newest segment of each stream. Nothing is changed before the first write.
    pub fn open(disk: Arc<dyn Disk>, bounds: Bounds) -> io::Result<Self> {
        let mut segments = segment::list(&*disk)?;
        let mut known: Both<Option<Known>> = [None, None];
        let mut tails: Both<Option<Tail>> = [None, None];
        let mut next_seq = 1;
        for ((segments, known), tail) in segments.iter_mut().zip(&mut known).zip(&mut tails) {
            let Some((newest, sealed)) = segments.split_last_mut() else { continue };
            for segment in sealed {
                segment.is_sealed = true;
            }
            let (found, seqs) = read_newest(&*disk, newest)
                .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", newest.name())))?;
            next_seq = next_seq.max(newest.first + 1).max(seqs.last().map_or(0, |seq| seq + 1));
            *known = Some(Known { first: newest.first, seqs });
            *tail = Some(found);
        }
        let state = State { pending: Pending::default(), segments, known, next_seq, is_losing: false };
        Ok(Self::made(disk, bounds, state, tails))
    }

    /// One that knows nothing of a folder that cannot be read. Its numbers go on from the microseconds since 1970, above
    /// all that were ever given: no service ends a run each microsecond.
    pub fn anew(disk: Arc<dyn Disk>, bounds: Bounds, now: Timestamp) -> Self {
        let next_seq = u64::try_from(now.as_microsecond()).unwrap_or(0).max(1);
        let state = State {
            pending: Pending::default(),
            segments: [Vec::new(), Vec::new()],
            known: [None, None],
            next_seq,
            is_losing: false,
        };
        Self::made(disk, bounds, state, [None, None])
    }

    fn made(disk: Arc<dyn Disk>, bounds: Bounds, state: State, tails: Both<Option<Tail>>) -> Self {
        Self { disk, bounds, state: Mutex::new(state), files: Mutex::new(Files { tails, has_failed: false }) }
    }
}

/// Takes a segment to be written to from now on; tells of what is damaged in it.
fn read_newest(disk: &dyn Disk, segment: &mut Segment) -> io::Result<(Tail, BTreeSet<u64>)> {
    let bytes = segment.read(disk)?.unwrap_or_default();
    let torn = segment.len.saturating_sub(bytes.len() as u64);
    segment.len = bytes.len() as u64;
    let mut draft = Draft::default();
    let mut seqs = BTreeSet::new();
    let mut bad = 0_u64;
    for line in line::lines(&segment::text(bytes)) {
        if let Some(glance) = line::read(line) {
            draft.add(&glance);
            seqs.insert(glance.seq);
        } else {
            bad += 1;
        }
    }
    let path = disk.path(&segment.name());
    if bad > 0 {
        tracing::warn!(path = %path.display(), lines = bad, "the history has damaged lines; they are passed over");
    }
    if torn > 0 {
        tracing::warn!(path = %path.display(), bytes = torn, "the last line of the history was never finished");
    }
    segment.is_ordered = draft.so_far().is_ordered();
    Ok((Tail::found(segment, torn > 0, draft), seqs))
}
