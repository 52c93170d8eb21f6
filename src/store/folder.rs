//! The files of a data folder: their names, and the note of what the journal stands on.

use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::snapshot::Sum;
use crate::disk::{Disk, DiskFile, Failure, is_full};

/// The snapshot, for people and for restarts.
pub(super) const SNAPSHOT: &str = "jobs.json";
/// What a snapshot is until it is whole.
const SNAPSHOT_UNFINISHED: &str = "jobs.json.tmp";
/// The note: which contents of the snapshot are the service's own, and from where on the journal stands on each.
const SUMS: &str = "jobs.json.sum";
const SUMS_UNFINISHED: &str = "jobs.json.sum.tmp";

/// What the journal stands on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Basis {
    /// The content of `jobs.json`; `None` where there is none.
    pub(super) sum: Option<Sum>,
    /// The first segment that it does not hold. Those before it may still be there: replayed over what is newer,
    /// they would take it back.
    pub(super) from: u64,
}

/// The files, on whatever disk.
#[derive(Debug)]
pub(super) struct Folder {
    disk: Arc<dyn Disk>,
    /// An fsync of the journal or of the names failed. The machine may tell it only to the thread that asked, so
    /// from then on all the others are told here.
    has_failed: AtomicBool,
}

impl Folder {
    pub(super) fn new(disk: Arc<dyn Disk>) -> Self {
        Self { disk, has_failed: AtomicBool::new(false) }
    }

    /// Where the folder lies, for people.
    pub(super) fn path(&self) -> PathBuf {
        self.disk.path("")
    }

    /// Where the snapshot lies, for people.
    pub(super) fn snapshot_path(&self) -> PathBuf {
        self.disk.path(SNAPSHOT)
    }

    /// Where a segment lies, for people.
    pub(super) fn segment_path(&self, number: u64) -> PathBuf {
        self.disk.path(&segment(number))
    }

    /// The snapshot's text; `None` where there is none.
    pub(super) fn read_snapshot(&self) -> io::Result<Option<Vec<u8>>> {
        there(self.disk.read(SNAPSHOT))
    }

    /// The snapshot's text, to be read a piece at a time.
    pub(super) fn snapshot_reader(&self) -> io::Result<Option<Box<dyn io::Read + Send>>> {
        there(self.disk.reader(SNAPSHOT))
    }

