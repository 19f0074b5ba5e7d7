//! The contract of result backends, against the Redis that is there, or a private one where there is none.

mod support;

use support::Server;
use taskq_conformance::ResultsHarness;
use taskq_redis_results::RedisResults;

/// Every test has a prefix of its own; its keys are gone a minute after it.
struct Redis {
    url: String,
    prefix: String,
    _private: Option<Server>,
}

impl Redis {
    async fn find() -> Self {
        let prefix = format!("taskq-test-{}", taskq_core::TaskId::new());
        if let Some(url) = support::shared_url() {
            return Redis { url, prefix, _private: None };
        }
        let server = Server::start(&[]).await;
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
