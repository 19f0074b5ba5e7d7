//! Every way to say when and whether a failing task runs again. Time is paused, so an hour of waiting takes no time.
//!
//! Run with `cargo run --example retries`. You should see:
//!
//! ```text
//! patient: done at attempt 4, [..] later
//! scheduled by its error: done at attempt 2, 900 s later
//! permanent: failed after 1 attempt
//! transient errors only: failed after 3 attempts
//! discarded: no dead letter
//! dead letters: 2
//! ```

#![allow(missing_docs, clippy::print_stdout)]

use std::fmt;
use taskq::{TaskError, prelude::*};
use tokio::time::Instant;

/// Waits 1, 5 and 30 minutes, or half as long: a delay is drawn from its upper half.
#[task(retry = 3, backoff = "list(1m, 5m, 30m)")]
async fn patient(ctx: TaskContext) -> Result<u32, String> {
    if ctx.is_last_attempt() { Ok(ctx.attempt()) } else { Err("not yet".into()) }
}

/// The error itself says when to come back.
#[task(retry = 3)]
async fn bank_transfer(ctx: TaskContext) -> Result<u32, TaskError> {
    if ctx.attempt() == 1 { Err(TaskError::retry_in("the bank is closed", "15m")) } else { Ok(ctx.attempt()) }
}

/// No retry can help here; the mark is found through `anyhow` too.
#[task(retry = 3)]
async fn invalid_card() -> anyhow::Result<()> {
    use anyhow::Context;
    Err(TaskError::permanent("card number is too short")).context("while charging")
}

#[derive(Debug)]
enum HttpError {
    Status(u16),
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HttpError::Status(status) = self;
        write!(f, "status {status}")
    }
}

impl std::error::Error for HttpError {}

impl HttpError {
    fn is_transient(&self) -> bool {
        matches!(self, HttpError::Status(500..))
    }
}

/// A predicate decides which errors are worth another run.
#[task(retry = 9, backoff = "fixed(1m)", retry_on = HttpError::is_transient)]
async fn fetch(ctx: TaskContext) -> Result<(), HttpError> {
    Err(HttpError::Status(if ctx.attempt() < 3 { 503 } else { 404 }))
}

/// Not worth a retry, nor a dead letter.
#[task(retry = 3)]
async fn stale_notification() -> Result<(), TaskError> {
    Err(TaskError::discard("nobody is online any more"))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> taskq::Result<()> {
    tokio::time::pause();
    let broker = InMemoryBroker::new();
    let app = broker.clone().into_app();
    app.startup().await?;

    let began = Instant::now();
    let attempt = patient.kiq().await?.wait_result().await?.into_value()?;
    println!("patient: done at attempt {attempt}, {} s later", began.elapsed().as_secs());

    let began = Instant::now();
    let attempt = bank_transfer.kiq().await?.wait_result().await?.into_value()?;
    println!("scheduled by its error: done at attempt {attempt}, {} s later", began.elapsed().as_secs());

    let result = invalid_card.kiq().await?.wait_result().await?;
    println!("permanent: failed after {} attempt", result.attempts());

    let result = fetch.kiq().await?.wait_result().await?;
    println!("transient errors only: failed after {} attempts", result.attempts());

    let result = stale_notification.kiq().await?.wait_result().await?;
    println!("{}: no dead letter", format!("{:?}", result.status()).to_lowercase());

    broker.wait_idle().await;
    println!("dead letters: {}", broker.dead_letters("taskq").len());
    Ok(())
}
