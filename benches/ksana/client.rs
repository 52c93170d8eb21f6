//! A client that costs little: one kept connection, one request at a time, blocking.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::daemon::KEY;

/// An answer that takes longer never comes.
const PATIENCE: Duration = Duration::from_mins(1);

/// A request with its head, as it goes over the wire.
pub(crate) fn request(method: &str, target: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("{method} {target} HTTP/1.1\r\nHost: ksana\r\nX-API-Key: {KEY}\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// A connection that is kept.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

/// A whole answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer<'a> {
    head: &'a str,
    body: &'a [u8],
}

impl Connection {
    pub(crate) fn open(port: u16) -> std::io::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, answer: Vec::with_capacity(16 * 1024) })
    }

    /// Sends a request and waits for the whole answer.
    pub(crate) fn call(&mut self, request: &[u8]) -> std::io::Result<Answer<'_>> {
        self.stream.write_all(request)?;
        self.answer.clear();
        let mut head_len = None;
        loop {
            let begin = self.answer.len();
            self.answer.resize(begin + 16 * 1024, 0);
            let read = self.stream.read(&mut self.answer[begin..])?;
            self.answer.truncate(begin + read);
            if read == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            head_len = head_len.or_else(|| end_of_head(&self.answer));
            if let Some(head_len) = head_len
                && is_whole(&self.answer, head_len)
            {
                let (head, body) = self.answer.split_at(head_len);
                let head = std::str::from_utf8(head).expect("a head of Ksana is ASCII");
                return Ok(Answer { head, body });
            }
        }
    }

    /// The same for an answer that must have this status.
    pub(crate) fn expect(&mut self, status: u16, request: &[u8]) -> Answer<'_> {
        let answer = self.call(request).expect("the connection stands and is answered");
        let text = String::from_utf8_lossy(answer.body);
        assert_eq!(answer.status(), status, "{}: {text}", String::from_utf8_lossy(request));
        answer
    }
}

impl<'a> Answer<'a> {
    pub(crate) fn status(&self) -> u16 {
        self.head.get(9..12).and_then(|digits| digits.parse().ok()).expect("an answer begins with its status")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&'a str> {
        header(self.head, name)
    }

    pub(crate) fn body(&self) -> &'a [u8] {
        self.body
    }
}

/// The value of a header of a head.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    pairs.find_map(|(given, value)| given.eq_ignore_ascii_case(name).then(|| value.trim()))
}

/// Where the head ends, the empty line included.
pub(crate) fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

fn is_whole(answer: &[u8], head_len: usize) -> bool {
    let head = std::str::from_utf8(&answer[..head_len]).expect("a head of Ksana is ASCII");
    let body = &answer[head_len..];
    match header(head, "Content-Length") {
        Some(length) => body.len() == length.parse::<usize>().expect("a length is a number"),
        // JSON holds no bare line end, so only the last chunk looks like this.
        None if header(head, "Transfer-Encoding").is_some() => body.ends_with(b"0\r\n\r\n"),
        None => true,
    }
}
