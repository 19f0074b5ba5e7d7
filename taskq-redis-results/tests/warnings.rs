//! What the log says of a server: that it drops results, that it is away; and never a password.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use support::{TTL, record};
use taskq_core::{ResultBackend, TaskId};
use taskq_faults::{
    log::{LevelFilter, Log},
    redis::Settings,
    wait::eventually,
};
use taskq_redis_results::RedisResults;

#[tokio::test]
async fn the_log_tells_of_eviction_and_of_outages_without_a_secret() {
    let log = Log::start(LevelFilter::TRACE);
    let settings = Settings::new().option("requirepass", "s3cret").option("maxmemory-policy", "allkeys-lru");
    let mut server = settings.start().await.unwrap();
    let results = RedisResults::new(format!("redis://:s3cret@127.0.0.1:{}", server.port()));
    results.startup().await.unwrap();
    assert!(log.text().contains("its `maxmemory-policy` is `allkeys-lru`; set `noeviction`"), "{}", log.text());
    server.kill();
    assert!(results.store(&TaskId::new(), &record(0), TTL).await.is_err());
    server.run().await.unwrap();
    eventually("it is connected again", async || results.fetch(&TaskId::new()).await.is_ok()).await;
    let text = log.text();
    assert_eq!(text.matches("the result store is away; trying again").count(), 1, "{text}");
    assert_eq!(text.matches("the result store answers again").count(), 1, "{text}");
    let refused = RedisResults::new(format!("redis://:wr0ng-s3cret@127.0.0.1:{}", server.port()));
    assert!(refused.startup().await.is_err());
    assert!(!log.text().contains("s3cret"), "{}", log.text());
}