    /// The numbers of the journal's segments, in their order. A file that only looks like one is
    /// somebody else's.
    pub(super) fn segments(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for name in self.disk.names()? {
            let digits = name.strip_prefix("journal-").and_then(|name| name.strip_suffix(".jsonl"));
            let number = digits.and_then(|digits| digits.parse::<u64>().ok()).filter(|number| *number < u64::MAX);
            numbers.extend(number.filter(|number| segment(*number) == name));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    pub(super) fn segment_len(&self, number: u64) -> io::Result<u64> {
        self.disk.len(&segment(number))
    }

    /// How many bytes segments have, of those that are there.
    pub(super) fn bytes_of(&self, numbers: &[u64]) -> u64 {
        numbers.iter().filter_map(|number| self.segment_len(*number).ok()).sum()
    }

    /// A segment's text, to be read a piece at a time.
    pub(super) fn segment_reader(&self, number: u64) -> io::Result<Box<dyn io::Read + Send>> {
        self.disk.reader(&segment(number))
    }

    /// Begins a segment, which must be new.
    pub(super) fn create_segment(&self, number: u64) -> io::Result<Arc<dyn DiskFile>> {
        self.disk.create(&segment(number))
    }

    /// Puts a segment on the disk, of which all up to `synced` is there for sure. The rest is written
    /// again as it is read: what an earlier fsync could not write is in memory only, and Linux takes it for written.
    pub(super) fn write_segment_again(&self, number: u64, synced: u64) -> io::Result<()> {
        let mut reader = self.segment_reader(number)?;
        let mut offset = io::copy(&mut reader.by_ref().take(synced), &mut io::sink())?;
        let file = self.disk.open(&segment(number))?;
        let mut piece = Vec::new();
        while reader.by_ref().take(PIECE_BYTES).read_to_end(&mut piece)? > 0 {
            match file.write(&piece, offset) {
                // Where even the same bytes need new room there is none; the fsync does what it can.
                Err(error) if is_full(&error) => break,
                result => result?,
            }
            offset += piece.len() as u64;
            piece.clear();
        }
        file.sync()
    }

    /// Puts all segments from this one on on the disk.
    pub(super) fn sync_segments(&self, from: u64) -> Result<(), Failure> {
        for number in self.segments()?.into_iter().filter(|number| *number >= from) {
            self.sync_segment(&*self.disk.open(&segment(number))?).map_err(Failure::Sync)?;
        }
        Ok(())
    }

    /// Puts segments on the disk of which the jobs need nothing any more: those that are there and can be opened.
    pub(super) fn sync_covered(&self, numbers: &[u64]) -> Result<(), Failure> {
        let files = numbers.iter().filter_map(|number| self.disk.open(&segment(*number)).ok());
        files.into_iter().try_for_each(|file| self.sync_segment(&*file).map_err(Failure::Sync))
    }

    /// Puts a segment on the disk.
    pub(super) fn sync_segment(&self, file: &dyn DiskFile) -> io::Result<()> {
        self.judge(file.sync())
    }

    /// Gives an fsync's result; none is worth anything after one that failed.
    fn judge(&self, result: io::Result<()>) -> io::Result<()> {
        let failed_before = self.has_failed.fetch_or(result.is_err(), Ordering::SeqCst);
        match result {
            Ok(()) if failed_before => Err(io::Error::other("an fsync before this one failed")),
            result => result,
        }
    }

    /// Cuts a segment. It is on the disk when this returns.
    pub(super) fn cut_segment(&self, number: u64, len: u64) -> io::Result<()> {
        let file = self.disk.open(&segment(number))?;
        file.set_len(len)?;
        file.sync()
    }

    /// Removes a segment, if nobody else has.
    pub(super) fn remove_segment(&self, number: u64) -> io::Result<()> {
        self.remove_if_there(&segment(number))
    }

    /// Removes segments in their order and each for good, and keeps in the list what is left: a later one
    /// that was gone before an earlier one would leave that one to be replayed over what is newer.
    pub(super) fn remove_segments(&self, left: &mut Vec<u64>) -> Result<(), Failure> {
        while let Some(segment) = left.first() {
            self.remove_segment(*segment)?;
            self.sync()?;
            left.remove(0);
        }
        Ok(())
    }

    /// Puts the names on the disk.
    pub(super) fn sync(&self) -> Result<(), Failure> {
        self.judge(self.disk.sync()).map_err(Failure::Sync)
    }

    /// What the note says of a content of the snapshot; `None` where it is not one that the service itself
    /// wrote or began with.
    pub(super) fn basis(&self, sum: Option<Sum>) -> io::Result<Option<Basis>> {
        let Some(note) = there(self.disk.read(SUMS))? else { return Ok(None) };
        let note = String::from_utf8_lossy(&note);
        let present = sum_text(sum);
        let from = note.lines().filter_map(|line| line.strip_prefix(&present)).filter_map(|rest| match rest {
            "" => Some(0),
            rest => rest.strip_prefix(' ').and_then(|from| from.parse().ok()),
        });
        Ok(from.min().map(|from| Basis { sum, from }))
    }

    /// Notes what the snapshot may be, one a line. It is on the disk when this returns.
    pub(super) fn write_note(&self, bases: &[Basis]) -> Result<(), Failure> {
        let line = |Basis { sum, from }: &Basis| format!("{} {from}\n", sum_text(*sum));
        let text: String = bases.iter().map(line).collect();
        let file = self.disk.create_for(SUMS_UNFINISHED, SUMS)?;
        file.write(text.as_bytes(), 0)?;
        file.sync()?;
        self.disk.rename(SUMS_UNFINISHED, SUMS)?;
        self.sync()
    }

    /// Takes the note away: without segments nothing stands on the snapshot, and anyone may edit it.
    pub(super) fn remove_note(&self) -> io::Result<()> {
        self.remove_if_there(SUMS)?;
        // One that found no room.
        self.remove_if_there(SUMS_UNFINISHED)
    }

    /// Makes the file that becomes the snapshot. Only the owner may read it, unless he gave the
    /// present one other permissions.
    pub(super) fn create_snapshot(&self) -> io::Result<Arc<dyn DiskFile>> {
        self.disk.create_for(SNAPSHOT_UNFINISHED, SNAPSHOT)
    }

    /// Puts that file in the place of the present snapshot.
    pub(super) fn finish_snapshot(&self) -> io::Result<()> {
        self.disk.rename(SNAPSHOT_UNFINISHED, SNAPSHOT)
    }

    /// Gives that file up.
    pub(super) fn remove_unfinished_snapshot(&self) -> io::Result<()> {
        self.remove_if_there(SNAPSHOT_UNFINISHED)
    }

    /// Removes what an interrupted process left.
    pub(super) fn remove_unfinished(&self) -> io::Result<()> {
        self.remove_unfinished_snapshot()?;
        self.remove_if_there(SUMS_UNFINISHED)
    }

    fn remove_if_there(&self, name: &str) -> io::Result<()> {
        there(self.disk.remove(name)).map(drop)
    }
}

/// How much of a segment is in memory at once.
const PIECE_BYTES: u64 = 256 * 1024;

fn segment(number: u64) -> String {
    format!("journal-{number:06}.jsonl")
}

fn there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// How the note names a content; a snapshot that is not there has a name too.
fn sum_text(sum: Option<Sum>) -> String {
    sum.map_or_else(|| "none".to_owned(), |sum| sum.to_string())
}
