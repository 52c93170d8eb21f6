//! The plan of a job of kind `cron`: an expression, and the zone whose clock it is for.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Invalid, JobId};
use crate::cron::{self, Expression};

/// An expression as it was given, and what it means for its job. Either part may make no sense, as a file may hold it:
/// such a job never fires.
#[derive(Clone, Debug)]
pub struct Cron {
    text: Box<str>,
    expression: Option<Expression>,
    zone_name: Box<str>,
    zone: Option<TimeZone>,
}

impl Cron {
    /// Looks the zone up, which may take a file. [`Cron::read_for`] says what the expression means.
    pub(super) fn new(text: Box<str>, zone_name: Box<str>) -> Self {
        let zone = cron::zone(&zone_name);
        let zone_name = zone.as_ref().and_then(TimeZone::iana_name).map_or(zone_name, Into::into);
        Self { text, expression: None, zone_name, zone }
    }

    /// Finds out what the expression means for this job, which decides what an `H` stands for.
    pub(super) fn read_for(&mut self, id: &JobId) {
        self.expression = Expression::parse(&self.text, id.as_str()).ok();
    }

    /// What is wrong with the texts.
    pub(super) fn check(&self, id: &JobId, problems: &mut Vec<Invalid>) {
        if let Err(message) = Expression::parse(&self.text, id.as_str()) {
            problems.push(Invalid::new("/schedule/cron", message));
        }
        if self.zone.is_none() {
            let accepted = "accepted are the names of the IANA database, such as Europe/Berlin or UTC";
            let message = format!("{:?} is not a time zone; {accepted}", self.zone_name);
            problems.push(Invalid::new("/schedule/timezone", message));
        }
    }

    /// Whether both parts make sense.
    pub(super) fn is_read(&self) -> bool {
        self.expression.is_some() && self.zone.is_some()
    }

    /// The expression.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The zone's name.
    pub fn zone_name(&self) -> &str {
        &self.zone_name
    }

    /// The first instant that is later than `time`.
    pub fn after(&self, time: Timestamp) -> Option<Timestamp> {
        cron::next(self.expression.as_ref()?, self.zone.as_ref()?, time)
    }

    /// The last instant that is later than `since` and not later than `until`.
    pub fn latest(&self, since: Timestamp, until: Timestamp) -> Option<Timestamp> {
        cron::latest(self.expression.as_ref()?, self.zone.as_ref()?, since, until)
    }
}

/// The texts are all; what they mean follows from them.
impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        (&self.text, &self.zone_name) == (&other.text, &other.zone_name)
    }
}

impl Eq for Cron {}
