//! The files of the ledger: two streams of segments, and what is known of each.

use std::io;
use std::string::FromUtf8Error;
use std::sync::{Arc, OnceLock};

use super::index::Index;
use crate::disk::Disk;
use crate::job::Status;

/// What is kept together. Failures have their own files so that they outlast what went its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    /// What went its way.
    Runs,
    Failures,
}

impl Stream {
    pub(super) const ALL: [Self; 2] = [Self::Runs, Self::Failures];

    pub(super) fn of(status: Status) -> Self {
        if status.is_failure() { Self::Failures } else { Self::Runs }
    }

    /// The name of the segment whose records have this number or a higher one, below that of the next segment.
    pub(super) fn segment_name(self, first: u64) -> String {
        let stem = match self {
            Self::Runs => "runs",
            Self::Failures => "failures",
        };
        format!("{stem}-{first:016}.jsonl")
    }

    /// The segment of that name. A file that only looks like one is somebody else's.
    fn parse(name: &str) -> Option<(Self, u64)> {
        let (_, digits) = name.strip_suffix(".jsonl")?.rsplit_once('-')?;
        let first = digits.parse::<u64>().ok().filter(|first| *first < u64::MAX)?;
        Self::ALL.into_iter().find(|stream| stream.segment_name(first) == name).map(|stream| (stream, first))
    }
}

/// One value for each stream.
pub(super) type Both<T> = [T; 2];

/// A segment as a question sees it.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) stream: Stream,
    /// No record of it has a lower number.
    pub(super) first: u64,
    /// Up to where it is read.
    pub(super) len: u64,
    /// Each of its lines is known to have a higher number than the one before.
    pub(super) is_ordered: bool,
    /// It is written to no more, so that an index of it stays true.
    pub(super) is_sealed: bool,
    /// What is in it, once somebody has read it.
    pub(super) index: Arc<OnceLock<Index>>,
}

impl Segment {
    /// One of which nothing is known but its length.
    pub(super) fn new(stream: Stream, first: u64, len: u64) -> Self {
        Self { stream, first, len, is_ordered: false, is_sealed: false, index: Arc::default() }
    }

    pub(super) fn name(&self) -> String {
        self.stream.segment_name(self.first)
    }

    /// Its whole lines; `None` where it was removed meanwhile.
    pub(super) fn read(&self, disk: &dyn Disk) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = match disk.read(&self.name()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            bytes => bytes?,
        };
        bytes.truncate(usize::try_from(self.len).unwrap_or(usize::MAX));
        bytes.truncate(bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1));
        Ok(Some(bytes))
    }

    /// The same as text.
    pub(super) fn read_text(&self, disk: &dyn Disk) -> io::Result<Option<String>> {
        Ok(self.read(disk)?.map(text))
    }

    /// What is in it, where it is sealed; `None` where it was removed meanwhile.
    pub(super) fn read_index(&self, disk: &dyn Disk) -> io::Result<Option<&Index>> {
        if self.index.get().is_none() {
            return Ok(self.read_text(disk)?.map(|text| self.index_of(&text)));
        }
        Ok(self.index.get())
    }

    /// The same, from its text.
    pub(super) fn index_of(&self, text: &str) -> &Index {
        self.index.get_or_init(|| Index::of(text))
    }
}

/// Whatever a damaged byte becomes, its line has another checksum.
pub(super) fn text(bytes: Vec<u8>) -> String {
    let lossy = |error: FromUtf8Error| String::from_utf8_lossy(error.as_bytes()).into_owned();
    String::from_utf8(bytes).unwrap_or_else(lossy)
}

/// The segments of a folder, the oldest of each stream first.
pub(super) fn list(disk: &dyn Disk) -> io::Result<Both<Vec<Segment>>> {
    let mut segments: Both<Vec<Segment>> = [Vec::new(), Vec::new()];
    for (stream, first) in disk.names()?.iter().filter_map(|name| Stream::parse(name)) {
        match disk.len(&stream.segment_name(first)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            len => segments[stream as usize].push(Segment::new(stream, first, len?)),
        }
    }
    for segments in &mut segments {
        segments.sort_unstable_by_key(|segment| segment.first);
    }
    Ok(segments)
}
