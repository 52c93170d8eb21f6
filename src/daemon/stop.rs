//! The end: in reverse order, within bounds.

use std::process::ExitCode;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::Scheduler;
use crate::api::Server;
use crate::executor::Executor;
use crate::keys::KeyWatcher;
use crate::limits::{LOG_FLUSH_MILLIS, SHUTDOWN_ATTEMPTS_SECS, SHUTDOWN_REQUESTS_SECS};
use crate::scheduler::{Fatal, Order};
use crate::vitals::Vitals;

/// Takes no more requests, starts nothing, lets attempts in flight end, saves.
pub(super) async fn shut_down(
    vitals: &Vitals,
    keys: KeyWatcher,
    executor: Executor,
    scheduler: Scheduler,
    server: Server,
    review: JoinHandle<()>,
) -> ExitCode {
    let deadline = Instant::now() + Duration::from_secs(SHUTDOWN_ATTEMPTS_SECS);
    vitals.set_shutting_down();
    // Where the scheduler is gone already, `ended` says why.
    let _ = scheduler.orders.send(Order::Rest).await;
    if !server.shut_down(Duration::from_secs(SHUTDOWN_REQUESTS_SECS)).await {
        tracing::warn!("requests that were still being answered were cut off");
    }
    let _ = scheduler.orders.send(Order::End(deadline)).await;
    let result = scheduler.ended.recv().await.unwrap_or(Err(Fatal::Panicked));
    let is_clean = matches!(result, Ok(0));
    let code = told(result);
    if is_clean {
        // The scheduler's end closed their channels, and nothing is in flight: they end at once.
        let _ = scheduler.thread.join();
        let _ = executor.join();
        let _ = review.join();
        keys.stop(Duration::from_millis(LOG_FLUSH_MILLIS));
    }
    code
}

pub(super) fn told(result: Result<usize, Fatal>) -> ExitCode {
    match result {
        Ok(in_flight) => {
            if in_flight > 0 {
                tracing::warn!(in_flight, "attempts that did not end in time are left to the next start");
            }
            tracing::info!("stopped");
            ExitCode::SUCCESS
        }
        Err(fatal) => {
            tracing::error!("{fatal}");
            ExitCode::FAILURE
        }
    }
}
