//! The engine between its owner, who alone changes it, and whoever looks at it. A look takes no turn of the
//! owner's loop. Each time that he asks to change it the owner may wait for a piece of a list, so he asks once a step.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread;

use crate::engine::{Engine, Filter, Page};
use crate::job::{Job, JobId};
use crate::limits::{PAGE_JOBS_MAX, PAGE_SCAN_MAX};

/// The engine in its owner's hands. There is one owner.
#[derive(Debug)]
pub struct Owned(Arc<RwLock<Engine>>);

/// A way to look at it; a clone for everyone who does.
#[derive(Clone, Debug)]
pub struct View(Arc<RwLock<Engine>>);

/// Gives the engine to its owner, and a view to the others.
pub fn share(engine: Engine) -> (Owned, View) {
    let engine = Arc::new(RwLock::new(engine));
    (Owned(Arc::clone(&engine)), View(engine))
}

impl Owned {
    /// As it is. Others may look at the same time.
    pub fn read(&self) -> RwLockReadGuard<'_, Engine> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// To change it: nobody looks meanwhile, and whoever wants to goes after this.
    pub fn write(&mut self) -> RwLockWriteGuard<'_, Engine> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

// Where the owner panicked the process ends; until then what it left is looked at as it is.

impl View {
    /// One job as it is now.
    pub fn job(&self, id: &JobId) -> Option<Job> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).job(id).cloned()
    }

    /// The next jobs of the list, as of one moment: at most `jobs_max`, and no more than fit into one piece.
    pub fn page(&self, after: Option<&str>, filter: &Filter, jobs_max: usize) -> Page {
        let engine = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let page = engine.page(after, filter, jobs_max.min(PAGE_JOBS_MAX), PAGE_SCAN_MAX);
        drop(engine);
        if page.scanned >= PAGE_JOBS_MAX {
            // Whoever looks at many jobs does little else, and a thread that the machine stops in the middle of a
            // look holds up the owner until it goes on. It stops here instead.
            thread::yield_now();
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::engine::Record;
    use crate::job::{Defaults, GoDuration, stored_job};

    /// Jobs `j00000` and so on, in their owner's hands.
    fn shared(count: usize) -> (Owned, View) {
        let defaults = Defaults { timeout: GoDuration::from_secs(1), max_retries: 0, retry_backoff: GoDuration::ZERO };
        let mut engine = Engine::new(1);
        for number in 0..count {
            let text = format!(
                r#"{{"id":"j{number:05}","name":"n","http":{{"url":"http://a/"}},"schedule":{{"kind":"every","every":"1h"}}}}"#
            );
            let job = stored_job(&mut serde_json::Deserializer::from_str(&text), &defaults).expect("a job of a file");
            engine.apply(Record::Put(job));
        }
        share(engine)
    }

    /// A page that is looked at is whole: the owner's steps come between pages, however many look.
    #[test]
    fn the_owner_gets_his_turn_between_pages_and_each_is_as_of_one_moment() {
        let (mut owned, view) = shared(2 * PAGE_SCAN_MAX);
        let has_ended = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while !has_ended.load(Ordering::Relaxed) {
                        let page = view.page(None, &Filter::default(), PAGE_JOBS_MAX);
                        let named = page.jobs.iter().filter(|job| job.progress.enabled).count();
                        assert!([0, page.jobs.len()].contains(&named), "half of a step is shown");
                    }
                });
            }
            for number in 0..200 {
                let mut engine = owned.write();
                let jobs: Vec<Job> = engine.jobs().take(PAGE_JOBS_MAX).cloned().collect();
                for mut job in jobs {
                    job.progress.enabled = number % 2 == 0;
                    engine.apply(Record::Put(job));
                }
            }
            has_ended.store(true, Ordering::Relaxed);
        });
    }

    #[test]
    fn whoever_looks_sees_what_the_owner_has_done() {
        let (mut owned, view) = shared(1);
        let id = JobId::parse("j00000").expect("an id");
        assert!(view.job(&id).is_some());
        owned.write().apply(Record::Delete(id.clone()));
        assert!(view.job(&id).is_none() && view.page(None, &Filter::default(), 1).jobs.is_empty());
    }

    /// Whoever filters for what is not there has all jobs looked at, a piece at a time.
    #[test]
    fn a_page_looks_at_so_many_jobs_and_holds_so_many() {
        let (_owned, view) = shared(PAGE_SCAN_MAX + 1);
        let all = view.page(None, &Filter::default(), usize::MAX);
        assert_eq!(all.jobs.len(), PAGE_JOBS_MAX);
        let filter = Filter { name: Some("is in none".into()), ..Filter::default() };
        let none = view.page(None, &filter, 10);
        assert_eq!((none.jobs.len(), none.scanned), (0, PAGE_SCAN_MAX));
        let next = none.next.expect("there is one more");
        assert_eq!(view.page(Some(next.as_str()), &filter, 10).scanned, 1);
    }
}
