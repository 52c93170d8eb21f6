//! A raw HTTP/1.1 client: what is asked for is what is sent.

use std::fmt::Write as _;
use std::io::{self, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use super::http::{self, Framing, Headers};

/// Longer than any answer may take; a test that gets none should fail, not hang.
const READ_TIMEOUT: Duration = Duration::from_secs(40);

/// One request on a connection of its own.
pub(crate) struct Call {
    port: u16,
    method: String,
    target: String,
    headers: Headers,
    body: Option<Vec<u8>>,
}

impl Call {
    pub(crate) fn new(port: u16, method: &str, target: &str) -> Self {
        Self { port, method: method.to_owned(), target: target.to_owned(), headers: Headers::new(), body: None }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.header("Content-Type", "application/json").body(body.to_string())
    }

    /// The bytes as they go over the wire.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n", self.method, self.target, self.port);
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n").expect("a text takes all");
        }
        if let Some(body) = &self.body {
            write!(head, "Content-Length: {}\r\n", body.len()).expect("a text takes all");
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend(self.body.iter().flatten());
        bytes
    }

    /// Sends, and reads the answer; panics where there is none.
    pub(crate) fn send(self) -> Response {
        let what = format!("{} {}", self.method, self.target);
        self.try_send().unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    pub(crate) fn try_send(self) -> io::Result<Response> {
        let mut connection = Connection::open(self.port)?;
        let method = self.method.clone();
        // A server may answer and close before it has read everything: the answer is what counts.
        let written = connection.send(&self.header("Connection", "close").bytes());
        match connection.response(&method) {
            Ok(Some(response)) => Ok(response),
            Ok(None) => Err(written.err().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into())),
            Err(error) => Err(error),
        }
    }
}

/// A connection that stays open, for keep-alive, for half a request and for anything malformed.
pub(crate) struct Connection {
    reader: BufReader<TcpStream>,
}

impl Connection {
    pub(crate) fn open(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(READ_TIMEOUT))?;
        stream.set_write_timeout(Some(READ_TIMEOUT))?;
        Ok(Self { reader: BufReader::new(stream) })
    }

    pub(crate) fn patience(&self, longest: Duration) {
        self.reader.get_ref().set_read_timeout(Some(longest)).expect("a socket takes a timeout");
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes)
    }

    /// The next answer; nothing where the server closed in front of it.
    pub(crate) fn response(&mut self, method: &str) -> io::Result<Option<Response>> {
        loop {
            let Some(head) = http::read_head(&mut self.reader)? else { return Ok(None) };
            let status = head.start.split(' ').nth(1).and_then(|code| code.parse::<u16>().ok());
            let status = status.ok_or(io::ErrorKind::InvalidData)?;
            if (100..200).contains(&status) {
                continue;
            }
            let framing = if method == "HEAD" || matches!(status, 204 | 304) {
                Framing::None
            } else {
                http::framing(&head.headers, Framing::ToTheEnd)
            };
            let body = http::read_body(&mut self.reader, &framing)?;
            return Ok(Some(Response { status, headers: head.headers, body }));
        }
    }

    /// The status of the next answer, which may have no end.
    pub(crate) fn status(&mut self) -> io::Result<u16> {
        let head = http::read_head(&mut self.reader)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        head.start.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or(io::ErrorKind::InvalidData.into())
    }

    /// Reads until the server closes, whatever it says before.
    pub(crate) fn read_until_closed(&mut self) -> io::Result<()> {
        match io::copy(&mut Read::by_ref(&mut self.reader), &mut io::sink()) {
            Err(error) if error.kind() != io::ErrorKind::ConnectionReset => Err(error),
            _ => Ok(()),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        http::header(&self.headers, name)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("an answer is UTF-8")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in the {} answer {:?}", self.status, self.text()))
    }

    /// The answer again, if it bears that status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// Checks the shape that every refusal has, and gives its JSON.
    #[track_caller]
    pub(crate) fn refusal(self, status: u16) -> Value {
        let error = self.expect(status).json();
        for key in ["error", "message"] {
            assert!(error[key].as_str().is_some_and(|text| !text.is_empty()), "no {key} in {error}");
        }
        error
    }
}
