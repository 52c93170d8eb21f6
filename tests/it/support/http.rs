//! As much of HTTP/1.1 as a client and a target of a test need, byte for byte.

use std::io::{self, BufRead, ErrorKind, Read};

pub(crate) type Headers = Vec<(String, String)>;

/// The start line and the headers of a message.
pub(crate) struct Head {
    pub(crate) start: String,
    pub(crate) headers: Headers,
}

/// How the end of a body is told.
pub(crate) enum Framing {
    None,
    Length(u64),
    Chunked,
    ToTheEnd,
}

/// The first header of that name, in any case.
pub(crate) fn header<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// Reads one head; nothing where the peer closed in front of it.
pub(crate) fn read_head(reader: &mut impl BufRead) -> io::Result<Option<Head>> {
    let Some(start) = read_line(reader)? else { return Ok(None) };
    let mut headers = Headers::new();
    loop {
        let line = read_line(reader)?.ok_or(ErrorKind::UnexpectedEof)?;
        if line.is_empty() {
            return Ok(Some(Head { start, headers }));
        }
        let (name, value) = line.split_once(':').ok_or(ErrorKind::InvalidData)?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
}

/// Reads a body; one that ends before it should is an error.
pub(crate) fn read_body(reader: &mut impl BufRead, framing: &Framing) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    match *framing {
        Framing::None => {}
        Framing::Length(length) => {
            let read = reader.take(length).read_to_end(&mut body)?;
            if read as u64 != length {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        Framing::ToTheEnd => {
            reader.read_to_end(&mut body)?;
        }
        Framing::Chunked => loop {
            let line = read_line(reader)?.ok_or(ErrorKind::UnexpectedEof)?;
            let digits = line.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(digits, 16).map_err(|_| ErrorKind::InvalidData)?;
            let read = reader.take(size).read_to_end(&mut body)?;
            if read as u64 != size {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            if size > 0 {
                read_line(reader)?;
                continue;
            }
            // Trailers, if any, up to the empty line.
            while read_line(reader)?.is_some_and(|line| !line.is_empty()) {}
            break;
        },
    }
    Ok(body)
}

/// How the headers say that the body ends; `otherwise` where they say nothing.
pub(crate) fn framing(headers: &Headers, otherwise: Framing) -> Framing {
    if header(headers, "transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        return Framing::Chunked;
    }
    match header(headers, "content-length") {
        Some(length) => Framing::Length(length.parse().expect("a content-length is a number")),
        None => otherwise,
    }
}

fn read_line(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    if reader.read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    while line.last().is_some_and(|byte| matches!(byte, b'\r' | b'\n')) {
        line.pop();
    }
    Ok(Some(String::from_utf8_lossy(&line).into_owned()))
}
