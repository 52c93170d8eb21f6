//! The rows, and the two ways in which they are shown.

use std::fmt::{self, Write};
use std::time::Duration;

use serde_json::{Value, json};

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    PerSecond,
    Seconds,
    Bytes,
    Count,
}

/// One measured number.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    name: &'static str,
    value: f64,
    unit: Unit,
}

/// What was measured, and the limit that it was measured beside.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) jobs: Option<usize>,
    pub(crate) figures: Vec<Figure>,
    pub(crate) beside: Option<Beside>,
}

/// A limit of the machine, measured in the same run.
#[derive(Debug)]
pub(crate) struct Beside {
    pub(crate) name: &'static str,
    pub(crate) figures: Vec<Figure>,
}

/// All rows of a run.
#[derive(Debug)]
pub(crate) struct Table {
    machine: Vec<(&'static str, String)>,
    rows: Vec<Row>,
    groups: Vec<(&'static str, Duration)>,
}

impl Figure {
    pub(crate) fn rate(name: &'static str, count: usize, span: Duration) -> Self {
        Self { name, value: number(count) / span.as_secs_f64(), unit: Unit::PerSecond }
    }

    pub(crate) fn time(name: &'static str, span: Duration) -> Self {
        Self { name, value: span.as_secs_f64(), unit: Unit::Seconds }
    }

    pub(crate) fn bytes(name: &'static str, bytes: u64) -> Self {
        Self { name, value: number(usize::try_from(bytes).expect("64 bits")), unit: Unit::Bytes }
    }

    pub(crate) fn count(name: &'static str, count: usize) -> Self {
        Self { name, value: number(count), unit: Unit::Count }
    }
}

/// A count as a number that can be divided.
#[expect(clippy::cast_precision_loss, reason = "nothing here counts to 2^52")]
pub(crate) fn number(count: usize) -> f64 {
    count as f64
}

impl Row {
    /// The first figure of the same name on both sides decides how far the one is from the other.
    fn ratio(&self) -> Option<(&'static str, f64)> {
        let beside = self.beside.as_ref()?;
        let twin = |figure: &Figure| beside.figures.iter().find(|other| other.name == figure.name);
        let (figure, other) = self.figures.iter().find_map(|figure| Some((figure, twin(figure)?)))?;
        Some((figure.name, figure.value / other.value))
    }

    fn cells(&self) -> [String; 5] {
        let ratio = self.ratio().map_or_else(String::new, |(name, ratio)| format!("{} {name}", scaled(ratio)));
        let jobs = self.jobs.map_or_else(String::new, |jobs| grouped(number(jobs)));
        let beside = self
            .beside
            .as_ref()
            .map_or_else(String::new, |beside| format!("{}: {}", beside.name, joined(&beside.figures)));
        [self.name.to_owned(), jobs, joined(&self.figures), beside, ratio]
    }

    fn json(&self) -> Value {
        let beside =
            self.beside.as_ref().map(|beside| json!({"name": beside.name, "figures": object(&beside.figures)}));
        let ratio = self.ratio().map(|(name, ratio)| json!({"of": name, "value": ratio}));
        json!({"name": self.name, "jobs": self.jobs, "figures": object(&self.figures), "beside": beside, "ratio": ratio})
    }
}

impl Table {
    pub(crate) fn new(machine: Vec<(&'static str, String)>) -> Self {
        Self { machine, rows: Vec::new(), groups: Vec::new() }
    }

    /// Takes a row, and shows it at once to whoever waits.
    pub(crate) fn push(&mut self, row: Row) {
        let cells = row.cells();
        eprintln!("{}", cells.iter().filter(|cell| !cell.is_empty()).cloned().collect::<Vec<_>>().join(" | "));
        self.rows.push(row);
    }

    pub(crate) fn group_took(&mut self, name: &'static str, took: Duration) {
        self.groups.push((name, took));
    }

    /// Aligned text that is Markdown, too.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.machine {
            writeln!(text, "- {name}: {value}").expect("a String takes all");
        }
        for (name, took) in &self.groups {
            writeln!(text, "- `{name}` took {:.0} s", took.as_secs_f64()).expect("a String takes all");
        }
        text.push('\n');
        let head = ["what", "jobs", "Ksana", "beside", "ratio"].map(str::to_owned);
        let rows: Vec<_> = self.rows.iter().map(Row::cells).collect();
        let widths: [usize; 5] =
            std::array::from_fn(|at| rows.iter().chain([&head]).map(|row| row[at].chars().count()).max().unwrap_or(0));
        line(&mut text, &head, &widths);
        line(&mut text, &widths.map(|width| "-".repeat(width)), &widths);
        for row in &rows {
            line(&mut text, row, &widths);
        }
        text
    }

    /// One object with all figures, in seconds, bytes and counts a second.
    pub(crate) fn json(&self) -> String {
        let machine: serde_json::Map<_, _> =
            self.machine.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let groups: serde_json::Map<_, _> =
            self.groups.iter().map(|(name, took)| ((*name).to_owned(), json!(took.as_secs_f64()))).collect();
        let rows: Vec<_> = self.rows.iter().map(Row::json).collect();
        format!("{:#}\n", json!({"machine": machine, "seconds_of_groups": groups, "rows": rows}))
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, value, unit } = self;
        match unit {
            // The rate that a row is about needs no name.
            Unit::PerSecond if *name == "rate" => write!(f, "{}/s", grouped(*value)),
            Unit::PerSecond => write!(f, "{name} {}/s", grouped(*value)),
            Unit::Seconds => write!(f, "{name} {}", span(*value)),
            Unit::Bytes if *value < 10_000.0 => write!(f, "{name} {value:.0} B"),
            Unit::Bytes => write!(f, "{name} {:.1} MiB", value / 1_048_576.0),
            Unit::Count => write!(f, "{name} {}", grouped(*value)),
        }
    }
}

fn joined(figures: &[Figure]) -> String {
    figures.iter().map(Figure::to_string).collect::<Vec<_>>().join(", ")
}

fn object(figures: &[Figure]) -> Value {
    figures.iter().map(|figure| (figure.name.to_owned(), json!(figure.value))).collect()
}

fn line(text: &mut String, cells: &[String; 5], widths: &[usize; 5]) {
    for (cell, width) in cells.iter().zip(widths) {
        write!(text, "| {cell:width$} ").expect("a String takes all");
    }
    text.push_str("|\n");
}

fn span(seconds: f64) -> String {
    match seconds {
        s if s < 0.001 => format!("{:.0} µs", s * 1e6),
        s if s < 1.0 => format!("{} ms", scaled(s * 1e3)),
        s => format!("{} s", scaled(s)),
    }
}

/// Three digits say enough.
fn scaled(value: f64) -> String {
    match value {
        v if v < 10.0 => format!("{v:.2}"),
        v if v < 100.0 => format!("{v:.1}"),
        v => format!("{v:.0}"),
    }
}

/// A whole number with its thousands apart.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
