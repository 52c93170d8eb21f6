//! Whether a definition makes sense: every limit, by field.
//!
//! A request is refused for the first problem. A file's job is kept with all of them, each is
//! warned of, and one that cannot be called fails each run with the reason.

use std::collections::HashSet;

use super::http::{check_header, check_method, check_url};
use super::{GoDuration, HttpCall, Invalid, JobId, Schedule, Spec};
use crate::limits::{
    CRON_JITTER_HOURS_MAX, EVERY_HOURS_MAX, EVERY_MILLIS_MIN, JOB_BODY_BYTES_MAX, JOB_HEADERS_BYTES_MAX,
    JOB_HEADERS_MAX, JOB_NAME_CHARS_MAX, MAX_RETRIES_MAX, RETRY_BACKOFF_HOURS_MAX, TIMEOUT_HOURS_MAX,
    TIMEOUT_MILLIS_MIN,
};

impl Spec {
    /// What is wrong with it, in the order of its fields; empty for a good one.
    pub fn problems(&self) -> Vec<Invalid> {
        let mut problems = Vec::new();
        let chars = self.name.chars().count();
        if !(1..=JOB_NAME_CHARS_MAX).contains(&chars) {
            let what = if chars == 0 { "is required".to_owned() } else { format!("has {chars} characters") };
            let message = format!("{what}; accepted are 1 to {JOB_NAME_CHARS_MAX} characters");
            problems.push(Invalid::new("/name", message));
        }
        self.http.check(&mut problems);
        self.schedule.check(&self.id, &mut problems);
        problems.extend(out_of_range(
            "/timeout",
            self.timeout,
            GoDuration::from_millis(TIMEOUT_MILLIS_MIN),
            GoDuration::from_hours(TIMEOUT_HOURS_MAX),
        ));
        if !(0..=MAX_RETRIES_MAX).contains(&self.max_retries) {
            let message = format!("{} is out of range; accepted are 0 to {MAX_RETRIES_MAX}", self.max_retries);
            problems.push(Invalid::new("/max_retries", message));
        }
        let backoff_max = GoDuration::from_hours(RETRY_BACKOFF_HOURS_MAX);
        problems.extend(out_of_range("/retry_backoff", self.retry_backoff, GoDuration::ZERO, backoff_max));
        self.policy.check(self.retry_backoff, self.schedule.jitter(), &mut problems);
        problems
    }
}

impl HttpCall {
    pub(super) fn check(&self, problems: &mut Vec<Invalid>) {
        problems.extend(check_method(&self.method).err().map(|message| Invalid::new("/http/method", message)));
        problems.extend(check_url(&self.url).err().map(|message| Invalid::new("/http/url", message)));
        let mut names = HashSet::new();
        for (name, value) in &self.headers {
            let pointer = format!("/http/headers/{}", name.replace('~', "~0").replace('/', "~1"));
            if let Err(message) = check_header(name, value) {
                problems.push(Invalid::new(pointer, message));
            } else if !names.insert(name.to_ascii_lowercase()) {
                problems.push(Invalid::new(pointer, "stands twice; a header is given once, in any case of letters"));
            }
        }
        let count = self.headers.len();
        let bytes: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        if count > JOB_HEADERS_MAX {
            let message = format!("{count} are too many; accepted are {JOB_HEADERS_MAX}");
            problems.push(Invalid::new("/http/headers", message));
        }
        if bytes > JOB_HEADERS_BYTES_MAX {
            let message = format!("{bytes} bytes are too many; accepted are {JOB_HEADERS_BYTES_MAX} in all");
            problems.push(Invalid::new("/http/headers", message));
        }
        if self.body.len() > JOB_BODY_BYTES_MAX {
            let message = format!("{} bytes are too many; accepted are {JOB_BODY_BYTES_MAX}", self.body.len());
            problems.push(Invalid::new("/http/body", message));
        }
    }
}

impl Schedule {
    pub(super) fn check(&self, id: &JobId, problems: &mut Vec<Invalid>) {
        let (field, start_at) = match *self {
            Self::Once { .. } => return,
            Self::Every { start_at, .. } => ("/schedule/every", start_at),
            Self::After { start_at, .. } => ("/schedule/after", start_at),
            Self::Cron { ref cron, start_at, .. } => {
                cron.check(id, problems);
                ("/schedule/cron", start_at)
            }
        };
        let distance = if let Self::After { after, .. } = *self { Some(after) } else { self.distance() };
        let (longest, named) = if let Some(every) = distance {
            let min = GoDuration::from_millis(EVERY_MILLIS_MIN);
            problems.extend(out_of_range(field, every, min, GoDuration::from_hours(EVERY_HOURS_MAX)));
            let name = if matches!(self, Self::After { .. }) { "after" } else { "every" };
            (every, format!("`{name}`, which is {every}"))
        } else {
            let longest = GoDuration::from_hours(CRON_JITTER_HOURS_MAX);
            (longest, longest.to_string())
        };
        let jitter = self.jitter();
        if jitter < GoDuration::ZERO || jitter > longest {
            let message = format!("{jitter} is out of range; accepted are 0s to {named}");
            problems.push(Invalid::new("/schedule/jitter", message));
        }
        if let Some(runs) = self.bounds().max_runs
            && !(1..=i64::from(u32::MAX)).contains(&runs)
        {
            let message = format!("{runs} is out of range; accepted are 1 to {}", u32::MAX);
            problems.push(Invalid::new("/schedule/max_runs", message));
        }
        if let (Some(end_at), Some(start_at)) = (self.bounds().end_at, start_at)
            && end_at < start_at
        {
            let message = format!("{end_at} lies before start_at; accepted is a time from {start_at} on");
            problems.push(Invalid::new("/schedule/end_at", message));
        }
    }
}

fn out_of_range(field: &'static str, value: GoDuration, min: GoDuration, max: GoDuration) -> Option<Invalid> {
    let message = || format!("{value} is out of range; accepted are {min} to {max}");
    (value < min || value > max).then(|| Invalid::new(field, message()))
}
