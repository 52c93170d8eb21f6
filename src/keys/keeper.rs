//! Which keys are in force, decided from what was seen of the file and when. No file, no clock and
//! no log in here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Published;
use super::set::KeySet;
use crate::limits::{KEY_ABSENCE_LOOK_MILLIS, KEY_ABSENCE_SETTLES_MILLIS, KEY_LOOK_MILLIS};

const _: () = assert!(
    KEY_LOOK_MILLIS + KEY_ABSENCE_SETTLES_MILLIS + KEY_ABSENCE_LOOK_MILLIS <= 1_000,
    "a deletion that no event tells of takes effect within a second"
);

/// What one look at the file showed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Look {
    /// One key at least.
    Keys(KeySet),
    /// No key at all.
    Without(Without),
    /// Nobody can tell which keys there should be, for this reason.
    Unusable(String),
}

/// How a file is without keys.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Without {
    /// There is no file.
    Absent,
    /// It has no line that is a key.
    Empty,
}

/// What an operator should be told. Whenever there is any, what is published has changed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum News {
    /// Other keys are in force now, so many.
    Loaded(usize),
    /// No key is in force any more.
    Revoked(Without),
    /// The file is of no use, for this reason, and the keys stay as they were.
    Unusable(String),
    /// The file is of use again, and says what it said before.
    Mended,
}

/// What has been seen, as far as it matters for what comes.
#[derive(Default)]
pub(super) struct Keeper {
    keys: Arc<KeySet>,
    /// The very first look has nothing to protect, so it decides at once.
    started: bool,
    /// Since when every look has shown a file without keys.
    without_since: Option<Instant>,
    /// A file without keys has been acted upon, and nothing else was seen since.
    revoked: bool,
    /// Why the file was of no use, as long as nothing better is known.
    trouble: Option<String>,
}

impl Keeper {
    /// Takes in what a look at `now` showed.
    pub(super) fn see(&mut self, look: Look, now: Instant) -> Option<News> {
        let first = !std::mem::replace(&mut self.started, true);
        match look {
            Look::Keys(keys) => self.see_keys(keys),
            Look::Without(how) => self.see_without(how, first, now),
            Look::Unusable(reason) => self.see_unusable(reason),
        }
    }

    /// When to look again if nothing hints that it should be sooner.
    pub(super) fn next_look(&self) -> Duration {
        let settling = self.without_since.is_some() && !self.revoked;
        Duration::from_millis(if settling { KEY_ABSENCE_LOOK_MILLIS } else { KEY_LOOK_MILLIS })
    }

    /// What everybody else sees.
    pub(super) fn published(&self) -> Published {
        let warning =
            self.trouble.as_ref().map(|reason| format!("key file unreadable, the keys stay as they were: {reason}"));
        Published { keys: Arc::clone(&self.keys), warning }
    }

    /// Good keys count at once, whatever was before.
    fn see_keys(&mut self, keys: KeySet) -> Option<News> {
        (self.without_since, self.revoked) = (None, false);
        let mended = self.trouble.take().is_some();
        if keys == *self.keys {
            return mended.then_some(News::Mended);
        }
        self.keys = Arc::new(keys);
        Some(News::Loaded(self.keys.len()))
    }

    /// A file that is being replaced may be absent or empty for a moment; one that stays so revokes.
    fn see_without(&mut self, how: Without, first: bool, now: Instant) -> Option<News> {
        let since = *self.without_since.get_or_insert(now);
        let settled =
            first || now.saturating_duration_since(since) >= Duration::from_millis(KEY_ABSENCE_SETTLES_MILLIS);
        if self.revoked || !settled {
            return None;
        }
        self.revoked = true;
        self.trouble = None;
        self.keys = Arc::default();
        Some(News::Revoked(how))
    }

