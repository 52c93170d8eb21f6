//! Reads a large `jobs.json` on several threads. It takes what [`snapshot::read`] takes; why it does
//! not take a file is for that one to say, which knows the line and the column.

use std::io::{self, Read};

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error};

use super::cutter::{Cutter, Frame, Piece};
use super::readers;
use super::snapshot::{self, Sum};
use crate::job::{Defaults, Job, stored_job};

/// Hands over the jobs of the file in their order, until one is not taken, and says what the file
/// holds. `None` where it is not to be taken so.
pub(super) fn read(
    source: impl Read + Send,
    piece_bytes: usize,
    defaults: &Defaults,
    mut take: impl FnMut(Job) -> bool,
) -> io::Result<Option<Sum>> {
    let mut cutter = Cutter::new(source, piece_bytes);
    let take_all = |jobs: Option<Vec<Job>>| jobs.is_some_and(|jobs| jobs.into_iter().all(&mut take));
    let taken = readers::read(|| cutter.next(), |piece| read_jobs(&piece, defaults), take_all)?;
    let Frame { text, jobs, sum } = cutter.finish();
    Ok((taken && snapshot::is_file_of(&text, Zeros(jobs))).then_some(sum))
}

/// The jobs of a piece; `None` where one of them is none.
fn read_jobs(Piece { text, jobs }: &Piece, defaults: &Defaults) -> Option<Vec<Job>> {
    let read = jobs.iter().cloned().map(|range| {
        let mut json = serde_json::Deserializer::from_str(std::str::from_utf8(&text[range]).ok()?);
        stored_job(&mut json, defaults).ok().filter(|_| json.end().is_ok())
    });
    read.collect()
}

/// The list of a file in which each of so many jobs was replaced by `0`. Without them it is no list, or empty.
struct Zeros(usize);

impl<'de> DeserializeSeed<'de> for Zeros {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let zeros = Option::<Vec<u8>>::deserialize(deserializer)?.unwrap_or_default();
        if zeros.len() == self.0 { Ok(()) } else { Err(D::Error::custom("a list that was not cut")) }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::job::GoDuration;
    use crate::store::recovery::read_snapshot;

    const DEFAULTS: Defaults =
        Defaults { timeout: GoDuration::from_secs(10), max_retries: 3, retry_backoff: GoDuration::from_secs(5) };

    /// The jobs of a file as it is read in pieces; `None` where it is not to be taken so.
    fn in_pieces(text: &str, piece_bytes: usize) -> Option<Vec<Job>> {
        let mut jobs: Vec<Job> = Vec::new();
        let sum = read(Cursor::new(text), piece_bytes, &DEFAULTS, |job| {
            let is_new = jobs.iter().all(|other| other.spec.id != job.spec.id);
            jobs.push(job);
            is_new
        });
        let sum = sum.expect("nothing fails in memory")?;
        assert_eq!(sum, Sum::of(text.as_bytes()));
        Some(jobs)
    }

    fn whole(text: &str) -> Option<Vec<Job>> {
        let mut jobs = Vec::new();
        let mut apply = |record| {
            let crate::engine::Record::Put(job) = record else { unreachable!("a file puts") };
            jobs.push(job);
            false
        };
        read_snapshot(text.as_bytes(), &DEFAULTS, &mut apply).ok().map(|()| jobs)
    }

    fn job(id: &str, body: &str) -> String {
        format!(
            r#"{{"id": "{id}", "name": "n", "http": {{"url": "http://a/", "headers": {{"X": "}}]"}}, "body": "{body}"}},
                "schedule": {{"kind": "every", "every": "1h"}}}}"#
        )
    }

    fn file() -> String {
        let jobs = [job("a", r#"{\"x\": [1, 2]}"#), job("b", r"\\"), job("c", "ends in a quote \\\""), job("d", "ü]}")];
        format!("{{\"version\": 1, \"updated_at\": \"a \\\" {{[\", \"jobs\": [\n{}\n]}}\n", jobs.join(",\n"))
    }

    #[test]
    fn pieces_of_any_size_give_the_same_jobs() {
        let text = file();
        let jobs = whole(&text).expect("it is good");
        assert_eq!(jobs.len(), 4);
        for piece_bytes in [1, 2, 3, 7, 64, 300, text.len(), text.len() + 1] {
            assert_eq!(in_pieces(&text, piece_bytes).as_ref(), Some(&jobs), "{piece_bytes}");
        }
    }

    #[test]
    fn other_files_that_are_good() {
        for text in [
            "{}",
            "{\"jobs\": null}",
            "{\"jobs\": []}",
            "\u{feff}{\"jobs\": [ ] , \"version\": 1}",
            &format!("{{\"jobs\":[{}],\"version\":1,\"updated_at\":{{\"jobs\":[{{}}]}}}}", job("a", "")),
        ] {
            assert!(whole(text).is_some(), "{text}");
            assert_eq!(in_pieces(text, 5), whole(text), "{text}");
        }
    }

    /// Each byte in turn is taken away, doubled, or another one: pieces never take what the whole does not.
    #[test]
    fn what_is_not_good_as_a_whole_is_not_taken_in_pieces() {
        let text = file();
        let mut refused = 0;
        for at in 0..text.len() {
            if !text.is_char_boundary(at) || !text.is_char_boundary(at + 1) {
                continue;
            }
            let (before, byte, after) = (&text[..at], &text[at..=at], &text[at + 1..]);
            for changed in ["", "{", "}", "[", "]", "\"", "\\", ",", "0", " ", &byte.repeat(2)] {
                let text = format!("{before}{changed}{after}");
                match (in_pieces(&text, 100), whole(&text)) {
                    (None, None) => refused += 1,
                    (taken, jobs) => assert_eq!(taken, jobs, "{text}"),
                }
            }
        }
        assert!(refused > text.len(), "most changes make it bad: {refused}");
    }

    #[test]
    fn what_only_looks_like_a_list_of_jobs_is_left_to_the_other_way() {
        for text in [
            format!("{{\"jobs\": [{0}, {0}]}}", job("a", "")),
            "{\"jobs\": [0]}".to_owned(),
            "{\"jobs\": [null]}".to_owned(),
            "{\"\\u006aobs\": [0]}".to_owned(),
            format!("{{\"\\u006aobs\": [{}]}}", job("a", "")),
            format!("{{\"jobs\": [{}", job("a", "")),
            format!("[{}]", job("a", "")),
        ] {
            assert_eq!(in_pieces(&text, 9), None, "{text}");
        }
    }
}
