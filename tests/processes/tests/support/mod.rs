//! What the tests of real processes and private servers share.

#![allow(dead_code, unreachable_pub, missing_docs, missing_debug_implementations)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod gate;
pub mod ledger;

use ledger::Ledger;
use std::process::Stdio;
use taskq_faults::{
    rabbit::Client,
    shared::{amqp_url, redis_url},
};
use taskq_process_tests::{LEDGER, QUEUE};
use tokio::process::{Child, Command};

/// The servers that a process or an app works with.
#[derive(Clone)]
pub struct Servers {
    pub amqp: String,
    pub redis: String,
}

impl Servers {
    /// Those that all tests share.
    pub fn shared() -> Self {
        Servers { amqp: amqp_url(), redis: redis_url() }
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
        taskq_process_tests::broker(&self.amqp)
            .with_result_backend(RedisResults::new(&*self.redis))
            .with_default_queue(queue)
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
        Client::of(&self.amqp).await.delete_with_letters(queue).await;
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

/// The text of an error and of its sources.
pub fn chain(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(Some(error), |error| error.source());
    sources.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
