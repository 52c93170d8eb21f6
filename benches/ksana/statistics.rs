//! From many spans of time to the few that say how they are spread.

use std::time::Duration;

use crate::table::Figure;

/// Spans, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample(Vec<Duration>);

impl Sample {
    pub(crate) fn new(mut spans: Vec<Duration>) -> Self {
        spans.sort_unstable();
        Self(spans)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The span that so many of a thousand are not above. A sample without one span is a measurement
    /// that did not happen.
    pub(crate) fn permille(&self, permille: usize) -> Duration {
        let rank = (self.0.len() * permille).div_ceil(1000).max(1);
        *self.0.get(rank - 1).expect("nothing was measured")
    }

    pub(crate) fn median(&self) -> Duration {
        self.permille(500)
    }

    pub(crate) fn p50_p99(&self) -> [Figure; 2] {
        [Figure::time("p50", self.median()), Figure::time("p99", self.permille(990))]
    }

    /// All that is said of a lateness.
    pub(crate) fn spread(&self) -> Vec<Figure> {
        let mut figures = self.p50_p99().to_vec();
        if self.len() >= 1000 {
            figures.push(Figure::time("p99.9", self.permille(999)));
        }
        figures.push(Figure::time("max", self.permille(1000)));
        figures.push(Figure::count("calls", self.len()));
        figures
    }
}
