//! The limits that the machine itself sets: the same work with nothing around it.

use std::fs::File;
use std::io::Write;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use ksana::clock;

use crate::client::Connection;
use crate::folder::Folder;
use crate::load::Slice;
use crate::receiver::{Caller, Receiver, in_background};

/// One thread that appends a record to a file and fsyncs it, again and again.
#[derive(Debug)]
pub(crate) struct Appender {
    file: File,
    record: Vec<u8>,
}

impl Appender {
    /// A file beside the data folder, and so on the same disk; the daemon owns the folder itself.
    pub(crate) fn new(folder: &Folder, record_len: usize) -> Self {
        let file = File::create(folder.join("appended")).expect("own folder");
        Self { file, record: vec![b'x'; record_len] }
    }

    pub(crate) fn slice(&mut self, span: Duration) -> Slice {
        let mut spans = Vec::new();
        let began = Instant::now();
        while began.elapsed() < span {
            let record_began = Instant::now();
            self.file.write_all(&self.record).expect("the disk has room");
            self.file.sync_data().expect("the disk keeps what it takes");
            spans.push(record_began.elapsed());
        }
        Slice { spans, took: began.elapsed() }
    }
}

/// One thread that sleeps until each instant, in order, and then posts over a kept connection.
pub(crate) fn post_at(receiver: &Receiver, instants: Vec<Timestamp>) -> JoinHandle<()> {
    let mut connection = Connection::open(receiver.port).expect("the receiver listens");
    in_background("sleeper", move || {
        for due in instants {
            if let Ok(wait) = due.duration_since(clock::now()).try_into() {
                thread::sleep(wait);
            }
            connection.expect(200, &callback(due));
        }
    })
}

/// A request of about the size of the service's own.
fn callback(due: Timestamp) -> Vec<u8> {
    format!(
        "POST {} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\nContent-Type: application/json\r\n\
         User-Agent: ksana-bench\r\nX-Ksana-Run-Id: 01a2049e-10e1-7277-ada1-5ad110d666a9\r\n\
         X-Ksana-Job-Id: 01a2049e-10e1-7277-ada1-5ad110d666a9\r\nX-Ksana-Scheduled-At: {due}\r\n\
         X-Ksana-Attempt: 1\r\nContent-Length: 7\r\n\r\n{{\"a\":1}}",
        Caller::Bare.path()
    )
    .into_bytes()
}
