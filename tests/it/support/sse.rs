//! A client of Server-Sent Events.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::http::{self, Head};
use super::{Call, Ksana};

/// Longer than the time between two heartbeats.
const READ_TIMEOUT: Duration = Duration::from_secs(40);

/// An open stream.
pub(crate) struct Stream {
    reader: BufReader<TcpStream>,
    pub(crate) head: Head,
    /// The id that stood last in the stream; where there was none yet, the one that it was opened with.
    pub(crate) last_id: Option<String>,
}

/// A block of the stream: an event, or a comment with an id alone.
#[derive(Debug, Default)]
pub(crate) struct SseEvent {
    pub(crate) name: Option<String>,
    pub(crate) id: Option<String>,
    pub(crate) data: Option<String>,
}

impl Stream {
    /// Sends a request that is answered with a stream.
    pub(crate) fn open(call: &Call, port: u16) -> Self {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("it listens");
        stream.set_read_timeout(Some(READ_TIMEOUT)).expect("a socket takes a timeout");
        stream.write_all(&call.bytes()).expect("it reads");
        let mut reader = BufReader::new(stream);
        let head = http::read_head(&mut reader).expect("an answer").expect("an answer");
        assert!(head.start.contains(" 200 "), "{}", head.start);
        Self { reader, head, last_id: None }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        http::header(&self.head.headers, name)
    }

    /// The next block; nothing where the stream has ended.
    pub(crate) fn block(&mut self) -> Option<SseEvent> {
        let mut event = SseEvent::default();
        loop {
            let mut line = String::new();
            match self.reader.read_line(&mut line) {
                Ok(0) => return None,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                read => read.expect("something comes"),
            };
            let line = line.trim_end_matches('\n');
            match line.split_once(':') {
                None if line.is_empty() => break,
                Some(("", _)) => {}
                Some(("event", name)) => event.name = Some(name.trim_start().to_owned()),
                Some(("id", id)) => event.id = Some(id.trim_start().to_owned()),
                Some(("data", data)) => {
                    assert_eq!(event.data.replace(data.trim_start().to_owned()), None, "the data is one line");
                }
                _ => panic!("no line of a stream: {line:?}"),
            }
        }
        self.last_id = event.id.clone().or(self.last_id.take());
        Some(event)
    }

    /// The next event, whatever comments come before it.
    #[track_caller]
    pub(crate) fn event(&mut self) -> SseEvent {
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < READ_TIMEOUT, "no event comes, heartbeats alone");
            let event = self.block().expect("the stream goes on");
            if event.data.is_some() {
                return event;
            }
        }
    }

    /// Reads until the stream has ended.
    pub(crate) fn read_to_the_end(&mut self) {
        while self.block().is_some() {}
    }
}

impl SseEvent {
    pub(crate) fn json(&self) -> Value {
        let data = self.data.as_deref().expect("an event has data");
        serde_json::from_str(data).unwrap_or_else(|error| panic!("{error} in {data}"))
    }

    /// What kind of event it is, with the id of its job.
    pub(crate) fn what(&self) -> String {
        let (name, data) = (self.name.as_deref().expect("an event has a name"), self.json());
        let id = data["id"].as_str().or(data["job_id"].as_str());
        id.map_or_else(|| name.to_owned(), |id| format!("{name} {id}"))
    }
}

impl Ksana {
    /// Opens a stream, and reads up to where it is told of what happens from then on.
    #[track_caller]
    pub(crate) fn listen(&self, target: &str) -> Stream {
        let mut stream = Stream::open(&self.call("GET", target), self.port);
        let first = stream.block().expect("a first word");
        assert!(first.data.is_none() && first.id.is_some(), "{first:?}");
        stream
    }

    /// Opens the stream that goes on behind that id.
    pub(crate) fn listen_again(&self, target: &str, last_id: &str) -> Stream {
        Stream::open(&self.call("GET", target).header("Last-Event-ID", last_id), self.port)
    }
}
