//! The segment that is written to now.

use std::io;
use std::sync::Arc;

use super::line::{self, Mark};
use crate::disk::DiskFile;
use crate::engine::Record;

/// Appends whole turns of records. A turn that cannot be written whole is not there at all.
#[derive(Debug)]
pub(super) struct Journal {
    file: Arc<dyn DiskFile>,
    number: u64,
    /// How long the segment before it is.
    after: Option<u64>,
    /// The end of the last whole turn.
    len: u64,
    /// Up to where the segment is on the disk for sure.
    synced: u64,
    /// Something may lie behind `len` that has to go first.
    torn: bool,
    /// It was cut back once, and nobody knows which of its lengths is on the disk until it is
    /// fsynced again.
    was_cut: bool,
    buffer: Vec<u8>,
}

impl Journal {
    /// Begins with a segment's new file, behind one of the length `after` if there is one.
    pub(super) fn new(file: Arc<dyn DiskFile>, number: u64, after: Option<u64>) -> Self {
        Self { file, number, after, len: 0, synced: 0, torn: false, was_cut: false, buffer: Vec::new() }
    }

    pub(super) fn file(&self) -> &Arc<dyn DiskFile> {
        &self.file
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn set_synced(&mut self, synced: u64) {
        self.synced = self.synced.max(synced);
    }

    pub(super) fn is_synced(&self) -> bool {
        self.synced == self.len
    }

    /// Whether it has to be fsynced once more before another segment follows it.
    pub(super) fn is_loose(&self) -> bool {
        !self.is_synced() || self.was_cut
    }

    /// Writes the records of a turn with one write; they are then safe from the end of this
    /// process, and after the next fsync from a power cut too.
    pub(super) fn append(&mut self, records: &[Record]) -> io::Result<()> {
        self.cut_back()?;
        self.buffer.clear();
        let after = self.after.filter(|_| self.len == 0);
        let mut mark = Some(Mark { synced: self.synced, turn: records.len(), after });
        for record in records {
            line::write(&mut self.buffer, record, mark.take());
        }
        self.torn = true;
        if let Err(error) = self.file.write(&self.buffer, self.len) {
            // Where even this fails, the next append begins with it.
            let _ = self.cut_back();
            return Err(error);
        }
        self.torn = false;
        self.len += self.buffer.len() as u64;
        self.buffer.shrink_to(BUFFER_BYTES_KEPT);
        Ok(())
    }

    /// Whether so many bytes could be written behind the last turn.
    pub(super) fn try_room(&mut self, bytes: usize) -> io::Result<()> {
        self.cut_back()?;
        self.torn = true;
        let written = self.file.write(&vec![0; bytes], self.len);
        self.cut_back()?;
        written
    }

    /// Removes what a failed write may have left behind the last whole turn.
    pub(super) fn cut_back(&mut self) -> io::Result<()> {
        if self.torn {
            self.file.set_len(self.len)?;
            self.torn = false;
            self.was_cut = true;
        }
        Ok(())
    }
}

/// A turn of a thousand fires fits; the body of a large job need not stay in memory.
const BUFFER_BYTES_KEPT: usize = 1024 * 1024;
