//! From the files to the jobs: the snapshot, then the segments that stand on it.

use std::fmt;
use std::io::{self, Cursor, Read};
use std::path::PathBuf;

use super::folder::{Basis, Folder};
use super::load;
use super::replay::Replay;
use super::segment;
use super::snapshot::{self, Sum};
use crate::engine::Record;
use crate::job::Defaults;

/// What a start found, apart from the records themselves.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// What the journal stands on.
    pub(super) basis: Basis,
    /// The segments of the journal, those included that `jobs.json` holds already.
    pub(super) segments: Vec<u64>,
    /// Up to where each segment that stays was on the disk, by its own lines.
    pub(super) synced: Vec<(u64, u64)>,
    /// How long the last of them is, up to the cut.
    pub(super) last_len: Option<u64>,
    /// Something stands in them that `jobs.json` does not hold.
    pub(super) has_records: bool,
    /// What was replayed from them.
    pub(super) replayed: usize,
    /// What was never finished and is to be cut off: from which byte of which segment on, every
    /// later segment included.
    pub(super) cut: Option<Cut>,
}

/// The end of what can be read.
#[derive(Debug)]
pub(super) struct Cut {
    pub(super) segment: u64,
    pub(super) from: u64,
    pub(super) bytes: u64,
    pub(super) reason: String,
}

/// Why the jobs cannot be read. Nothing on the disk was changed.
#[derive(Debug)]
pub enum ReadError {
    /// A file cannot be read.
    Io(PathBuf, io::Error),
    /// `jobs.json` cannot be parsed.
    Snapshot(PathBuf, String),
    /// `jobs.json` is not what the journal stands on.
    Edited(PathBuf),
    /// A segment in front of another that was on the disk is not there.
    Lost(PathBuf),
    /// A line of the journal that was on the disk cannot be read.
    Damaged {
        /// The segment.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(path, error) => write!(f, "cannot read {}: {error}", path.display()),
            Self::Snapshot(path, reason) => write!(f, "cannot parse {}: {reason}", path.display()),
            Self::Edited(path) => write!(
                f,
                "{} was changed while journal segments of an unclean stop wait beside it; put the file back as it was, \
                 or move the journal-*.jsonl files away to take it as it is now, without what they hold",
                path.display()
            ),
            Self::Lost(path) => write!(
                f,
                "{} is missing, and what lies in the journal behind it stands on it: put it back, or restore the folder \
                 from a backup",
                path.display()
            ),
            Self::Damaged { path, line, reason } => write!(
                f,
                "{} is damaged at line {line}: {reason}; it was on the disk before, so nothing was cut off: restore the \
                 folder from a backup, or delete that line if its change may be lost",
                path.display()
            ),
        }
    }
}

/// Reads everything, and hands over what it finds in the order in which it is to be applied.
pub(super) fn read(
    folder: &Folder,
    defaults: &Defaults,
    piece_bytes: usize,
    mut apply: impl FnMut(Record) -> bool,
) -> Result<Found, ReadError> {
    let failed = |error| ReadError::Io(folder.path(), error);
    let mut found = Found { segments: folder.segments().map_err(failed)?, ..Found::default() };
    let mut full = Vec::new();
    for segment in &found.segments {
        let is_full = folder.segment_len(*segment).map_err(failed)? > 0;
        full.extend(Some(*segment).filter(|_| is_full));
    }
    // Where something stands in one, `jobs.json` must be what it stands on.
    found.basis = read_jobs(folder, defaults, piece_bytes, !full.is_empty(), &mut apply)?;
    found.has_records = full.iter().any(|segment| *segment >= found.basis.from);
    for segment in full.iter().filter(|segment| **segment < found.basis.from) {
        take_runs(folder, *segment, defaults, piece_bytes, &mut apply).map_err(failed)?;
    }
    replay(folder, defaults, piece_bytes, &mut found, &mut apply)?;
    // Where all of it is to be cut off, the journal begins anew.
    found.has_records &= found.replayed > 0;
    Ok(found)
}

