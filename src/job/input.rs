//! From the JSON of a request to values: a new job, a change, what one run sends.

use jiff::Timestamp;

use super::draft::{HttpDraft, JobDraft, OverridesDraft, PauseDraft, Request, ScheduleDraft};
use super::field::Headers;
use super::policy::PolicyDraft;
use super::{
    Bounds, Cron, Defaults, GoDuration, HttpCall, Invalid, JobId, Overrides, OwnPolicy, Policy, Schedule, Spec,
};

/// A change of a job: what is `None` stays as it is.
#[derive(Debug, Default)]
pub struct Patch {
    id: Option<JobId>,
    name: Option<Box<str>>,
    /// Resume or pause.
    pub enabled: Option<bool>,
    method: Option<Box<str>>,
    url: Option<Box<str>>,
    headers: Option<Headers>,
    body: Option<Box<str>>,
    schedule: Option<Schedule>,
    timeout: Option<GoDuration>,
    max_retries: Option<i64>,
    retry_backoff: Option<GoDuration>,
    policy: PolicyDraft,
}

impl JobDraft<Request> {
    /// A new job and whether it starts enabled. `fresh` is its id where the client gives none.
    pub fn into_new(mut self, defaults: &Defaults, fresh: impl FnOnce() -> JobId) -> Result<(Spec, bool), Invalid> {
        let policy = new_policy(&self.take_policy(), Strictness::Request)?;
        check_kind(self.kind.set().as_deref())?;
        let http =
            self.http.set().ok_or_else(|| Invalid::new("/http", "is required: an object with at least a url"))?;
        let schedule = self.schedule.set().ok_or_else(|| Invalid::new("/schedule", REQUIRED_SCHEDULE))?;
        let mut spec = Spec {
            id: self.id.set().unwrap_or_else(fresh),
            name: self.name.set().unwrap_or_default(),
            http: http.into_call(),
            schedule: schedule.into_schedule(Strictness::Request)?,
            timeout: self.timeout.set().unwrap_or(defaults.timeout),
            max_retries: self.max_retries.set().unwrap_or(defaults.max_retries),
            retry_backoff: self.retry_backoff.set().unwrap_or(defaults.retry_backoff),
            policy,
        };
        spec.schedule.read_for(&spec.id);
        match spec.problems().into_iter().next() {
            Some(problem) => Err(problem),
            None => Ok((spec, self.enabled.set().unwrap_or(true))),
        }
    }

    /// A change. Whether its values make sense is seen where it meets the job: [`Patch::apply`].
    pub fn into_patch(mut self, defaults: &Defaults) -> Result<Patch, Invalid> {
        let policy = self.take_policy();
        check_kind(self.kind.set().as_deref())?;
        let http = match self.http.patch() {
            None => HttpDraft::default(),
            Some(Some(http)) => http,
            Some(None) => return Err(Invalid::new("/http", "cannot be emptied; it takes an object")),
        };
        let schedule = match self.schedule.patch() {
            None => None,
            Some(Some(schedule)) => Some(schedule.into_schedule(Strictness::Request)?),
            Some(None) => return Err(Invalid::new("/schedule", REQUIRED_SCHEDULE)),
        };
        Ok(Patch {
            id: self.id.set(),
            name: self.name.patch().map(Option::unwrap_or_default),
            enabled: self.enabled.patch().map(|enabled| enabled.unwrap_or(true)),
            method: http.method.patch().map(method_or_default),
            url: http.url.patch().map(Option::unwrap_or_default),
            headers: http.headers.patch().map(Option::unwrap_or_default),
            body: http.body.patch().map(Option::unwrap_or_default),
            schedule,
            timeout: self.timeout.patch().map(|timeout| timeout.unwrap_or(defaults.timeout)),
            max_retries: self.max_retries.patch().map(|retries| retries.unwrap_or(defaults.max_retries)),
            retry_backoff: self.retry_backoff.patch().map(|backoff| backoff.unwrap_or(defaults.retry_backoff)),
            policy,
        })
    }
}

