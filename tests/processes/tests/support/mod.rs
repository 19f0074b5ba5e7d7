//! What the tests of real processes and private servers share.

#![allow(dead_code, unreachable_pub, missing_docs, missing_debug_implementations)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod gate;
pub mod ledger;
pub mod lossy;
pub mod node;
pub mod redis;
pub mod relay;

use ledger::Ledger;
use std::{net::TcpListener, process::Stdio, time::Duration};
use taskq_process_tests::{LEDGER, QUEUE};
use tokio::{
    process::{Child, Command},
    time::Instant,
};

/// Longer than anything here takes; a test that waits so long has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The servers that a process or an app works with.
#[derive(Clone)]
pub struct Servers {
    pub amqp: String,
    pub redis: String,
}

impl Servers {
    /// Those that all tests share.
    pub fn shared() -> Self {
        let variable = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
        Servers {
            amqp: variable("TASKQ_TEST_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2f"),
            redis: variable("TASKQ_TEST_REDIS_URL", "redis://127.0.0.1:6379"),
        }
    }

    pub fn with_amqp(mut self, url: impl Into<String>) -> Self {
        self.amqp = url.into();
        self
    }

    pub fn with_redis(mut self, url: impl Into<String>) -> Self {
        self.redis = url.into();
        self
    }

    pub fn app(&self, queue: &str) -> taskq::App {
        use taskq::prelude::*;
        AmqpBroker::new(&*self.amqp).with_result_backend(RedisResults::new(&*self.redis)).with_default_queue(queue)
    }

    /// One of this package's programs, which works with these servers.
    pub fn command(&self, program: &str, queue: &str) -> Command {
        let mut command = Command::new(program);
        command.env("TASKQ_TEST_AMQP_URL", &self.amqp).env("TASKQ_TEST_REDIS_URL", &self.redis).env(QUEUE, queue);
        command.env("RUST_LOG", "error").stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        command
    }

    /// A worker process.
    pub fn worker(&self, queue: &str, ledger: &Ledger, flags: &[&str]) -> Child {
        let mut command = self.command(env!("CARGO_BIN_EXE_process-test-worker"), queue);
        command.env(LEDGER, ledger.path()).args(flags).spawn().unwrap()
    }

    /// Deletes the queue and that of its dead letters.
    pub async fn delete(&self, queue: &str) {
        let connection = lapin::Connection::connect(&self.amqp, lapin::ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        for name in [queue.to_owned(), format!("{queue}.dead")] {
            let _ = channel.queue_delete(name.into(), Default::default()).await;
        }
        let _ = connection.close(200, "done".into()).await;
    }
}

pub fn unique(label: &str) -> String {
    format!("test-{label}-{}", taskq::TaskId::new())
}

/// Sends a process a signal: `TERM`, `STOP`.
pub async fn signal(process: &Child, signal: &str) {
    let id = process.id().expect("a running process").to_string();
    assert!(Command::new("kill").args([&format!("-{signal}"), &*id]).status().await.unwrap().success());
}

/// Waits until `condition` holds.
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !condition().await {
        assert!(began.elapsed() < PATIENCE, "this did not come true: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Fails the test instead of hanging it.
pub async fn ended<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("it did not end")
}

/// A port that nobody listens on, outside the range of outgoing connections, so that it stays free while a server that
/// had it is down.
pub fn free_port() -> u16 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let offset = std::process::id().wrapping_mul(89).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % 8_000;
        let port = 22_000 + offset as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// The text of an error and of its sources.
pub fn chain(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(Some(error), |error| error.source());
    sources.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