    /// Nothing is known, so nothing changes.
    fn see_unusable(&mut self, reason: String) -> Option<News> {
        (self.without_since, self.revoked) = (None, false);
        if self.trouble.as_ref() == Some(&reason) {
            return None;
        }
        self.trouble = Some(reason.clone());
        Some(News::Unusable(reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a timeline: `120 a+b` at 120 ms the keys a and b; `absent`, `empty` and `!reason` are
    /// the other looks. After `=>` stands what is told and after `|` the keys in force.
    fn check(timeline: &str) {
        let start = Instant::now();
        let mut keeper = Keeper::default();
        for line in timeline.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (input, expected) = line.split_once(" => ").expect(line);
            let (ms, seen) = input.split_once(' ').expect(line);
            let look = match seen.trim() {
                "absent" => Look::Without(Without::Absent),
                "empty" => Look::Without(Without::Empty),
                keys => match keys.strip_prefix('!') {
                    Some(reason) => Look::Unusable(reason.into()),
                    None => Look::Keys(keys.split('+').collect()),
                },
            };
            let news = keeper.see(look, start + Duration::from_millis(ms.parse().expect(line)));
            let told = match news {
                None => "-".into(),
                Some(News::Loaded(count)) => format!("loaded {count}"),
                Some(News::Revoked(how)) => format!("revoked {how:?}"),
                Some(News::Unusable(reason)) => format!("error {reason}"),
                Some(News::Mended) => "mended".into(),
            };
            let held: Vec<&str> = ["a", "b", "c"].into_iter().filter(|key| keeper.keys.holds(key.as_bytes())).collect();
            let warned = if keeper.published().warning.is_some() { " warning" } else { "" };
            let held = if held.is_empty() { "none".into() } else { held.join("+") };
            assert_eq!(format!("{told} | {held}{warned}"), expected, "{line}");
        }
    }

    #[test]
    fn keys_count_at_once_and_only_a_change_is_told() {
        check(
            "0 a => loaded 1 | a
             400 a => - | a
             800 a+b => loaded 2 | a+b
             1200 b+a => - | a+b
             1201 c => loaded 1 | c",
        );
    }

    #[test]
    fn absent_at_start_waits_for_the_file() {
        check(
            "0 absent => revoked Absent | none
             400 absent => - | none
             800 empty => - | none
             1200 a => loaded 1 | a",
        );
        check(
            "0 empty => revoked Empty | none
             10 a => loaded 1 | a",
        );
    }

    #[test]
    fn truncating_write_revokes_nothing() {
        check(
            "0 a => loaded 1 | a
             400 empty => - | a
             450 empty => - | a
             899 empty => - | a
             899 a+b => loaded 2 | a+b
             1000 absent => - | a+b
             1499 absent => - | a+b
             1499 a+b => - | a+b
             1500 absent => - | a+b
             1999 absent => - | a+b",
        );
    }

    #[test]
    fn staying_without_keys_revokes() {
        check(
            "0 a => loaded 1 | a
             400 absent => - | a
             900 absent => revoked Absent | none
             1300 absent => - | none
             1700 a => loaded 1 | a
             2000 empty => - | a
             2200 absent => - | a
             2500 empty => revoked Empty | none",
        );
    }

    #[test]
    fn a_process_that_slept_revokes_at_its_second_look() {
        check(
            "0 a => loaded 1 | a
             400 absent => - | a
             3600000 absent => revoked Absent | none",
        );
    }

    #[test]
    fn unusable_keeps_the_last_good_keys_and_is_told_once_per_reason() {
        check(
            "0 a => loaded 1 | a
             400 !denied => error denied | a warning
             800 !denied => - | a warning
             1200 !not text => error not text | a warning
             999999 !not text => - | a warning
             1000000 a => mended | a
             1000001 !denied => error denied | a warning
             1000002 b => loaded 1 | b",
        );
    }

    #[test]
    fn unusable_at_start_admits_nobody() {
        check(
            "0 !denied => error denied | none warning
             400 a => loaded 1 | a",
        );
    }

    #[test]
    fn absence_counts_from_when_it_was_last_uninterrupted() {
        check(
            "0 a => loaded 1 | a
             400 absent => - | a
             700 !denied => error denied | a warning
             950 absent => - | a warning
             1449 absent => - | a warning
             1450 absent => revoked Absent | none
             1500 !denied => error denied | none warning
             1600 absent => - | none warning
             2100 absent => revoked Absent | none",
        );
    }

    #[test]
    fn looks_come_faster_only_while_an_absence_settles() {
        let [often, seldom] = [KEY_ABSENCE_LOOK_MILLIS, KEY_LOOK_MILLIS].map(Duration::from_millis);
        let mut keeper = Keeper::default();
        let now = Instant::now();
        keeper.see(Look::Keys(["a"].into_iter().collect()), now);
        assert_eq!(keeper.next_look(), seldom);
        keeper.see(Look::Without(Without::Absent), now);
        assert_eq!(keeper.next_look(), often);
        keeper.see(Look::Without(Without::Absent), now + Duration::from_millis(KEY_ABSENCE_SETTLES_MILLIS));
        assert_eq!(keeper.next_look(), seldom);
    }
}
