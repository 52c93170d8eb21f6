//! A page of `/metrics`, read as a collector reads it.

use super::{Ksana, eventually};

pub(crate) struct Page {
    pub(crate) text: String,
}

impl Page {
    /// The value of a sample, by its name with its labels.
    pub(crate) fn find(&self, sample: &str) -> Option<f64> {
        let lines = self.text.lines().filter(|line| !line.starts_with('#'));
        let mut values = lines.filter_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        let value = values.next()?.parse().expect("a value is a number");
        assert_eq!(values.next(), None, "{sample} is there twice");
        Some(value)
    }

    #[track_caller]
    pub(crate) fn get(&self, sample: &str) -> f64 {
        self.find(sample).unwrap_or_else(|| panic!("no {sample} in\n{}", self.text))
    }

    /// Compares whole numbers, which these are.
    #[track_caller]
    pub(crate) fn check(&self, samples: &[(&str, u32)]) {
        for (sample, expected) in samples {
            let found = self.get(sample);
            assert!(is(found, *expected), "{sample} is {found} and not {expected} in\n{}", self.text);
        }
    }
}

/// A whole number is exact as a float.
fn is(found: f64, expected: u32) -> bool {
    found.to_bits() == f64::from(expected).to_bits()
}

impl Ksana {
    pub(crate) fn metrics(&self) -> Page {
        Page { text: self.get("/metrics").expect(200).text() }
    }

    /// Waits until a sample has come to this.
    #[track_caller]
    pub(crate) fn await_metric(&self, sample: &str, expected: u32) -> Page {
        eventually(&format!("{sample} to be {expected}"), || {
            let page = self.metrics();
            page.find(sample).is_some_and(|found| is(found, expected)).then_some(page)
        })
    }
}
