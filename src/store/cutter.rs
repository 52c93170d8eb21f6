//! Cuts a large `jobs.json` into its jobs without understanding them, so that half a gigabyte of
//! text is never in memory at once and more than one thread can read it.

use std::io::{self, Read};
use std::ops::Range;

use super::checksum::Crc32;
use super::snapshot::Sum;

/// A byte that means something in a string: it ends it, or escapes the next.
const IN_STRINGS: u8 = 1;
/// A byte that means something elsewhere: it begins a string, or opens or closes something.
const AROUND_STRINGS: u8 = 2;

/// Where each byte means something.
const MEANINGS: [u8; 256] = {
    let mut meanings = [0; 256];
    meanings[b'\\' as usize] = IN_STRINGS;
    meanings[b'"' as usize] = IN_STRINGS | AROUND_STRINGS;
    meanings[b'{' as usize] = AROUND_STRINGS;
    meanings[b'}' as usize] = AROUND_STRINGS;
    meanings[b'[' as usize] = AROUND_STRINGS;
    meanings[b']' as usize] = AROUND_STRINGS;
    meanings
};

/// Some whole jobs of the file.
pub(super) struct Piece {
    pub(super) text: Vec<u8>,
    /// Where each job stands in the text, from its opening brace to its closing one.
    pub(super) jobs: Vec<Range<usize>>,
}

/// What a file holds beside its jobs.
pub(super) struct Frame {
    /// Its text with `0` in the place of each job. A job without an end leaves it open.
    pub(super) text: Vec<u8>,
    /// How many jobs were cut out.
    pub(super) jobs: usize,
    /// What tells the content of the file from another.
    pub(super) sum: Sum,
}

/// The cut through one file.
pub(super) struct Cutter<R> {
    source: R,
    piece_bytes: usize,
    crc: Crc32,
    len: u64,
    /// What was read and not handed over: at the start of a piece, the beginning of a job.
    text: Vec<u8>,
    /// How much of the text was looked at.
    at: usize,
    inside: Option<Job>,
    in_string: bool,
    is_escaped: bool,
    depth: usize,
    /// The last string of the outermost object.
    key: Vec<u8>,
    in_jobs: bool,
    /// The file with `0` for each job.
    frame: Vec<u8>,
    /// How many jobs were handed over.
    jobs: usize,
}

/// The job that the cut is in.
struct Job {
    begin: usize,
    depth: usize,
}

impl<R: Read> Cutter<R> {
    /// Reads as many bytes at a time.
    pub(super) fn new(source: R, piece_bytes: usize) -> Self {
        Self {
            source,
            piece_bytes,
            crc: Crc32::new(),
            len: 0,
            text: Vec::new(),
            at: 0,
            inside: None,
            in_string: false,
            is_escaped: false,
            depth: 0,
            key: Vec::new(),
            in_jobs: false,
            frame: Vec::new(),
            jobs: 0,
        }
    }

    /// The next jobs; `None` at the end of the file.
    pub(super) fn next(&mut self) -> io::Result<Option<Piece>> {
        let kept = self.text.len();
        self.text.reserve_exact(self.piece_bytes);
        let read = self.source.by_ref().take(self.piece_bytes as u64).read_to_end(&mut self.text)?;
        self.crc.update(&self.text[kept..]);
        self.len += read as u64;
        if read == 0 {
            return Ok(None);
        }
        let jobs = self.scan();
        self.jobs += jobs.len();
        let rest = self.inside.as_ref().map_or(self.text.len(), |job| job.begin);
        let rest_text = self.text[rest..].to_vec();
        self.at -= rest;
        if let Some(job) = &mut self.inside {
            job.begin = 0;
        }
        Ok(Some(Piece { text: std::mem::replace(&mut self.text, rest_text), jobs }))
    }

    /// The rest of the file, when there is no more.
    pub(super) fn finish(self) -> Frame {
        Frame { text: self.frame, jobs: self.jobs, sum: Sum { crc: self.crc.finish(), len: self.len } }
    }

    fn scan(&mut self) -> Vec<Range<usize>> {
        let mut jobs = Vec::new();
        while self.at < self.text.len() {
            if self.inside.is_some() {
                jobs.extend(self.scan_job());
            } else {
                self.scan_frame();
            }
        }
        jobs
    }

    /// Looks for the end of the job, from one byte that says something to the next.
    fn scan_job(&mut self) -> Option<Range<usize>> {
        let job = self.inside.as_mut()?;
        while let Some(rest) = self.text.get(self.at..).filter(|rest| !rest.is_empty()) {
            if std::mem::take(&mut self.is_escaped) {
                self.at += 1;
                continue;
            }
            let wanted = if self.in_string { IN_STRINGS } else { AROUND_STRINGS };
            let found = rest.iter().position(|byte| MEANINGS[usize::from(*byte)] & wanted != 0);
            self.at += found.map_or(rest.len(), |found| found + 1);
            match found.map(|found| rest[found]) {
                Some(b'\\') => self.is_escaped = true,
                Some(b'"') => self.in_string = !self.in_string,
                Some(b'{' | b'[') => job.depth += 1,
                Some(_) => {
                    job.depth -= 1;
                    if job.depth == 0 {
                        let range = job.begin..self.at;
                        self.inside = None;
                        self.frame.push(b'0');
                        return Some(range);
                    }
                }
                None => {}
            }
        }
        None
    }

    /// Takes a byte that belongs to no job.
    fn scan_frame(&mut self) {
        let byte = self.text[self.at];
        let in_list = self.in_jobs && self.depth == 2 && !self.in_string;
        if in_list && byte == b'{' {
            self.inside = Some(Job { begin: self.at, depth: 0 });
            return;
        }
        self.at += 1;
        let is_between = matches!(byte, b',' | b']' | b' ' | b'\n' | b'\r' | b'\t');
        // What is no object is no job, and must not pass for one that was cut out.
        self.frame.push(if in_list && !is_between { b'!' } else { byte });
        if self.in_string {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            if self.in_string && self.depth == 1 {
                self.key.push(byte);
            }
            return;
        }
        match byte {
            b'"' => {
                self.in_string = true;
                if self.depth == 1 {
                    self.key.clear();
                }
            }
            b'{' | b'[' => {
                self.in_jobs |= byte == b'[' && self.depth == 1 && self.key == b"jobs";
                self.depth += 1;
            }
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                self.in_jobs &= self.depth >= 2;
            }
            _ => {}
        }
    }
}
