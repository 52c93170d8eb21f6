//! What clients ask for, by chance: few jobs, few values, so that they meet.

use std::sync::Arc;

use async_channel::bounded;
use jiff::{SignedDuration, Timestamp};
use ksana::engine::{Command, Filter, Kind, RunNow};
use ksana::inbox::Letter;
use ksana::job::{
    Bounds, GoDuration, Job, JobDraft, JobId, Misfire, Overlap, Overrides, Policy, Request, Schedule, Status,
};
use ksana::shared::View;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::asks::{Ask, Change};
use crate::model::Asked;
use crate::process::DEFAULTS;
use crate::random::Random;

/// How the clients of one simulation are.
#[derive(Clone, Debug)]
pub(crate) struct Clients {
    pub(crate) jobs: u64,
    /// The distances that they like.
    pub(crate) distances: Vec<GoDuration>,
}

/// A question whose answer is to be what the model knows.
#[derive(Debug)]
pub(crate) enum Question {
    Job(String),
    List(Option<String>, Filter, usize),
}

impl Clients {
    pub(crate) fn new(random: &mut Random) -> Self {
        let all = [(100, 30), (1_000, 200), (3_000, 300), (7_000, 500), (60_000, 500), (3_600_000, 500)];
        let liked = all.into_iter().filter(|(_, rate)| random.per_mille(*rate));
        let distances = liked.map(|(millis, _)| GoDuration::from_millis(millis)).collect::<Vec<_>>();
        let distances = if distances.is_empty() { vec![GoDuration::from_secs(5)] } else { distances };
        Self { jobs: 1 + random.below(6), distances }
    }

    /// The ids of all jobs that they know.
    pub(crate) fn ids(&self) -> impl Iterator<Item = String> {
        (0..self.jobs).map(|number| format!("job-{number}"))
    }

    pub(crate) fn distance(&self, random: &mut Random) -> GoDuration {
        *random.pick(&self.distances)
    }

    fn id(&self, random: &mut Random) -> String {
        format!("job-{}", random.below(self.jobs))
    }

    fn schedule(&self, random: &mut Random, now: Timestamp) -> Schedule {
        // Whole seconds, so that schedules name the same instants.
        let whole = Timestamp::from_second(now.as_second()).expect("a time");
        let now = if random.per_mille(400) { whole } else { now };
        if random.per_mille(350) {
            let ahead = *random.pick(&[-1, 1, 1_000, 5_000, 60_000, 600_000]);
            return Schedule::Once { run_at: now + SignedDuration::from_millis(ahead) };
        }
        let every = self.distance(random);
        let is_delay = random.per_mille(200);
        let bounds = Bounds {
            end_at: random
                .per_mille(150)
                .then(|| now + SignedDuration::from_millis(random.below(120_000).cast_signed() - 1_000)),
            max_runs: random.per_mille(150).then(|| 1 + random.below(4).cast_signed()),
        };
        let start_at = match random.below(3) {
            0 => Some(
                now + SignedDuration::from_millis(20_000)
                    - SignedDuration::from_micros(random.below(40_000_000).cast_signed()),
            ),
            _ => None,
        };
        let jitter = match random.below(3) {
            0 => GoDuration::from_nanos(random.below(every.as_nanos().unsigned_abs() + 1).cast_signed()),
            _ => GoDuration::ZERO,
        };
        let end_at = bounds.end_at.map(|end_at| start_at.map_or(end_at, |start_at| end_at.max(start_at)));
        let bounds = Bounds { end_at, ..bounds };
        if is_delay {
            return Schedule::After { after: every, start_at, jitter, bounds };
        }
        if random.per_mille(300) {
            return match *random.pick(EXPRESSIONS) {
                ("@every", zone) => cron((&format!("@every {every}"), zone), start_at, jitter, bounds),
                text => cron(text, start_at, jitter, bounds),
            };
        }
        Schedule::Every { every, start_at, jitter, bounds }
    }

