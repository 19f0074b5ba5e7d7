//! The contract of result backends, against the Redis that is there, or a private one where there is none.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{env, net::TcpStream};
use taskq_conformance::ResultsHarness;
use taskq_faults::{redis, shared::redis_url};
use taskq_redis_results::RedisResults;

/// Every test has a prefix of its own; its keys are gone a minute after it.
struct Redis {
    url: String,
    prefix: String,
    _private: Option<redis::Redis>,
}

impl Redis {
    async fn find() -> Self {
        let prefix = format!("taskq-test-{}", taskq_core::TaskId::new());
        if env::var_os("TASKQ_TEST_REDIS_URL").is_some() || TcpStream::connect("127.0.0.1:6379").is_ok() {
            return Redis { url: redis_url(), prefix, _private: None };
        }
        let server = redis::Redis::start().await.unwrap();
        Redis { url: server.url(), prefix, _private: Some(server) }
    }
}

impl ResultsHarness for Redis {
    type Results = RedisResults;

    async fn connect(&self) -> RedisResults {
        RedisResults::new(&self.url).prefix(&self.prefix)
    }
}

taskq_conformance::results_suite!(Redis::find().await);
