//! What a job asks for beyond the usual: after an outage, beside a run that is going, between attempts.

use std::ops::Deref;

use serde::ser::SerializeMap;

use super::field::{Field, FieldValue, FromText};
use super::{GoDuration, Invalid};
use crate::limits::{MISFIRE_WINDOW_HOURS_MAX, OVERLAP_MAX_MAX, RETRY_BACKOFF_HOURS_MAX, RETRY_FOR_HOURS_MAX};

/// How a job bears what goes wrong; by default as the older service bore it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// What becomes of fires that were due while nothing could run.
    pub misfire: Misfire,
    /// Fires that were planned for an instant longer past than this are missed whatever `misfire` says.
    pub misfire_window: Option<GoDuration>,
    /// What becomes of a fire that is due while a run is going.
    pub overlap: Overlap,
    /// The waits for retries double up to this, and each is drawn between nothing and that (full jitter). Without it
    /// each is `retry_backoff`.
    pub retry_backoff_max: Option<GoDuration>,
    /// No attempt begins later than this after the instant that its run is for.
    pub retry_for: Option<GoDuration>,
}

/// What becomes of fires that were due while nothing could run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Misfire {
    /// They are missed.
    #[default]
    Skip,
    /// The latest is made up for.
    Once,
    /// Each is made up for, the oldest first, one at a time.
    All,
}

/// What becomes of a fire that is due while a run is going.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overlap {
    /// It is skipped; that of a `once` waits.
    #[default]
    Skip,
    /// It waits for the end of the run; of several the newest.
    Queue,
    /// It begins beside it.
    Allow {
        /// At most as many runs go at once. Above one for a job that a client made; a file may hold less, which
        /// means one.
        max: i64,
    },
    /// The run is cancelled, and this one begins.
    Replace,
}

/// The policy of a job, which takes no room where it is the usual one: that of most jobs is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnPolicy(Option<Box<Policy>>);

impl From<Policy> for OwnPolicy {
    fn from(policy: Policy) -> Self {
        Self((policy != Policy::default()).then(|| Box::new(policy)))
    }
}

impl Deref for OwnPolicy {
    type Target = Policy;

    fn deref(&self) -> &Policy {
        static USUAL: Policy = Policy {
            misfire: Misfire::Skip,
            misfire_window: None,
            overlap: Overlap::Skip,
            retry_backoff_max: None,
            retry_for: None,
        };
        self.0.as_deref().unwrap_or(&USUAL)
    }
}

impl Misfire {
    const ALL: [(Self, &str); 3] = [(Self::Skip, "skip"), (Self::Once, "once"), (Self::All, "all")];
}

impl Overlap {
    /// How many runs may go at once.
    pub fn runs_max(self) -> usize {
        match self {
            Self::Skip | Self::Queue | Self::Replace => 1,
            Self::Allow { max } => usize::try_from(max).unwrap_or(0).max(1),
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Queue => "queue",
            Self::Allow { .. } => "allow",
            Self::Replace => "replace",
        }
    }
}

impl Policy {
    /// Whether what is so long past is to be made up for no more.
    pub fn is_too_old(&self, age: GoDuration) -> bool {
        self.misfire != Misfire::Skip && self.made_up_within().is_some_and(|most| age > most)
    }

    /// How old a fire may be that is made up for: no attempt of an older one could begin.
    pub fn made_up_within(&self) -> Option<GoDuration> {
        self.misfire_window.into_iter().chain(self.retry_for).min()
    }

    /// What is wrong with it, beside these.
    pub(super) fn check(&self, retry_backoff: GoDuration, jitter: GoDuration, problems: &mut Vec<Invalid>) {
        let least = GoDuration::from_secs(1);
        let mut check = |field, value: Option<GoDuration>, min: GoDuration, max: GoDuration| {
            if let Some(value) = value.filter(|value| !(min..=max).contains(value)) {
                let message = format!("{value} is out of range; accepted are {min} to {max}");
                problems.push(Invalid::new(field, message));
            }
        };
        let window_max = GoDuration::from_hours(MISFIRE_WINDOW_HOURS_MAX);
        check("/misfire_window", self.misfire_window, least, window_max);
        let backoff_max = GoDuration::from_hours(RETRY_BACKOFF_HOURS_MAX);
        check("/retry_backoff_max", self.retry_backoff_max, retry_backoff.max(GoDuration::ZERO), backoff_max);
        check("/retry_for", self.retry_for, least, GoDuration::from_hours(RETRY_FOR_HOURS_MAX));
        if self.misfire_window.is_some() && self.misfire == Misfire::Skip {
            let message = "says how old a fire may be that is made up for; it is taken with misfire once or all";
            problems.push(Invalid::new("/misfire_window", message));
        }
        // Both count from the instant that a fire is planned for.
        for (field, bound) in [("/misfire_window", self.misfire_window), ("/retry_for", self.retry_for)] {
            if let Some(bound) = bound.filter(|bound| *bound <= jitter) {
                let accepted = format!("accepted is more than the jitter, which is {jitter}");
                let message = format!("{bound} may be over before a fire is due; {accepted}");
                problems.push(Invalid::new(field, message));
            }
        }
        if let Overlap::Allow { max } = self.overlap
            && !(2..=OVERLAP_MAX_MAX).contains(&max)
        {
            let what = if max == 0 { "is required for overlap allow".into() } else { format!("{max} is out of range") };
            problems.push(Invalid::new("/overlap_max", format!("{what}; accepted are 2 to {OVERLAP_MAX_MAX}")));
        }
    }

