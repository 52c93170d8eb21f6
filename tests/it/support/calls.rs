//! What tests ask of a running daemon.

use std::sync::atomic::Ordering;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::client::Response;
use super::ksana::Ksana;
use super::{Receiver, ahead, eventually, once};

impl Ksana {
    pub(crate) fn get(&self, target: &str) -> Response {
        self.call("GET", target).send()
    }

    pub(crate) fn post(&self, target: &str, body: &Value) -> Response {
        self.call("POST", target).json(body).send()
    }

    pub(crate) fn patch(&self, id: &str, body: &Value) -> Response {
        self.call("PATCH", &format!("/jobs/{id}")).json(body).send()
    }

    pub(crate) fn delete(&self, id: &str) -> Response {
        self.call("DELETE", &format!("/jobs/{id}")).send()
    }

    /// `run-now`, `pause`, `resume` or `cancel`.
    pub(crate) fn act(&self, id: &str, action: &str) -> Response {
        self.call("POST", &format!("/jobs/{id}/{action}")).send()
    }

    /// Starts a run and gives its id.
    #[track_caller]
    pub(crate) fn run_now(&self, id: &str) -> String {
        let answer = self.act(id, "run-now").expect(200).json();
        answer["run_id"].as_str().expect("the answer names the run").to_owned()
    }

    /// Creates a job that must be accepted.
    #[track_caller]
    pub(crate) fn create(&self, job: &Value) -> Value {
        self.post("/jobs", job).expect(201).json()
    }

    /// Creates a job that must be accepted, and gives its id.
    #[track_caller]
    pub(crate) fn create_id(&self, job: &Value) -> String {
        self.create(job)["id"].as_str().expect("a job has an id").to_owned()
    }

    #[track_caller]
    pub(crate) fn job(&self, id: &str) -> Value {
        self.get(&format!("/jobs/{id}")).expect(200).json()
    }

    /// SIGKILL, or a stop that saves.
    pub(crate) fn end(&mut self, is_killed: bool) {
        if is_killed {
            self.kill();
        } else {
            assert_eq!(self.stop(), 0);
        }
    }

    /// Sends a body with `run-now` or `pause`.
    pub(crate) fn act_with(&self, id: &str, action: &str, body: &Value) -> Response {
        self.post(&format!("/jobs/{id}/{action}"), body)
    }

    /// The records of a list of runs, the newest first.
    #[track_caller]
    pub(crate) fn runs(&self, target: &str) -> Vec<Value> {
        let Value::Array(runs) = self.get(target).expect(200).json() else { panic!("{target} is no list") };
        runs
    }

    /// Waits for so many records of a list.
    pub(crate) fn await_runs(&self, target: &str, count: usize) -> Vec<Value> {
        eventually(&format!("{count} runs of {target}"), || Some(self.runs(target)).filter(|runs| runs.len() >= count))
    }

    /// Waits for the end of a run, and gives its record.
    pub(crate) fn await_run(&self, run_id: &str) -> Value {
        eventually(&format!("the record of the run {run_id}"), || {
            let answer = self.get(&format!("/runs/{run_id}"));
            (answer.status != 404).then(|| answer.expect(200).json())
        })
    }

    pub(crate) fn await_job(&self, id: &str, what: &str, accept: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("{what} of the job {id}"), || Some(self.job(id)).filter(|job| accept(job)))
    }

    pub(crate) fn await_status(&self, id: &str, status: &str) -> Value {
        self.await_job(id, &format!("the status {status}"), |job| job["last_status"] == status)
    }

    /// Renames a job until the disk refuses, because the segment that is open takes changes until a new one is due.
    /// Gives the name that it has then.
    pub(crate) fn rename_until_refused(&self, id: &str) -> String {
        let mut round = 0;
        eventually("changes to be refused", || {
            round += 1;
            let answer = self.patch(id, &json!({"name": format!("name {round}")}));
            (answer.status != 200).then(|| answer.refusal(503))
        });
        format!("name {}", round - 1)
    }

    /// Lets time pass as the daemon sees it: waits until a job that is due in `millis` has been fired.
    pub(crate) fn let_pass(&self, receiver: &Receiver, millis: u64) {
        let path = format!("/fence-{}", self.fences.fetch_add(1, Ordering::Relaxed));
        // On a machine that is busy a request may take longer than that.
        let is_planned = |millis| self.post("/jobs", &once(&receiver.url(&path), ahead(millis))).status == 201;
        assert!((0..10).any(|doublings| is_planned(millis << doublings)), "a job is planned");
        receiver.wait_for_path(&path, 1);
    }

    /// Waits until a job that is due at `instant` has been fired.
    pub(super) fn let_pass_until(&self, receiver: &Receiver, instant: Timestamp) {
        let path = format!("/fence-{}", self.fences.fetch_add(1, Ordering::Relaxed));
        self.create(&once(&receiver.url(&path), instant));
        receiver.wait_for_path(&path, 1);
    }
}
