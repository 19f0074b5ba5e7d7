//! Starting the app: what may get better by itself is waited for, anything else is an error.

use super::{exit, signals::Stop};
use crate::{app::App, backoff::Backoff, error::WorkerError};
use std::time::Duration;

/// Between two attempts to reach a server.
const PAUSE: Backoff = Backoff::exp(Duration::from_millis(500)).max(Duration::from_secs(10));

/// Starts the app, however long its servers take to come. `false` if the process was asked to stop meanwhile.
pub(super) async fn started(app: &App, stop: &Stop) -> Result<bool, WorkerError> {
    for attempt in 1.. {
        let outcome = tokio::select! {
            outcome = app.started() => outcome,
            () = stop.graceful.cancelled() => return Ok(false),
        };
        match outcome {
            Ok(()) => return Ok(true),
            Err(error) if may_pass(&error) => {
                let pause = PAUSE.jittered(attempt, fastrand::f64());
                tracing::warn!(attempt, "{}; trying again in {:.1} s", exit::chain(&error), pause.as_secs_f64());
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = stop.graceful.cancelled() => return Ok(false),
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// Whether the same start may succeed later without anything being changed here.
fn may_pass(error: &WorkerError) -> bool {
    match error {
        WorkerError::Broker(error) => error.is_retryable(),
        WorkerError::Results(error) => error.is_retryable(),
        _ => false,
    }
}
