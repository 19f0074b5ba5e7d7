//! Tasks whose runs leave a trace that outlives their process, and the app that runs them.

pub mod doubtful;
pub mod history;

use std::{
    env,
    fs::OpenOptions,
    io::{self, Write},
    time::Duration,
};
use taskq::prelude::*;

/// Where the app finds its queue's name.
pub const QUEUE: &str = "TASKQ_PROCESS_TEST_QUEUE";
/// Where tasks find the file that they note their runs in.
pub const LEDGER: &str = "TASKQ_PROCESS_TEST_LEDGER";

/// Where the app finds how long it holds results that Redis does not take.
pub const RESULT_PATIENCE: &str = "TASKQ_PROCESS_TEST_RESULT_PATIENCE";

/// Notes its start and its end, and says which process ran it.
///
/// # Errors
/// The ledger cannot be written.
#[task]
pub async fn nap(ctx: TaskContext, millis: u64) -> Result<u32, io::Error> {
    note("start", &ctx)?;
    tokio::time::sleep(Duration::from_millis(millis)).await;
    note("end", &ctx)?;
    Ok(std::process::id())
}

/// The same, acknowledged before it runs.
///
/// # Errors
/// The ledger cannot be written.
#[task(ack = "on_receive")]
pub async fn nap_at_most_once(ctx: TaskContext, millis: u64) -> Result<u32, io::Error> {
    nap::inner(ctx, millis).await
}

/// The same, and then fails for good.
///
/// # Errors
/// Always.
#[task(retry = 3)]
pub async fn nap_and_fail(ctx: TaskContext, millis: u64) -> Result<u32, TaskError> {
    nap::inner(ctx, millis).await.map_err(TaskError::permanent)?;
    Err(TaskError::permanent("slept badly"))
}

/// Fails once, is tracked, and has its result kept for a minute.
///
/// # Errors
/// The first run fails; the ledger cannot be written.
#[task(retry = 1, backoff = "fixed(200ms)", track, result_ttl = "1m")]
pub async fn nap_twice(ctx: TaskContext, millis: u64) -> Result<u32, io::Error> {
    let attempt = ctx.attempt();
    let process = nap::inner(ctx, millis).await?;
    if attempt == 1 { Err(io::Error::other("not tired yet")) } else { Ok(process) }
}

/// One line, in one write, so that lines of several processes do not mix.
pub(crate) fn note(what: &str, ctx: &TaskContext) -> io::Result<()> {
    let Ok(path) = env::var(LEDGER) else { return Ok(()) };
    let (process, now) = (std::process::id(), taskq::UnixMillis::now().0);
    let line = format!("{what} {} {process} {} {now}\n", ctx.task_id(), ctx.attempt());
    OpenOptions::new().append(true).create(true).open(path)?.write_all(line.as_bytes())
}

/// The app, at the addresses of the test servers.
pub fn app() -> App {
    let variable = |name: &str, default: &str| env::var(name).unwrap_or_else(|_| default.to_owned());
    broker(&variable("TASKQ_TEST_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2f"))
        .with_result_backend(RedisResults::new(variable("TASKQ_TEST_REDIS_URL", "redis://127.0.0.1:6379")))
        .with_default_queue(variable(QUEUE, "taskq-process-test"))
        .with_result_patience(variable(RESULT_PATIENCE, "60s"))
}

/// A broker at these addresses: one, or those of the nodes of a cluster with commas between.
pub fn broker(urls: &str) -> AmqpBroker {
    let (first, others) = urls.split_once(',').map_or((urls, None), |(first, others)| (first, Some(others)));
    others.into_iter().flat_map(|others| others.split(',')).fold(AmqpBroker::new(first), AmqpBroker::host)
}
