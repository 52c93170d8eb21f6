//! Counts of instants: held against the model around changes of the clock, and over years against steps one by one.

use std::iter;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use ksana::cron::{self, Expression};

use crate::generate::Random;
use crate::{HOUR, ODD, instant, zones};

const SECOND: SignedDuration = SignedDuration::from_secs(1);
const STEPS_MAX: i64 = 300;
const YEAR: i64 = 366 * 24 * HOUR;

/// An expression in a zone, and what both are called.
#[derive(Clone, Copy)]
pub(crate) struct Case<'a> {
    pub(crate) text: &'a str,
    pub(crate) name: &'a str,
    pub(crate) expression: &'a Expression,
    pub(crate) zone: &'a TimeZone,
}

impl Case<'_> {
    fn check(&self, first: Timestamp, last: Timestamp, expected: usize) {
        let counted = cron::count(self.expression, self.zone, first, last);
        assert_eq!(counted, expected as u64, "`{}` in {} from {first} to {last}", self.text, self.name);
    }

    /// Counts up to each of some times of a window, of which `all` are the instants: from an instant and from any time.
    pub(crate) fn check_within(&self, random: &mut Random, all: &[i64], times: &[i64]) {
        for last in times {
            let from_instant = (!all.is_empty()).then(|| *random.pick(all));
            for first in from_instant.into_iter().chain([*random.pick(times)]) {
                let expected = all.iter().filter(|at| (first..=*last).contains(*at)).count();
                // A fraction of a second that has begun holds no instant more.
                let precise = instant(*last) + SignedDuration::from_nanos(random.range(0, 999_999_999));
                self.check(instant(first), precise, expected);
            }
        }
    }

    /// Counts from one instant to a later one, be that far away, and to what lies just before it and before the one
    /// that follows.
    pub(crate) fn check_steps(&self, random: &mut Random, after: Timestamp) {
        let count = usize::try_from(random.range(1, STEPS_MAX)).expect("a small number");
        let steps: Vec<_> = self.steps(after).take(count + 1).collect();
        let (Some(first), Some((last, before))) = (steps.first(), steps.split_last()) else { return };
        self.check(*first, *last, steps.len());
        self.check(*first, *last - SECOND, before.len());
        self.check(after + SECOND, *last - SECOND, before.len());
    }

    fn steps(&self, after: Timestamp) -> impl Iterator<Item = Timestamp> {
        iter::successors(cron::next(self.expression, self.zone, after), |at| {
            cron::next(self.expression, self.zone, *at)
        })
    }
}

#[test]
fn a_count_over_years_is_that_of_the_steps() {
    let (mut random, zones) = (Random(3), zones());
    for (name, text) in ODD.iter().flat_map(|name| ["30 0,2 * * *", "45 */8 * * *"].map(|text| (*name, text))) {
        let expression = Expression::parse(text, "id").expect(text);
        let case = Case { text, name, expression: &expression, zone: &zones[name] };
        let start = random.range(0, 60 * YEAR);
        let steps = case.steps(instant(start)).take_while(|at| at.as_second() < start + 10 * YEAR);
        let steps: Vec<_> = steps.collect();
        for (n, at) in steps.iter().enumerate().step_by(400) {
            case.check(steps[0], *at, n + 1);
            case.check(*at, steps[steps.len() - 1], steps.len() - n);
        }
    }
}
