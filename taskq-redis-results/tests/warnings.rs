//! What the log says of a server: that it drops results, that it is away; and never a password.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    io,
    sync::{Arc, Mutex},
};
use support::{Server, TTL, eventually, record};
use taskq_core::{ResultBackend, TaskId};
use taskq_redis_results::RedisResults;

/// The log of this process; the connections run on a thread that a test's own subscriber would not hear.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

#[tokio::test]
async fn the_log_tells_of_eviction_and_of_outages_without_a_secret() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .init();
    let mut server = Server::start(&["--requirepass", "s3cret", "--maxmemory-policy", "allkeys-lru"]).await;
    let results = RedisResults::new(format!("redis://:s3cret@127.0.0.1:{}", server.port()));
    results.startup().await.unwrap();
    assert!(log.text().contains("its `maxmemory-policy` is `allkeys-lru`; set `noeviction`"), "{}", log.text());
    server.kill();
    assert!(results.store(&TaskId::new(), &record(0), TTL).await.is_err());
    server.run().await;
    eventually("it is connected again", async || results.fetch(&TaskId::new()).await.is_ok()).await;
    let text = log.text();
    assert_eq!(text.matches("the result store is away; trying again").count(), 1, "{text}");
    assert_eq!(text.matches("the result store answers again").count(), 1, "{text}");
    let refused = RedisResults::new(format!("redis://:wr0ng-s3cret@127.0.0.1:{}", server.port()));
    assert!(refused.startup().await.is_err());
    assert!(!log.text().contains("s3cret"), "{}", log.text());
}
