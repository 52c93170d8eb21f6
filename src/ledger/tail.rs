//! The segment of a stream that is written to now.

use std::io;
use std::mem;
use std::sync::Arc;

use super::index::Draft;
use super::segment::{Segment, Stream};
use crate::disk::{Disk, DiskFile, Failure, is_full};

/// Appends whole lines. Where that fails none of them is there.
#[derive(Debug)]
pub(super) struct Tail {
    stream: Stream,
    first: u64,
    /// `None` until it is first written to.
    file: Option<Arc<dyn DiskFile>>,
    len: u64,
    /// Something may lie behind `len` that has to go first.
    is_torn: bool,
    content: Content,
    /// Its name may not be on the disk.
    is_name_loose: bool,
    pub(super) draft: Draft,
}

/// How much of a file is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// All of it.
    Firm,
    /// Not all for sure.
    Loose,
    /// An earlier process wrote it, perhaps one whose fsync failed: what that was to write may be in memory only, and
    /// the machine takes it for written.
    Doubtful,
}

impl Tail {
    /// One that has just been made.
    pub(super) fn new(stream: Stream, first: u64, file: Arc<dyn DiskFile>) -> Self {
        Self {
            stream,
            first,
            file: Some(file),
            len: 0,
            is_torn: false,
            content: Content::Loose,
            is_name_loose: true,
            draft: Draft::default(),
        }
    }

    /// One that was found, with whole lines up to the length of `segment`, and perhaps the begin of one behind.
    pub(super) fn found(segment: &Segment, is_torn: bool, draft: Draft) -> Self {
        let Segment { stream, first, len, .. } = *segment;
        Self { stream, first, file: None, len, is_torn, content: Content::Doubtful, is_name_loose: true, draft }
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The number in the name of a segment that follows it, where that is to have nothing in it yet.
    pub(super) fn next_first(&self) -> u64 {
        self.draft.so_far().seqs.map_or(self.first, |(_, highest)| highest + 1).max(self.first + 1)
    }

    /// Whether a segment may begin with that number behind this one.
    pub(super) fn ends_before(&self, seq: u64) -> bool {
        seq > self.first && self.draft.so_far().seqs.is_none_or(|(_, highest)| highest < seq)
    }

    /// Its name is known to be on the disk.
    pub(super) fn set_name_firm(&mut self) {
        self.is_name_loose = false;
    }

    pub(super) fn is_name_loose(&self) -> bool {
        self.is_name_loose
    }

    /// Writes lines with one write.
    pub(super) fn append(&mut self, disk: &dyn Disk, text: &[u8]) -> io::Result<()> {
        let file = self.file(disk)?;
        self.cut_back(&*file)?;
        self.loosen();
        self.is_torn = true;
        if let Err(error) = file.write(text, self.len) {
            // Where even this fails, the next append begins with it.
            let _ = self.cut_back(&*file);
            return Err(error);
        }
        self.is_torn = false;
        self.len += text.len() as u64;
        Ok(())
    }

    /// Puts it on the disk, but for its name.
    pub(super) fn sync(&mut self, disk: &dyn Disk) -> Result<(), Failure> {
        if self.content == Content::Firm {
            return Ok(());
        }
        let file = self.file(disk)?;
        self.cut_back(&*file)?;
        if self.content == Content::Doubtful {
            self.write_again(disk, &*file)?;
        }
        file.sync().map_err(Failure::Sync)?;
        self.content = Content::Firm;
        Ok(())
    }

    fn write_again(&self, disk: &dyn Disk, file: &dyn DiskFile) -> io::Result<()> {
        let mut text = disk.read(&self.stream.segment_name(self.first))?;
        text.truncate(usize::try_from(self.len).unwrap_or(usize::MAX));
        match file.write(&text, 0) {
            // Where even the same bytes need new room there is none; the fsync does what it can.
            Err(error) if is_full(&error) => Ok(()),
            result => result,
        }
    }

    fn file(&mut self, disk: &dyn Disk) -> io::Result<Arc<dyn DiskFile>> {
        let name = self.stream.segment_name(self.first);
        if matches!(disk.len(&name), Err(error) if error.kind() == io::ErrorKind::NotFound) {
            // What is written to the one that was opened is nowhere.
            self.file = None;
        }
        if let Some(file) = &self.file {
            return Ok(Arc::clone(file));
        }
        let file = match disk.open(&name) {
            // Somebody cleared the folder away.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let file = disk.create(&name)?;
                *self = Self { draft: mem::take(&mut self.draft), ..Self::new(self.stream, self.first, file) };
                return self.file(disk);
            }
            file => file?,
        };
        Ok(Arc::clone(self.file.insert(file)))
    }

    fn cut_back(&mut self, file: &dyn DiskFile) -> io::Result<()> {
        if self.is_torn {
            self.loosen();
            file.set_len(self.len)?;
            self.is_torn = false;
        }
        Ok(())
    }

    fn loosen(&mut self) {
        if self.content == Content::Firm {
            self.content = Content::Loose;
        }
    }
}
