//! A record as a line of a segment, and what a question wants to know of one before anybody sees it.

use std::ops::Range;

use jiff::Timestamp;
use serde::Deserialize;

use crate::checked_line;
use crate::job::{RunRecord, Status};

/// What is looked at of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Glance<'a> {
    pub(super) seq: u64,
    pub(super) job_id: &'a str,
    pub(super) status: Status,
    pub(super) ended_at: Timestamp,
}

impl<'a> From<&'a RunRecord> for Glance<'a> {
    fn from(record: &'a RunRecord) -> Self {
        let RunRecord { seq, job_id, status, ended_at, .. } = record;
        Self { seq: *seq, job_id: job_id.as_str(), status: *status, ended_at: *ended_at }
    }
}

/// Writes a record as a line to the end of `out`.
pub(super) fn write(out: &mut Vec<u8>, record: &RunRecord) {
    let start = checked_line::begin(out);
    // The record brings a brace of its own, which gives its place to the comma.
    out.pop();
    serde_json::to_writer(&mut *out, record).expect("records are made of strings and numbers");
    out[start + checked_line::HEAD_LEN - 1] = b',';
    checked_line::end(out, start);
}

/// Reads what matters of a line without its newline; `None` where it is damaged.
pub(super) fn read(line: &str) -> Option<Glance<'_>> {
    checked_line::content(line.as_bytes()).ok()?;
    let fields: Fields<'_> = serde_json::from_str(line).ok()?;
    Some(Glance {
        seq: fields.seq,
        job_id: fields.job_id,
        status: Status::parse(fields.status)?,
        ended_at: fields.ended_at.parse().ok()?,
    })
}

#[derive(Deserialize)]
struct Fields<'a> {
    seq: u64,
    job_id: &'a str,
    status: &'a str,
    ended_at: &'a str,
}

/// The record of a good line as JSON, as a client sees it.
pub(super) fn json(line: &str) -> Vec<u8> {
    let mut json = line.as_bytes()[checked_line::HEAD_LEN - 1..].to_vec();
    json[0] = b'{';
    json
}

/// The part of a text that has the lines of these numbers, where each line has a higher number than the one before.
pub(super) fn within<'t>(text: &'t str, seqs: &Range<u64>) -> &'t str {
    let start = begin_of(text, seqs.start);
    &text[start..begin_of(text, seqs.end).max(start)]
}

/// Where the first line begins that has this number or a higher one.
fn begin_of(text: &str, seq: u64) -> usize {
    let (mut low, mut high) = (0, text.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let begin =
            text.as_bytes()[low..middle].iter().rposition(|byte| *byte == b'\n').map_or(low, |end| low + end + 1);
        let mut end = begin;
        let found = text[begin..high].split_inclusive('\n').find_map(|line| {
            end += line.len();
            read(line.trim_end())
        });
        match found {
            Some(glance) if glance.seq < seq => low = end,
            _ => high = begin,
        }
    }
    low
}

/// The lines of a text without their newlines, to be taken from either end.
pub(super) fn lines(text: &str) -> impl DoubleEndedIterator<Item = &str> {
    text.split('\n').filter(|line| !line.is_empty())
}