    /// A change, as the service gets it and as the model does.
    pub(crate) fn change(&self, random: &mut Random, now: Timestamp) -> (Letter, Asked) {
        let id = self.id(random);
        let job_id = JobId::parse(&id).expect("it is an id");
        let (command, ask) = match random.below(14) {
            0..=3 => self.create(random, &id, now),
            4..=6 => self.patch(random, id, job_id, now),
            7 => (Command::Delete(job_id), Ask::Delete(id)),
            8 | 9 => {
                let run_id = Uuid::from_u128(u128::from(random.next()));
                let body = || Some(Overrides { body: Some("y".into()), ..Overrides::default() });
                let overrides = if random.per_mille(200) { body() } else { None };
                let shared = overrides.clone().map(Arc::new);
                let asked = RunNow { run_id, overrides: shared, ..RunNow::default() };
                (Command::RunNow { id: job_id, asked }, Ask::RunNow { id, run_id, overrides })
            }
            10 => {
                let ahead = *random.pick(&[-1, 1, 5_000, 60_000, 600_000]);
                let until = random.per_mille(500).then(|| now + SignedDuration::from_millis(ahead));
                (Command::Pause { id: job_id, until }, Ask::Pause { id, until })
            }
            11 => (Command::Cancel(job_id), Ask::Cancel(id)),
            _ => (Command::Resume(job_id), Ask::Resume(id)),
        };
        let (reply, answer) = bounded(1);
        (Letter { command, reply }, Asked { ask, answer })
    }

    fn create(&self, random: &mut Random, id: &str, now: Timestamp) -> (Command, Ask) {
        let schedule = self.schedule(random, now);
        let policy = policy(random, schedule.jitter());
        let mut job = json!({
            "id": id,
            "name": format!("name {}", random.below(100)),
            "enabled": random.per_mille(850),
            "http": {"url": "http://127.0.0.1:9/", "body": "x".repeat(random.index(200))},
            "schedule": schedule,
            "max_retries": random.below(3),
            "retry_backoff": random.pick(&["0s", "1s", "20s"]),
        });
        show(&policy, &mut job);
        let (spec, enabled) = draft(job).into_new(&DEFAULTS, || unreachable!("it has an id")).expect("a valid job");
        (Command::Create { spec: Arc::new(spec.clone()), enabled }, Ask::Create { spec, enabled })
    }

    fn patch(&self, random: &mut Random, id: String, job_id: JobId, now: Timestamp) -> (Command, Ask) {
        let some = |random: &mut Random| random.per_mille(350);
        let change = Change {
            name: some(random).then(|| format!("name {}", random.below(100))),
            max_retries: some(random).then(|| random.below(3).cast_signed()),
            schedule: some(random).then(|| self.schedule(random, now)),
            policy: some(random).then(|| policy(random, GoDuration::ZERO)),
            enabled: some(random).then(|| random.per_mille(500)),
        };
        let mut patch = json!({
            "name": change.name,
            "max_retries": change.max_retries,
            "schedule": change.schedule,
            "enabled": change.enabled,
        });
        if let Some(policy) = &change.policy {
            show(policy, &mut patch);
        }
        let patch = Box::new(draft(patch).into_patch(&DEFAULTS).expect("a valid change"));
        (Command::Patch { id: job_id, patch }, Ask::Change { id, change })
    }

    pub(crate) fn question(&self, random: &mut Random) -> Question {
        if random.per_mille(700) {
            return Question::Job(self.id(random));
        }
        let after = random.per_mille(300).then(|| self.id(random));
        let filter = Filter {
            name: random.per_mille(200).then(|| "1".into()),
            enabled: random.per_mille(200).then(|| random.per_mille(500)),
            status: random.per_mille(200).then(|| random.pick(&Status::ALL).0),
            kind: random.per_mille(200).then(|| *random.pick(&[Kind::Once, Kind::Every, Kind::After])),
        };
        Question::List(after, filter, 1 + random.index(4))
    }
}

/// What a job asks for beyond the usual: half of all nothing.
fn policy(random: &mut Random, jitter: GoDuration) -> Policy {
    if random.per_mille(500) {
        return Policy::default();
    }
    let some = |random: &mut Random, seconds: &[i64]| {
        random.per_mille(300).then(|| GoDuration::from_secs(*random.pick(seconds)))
    };
    let misfire = *random.pick(&[Misfire::Skip, Misfire::Once, Misfire::All]);
    let all = [Overlap::Skip, Overlap::Queue, Overlap::Allow { max: 2 }, Overlap::Allow { max: 3 }, Overlap::Replace];
    Policy {
        misfire,
        misfire_window: some(random, &[1, 30, 1_800]).filter(|most| *most > jitter && misfire != Misfire::Skip),
        overlap: *random.pick(&all),
        retry_backoff_max: some(random, &[20, 60]),
        retry_for: some(random, &[1, 20, 3_000]).filter(|most| *most > jitter),
    }
}

