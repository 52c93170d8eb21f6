//! The text format of Prometheus, version 0.0.4: a head for each family of samples, a line for each sample.

use std::fmt::{Display, Write};

use super::number::{Histogram, Reading};

/// What a family's samples are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Only grows.
    Counter,
    /// Comes and goes.
    Gauge,
}

/// A page that is being written. Writing to a string cannot fail.
#[derive(Debug, Default)]
pub(super) struct Text(String);

impl Text {
    /// A family of one sample.
    pub(super) fn one(&mut self, name: &str, kind: Kind, help: &str, value: impl Display) {
        self.family(name, kind, help, [([], value)]);
    }

    /// A family of samples, each with its labels.
    pub(super) fn family<'l, const LABELS: usize, V: Display>(
        &mut self,
        name: &str,
        kind: Kind,
        help: &str,
        samples: impl IntoIterator<Item = ([(&'l str, &'l str); LABELS], V)>,
    ) {
        self.head(name, if matches!(kind, Kind::Counter) { "counter" } else { "gauge" }, help);
        for (labels, value) in samples {
            self.sample(name, &labels, value);
        }
    }

    /// A histogram: counts that include those of all smaller bounds, and the last of which is that of all.
    pub(super) fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        let Reading { up_to, count, sum } = histogram.read();
        self.head(name, "histogram", help);
        let bucket = format!("{name}_bucket");
        for (bound, count) in up_to {
            self.sample(&bucket, &[("le", &bound.to_string())], count);
        }
        self.sample(&bucket, &[("le", "+Inf")], count);
        self.sample(&format!("{name}_sum"), &[], sum);
        self.sample(&format!("{name}_count"), &[], count);
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let help = help.replace('\\', r"\\").replace('\n', r"\n");
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (at, (label, value)) in labels.iter().enumerate() {
            let value = value.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n");
            let _ = write!(self.0, r#"{}{label}="{value}""#, if at == 0 { '{' } else { ',' });
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn check(write: impl FnOnce(&mut Text), expected: &[&str]) {
        let mut text = Text::default();
        write(&mut text);
        let text = text.into_string();
        assert!(text.ends_with('\n'), "the last line has its end, too");
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_family_has_a_head_and_a_line_for_each_sample() {
        check(
            |text| text.one("a_total", Kind::Counter, "All.", 7),
            &["# HELP a_total All.", "# TYPE a_total counter", "a_total 7"],
        );
        let samples = [([("x", "1"), ("y", "2")], 3), ([("x", ""), ("y", "ä")], 0)];
        check(
            |text| text.family("b", Kind::Gauge, "Some.", samples),
            &["# HELP b Some.", "# TYPE b gauge", r#"b{x="1",y="2"} 3"#, r#"b{x="",y="ä"} 0"#],
        );
    }

    #[test]
    fn what_would_end_a_label_or_a_line_is_escaped() {
        check(
            |text| text.family("a", Kind::Gauge, "One \\ two\n\"three\".", [([("x", "\\ \" \n")], 1)]),
            &[r#"# HELP a One \\ two\n"three"."#, "# TYPE a gauge", r#"a{x="\\ \" \n"} 1"#],
        );
    }

    #[test]
    fn a_histogram_is_cumulative_and_ends_with_all() {
        let histogram = Histogram::new(&[1_000, 2_500_000]);
        for millis in [1, 2, 2, 9_000] {
            histogram.add(Duration::from_millis(millis));
        }
        check(
            |text| text.histogram("t_seconds", "Time.", &histogram),
            &[
                "# HELP t_seconds Time.",
                "# TYPE t_seconds histogram",
                r#"t_seconds_bucket{le="0.001"} 1"#,
                r#"t_seconds_bucket{le="2.5"} 3"#,
                r#"t_seconds_bucket{le="+Inf"} 4"#,
                "t_seconds_sum 9.005",
                "t_seconds_count 4",
            ],
        );
    }
}
