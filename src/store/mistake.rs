//! Where in `jobs.json` a person went wrong, and how that is told: with the place, the field, and what is accepted,
//! and without what may be a secret.

use std::fmt::Write as _;

use serde_json::error::Category;
use serde_path_to_error::{Path, Segment};

use crate::limits::MISTAKE_CHARS_MAX;

/// What JSON lacks and people miss.
const NOT_JSON: &str = "JSON has no comments and no comma behind the last item, and its keys and texts stand in \"\"";

/// Tells what serde found, `path` being where it was then.
pub(super) fn told(text: &str, path: &Path, error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    let whole = error.to_string();
    let message = whole.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&whole);
    let at = offset(text, line, column);
    if error.classify() != Category::Data {
        return match text.as_bytes().get(at) {
            Some(0) => told_at(text, at, "a zero byte stands here, and text is accepted"),
            _ => told_at(text, blamed(text, at, message), &format!("it is not JSON: {message}; {NOT_JSON}")),
        };
    }
    let pointer = pointer(path);
    // What a job as a whole lacks is found when its end is reached, and bears its field in front.
    match message.split_once(": ").filter(|(field, _)| field.starts_with('/')) {
        Some((field, message)) => {
            let pointer = pointer + field;
            told_at(text, place_of(text, &pointer), &format!("{pointer}: {message}"))
        }
        None if pointer.is_empty() => told_at(text, at, &without_value(message)),
        None => told_at(text, at, &format!("{pointer}: {}", without_value(message))),
    }
}

/// Tells of a mistake at this byte. Lines and characters are counted from 1, as editors do.
pub(super) fn told_at(text: &str, at: usize, message: &str) -> String {
    let before = &text[..text.floor_char_boundary(at)];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |rest| rest.chars().count()) + 1;
    let mut told = format!("line {line} column {column}: ");
    let chars = message.chars().count();
    // What is wrong stands in front and what is accepted at the end; what is too long lies between.
    let cut = MISTAKE_CHARS_MAX / 2..chars.saturating_sub(MISTAKE_CHARS_MAX / 2);
    for (index, c) in message.chars().enumerate() {
        match c {
            _ if index == cut.start && !cut.is_empty() => told.push('…'),
            _ if cut.contains(&index) => {}
            c if c.is_control() => write!(told, "{}", c.escape_default()).expect("a String takes all"),
            c => told.push(c),
        }
    }
    told
}

/// The byte that serde means. It counts bytes from 1 and the newline that it stumbled over as column 0 of the next line.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (start + column).saturating_sub(1)
}

/// A comma too many is noticed at what follows it, maybe lines below.
fn blamed(text: &str, at: usize, message: &str) -> usize {
    let before = text[..text.floor_char_boundary(at)].trim_end();
    if message == "trailing comma" && before.ends_with(',') { before.len() - 1 } else { at }
}

/// serde's sentence without the value that was found: it may be a header's or a body.
fn without_value(message: &str) -> String {
    let kinds = ["invalid type: ", "invalid value: "];
    let found =
        kinds.iter().find_map(|kind| message.strip_prefix(kind)).and_then(|rest| rest.rsplit_once(", expected "));
    match found {
        Some((value, expected)) => {
            let kind = value.split(['"', '`']).next().unwrap_or_default().trim_end();
            format!("invalid type: {kind}, expected {expected}")
        }
        None => message.to_owned(),
    }
}

/// The place as a JSON pointer (RFC 6901); `""` is the whole.
fn pointer(path: &Path) -> String {
    let segments = path.iter().map(|segment| match segment {
        Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
        Segment::Seq { index } => format!("/{index}"),
        Segment::Enum { .. } | Segment::Unknown => String::new(),
    });
    segments.collect()
}

/// Where the value begins that a pointer names; where it is missing, the one that should hold it.
/// What stands before it is known to be JSON.
fn place_of(text: &str, pointer: &str) -> usize {
    let mut scan = Scan { text: text.as_bytes(), at: 0 };
    scan.space();
    let mut found = scan.at;
    for name in pointer.split('/').skip(1) {
        let is_there = if scan.next() == b'[' { scan.enter_list(name) } else { scan.enter_object(name) };
        if !is_there {
            break;
        }
        found = scan.at;
    }
    found
}

/// Steps over JSON from value to value.
struct Scan<'t> {
    text: &'t [u8],
    at: usize,
}

impl Scan<'_> {
    /// The byte here; zero, which JSON does not have, at the end.
    fn next(&self) -> u8 {
        self.text.get(self.at).copied().unwrap_or(0)
    }

    /// Over white space, commas and colons to what means something.
    fn space(&mut self) {
        while matches!(self.next(), b' ' | b'\t' | b'\r' | b'\n' | b',' | b':') {
            self.at += 1;
        }
    }

    fn string(&mut self) {
        self.at += 1;
        while !matches!(self.next(), b'"' | 0) {
            self.at += if self.next() == b'\\' { 2 } else { 1 };
        }
        self.at += 1;
    }

    fn value(&mut self) {
        let mut depth = 0;
        loop {
            match self.next() {
                0 => return,
                b'"' => self.string(),
                b'{' | b'[' => (depth, self.at) = (depth + 1, self.at + 1),
                b'}' | b']' => (depth, self.at) = (depth - 1, self.at + 1),
                _ => self.at += 1,
            }
            if depth == 0 && matches!(self.next(), b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n') {
                return;
            }
        }
    }

    /// To the item of this number.
    fn enter_list(&mut self, index: &str) -> bool {
        self.at += 1;
        self.space();
        for _ in 0..index.parse().unwrap_or(0) {
            self.value();
            self.space();
        }
        !matches!(self.next(), b']' | 0)
    }

    /// To the value of this key, which no escape hides: keys of our own are meant.
    fn enter_object(&mut self, key: &str) -> bool {
        self.at += 1;
        loop {
            self.space();
            let start = self.at;
            if self.next() != b'"' {
                return false;
            }
            self.string();
            let is_it = self.text.get(start + 1..self.at - 1) == Some(key.as_bytes());
            self.space();
            if is_it {
                return true;
            }
            self.value();
        }
    }
}
