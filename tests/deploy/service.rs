//! The installed service: what an operator and a client do with it.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::http::ask;
use crate::machine::Machine;
use crate::support::eventually;

pub(crate) const KEY_FILE: &str = "/etc/ksana/api_keys.txt";
pub(crate) const SETTINGS: &str = "/etc/ksana/ksana.env";

/// How many clients ask at once while a service is restarted, each on one new connection after the other.
const CLIENTS: usize = 2;

pub(crate) struct Service<'m> {
    pub(crate) machine: &'m Machine,
}

impl Service<'_> {
    /// Installs or upgrades, and gives what was said about it.
    #[track_caller]
    pub(crate) fn install(&self, deb: &Path) -> String {
        fs::copy(deb, self.machine.path("/root/ksana.deb")).expect("root may");
        self.machine.run(&["dpkg", "--install", "/root/ksana.deb"])
    }

    #[track_caller]
    pub(crate) fn systemctl(&self, words: &[&str]) {
        self.machine.run(&[&["systemctl"], words].concat());
    }

    /// A property of the unit as systemd has it.
    #[track_caller]
    pub(crate) fn show(&self, property: &str) -> String {
        self.machine.run(&["systemctl", "show", "-P", property, "ksana.service"])
    }

    /// What the service has said, and systemd of it.
    pub(crate) fn journal(&self) -> String {
        self.machine.run(&["journalctl", "--no-pager", "-u", "ksana"])
    }

    /// Waits until systemd has it up, in another process than `before`.
    pub(crate) fn await_another(&self, before: &str) {
        eventually("the service in another process", || {
            // Asked for at once: between two questions it may have ended.
            let shown = self.machine.run(&["systemctl", "show", "--property=ActiveState,MainPID", "ksana.service"]);
            let has = |line: &str| shown.lines().any(|shown| shown == line);
            let is_another = has("ActiveState=active") && !has("MainPID=0") && !has(&format!("MainPID={before}"));
            is_another.then_some(())
        });
    }

    /// The key that an operator finds in the file.
    #[track_caller]
    pub(crate) fn key(&self) -> String {
        let text = fs::read_to_string(self.machine.path(KEY_FILE)).expect("it is there");
        text.lines().find(|line| !line.is_empty() && !line.starts_with('#')).expect("it holds a key").to_owned()
    }

    #[track_caller]
    pub(crate) fn call(&self, method: &str, path: &str, body: &str) -> Value {
        let (status, answer) = ask(&self.key(), method, path, body).expect("an answer");
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    /// A job that is far from due, so that all of it stays as it is.
    #[track_caller]
    pub(crate) fn create(&self, name: &str) {
        let schedule = json!({"kind": "once", "run_at": "2099-01-01T00:00:00Z"});
        self.call(
            "POST",
            "/jobs",
            &json!({"name": name, "http": {"url": "http://127.0.0.1:9/"}, "schedule": schedule}).to_string(),
        );
    }

    #[track_caller]
    pub(crate) fn jobs(&self) -> Value {
        self.call("GET", "/jobs", "")
    }

    /// Lets clients ask all the while that `work` lasts, and some more before and after it; not one may be let down.
    pub(crate) fn under_clients(&self, work: impl FnOnce()) {
        let (key, is_over) = (self.key(), AtomicBool::new(false));
        let asks = || -> usize {
            let mut answered = 0;
            while !is_over.load(Ordering::Relaxed) {
                let answer = ask(&key, "GET", "/jobs", "");
                let status = answer.as_ref().map(|(status, _)| *status);
                assert!(matches!(status, Ok(200)), "after {answered} answers: {answer:?}");
                answered += 1;
            }
            answered
        };
        thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(asks)).collect();
            let over = Over(&is_over);
            work();
            drop(over);
            for client in clients {
                assert!(client.join().expect("every request is answered") > 0);
            }
        });
    }
}

/// Tells the clients to end once it is dropped, also by a panic: the scope waits for them.
struct Over<'b>(&'b AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
