//! A line of JSON with a checksum in front, as the journal and the ledger keep them: what a crash or a bad disk left
//! of one is told from one.
//!
//! `{"crc":"89abcdef","key":…}`: the checksum covers every byte behind its own comma up to the closing brace.

use std::io::Write;

const PREFIX: &[u8] = b"{\"crc\":\"";
/// How long what stands in front is: the prefix, eight digits, a quote and a comma.
pub(crate) const HEAD_LEN: usize = PREFIX.len() + 8 + 2;

/// Begins a line at the end of `out`; gives where.
pub(crate) fn begin(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(b"{\"crc\":\"00000000\",");
    start
}

/// Ends the line that begins at `start` and has its closing brace.
pub(crate) fn end(out: &mut Vec<u8>, start: usize) {
    let crc = crc32fast::hash(&out[start + HEAD_LEN..]);
    write!(&mut out[start + PREFIX.len()..], "{crc:08x}").expect("eight digits replace eight digits");
    out.push(b'\n');
}

/// What stands behind the checksum of a line without its newline. The error says why it is none.
pub(crate) fn content(line: &[u8]) -> Result<&[u8], String> {
    let shape = || "it does not begin with a checksum".to_owned();
    let (head, rest) = line.split_at_checked(HEAD_LEN).ok_or_else(shape)?;
    let digits = head.strip_prefix(PREFIX).and_then(|head| head.strip_suffix(b"\",")).ok_or_else(shape)?;
    let digits = std::str::from_utf8(digits).map_err(|_| shape())?;
    let crc = u32::from_str_radix(digits, 16).map_err(|_| shape())?;
    let found = crc32fast::hash(rest);
    if crc != found {
        return Err(format!("its checksum is {crc:08x}, its content has {found:08x}"));
    }
    Ok(rest)
}