impl Patch {
    /// The definition as it is with this change. Refused is what the change brings in; what a
    /// file brought in, and the change leaves as it is, stays.
    pub fn apply(&self, spec: &Spec) -> Result<Spec, Invalid> {
        if self.id.as_ref().is_some_and(|id| *id != spec.id) {
            return Err(Invalid::new("/id", "the id of a job cannot be changed"));
        }
        let mut changed = Spec {
            id: spec.id.clone(),
            name: self.name.as_ref().unwrap_or(&spec.name).clone(),
            http: HttpCall {
                method: self.method.as_ref().unwrap_or(&spec.http.method).clone(),
                url: self.url.as_ref().unwrap_or(&spec.http.url).clone(),
                headers: self.headers.as_ref().unwrap_or(&spec.http.headers).clone(),
                body: self.body.as_ref().unwrap_or(&spec.http.body).clone(),
            },
            schedule: self.schedule.as_ref().unwrap_or(&spec.schedule).clone(),
            timeout: self.timeout.unwrap_or(spec.timeout),
            max_retries: self.max_retries.unwrap_or(spec.max_retries),
            retry_backoff: self.retry_backoff.unwrap_or(spec.retry_backoff),
            policy: self.policy.apply(&spec.policy).into(),
        };
        self.policy.check_for(&changed.policy)?;
        if self.schedule.is_some() {
            changed.schedule.read_for(&spec.id);
        }
        let had = spec.problems();
        match changed.problems().into_iter().find(|problem| !had.contains(problem)) {
            Some(problem) => Err(problem),
            None => Ok(changed),
        }
    }
}

/// How much of a schedule must make sense.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Strictness {
    /// A client is told at once.
    Request,
    /// A file is taken as it is, as far as it says anything at all.
    File,
}

pub(super) const REQUIRED_SCHEDULE: &str = "is required: {\"kind\":\"once\",\"run_at\":…}, {\"kind\":\"every\",\"every\":…}, {\"kind\":\"after\",\"after\":…} or {\"kind\":\"cron\",\"cron\":…,\"timezone\":…}";

pub(super) fn check_kind(kind: Option<&str>) -> Result<(), Invalid> {
    match kind {
        None | Some("http") => Ok(()),
        Some(other) => Err(Invalid::new("/type", format!("{other:?} is not a type; accepted is \"http\""))),
    }
}

pub(super) fn new_policy(draft: &PolicyDraft, strictness: Strictness) -> Result<OwnPolicy, Invalid> {
    let policy = draft.apply(&Policy::default());
    if strictness == Strictness::Request {
        draft.check_for(&policy)?;
    }
    Ok(policy.into())
}

fn method_or_default(method: Option<Box<str>>) -> Box<str> {
    method.map_or_else(|| "POST".into(), |method| method.to_ascii_uppercase().into())
}

impl HttpDraft {
    pub(super) fn into_call(self) -> HttpCall {
        HttpCall {
            method: method_or_default(self.method.set()),
            url: self.url.set().unwrap_or_default(),
            headers: self.headers.set().unwrap_or_default(),
            body: self.body.set().unwrap_or_default(),
        }
    }
}

impl ScheduleDraft {
    /// A definition that has this schedule, checked as that of a new job, and says nothing else: enough to ask when
    /// such a job would fire.
    pub fn into_spec(self, id: JobId) -> Result<Spec, Invalid> {
        let mut schedule = self.into_schedule(Strictness::Request)?;
        schedule.read_for(&id);
        let mut problems = Vec::new();
        schedule.check(&id, &mut problems);
        match problems.into_iter().next() {
            Some(problem) => Err(problem),
            None => Ok(Spec {
                id,
                name: "".into(),
                http: HttpDraft::default().into_call(),
                schedule,
                timeout: GoDuration::ZERO,
                max_retries: 0,
                retry_backoff: GoDuration::ZERO,
                policy: OwnPolicy::default(),
            }),
        }
    }

