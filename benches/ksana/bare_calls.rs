//! The HTTP client of the service with nothing around it, in a process of its own.

use std::cell::Cell;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use async_io::Timer;
use isahc::config::{Configurable, RedirectPolicy, VersionNegotiation};
use isahc::{AsyncReadResponseExt, HttpClient, Request};
use jiff::{SignedDuration, Timestamp};
use ksana::clock;
use smol::LocalExecutor;

use crate::process::Process;
use crate::receiver::{Caller, Receiver};

/// The word that makes this program do so.
pub(crate) const WORD: &str = "--bare-calls";

/// Time for the process to start before its calls are due.
const AHEAD: Duration = Duration::from_millis(500);

/// Has so many calls made, so many at once at most: as fast as they go, or one after each such `pace`. Gives the
/// time on the processor for all; the receiver has the rest.
pub(crate) fn run(receiver: &Receiver, count: usize, at_once: usize, pace: Duration) -> Duration {
    let due = clock::now() + AHEAD;
    let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
    let numbers = [count.to_string(), at_once.to_string(), pace.as_nanos().to_string()];
    command.args([WORD, &receiver.url(Caller::Bare)]).args(numbers).arg(due.to_string());
    let output = command.stderr(Stdio::inherit()).output().expect("this program starts again");
    assert!(output.status.success(), "the bare loop failed");
    let text = String::from_utf8_lossy(&output.stdout);
    Duration::from_nanos(text.trim().parse().expect("it tells its time on the processor"))
}

/// What the process does.
pub(crate) fn main(arguments: &[String]) {
    let [url, count, at_once, pace, due] = arguments else { panic!("run gives five arguments") };
    let due: Timestamp = due.parse().expect("run gives an instant");
    let [count, at_once] = [count, at_once].map(|text| text.parse::<usize>().expect("run gives a number"));
    let pace = Duration::from_nanos(pace.parse().expect("run gives a number"));
    let client = HttpClient::builder()
        .version_negotiation(VersionNegotiation::http11())
        .redirect_policy(RedirectPolicy::None)
        .automatic_decompression(false)
        .expect_continue(false)
        .tcp_nodelay()
        .connection_cache_size(at_once)
        .proxy(None)
        .build()
        .expect("a client can be made");
    if let Ok(wait) = due.duration_since(clock::now()).try_into() {
        thread::sleep(wait);
    }
    let process = Process(std::process::id());
    let (before, began) = (process.used(), Instant::now());
    let made = Cell::new(0);
    let executor = LocalExecutor::new();
    let tasks: Vec<_> = (0..at_once)
        .map(|_| {
            executor.spawn(async {
                while made.get() < count {
                    let wait = pace * u32::try_from(made.replace(made.get() + 1)).expect("a run is smaller");
                    if !pace.is_zero() {
                        Timer::at(began + wait).await;
                    }
                    call(&client, url, due + SignedDuration::try_from(wait).expect("a run is short")).await;
                }
            })
        })
        .collect();
    smol::block_on(executor.run(async {
        for task in tasks {
            task.await;
        }
    }));
    println!("{}", process.used().since(before).processor.as_nanos());
}

/// One call with the headers of the service's own.
async fn call(client: &HttpClient, url: &str, due: Timestamp) {
    let request = Request::post(url)
        .header("Content-Type", "application/json")
        .header("User-Agent", "ksana-bench")
        .header("X-Ksana-Run-Id", "01a2049e-10e1-7277-ada1-5ad110d666a9")
        .header("X-Ksana-Job-Id", "01a2049e-10e1-7277-ada1-5ad110d666a9")
        .header("X-Ksana-Scheduled-At", due.to_string())
        .header("X-Ksana-Attempt", "1")
        .body(&b"{\"report\":\"nightly\",\"full\":true}"[..])
        .expect("the request is valid");
    let mut answer = client.send_async(request).await.expect("the receiver answers");
    assert!(answer.status().is_success());
    answer.consume().await.expect("the answer is whole");
}
