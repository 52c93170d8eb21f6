//! Clients that ask as fast as they are answered, one request at a time on each connection.

use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Answer, Connection};
use crate::statistics::Sample;
use crate::table::Figure;

/// What was done in a part of a measurement.
#[derive(Debug, Default)]
pub(crate) struct Slice {
    /// How long each single thing took.
    pub(crate) spans: Vec<Duration>,
    pub(crate) took: Duration,
}

impl Slice {
    /// Adds a later slice of the same.
    pub(crate) fn extend(&mut self, other: Self) {
        self.spans.extend(other.spans);
        self.took += other.took;
    }

    pub(crate) fn sample(&self) -> Sample {
        Sample::new(self.spans.clone())
    }

    /// The rate, and how long one took.
    pub(crate) fn figures(&self) -> Vec<Figure> {
        let [p50, p99] = self.sample().p50_p99();
        vec![Figure::rate("rate", self.spans.len(), self.took), p50, p99]
    }
}

/// Open connections, a thread each while it is at work.
#[derive(Debug)]
pub(crate) struct Load {
    connections: Vec<Connection>,
}

impl Load {
    pub(crate) fn new(port: u16, connections: usize) -> Self {
        let open = |_| Connection::open(port).expect("the server listens");
        Self { connections: (0..connections).map(open).collect() }
    }

    /// Asks for a while what `make` makes; every answer must have this status.
    pub(crate) fn slice<M, T>(&mut self, span: Duration, status: u16, make: M, take: T) -> Slice
    where
        M: Fn() -> Vec<u8> + Sync,
        T: Fn(Answer<'_>) + Sync,
    {
        let began = Instant::now();
        let ask = |connection: &mut Connection| {
            let mut spans = Vec::new();
            while began.elapsed() < span {
                let request = make();
                let request_began = Instant::now();
                let answer = connection.expect(status, &request);
                spans.push(request_began.elapsed());
                take(answer);
            }
            spans
        };
        let spans = match &mut self.connections[..] {
            [only] => ask(only),
            many => thread::scope(|scope| {
                let threads: Vec<_> = many.iter_mut().map(|one| scope.spawn(|| ask(one))).collect();
                threads.into_iter().flat_map(|thread| thread.join().expect("every answer was as expected")).collect()
            }),
        };
        Slice { spans, took: began.elapsed() }
    }

    /// Sends each of these once, over all connections, about in their order.
    pub(crate) fn send_all(&mut self, status: u16, requests: &[Vec<u8>]) {
        let stride = self.connections.len();
        thread::scope(|scope| {
            for (index, connection) in self.connections.iter_mut().enumerate() {
                scope.spawn(move || {
                    for request in requests.iter().skip(index).step_by(stride) {
                        connection.expect(status, request);
                    }
                });
            }
        });
    }
}
