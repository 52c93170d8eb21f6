//! What a callback target answers, and how it misbehaves.

use std::time::Duration;

/// One scripted answer. Without a script a target says `200` and `ok`.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) shape: Shape,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) delay: Duration,
    pub(crate) held: bool,
    pub(crate) closes: bool,
}

#[derive(Clone, Copy)]
pub(crate) enum Shape {
    /// A head and a short body.
    Whole,
    /// Nothing at all, for as long as the target lives.
    Hang,
    /// The connection is closed in place of an answer.
    Drop,
    /// Bytes that are no HTTP.
    Garbage,
    /// A body shorter than the head says, and then the end.
    CutBody,
    /// A chunked body that never ends.
    Endless,
    /// A body that comes a byte at a time and never ends.
    Drip,
    /// More header than anybody should read.
    HeaderBomb,
}

impl Answer {
    pub(crate) fn status(status: u16) -> Self {
        Self { shape: Shape::Whole, status, headers: Vec::new(), delay: Duration::ZERO, held: false, closes: false }
    }

    pub(crate) fn ok() -> Self {
        Self::status(200)
    }

    pub(crate) fn hang() -> Self {
        Self::ok().shape(Shape::Hang)
    }

    pub(crate) fn drop_connection() -> Self {
        Self::ok().shape(Shape::Drop)
    }

    pub(crate) fn garbage() -> Self {
        Self::ok().shape(Shape::Garbage)
    }

    pub(crate) fn cut_body() -> Self {
        Self::ok().shape(Shape::CutBody)
    }

    pub(crate) fn drip() -> Self {
        Self::ok().shape(Shape::Drip)
    }

    pub(crate) fn header_bomb() -> Self {
        Self::ok().shape(Shape::HeaderBomb)
    }

    pub(crate) fn redirect(status: u16, location: &str) -> Self {
        Self::status(status).header("Location", location)
    }

    pub(crate) fn endless(mut self) -> Self {
        self.shape = Shape::Endless;
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn delayed(mut self, millis: u64) -> Self {
        self.delay = Duration::from_millis(millis);
        self
    }

    /// Comes only once the test has released the path.
    pub(crate) fn held(mut self) -> Self {
        self.held = true;
        self
    }

    /// The connection is closed behind the answer, without a word in the head.
    pub(crate) fn closing(mut self) -> Self {
        self.closes = true;
        self
    }

    fn shape(mut self, shape: Shape) -> Self {
        self.shape = shape;
        self
    }
}