/// All keys of a policy; an empty one takes back what was there.
fn show(policy: &Policy, job: &mut Value) {
    let text = |time: Option<GoDuration>| time.map_or_else(String::new, |time| time.to_string());
    job["misfire"] = match policy.misfire {
        Misfire::Skip => "skip",
        Misfire::Once => "once",
        Misfire::All => "all",
    }
    .into();
    job["overlap"] = match policy.overlap {
        Overlap::Skip => "skip",
        Overlap::Queue => "queue",
        Overlap::Allow { .. } => "allow",
        Overlap::Replace => "replace",
    }
    .into();
    if let Overlap::Allow { max } = policy.overlap {
        job["overlap_max"] = max.into();
    }
    job["misfire_window"] = text(policy.misfire_window).into();
    job["retry_backoff_max"] = text(policy.retry_backoff_max).into();
    job["retry_for"] = text(policy.retry_for).into();
}

/// What the expressions of these clients name: dense and sparse, and an hour that a zone's clock may skip or repeat.
const EXPRESSIONS: &[(&str, &str)] = &[
    ("*/2 * * * * *", "UTC"),
    ("5,6,50-59/3 * * * * *", "UTC"),
    ("* * * * *", "Europe/Berlin"),
    ("*/7 * * * *", "Asia/Kolkata"),
    ("0 30 2 * * *", "America/New_York"),
    ("30 1 * * *", "America/New_York"),
    ("*/20 * * * *", "America/New_York"),
    ("0 0 */2 29 2 ?", "UTC"),
    ("0 0 1 1,3 *", "UTC"),
    ("0 0 * * *", "Europe/Istanbul"),
    // A distance goes with it.
    ("@every", "Europe/Berlin"),
];

/// A schedule of that expression; only a job's own JSON says what it means.
fn cron((text, timezone): (&str, &str), start_at: Option<Timestamp>, jitter: GoDuration, bounds: Bounds) -> Schedule {
    let text_of = |time: Option<Timestamp>| time.map(|time| time.to_string());
    let schedule = json!({
        "kind": "cron", "cron": text, "timezone": timezone, "start_at": text_of(start_at), "jitter": jitter.to_string(),
        "end_at": text_of(bounds.end_at), "max_runs": bounds.max_runs,
    });
    let job = json!({"id": "x", "name": "n", "http": {"url": "http://a/"}, "schedule": schedule});
    draft(job).into_new(&DEFAULTS, || unreachable!("it has an id")).expect("a valid job").0.schedule
}

fn draft(job: Value) -> JobDraft<Request> {
    serde_json::from_value(job).expect("it has the shape of a job")
}

impl Question {
    /// Checks the answer against all jobs, in the order of their ids.
    pub(crate) fn check<'a>(self, view: &View, jobs: impl Iterator<Item = &'a Job>) {
        match self {
            Self::Job(id) => {
                let known = jobs.filter(|job| job.spec.id.as_str() == id).last();
                assert_eq!(view.job(&JobId::parse(&id).expect("it is an id")).as_ref(), known);
            }
            Self::List(after, filter, jobs_max) => {
                let page = view.page(after.as_deref(), &filter, jobs_max);
                let behind = jobs.filter(|job| after.as_deref().is_none_or(|after| job.spec.id.as_str() > after));
                let wanted = behind.filter(|job| {
                    let kind = match job.spec.schedule {
                        Schedule::Once { .. } => Kind::Once,
                        Schedule::Every { .. } => Kind::Every,
                        Schedule::After { .. } => Kind::After,
                        Schedule::Cron { .. } => Kind::Cron,
                    };
                    filter.name.as_ref().is_none_or(|part| job.spec.name.contains(&**part))
                        && filter.enabled.is_none_or(|enabled| enabled == job.progress.enabled)
                        && filter.status.is_none_or(|status| status == job.progress.last_status)
                        && filter.kind.is_none_or(|wanted| wanted == kind)
                });
                assert_eq!(page.jobs, wanted.take(jobs_max).cloned().collect::<Vec<_>>());
            }
        }
    }
}