    pub(super) fn into_schedule(self, strictness: Strictness) -> Result<Schedule, Invalid> {
        let strict = strictness == Strictness::Request;
        let kind = self.kind.set().unwrap_or_default();
        let run_at = Part { field: "/schedule/run_at", kinds: &["once"], value: self.run_at.set() };
        let every = Part { field: "/schedule/every", kinds: &["every"], value: self.every.set() };
        let after = Part { field: "/schedule/after", kinds: &["after"], value: self.after.set() };
        let cron = Part { field: "/schedule/cron", kinds: &["cron"], value: self.cron.set() };
        let timezone = Part { field: "/schedule/timezone", kinds: &["cron"], value: self.timezone.set() };
        let start_at = Part { field: "/schedule/start_at", kinds: REPEATED, value: self.start_at.set() };
        let jitter = Part { field: "/schedule/jitter", kinds: REPEATED, value: self.jitter.set() };
        let end_at = Part { field: "/schedule/end_at", kinds: REPEATED, value: self.end_at.set() };
        let max_runs = Part { field: "/schedule/max_runs", kinds: REPEATED, value: self.max_runs.set() };
        let kind = &*kind;
        if strict && KINDS.contains(&kind) {
            run_at.check(kind)?;
            every.check(kind)?;
            after.check(kind)?;
            cron.check(kind)?;
            timezone.check(kind)?;
            start_at.check(kind)?;
            jitter.check(kind)?;
            end_at.check(kind)?;
            max_runs.check(kind)?;
        }
        let bounds = Bounds { end_at: end_at.value, max_runs: max_runs.value };
        let (start_at, jitter) = (start_at.value, jitter.value.unwrap_or_default());
        match kind {
            "once" => {
                let missing = || Invalid::new("/schedule/run_at", "is required for kind once: a time of RFC 3339");
                Ok(Schedule::Once { run_at: run_at.value.ok_or_else(missing)? })
            }
            "every" => {
                if strict && every.value.is_none() {
                    return Err(Invalid::new("/schedule/every", "is required for kind every: a duration such as 5m"));
                }
                Ok(Schedule::Every { every: every.value.unwrap_or_default(), start_at, jitter, bounds })
            }
            "after" => {
                if strict && after.value.is_none() {
                    return Err(Invalid::new("/schedule/after", "is required for kind after: a duration such as 5m"));
                }
                Ok(Schedule::After { after: after.value.unwrap_or_default(), start_at, jitter, bounds })
            }
            "cron" => {
                let text = cron.value.unwrap_or_default();
                if strict && text.is_empty() {
                    let message = "is required for kind cron: an expression such as \"30 2 * * MON-FRI\"";
                    return Err(Invalid::new("/schedule/cron", message));
                }
                let cron = Box::new(Cron::new(text, timezone.value.unwrap_or_else(|| "UTC".into())));
                Ok(Schedule::Cron { cron, start_at, jitter, bounds })
            }
            "" => Err(Invalid::new("/schedule/kind", format!("is required; {ACCEPTED_KINDS}"))),
            other => {
                let message = format!("{other:?} is not a kind of schedule; {ACCEPTED_KINDS}");
                Err(Invalid::new("/schedule/kind", message))
            }
        }
    }
}

const KINDS: &[&str] = &["once", "every", "after", "cron"];
const ACCEPTED_KINDS: &str = "accepted are \"once\", \"every\", \"after\" and \"cron\"";

/// The kinds that fire more than once.
const REPEATED: &[&str] = &["every", "after", "cron"];

/// A key of a schedule, and whose it is.
struct Part<T> {
    field: &'static str,
    kinds: &'static [&'static str],
    value: Option<T>,
}

impl<T> Part<T> {
    fn check(&self, kind: &str) -> Result<(), Invalid> {
        if self.value.is_none() || self.kinds.contains(&kind) {
            return Ok(());
        }
        Err(Invalid::new(self.field, format!("is not taken by a schedule of kind {kind}")))
    }
}

impl OverridesDraft {
    /// What it says; [`Overrides::check_for`] tells whether that makes sense.
    pub fn into_overrides(self) -> Overrides {
        Overrides {
            url: self.url.patch().map(Option::unwrap_or_default),
            headers: self.headers.patch().map(Option::unwrap_or_default),
            body: self.body.patch().map(Option::unwrap_or_default),
        }
    }
}

impl Overrides {
    /// Refused is what could not be called in the place of what the job says.
    pub fn check_for(&self, job: &HttpCall) -> Result<(), Invalid> {
        let (mut had, mut problems) = (Vec::new(), Vec::new());
        job.check(&mut had);
        job.with(self).check(&mut problems);
        match problems.into_iter().find(|problem| !had.contains(problem)) {
            // Its keys are those of a job's `http`.
            Some(Invalid { field, message }) => {
                Err(Invalid::new(field.trim_start_matches("/http").to_owned(), message))
            }
            None => Ok(()),
        }
    }
}

impl PauseDraft {
    /// Until when.
    pub fn until(self) -> Option<Timestamp> {
        self.until.set()
    }
}
