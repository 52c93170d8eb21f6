//! A disk that fails for a while.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::namespace::not_tried;
use super::{Ksana, eventually};

/// Makes system calls of a running daemon fail, for as long as this lives.
pub(crate) struct Fault {
    tracer: Child,
    trace: PathBuf,
}

impl Fault {
    /// Lets `calls` fail as `how` says, in the words of strace, and only those on `files` where any are
    /// named (of a rename it is the old name that counts); nothing, and a word about it, where this machine does
    /// not let us.
    pub(crate) fn inject(ksana: &Ksana, calls: &str, how: &str, files: &[PathBuf]) -> Option<Self> {
        let trace = ksana.path("faults");
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-p", &ksana.pid().to_string(), "-e", &format!("trace={calls}")]);
        command.args(["-e", &format!("inject={calls}:{how}"), "-o"]).arg(&trace);
        for file in files {
            command.arg("-P").arg(file);
        }
        let Ok(tracer) = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn() else {
            not_tried("there is no strace on this machine");
            return None;
        };
        let mut fault = Self { tracer, trace };
        let attached = eventually("all threads of the daemon to be traced, or none", || {
            let has_ended = fault.tracer.try_wait().expect("it is our child").is_some();
            if has_ended { Some(false) } else { is_traced(ksana).then_some(true) }
        });
        if !attached {
            not_tried("this machine does not let strace look at a process that runs");
            return None;
        }
        Some(fault)
    }

    /// How often it has struck.
    pub(crate) fn strikes(&self) -> usize {
        let trace = fs::read_to_string(&self.trace).unwrap_or_default();
        trace.lines().filter(|line| line.ends_with("(INJECTED)")).count()
    }
}

fn is_traced(ksana: &Ksana) -> bool {
    let threads = fs::read_dir(format!("/proc/{}/task", ksana.pid())).expect("the daemon runs");
    threads.flatten().all(|thread| {
        // A thread that has just ended has nothing that could fail.
        let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        !status.contains("TracerPid:\t0\n")
    })
}

impl Drop for Fault {
    fn drop(&mut self) {
        // It lets go of the daemon; where the daemon has ended, so has it.
        let _ = kill_process(Pid::from_child(&self.tracer), Signal::TERM);
        let _ = self.tracer.wait();
    }
}
