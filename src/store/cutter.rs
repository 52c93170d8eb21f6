//! Cuts a large `jobs.json` into its jobs without understanding them, so that half a gigabyte of
//! text is never in memory at once and more than one thread can read it.

use std::io::{self, Read};
use std::ops::Range;

use crc32fast::Hasher;

use super::snapshot::Sum;
use crate::limits::SNAPSHOT_JOB_BYTES_MAX;

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
    /// Its text with `0` in the place of each job. A job without an end leaves it open, and there it ends.
    pub(super) text: Vec<u8>,
    /// How many jobs were cut out.
    pub(super) jobs: usize,
    /// What tells the content of the file, as far as it was read, from another.
    pub(super) sum: Sum,
}

/// The cut through one file.
pub(super) struct Cutter<R> {
    source: R,
    piece_bytes: usize,
    crc: Hasher,
    len: u64,
    /// What was read and not handed over: where no job has ended since, the beginning of one.
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
            crc: Hasher::new(),
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

    /// The next jobs, at least one; `None` at the end of the file, and where a job has none.
    pub(super) fn next(&mut self) -> io::Result<Option<Piece>> {
        while self.read_more()? {
            let jobs = self.scan();
            if !jobs.is_empty() {
                return Ok(Some(self.hand_over(jobs)));
            }
            match &self.inside {
                // Its text waits where it is: a copy at each step would cost a lost brace hours.
                Some(job) if self.text.len() - job.begin <= SNAPSHOT_JOB_BYTES_MAX => {}
                Some(_) => return Ok(None),
                None => {
                    self.text.clear();
                    self.at = 0;
                }
            }
        }
        Ok(None)
    }

    fn read_more(&mut self) -> io::Result<bool> {
        let kept = self.text.len();
        self.text.reserve(self.piece_bytes);
        let read = self.source.by_ref().take(self.piece_bytes as u64).read_to_end(&mut self.text)?;
        self.crc.update(&self.text[kept..]);
        self.len += read as u64;
        Ok(read > 0)
    }

    /// Hands over the text up to the job that the cut is in.
    fn hand_over(&mut self, jobs: Vec<Range<usize>>) -> Piece {
        self.jobs += jobs.len();
        let rest = self.inside.as_ref().map_or(self.text.len(), |job| job.begin);
        let rest_text = self.text[rest..].to_vec();
        self.at -= rest;
        if let Some(job) = &mut self.inside {
            job.begin = 0;
        }
        Piece { text: std::mem::replace(&mut self.text, rest_text), jobs }
    }

    /// What the file holds beside its jobs, when there are no more.
    pub(super) fn finish(self) -> Frame {
        Frame { text: self.frame, jobs: self.jobs, sum: Sum { crc: self.crc.finalize(), len: self.len } }
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

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    const PIECE_BYTES: usize = 64;

    /// All pieces of a source, and how much of it was read.
    fn cut(source: impl Read) -> (Vec<Piece>, u64) {
        let mut cutter = Cutter::new(source, PIECE_BYTES);
        let pieces = std::iter::from_fn(|| cutter.next().expect("nothing fails in memory")).collect();
        (pieces, cutter.finish().sum.len)
    }

    /// What is handed over is copied at most once more, as the beginning of the next piece.
    #[test]
    fn a_job_without_an_end_is_not_handed_over_again_and_again() {
        let jobs: Vec<_> = (0..200).map(|number| format!(r#"{{"id": "{number}", "http": {{"url": "a"}}}}"#)).collect();
        let whole = format!("{{\"jobs\": [{}]}}", jobs.join(",\n"));
        for broken in [whole.replacen('}', "", 1), whole.replacen("7\"", "7", 1), whole.replacen("\"a\"}}", "\"a\"", 9)]
        {
            assert!(broken.len() < whole.len() && broken.len() > 50 * PIECE_BYTES);
            let (pieces, read) = cut(Cursor::new(&broken));
            let copied: usize = pieces.iter().map(|piece| piece.text.len()).sum();
            assert_eq!(read, broken.len() as u64);
            assert!(copied <= 2 * broken.len(), "{copied} bytes of {}", broken.len());
        }
        assert_eq!(cut(Cursor::new(&whole)).0.iter().map(|piece| piece.jobs.len()).sum::<usize>(), 200);
    }

    #[test]
    fn nothing_without_a_job_is_handed_over() {
        let job = format!("{{\"body\": \"{}\"}}", "b".repeat(10 * PIECE_BYTES));
        let spaces = " ".repeat(10 * PIECE_BYTES);
        let (pieces, _) = cut(Cursor::new(format!("{spaces}{{\"jobs\": [{spaces}{job},{spaces}{job}]}}{spaces}")));
        assert!(pieces.iter().all(|piece| piece.jobs.len() == 1), "{}", pieces.len());
        let found: Vec<_> = pieces.iter().map(|piece| &piece.text[piece.jobs[0].clone()]).collect();
        assert_eq!(found, [job.as_bytes(); 2]);
    }

    #[test]
    fn a_job_that_is_longer_than_any_is_given_up() {
        for endless in ["{\"jobs\": [{", "{\"jobs\": [{\""] {
            let (pieces, read) =
                cut(Cursor::new(endless).chain(io::repeat(b'a').take(2 * SNAPSHOT_JOB_BYTES_MAX as u64)));
            assert_eq!(pieces.len(), 0);
            assert!(read <= (SNAPSHOT_JOB_BYTES_MAX + 2 * PIECE_BYTES) as u64, "{read} bytes");
        }
    }
}
