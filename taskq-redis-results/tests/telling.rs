//! Telling those who wait: also by a process that ends right after it has stored a result.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use futures_util::StreamExt;
use redis::AsyncTypedCommands;
use support::{TTL, record};
use taskq_core::{ResultBackend, TaskId};
use taskq_faults::{shared::redis_url, wait::ended};
use taskq_redis_results::RedisResults;

/// Whoever waits enters a set and listens on a channel; here that is done by hand, to hear of the message itself and not of a
/// later look.
#[tokio::test(flavor = "multi_thread")]
async fn who_waits_is_told_by_a_process_that_ends_right_after_it_has_stored() {
    let client = redis::Client::open(redis_url()).unwrap();
    let mut server = client.get_multiplexed_async_connection().await.unwrap();
    let prefix = format!("telling-{}", TaskId::new());
    let (mut sink, mut told) = client.get_async_pubsub().await.unwrap().split();
    sink.subscribe(format!("{prefix}:wake:listener")).await.unwrap();
    for _ in 0..50 {
        let ids: Vec<TaskId> = (0..20).map(|_| TaskId::new()).collect();
        for id in &ids {
            server.sadd(format!("{prefix}:{{{id}}}:w"), "listener").await.unwrap();
        }
        let results = RedisResults::new(redis_url()).prefix(&prefix);
        let kept = record(0);
        let records: Vec<_> = ids.iter().map(|id| (id.clone(), kept.clone(), TTL)).collect();
        let stored = results.store_many(&records).await;
        assert!(stored.iter().all(|stored| matches!(stored, Ok(None))), "{stored:?}");
        results.close().await;
        drop(results);
        for id in &ids {
            let message = ended(told.next()).await.expect("the subscription has ended");
            assert_eq!(message.get_payload_bytes(), id.as_str().as_bytes());
        }
        for id in &ids {
            server.del(&[format!("{prefix}:{{{id}}}:w"), format!("{prefix}:{{{id}}}:r")]).await.unwrap();
        }
    }
}