/// Hands over the runs that ended in a segment that `jobs.json` holds already: the history may not have them yet.
fn take_runs(
    folder: &Folder,
    segment: u64,
    defaults: &Defaults,
    piece_bytes: usize,
    apply: &mut impl FnMut(Record) -> bool,
) -> io::Result<()> {
    segment::read(folder, segment, defaults, piece_bytes, |line| {
        if let Ok(record @ Record::Run(_)) = line.record {
            apply(record);
        }
    })
}

/// Hands over the jobs of `jobs.json`, where it is what the journal stands on, and says what it holds.
fn read_jobs(
    folder: &Folder,
    defaults: &Defaults,
    piece_bytes: usize,
    has_records: bool,
    apply: &mut impl FnMut(Record) -> bool,
) -> Result<Basis, ReadError> {
    let path = || folder.snapshot_path();
    let failed = |error| ReadError::Io(path(), error);
    let basis = |sum| if has_records { basis(folder, sum) } else { Ok(Basis { sum, from: 0 }) };
    let Some(mut reader) = folder.snapshot_reader().map_err(failed)? else { return basis(None) };
    let mut text = Vec::new();
    let read = reader.by_ref().take(piece_bytes as u64).read_to_end(&mut text).map_err(failed)?;
    if read == piece_bytes {
        // What was handed over of a file that was edited counts for nothing: there is no start then.
        let whole = Cursor::new(&text).chain(reader);
        let sum = load::read(whole, piece_bytes, defaults, |job| !apply(Record::Put(job))).map_err(failed)?;
        if sum.is_some() {
            return basis(sum);
        }
        // Again from the start: what was applied already is applied once more.
        text = folder.read_snapshot().map_err(failed)?.unwrap_or_default();
    }
    let basis = basis(Some(Sum::of(&text)))?;
    read_snapshot(&text, defaults, apply).map_err(|reason| ReadError::Snapshot(path(), reason))?;
    Ok(basis)
}

/// What the journal stands on, where `jobs.json` holds this.
fn basis(folder: &Folder, sum: Option<Sum>) -> Result<Basis, ReadError> {
    let known = folder.basis(sum).map_err(|error| ReadError::Io(folder.path(), error))?;
    known.ok_or_else(|| ReadError::Edited(folder.snapshot_path()))
}

/// Parses the text of a `jobs.json`, strictly, and hands over its jobs.
pub(super) fn read_snapshot(
    text: &[u8],
    defaults: &Defaults,
    apply: &mut impl FnMut(Record) -> bool,
) -> Result<(), String> {
    snapshot::read(text, defaults, |job| {
        apply(Record::Put(job));
    })
}

/// Hands over what counts of the journal.
fn replay(
    folder: &Folder,
    defaults: &Defaults,
    piece_bytes: usize,
    found: &mut Found,
    apply: &mut impl FnMut(Record) -> bool,
) -> Result<(), ReadError> {
    let mut replay = Replay::new(found.basis.from, apply);
    for number in found.segments.iter().filter(|number| **number >= found.basis.from) {
        replay.read(folder, *number, defaults, piece_bytes)?;
    }
    found.replayed = replay.replayed;
    let (segments, cut) = replay.finish(folder)?;
    let last = cut.as_ref().map_or(u64::MAX, |cut| cut.segment);
    let stay = segments.iter().filter(|segment| segment.number <= last);
    found.synced = stay.map(|segment| (segment.number, segment.synced)).collect();
    found.last_len = cut.as_ref().map(|cut| cut.from).or(segments.last().map(|segment| segment.len));
    found.cut = cut;
    Ok(())
}

/// Cuts off what was never finished.
pub(super) fn cut(folder: &Folder, found: &mut Found) -> io::Result<()> {
    let Some(Cut { segment, from, .. }) = found.cut else { return Ok(()) };
    for later in found.segments.extract_if(.., |number| *number > segment) {
        folder.remove_segment(later)?;
    }
    folder.cut_segment(segment, from)?;
    Ok(folder.sync()?)
}

/// Puts on the disk what was found: a killed process may not have, and from now on everybody sees
/// it, and what is written next stands on it.
pub(super) fn sync(folder: &Folder, found: &Found) -> io::Result<()> {
    if !found.has_records {
        return Ok(());
    }
    for (segment, synced) in &found.synced {
        folder.write_segment_again(*segment, *synced)?;
    }
    Ok(folder.sync()?)
}
