//! The whole path inside one process: no server, no network.
//!
//! Run with `cargo run --example quickstart`. You should see:
//!
//! ```text
//! == a task and its result
//! 1 + 2 = 3
//! the plain call runs here: 1 + 2 = 3
//!
//! == a hundred at once
//! 0 + 1 + .. + 99 = 4950, by 100 tasks
//!
//! == a task that fails twice and is run again
//!   attempt 1: weather station offline
//!   attempt 2: weather station offline
//!   attempt 3: sunny in Oslo
//! sunny in Oslo, after 3 attempts
//!
//! == a task that is to run in half a second
//!   reminding Ada, [..] ms after it was asked for
//!
//! == a task that gives up
//!   charging -5 cents
//! task failed after 1 attempt (permanent): a charge cannot be negative
//!
//! == what is kept of it, among the dead letters
//! charge in queue taskq: permanent after 1 attempt
//!   error:  a charge cannot be negative
//!   label:  customer = ada
//!
//! == it is mended and sent again
//!   charging 5 cents
//! charged, in round 1
//! ```

#![allow(missing_docs, clippy::print_stdout)]

use std::sync::atomic::{AtomicI64, Ordering};
use taskq::{TaskError, prelude::*};

#[task]
async fn add(a: i64, b: i64) -> i64 {
    a + b
}

#[task(retry = 3, backoff = "fixed(100ms)")]
async fn forecast(ctx: TaskContext, city: &str) -> Result<String, String> {
    let attempt = ctx.attempt();
    let outcome = if attempt < 3 { Err("weather station offline".to_owned()) } else { Ok(format!("sunny in {city}")) };
    println!("  attempt {attempt}: {}", outcome.as_ref().unwrap_or_else(|error| error));
    outcome
}

#[task]
async fn remind(ctx: TaskContext, whom: &str) {
    let waited = taskq::UnixMillis::now().0 - ctx.message().created.0;
    println!("  reminding {whom}, {waited} ms after it was asked for");
}

/// What everybody is charged, kept by the app.
struct Price {
    cents: AtomicI64,
}

#[task(name = "charge")]
async fn charge(price: State<Price>) -> Result<String, TaskError> {
    let cents = price.cents.load(Ordering::SeqCst);
    println!("  charging {cents} cents");
    if cents < 0 {
        return Err(TaskError::permanent("a charge cannot be negative"));
    }
    Ok("charged".to_owned())
}

#[tokio::main]
async fn main() -> taskq::Result<()> {
    let app = InMemoryBroker::new().with_state(Price { cents: AtomicI64::new(-5) });
    app.startup().await?;

    println!("== a task and its result");
    let handle = add.kiq(1, 2).await?;
    println!("1 + 2 = {}", handle.wait_result().await?.into_value()?);
    println!("the plain call runs here: 1 + 2 = {}", add(1, 2).await);

    println!("\n== a hundred at once");
    let handles = app.kiq_many((0..100).map(|n| add(n, 0))).await?;
    let mut sum = 0;
    for handle in &handles {
        sum += handle.wait_result().await?.into_value()?;
    }
    println!("0 + 1 + .. + 99 = {sum}, by {} tasks", handles.len());

    println!("\n== a task that fails twice and is run again");
    let result = forecast.kiq("Oslo").await?.wait_result().await?;
    println!("{}, after {} attempts", result.value().cloned().unwrap_or_default(), result.attempts());

    println!("\n== a task that is to run in half a second");
    remind.kiq("Ada").delay("500ms").await?.wait_result().await?;

    println!("\n== a task that gives up");
    let handle = charge.kiq().label("customer", "ada").await?;
    if let Err(failure) = handle.wait_result().await?.into_value() {
        println!("{failure}");
    }

    println!("\n== what is kept of it, among the dead letters");
    let letters = app.dead_letters("taskq");
    while letters.count().await? == 0 {
        tokio::task::yield_now().await;
    }
    for letter in letters.list(10).await? {
        println!("{} in queue {}: {} after {} attempt", letter.task, letter.queue, letter.kind, letter.attempts);
        println!("  error:  {}", letter.error);
        letter.labels.iter().for_each(|(name, value)| println!("  label:  {name} = {value}"));
    }

    println!("\n== it is mended and sent again");
    let price = app.state().get::<Price>().map_err(taskq::WorkerError::App)?;
    price.cents.store(5, Ordering::SeqCst);
    if let Some(again) = letters.replay(handle.id()).await? {
        let result = again.typed::<String>().wait_result().await?;
        println!("{}, in round {}", result.value().cloned().unwrap_or_default(), result.record().round);
    }
    app.shutdown().await?;
    Ok(())
}
