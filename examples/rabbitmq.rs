//! The same path on real servers: RabbitMQ carries the tasks, Redis keeps the results.
//!
//! Needs both on localhost (`docker compose up -d`), or their addresses in `TASKQ_AMQP_URL` and `TASKQ_REDIS_URL`. Run
//! with `cargo run --example rabbitmq`. You should see:
//!
//! ```text
//! 1 + 2 = 3
//! attempt 2 succeeded
//! a delayed task ran, not before its time
//! 1000 tasks gave 499500
//! ```

#![allow(missing_docs, clippy::print_stdout)]

use std::time::{Duration, Instant};
use taskq::prelude::*;

#[task(queue = "taskq-example", retry = 3, timeout = "300s")]
async fn add(a: i64, b: i64) -> i64 {
    a + b
}

#[task(queue = "taskq-example", retry = 3, backoff = "fixed(200ms)")]
async fn second_time_lucky(ctx: TaskContext) -> Result<u32, String> {
    if ctx.attempt() == 1 { Err("not at the first attempt".into()) } else { Ok(ctx.attempt()) }
}

fn broker() -> App {
    let amqp = std::env::var("TASKQ_AMQP_URL").unwrap_or("amqp://guest:guest@localhost:5672/%2f".into());
    let redis = std::env::var("TASKQ_REDIS_URL").unwrap_or("redis://localhost:6379".into());
    AmqpBroker::new(amqp).with_result_backend(RedisResults::new(redis)).with_default_queue("taskq-example")
}

#[tokio::main]
async fn main() -> taskq::Result<()> {
    let app = broker();
    app.startup().await?;
    // Usually another process: `taskq worker my_app::broker`.
    let worker = tokio::spawn(app.worker().concurrency(50).run_until(tokio::signal::ctrl_c()));

    println!("1 + 2 = {}", add.kiq(1, 2).await?.wait_result().await?.into_value()?);
    println!("attempt {} succeeded", second_time_lucky.kiq().await?.wait_result().await?.into_value()?);

    let asked = Instant::now();
    add.kiq(0, 0).delay("700ms").await?.wait_result().await?;
    let due = asked.elapsed() >= Duration::from_millis(700);
    println!("a delayed task ran, {}", if due { "not before its time" } else { "too early" });

    let handles = app.kiq_many((0..1000).map(|n| add(n, 0))).await?;
    let mut sum = 0;
    for handle in &handles {
        sum += handle.wait_result().await?.into_value()?;
    }
    println!("{} tasks gave {sum}", handles.len());
    worker.abort();
    app.shutdown().await?;
    Ok(())
}
