//! The plan of a job of kind `cron`: an expression, and the zone whose clock it is for.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{GoDuration, Invalid, JobId};
use crate::cron::{self, ClockChange, Expression};
use crate::limits::CRON_BYTES_MAX;

/// An expression as it was given, and what it means for its job. Either part may make no sense, as a file may hold it:
/// such a job never fires.
#[derive(Clone, Debug)]
pub struct Cron {
    text: Box<str>,
    meaning: Option<Meaning>,
    zone_name: Box<str>,
    zone: Option<TimeZone>,
}

/// What a text stands for.
#[derive(Clone, Copy, Debug)]
enum Meaning {
    /// Times that the zone's clock shows.
    Times(Expression),
    /// `@every`: a distance in real time, in any zone.
    Every(GoDuration),
}

impl Meaning {
    fn read(text: &str, id: &JobId) -> Result<Self, String> {
        match cron::every(text) {
            Some(every) if text.len() <= CRON_BYTES_MAX => {
                every.parse().map(Self::Every).map_err(|message| format!("@every takes a duration: {message}"))
            }
            _ => Expression::parse(text, id.as_str()).map(Self::Times),
        }
    }
}

impl Cron {
    /// Looks the zone up, which may take a file. [`Cron::read_for`] says what the expression means.
    pub(super) fn new(text: Box<str>, zone_name: Box<str>) -> Self {
        let zone = cron::zone(&zone_name);
        let zone_name = zone.as_ref().and_then(TimeZone::iana_name).map_or(zone_name, Into::into);
        Self { text, meaning: None, zone_name, zone }
    }

    /// Finds out what the expression means for this job, which decides what an `H` stands for.
    pub(super) fn read_for(&mut self, id: &JobId) {
        self.meaning = Meaning::read(&self.text, id).ok();
    }

    /// What is wrong with the texts.
    pub(super) fn check(&self, id: &JobId, problems: &mut Vec<Invalid>) {
        if let Err(message) = Meaning::read(&self.text, id) {
            problems.push(Invalid::new("/schedule/cron", message));
        }
        if self.zone.is_none() {
            let accepted = "accepted are the names of the IANA database, such as Europe/Berlin or UTC";
            let message = format!("{:?} is not a time zone; {accepted}", self.zone_name);
            problems.push(Invalid::new("/schedule/timezone", message));
        }
    }

    /// Whether it names times, and on a clock that is known.
    pub(super) fn has_times(&self) -> bool {
        self.times().is_some()
    }

    /// The distance of an `@every`.
    pub(super) fn every(&self) -> Option<GoDuration> {
        match self.meaning {
            Some(Meaning::Every(every)) => Some(every),
            _ => None,
        }
    }

    fn times(&self) -> Option<(&Expression, &TimeZone)> {
        match (&self.meaning, &self.zone) {
            (Some(Meaning::Times(expression)), Some(zone)) => Some((expression, zone)),
            _ => None,
        }
    }

    /// The expression.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The zone's name.
    pub fn zone_name(&self) -> &str {
        &self.zone_name
    }

    /// The zone, where there is one of that name.
    pub fn zone(&self) -> Option<&TimeZone> {
        self.zone.as_ref()
    }

    /// Whether the job's id decides what it means.
    pub(super) fn is_drawn(&self) -> bool {
        matches!(self.meaning, Some(Meaning::Times(expression)) if expression.is_drawn())
    }

    /// What a change of the clock makes of an instant.
    pub(super) fn clock_change(&self, instant: Timestamp) -> Option<ClockChange> {
        let (expression, zone) = self.times()?;
        cron::clock_change(expression, zone, instant)
    }

    /// The first instant that is later than `time`. An `@every` has none by itself: it is counted from its job's anchor.
    pub fn after(&self, time: Timestamp) -> Option<Timestamp> {
        let (expression, zone) = self.times()?;
        cron::next(expression, zone, time)
    }

    /// The last instant that is later than `since` and not later than `until`.
    pub fn latest(&self, since: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let (expression, zone) = self.times()?;
        cron::latest(expression, zone, since, until)
    }

    /// How many instants there are from `first` to `last`, both included.
    pub fn count(&self, first: Timestamp, last: Timestamp) -> u64 {
        self.times().map_or(0, |(expression, zone)| cron::count(expression, zone, first, last))
    }
}

/// The texts are all; what they mean follows from them.
impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        (&self.text, &self.zone_name) == (&other.text, &other.zone_name)
    }
}

impl Eq for Cron {}
