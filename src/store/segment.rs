//! One segment of the journal, read line by line: however long it is, some pieces of it are in memory at a time.

use std::io::{self, BufRead, BufReader, Read};
use std::iter;

use super::folder::Folder;
use super::line::{self, Line, Mark};
use super::readers;
use crate::engine::Record;
use crate::job::Defaults;
use crate::limits::JOURNAL_PIECE_BYTES;

/// A line as it lies on the disk.
pub(super) struct Found {
    /// Its length, with its end.
    pub(super) bytes: u64,
    /// A whole line says what it knows of the files, whatever its record is.
    pub(super) mark: Option<Mark>,
    /// Or why there is none.
    pub(super) record: Result<Record, String>,
}

/// Hands over the lines of a segment in their order. One that is longer than a piece is read on several threads.
pub(super) fn read(
    folder: &Folder,
    number: u64,
    defaults: &Defaults,
    piece_bytes: usize,
    mut take: impl FnMut(Found),
) -> io::Result<()> {
    let len = usize::try_from(folder.segment_len(number)?).unwrap_or(usize::MAX);
    let piece_bytes = piece_bytes.min(JOURNAL_PIECE_BYTES);
    let mut reader = BufReader::new(folder.segment_reader(number)?);
    let mut next = move || read_piece(&mut reader, piece_bytes.min(len));
    let read = |piece: Vec<u8>| -> Vec<_> { lines(&piece).map(|line| read_line(line, defaults)).collect() };
    let mut take = |lines: Vec<_>| lines.into_iter().for_each(&mut take);
    if len > piece_bytes {
        readers::read(next, read, |lines| {
            take(lines);
            true
        })?;
    } else {
        while let Some(piece) = next()? {
            take(read(piece));
        }
    }
    Ok(())
}

/// Some whole lines, about as many bytes of them; `None` at the end.
fn read_piece(reader: &mut impl BufRead, bytes: usize) -> io::Result<Option<Vec<u8>>> {
    // The end of the last line needs room, too, or the piece would be moved for it.
    let mut piece = Vec::with_capacity(bytes + bytes / 8);
    reader.by_ref().take(bytes as u64).read_to_end(&mut piece)?;
    if piece.last().is_some_and(|byte| *byte != b'\n') {
        reader.read_until(b'\n', &mut piece)?;
    }
    Ok(Some(piece).filter(|piece| !piece.is_empty()))
}

/// The lines, with their ends.
fn lines(mut text: &[u8]) -> impl Iterator<Item = &[u8]> {
    iter::from_fn(move || {
        let before = text;
        let len = text.skip_until(b'\n').expect("nothing fails in memory");
        Some(&before[..len]).filter(|line| !line.is_empty())
    })
}

fn read_line(text: &[u8], defaults: &Defaults) -> Found {
    let bytes = text.len() as u64;
    let Some(text) = text.strip_suffix(b"\n") else {
        return Found { bytes, mark: None, record: Err("it has no end".to_owned()) };
    };
    match line::read(text, defaults) {
        Ok(Line { record, mark }) => Found { bytes, mark, record: Ok(record) },
        Err(reason) => Found { bytes, mark: line::read_mark(text), record: Err(reason) },
    }
}