    /// Only what differs from the usual is shown: older readers know none of it.
    pub(super) fn show<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let duration = |map: &mut M, key, value: Option<GoDuration>| match value {
            Some(value) => map.serialize_entry(key, &value.to_string()),
            None => Ok(()),
        };
        duration(map, "retry_backoff_max", self.retry_backoff_max)?;
        duration(map, "retry_for", self.retry_for)?;
        let misfire = Misfire::ALL.iter().find(|(misfire, _)| *misfire == self.misfire);
        if let Some((_, text)) = misfire.filter(|(misfire, _)| *misfire != Misfire::default()) {
            map.serialize_entry("misfire", text)?;
        }
        duration(map, "misfire_window", self.misfire_window)?;
        if self.overlap != Overlap::default() {
            map.serialize_entry("overlap", self.overlap.as_str())?;
        }
        if let Overlap::Allow { max } = self.overlap {
            map.serialize_entry("overlap_max", &max)?;
        }
        Ok(())
    }
}

/// The keys of a policy, as they came. A new one is a change of the usual one.
#[derive(Debug, Default)]
pub(super) struct PolicyDraft {
    pub(super) misfire: Field<Misfire>,
    pub(super) misfire_window: Field<GoDuration>,
    pub(super) overlap: Field<Overlap>,
    pub(super) overlap_max: Field<i64>,
    pub(super) retry_backoff_max: Field<GoDuration>,
    pub(super) retry_for: Field<GoDuration>,
}

impl PolicyDraft {
    /// The policy as it is with this change.
    pub(super) fn apply(&self, present: &Policy) -> Policy {
        let overlap = match (self.overlap.over(Some(present.overlap)).unwrap_or_default(), present.overlap) {
            (Overlap::Allow { .. }, Overlap::Allow { max }) => {
                Overlap::Allow { max: self.overlap_max.over(Some(max)).unwrap_or(0) }
            }
            (Overlap::Allow { .. }, _) => Overlap::Allow { max: self.overlap_max.over(None).unwrap_or(0) },
            (overlap, _) => overlap,
        };
        let misfire = self.misfire.over(Some(present.misfire)).unwrap_or_default();
        // A bound goes with what it bounds.
        let window = present.misfire_window.filter(|_| misfire != Misfire::Skip);
        Policy {
            misfire,
            misfire_window: self.misfire_window.over(window),
            overlap,
            retry_backoff_max: self.retry_backoff_max.over(present.retry_backoff_max),
            retry_for: self.retry_for.over(present.retry_for),
        }
    }

    /// Whether it says how many runs may go at once to a job that takes one.
    pub(super) fn check_for(&self, changed: &Policy) -> Result<(), Invalid> {
        match (&self.overlap_max, changed.overlap) {
            (Field::Value(_), Overlap::Skip | Overlap::Queue | Overlap::Replace) => {
                Err(Invalid::new("/overlap_max", "is taken with overlap allow"))
            }
            _ => Ok(()),
        }
    }
}

impl FieldValue for Misfire {
    const ACCEPTED: &'static str = "\"skip\", \"once\" or \"all\"";

    fn from_text(text: &str) -> Result<Self, FromText> {
        let found = Self::ALL.iter().find(|(_, name)| *name == text);
        found.map(|(misfire, _)| *misfire).ok_or_else(|| malformed(text, Self::ACCEPTED))
    }
}

impl FieldValue for Overlap {
    const ACCEPTED: &'static str = "\"skip\", \"queue\", \"allow\" or \"replace\"";

    /// How many are allowed stands in another key.
    fn from_text(text: &str) -> Result<Self, FromText> {
        let all = [Self::Skip, Self::Queue, Self::Allow { max: 0 }, Self::Replace];
        all.into_iter().find(|overlap| overlap.as_str() == text).ok_or_else(|| malformed(text, Self::ACCEPTED))
    }
}

fn malformed(text: &str, accepted: &str) -> FromText {
    FromText::Malformed(format!("{text:?} is not one of them; accepted are {accepted}"))
}
