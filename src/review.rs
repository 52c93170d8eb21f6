//! Looks at every job once after a start, and warns of those that are not valid. A file's jobs are
//! kept as they are, and checking a million of them takes longer than anybody waits for a first answer.

use std::io;
use std::thread::{self, JoinHandle};

use crate::engine::Filter;
use crate::inbox::Client;
use crate::job::{Invalid, JobId, Spec};
use crate::limits::{FILE_WARNINGS_MAX, PAGE_JOBS_MAX};

/// Starts a thread that looks at the jobs as a client does, a page at a time, so that it holds up no
/// turn of their owner. It ends behind the last job, or with the service.
pub fn start(jobs: Client) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name("ksana-review".into()).spawn(move || {
        if review(&jobs, warn) == Review::Cut {
            tracing::warn!("more jobs are not valid; `ksana check` names them all");
        }
    })
}

/// How far a review came.
#[derive(Debug, PartialEq, Eq)]
enum Review {
    Whole,
    /// The service ended; the next start makes another review.
    Ended,
    /// There were more problems than are told.
    Cut,
}

fn review(jobs: &Client, mut tell: impl FnMut(&Spec, &Invalid)) -> Review {
    let mut told = 0;
    let mut after: Option<JobId> = None;
    while !jobs.is_closed() {
        let page = jobs.page(after.as_ref().map(JobId::as_str), &Filter::default(), PAGE_JOBS_MAX);
        for job in page.jobs {
            for problem in job.spec.problems() {
                if told == FILE_WARNINGS_MAX {
                    return Review::Cut;
                }
                tell(&job.spec, &problem);
                told += 1;
            }
        }
        if page.next.is_none() {
            return Review::Whole;
        }
        after = page.next;
    }
    Review::Ended
}

fn warn(spec: &Spec, problem: &Invalid) {
    tracing::warn!(
        job_id = spec.id.as_str(),
        name = spec.name.as_ref(),
        field = problem.field.as_ref(),
        problem = problem.message,
        "a job of the file is kept as it is, but it is not valid"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Engine, Record};
    use crate::inbox::inbox;
    use crate::job::{Defaults, GoDuration, stored_job};
    use crate::shared::share;

    /// What a review tells of this many jobs, of which every third has a name that is none.
    fn told(jobs: usize) -> (Review, Vec<String>) {
        let defaults = Defaults { timeout: GoDuration::from_secs(1), max_retries: 0, retry_backoff: GoDuration::ZERO };
        let mut engine = Engine::new(1);
        for index in 0..jobs {
            let name = if index % 3 == 0 { "" } else { "n" };
            let text = format!(
                r#"{{"id":"{index:08}","name":"{name}","http":{{"url":"http://a/"}},"schedule":{{"kind":"every","every":"1h"}}}}"#
            );
            let job = stored_job(&mut serde_json::Deserializer::from_str(&text), &defaults).expect("a job of a file");
            engine.apply(Record::Put(job));
        }
        let (client, _letters) = inbox(share(engine).1);
        let mut lines = Vec::new();
        let result = review(&client, |spec, problem| lines.push(format!("{} {}", spec.id, problem.field)));
        (result, lines)
    }

    #[test]
    fn every_problem_of_every_page_is_told() {
        let jobs = 2 * PAGE_JOBS_MAX + 3;
        let (result, lines) = told(jobs);
        assert_eq!(result, Review::Whole);
        let expected: Vec<_> = (0..jobs).step_by(3).map(|index| format!("{index:08} /name")).collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_flood_of_problems_is_cut_and_says_so() {
        let (result, lines) = told(3 * FILE_WARNINGS_MAX);
        assert_eq!(result, Review::Whole, "just as many as are told");
        assert_eq!(lines.len(), FILE_WARNINGS_MAX);
        let (result, lines) = told(3 * FILE_WARNINGS_MAX + 1);
        assert_eq!(result, Review::Cut);
        assert_eq!(lines.len(), FILE_WARNINGS_MAX);
    }

    #[test]
    fn a_service_that_ends_ends_its_review() {
        let (client, letters) = inbox(share(Engine::new(1)).1);
        letters.close();
        assert_eq!(review(&client, |_, _| {}), Review::Ended);
    }
}
