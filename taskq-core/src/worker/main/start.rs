//! Starting the app: what may get better by itself is waited for, anything else is an error.

use super::{exit, signals::Stop};
use crate::{app::App, backoff::Backoff, error::WorkerError, worker::Worker};
use std::time::Duration;

/// Between two attempts to reach a server.
const PAUSE: Backoff = Backoff::exp(Duration::from_millis(500)).max(Duration::from_secs(10));

/// Starts the app, however long its servers take to come. `false` if the process was asked to stop meanwhile.
pub(super) async fn started(app: &App, stop: &Stop) -> Result<bool, WorkerError> {
    let mut failures = Failures::default();
    loop {
        let outcome = tokio::select! {
            outcome = app.started() => outcome,
            () = stop.graceful.cancelled() => return Ok(false),
        };
        match outcome {
            Ok(()) => return Ok(true),
            Err(error) => failures.endure(error, stop).await?,
        }
    }
}

/// Runs the worker; a server that goes away before the queues are consumed is waited for too.
pub(super) async fn run(worker: Worker, stop: &Stop) -> Result<(), WorkerError> {
    let mut failures = Failures::default();
    loop {
        match worker.clone().run_until_stopped(stop.graceful.clone(), stop.immediate.clone()).await {
            Err(error) if !stop.graceful.is_cancelled() => failures.endure(error, stop).await?,
            outcome => return outcome,
        }
        if stop.graceful.is_cancelled() {
            return Ok(());
        }
    }
}

#[derive(Default)]
struct Failures(u32);

impl Failures {
    /// Says what went wrong, and waits before the next attempt, or until the process is asked to stop. Gives back an
    /// error that no waiting mends.
    async fn endure(&mut self, error: WorkerError, stop: &Stop) -> Result<(), WorkerError> {
        if !error.is_retryable() {
            return Err(error);
        }
        self.0 += 1;
        let pause = PAUSE.jittered(self.0, fastrand::f64());
        tracing::warn!(attempt = self.0, "{}; trying again in {:.1} s", exit::chain(&error), pause.as_secs_f64());
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.graceful.cancelled() => {}
        }
        Ok(())
    }
}
