//! Results over servers that die, hang, come back, and drop connections.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;
use support::{TTL, record};
use taskq_core::{ResultBackend, ResultError, TaskId};
use taskq_faults::{
    redis::{Redis, Settings},
    wait::{ended, eventually},
};
use taskq_redis_results::RedisResults;
use tokio::time::{Instant, sleep, timeout};

/// A wait that has certainly registered: `begun` polls it long enough.
async fn begun<F: Future + Unpin>(wait: &mut F) {
    assert!(timeout(Duration::from_millis(400), wait).await.is_err(), "it ended before its time");
}

#[tokio::test]
async fn waits_ride_out_a_server_that_is_killed_and_restarted() {
    let mut server = Redis::start().await.unwrap();
    let (one, other) = (RedisResults::new(server.url()), RedisResults::new(server.url()));
    let (before, during) = (TaskId::new(), TaskId::new());
    let mut first = one.wait(&before, 0);
    begun(&mut first).await;
    server.kill();
    let mut second = one.wait(&during, 0);
    begun(&mut second).await;
    begun(&mut first).await;
    server.run().await.unwrap();
    for id in [&before, &during] {
        assert_eq!(ended(other.store(id, &record(0), TTL)).await.unwrap(), None);
    }
    assert_eq!(ended(first).await.unwrap().task, "test.task");
    assert_eq!(ended(second).await.unwrap().task, "test.task");
}

#[tokio::test]
async fn a_wait_rides_out_a_server_that_comes_back_empty() {
    let mut server = Settings::new().option("appendonly", "no").start().await.unwrap();
    let (one, other) = (RedisResults::new(server.url()), RedisResults::new(server.url()));
    let id = TaskId::new();
    let mut wait = one.wait(&id, 0);
    begun(&mut wait).await;
    server.kill();
    server.run().await.unwrap();
    other.store(&id, &record(0), TTL).await.unwrap();
    ended(wait).await.unwrap();
}

#[tokio::test]
async fn a_store_during_a_restart_is_done_when_the_server_is_back() {
    let mut server = Redis::start().await.unwrap();
    let results = RedisResults::new(server.url());
    results.startup().await.unwrap();
    for round in [0, 1] {
        let (id, kept) = (TaskId::new(), record(round));
        server.kill();
        let mut store = results.store(&id, &kept, TTL);
        begun(&mut store).await;
        server.run().await.unwrap();
        assert_eq!(store.await.unwrap(), None);
        assert_eq!(results.fetch(&id).await.unwrap(), Some(kept));
    }
}

#[tokio::test]
async fn without_a_server_store_and_fetch_fail_in_bounded_time_and_a_later_try_succeeds() {
    let mut server = Redis::start().await.unwrap();
    let url = format!("redis://:s3cret@127.0.0.1:{}", server.port());
    server.kill();
    let results = RedisResults::new(url);
    let id = TaskId::new();
    let kept = record(0);
    let (started, stored, fetched, noted) = ended(async {
        tokio::join!(
            results.startup(),
            results.store(&id, &kept, TTL),
            results.fetch(&id),
            results.track(&id, taskq_core::Step::Running, TTL),
        )
    })
    .await;
    for error in [started.unwrap_err(), stored.unwrap_err(), fetched.unwrap_err(), noted.unwrap_err()] {
        assert!(matches!(error, ResultError::Store { .. }), "{error:?}");
        assert!(error.is_retryable());
        assert!(error.to_string().contains(&format!("127.0.0.1:{}", server.port())), "{error}");
        assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
    }
    server.run().await.unwrap();
    let results = RedisResults::new(server.url());
    assert_eq!(results.store(&id, &kept, TTL).await.unwrap(), None);
}

#[tokio::test]
async fn a_server_that_hangs_for_more_than_half_a_second_is_waited_for() {
    let server = Redis::start().await.unwrap();
    let results = RedisResults::new(server.url());
    let (stored, waited) = (TaskId::new(), TaskId::new());
    let kept = record(0);
    results.startup().await.unwrap();
    server.freeze().unwrap();
    let mut store = results.store(&stored, &kept, TTL);
    let mut wait = results.wait(&waited, 0);
    sleep(Duration::from_millis(1500)).await;
    begun(&mut store).await;
    begun(&mut wait).await;
    server.thaw().unwrap();
    assert_eq!(store.await.unwrap(), None);
    results.store(&waited, &kept, TTL).await.unwrap();
    assert_eq!(ended(wait).await.unwrap(), kept);
}

#[tokio::test]
async fn a_server_that_hangs_for_long_fails_commands_and_is_used_again_afterwards() {
    let server = Redis::start().await.unwrap();
    let results = RedisResults::new(server.url());
    let (id, kept) = (TaskId::new(), record(0));
    results.startup().await.unwrap();
    server.freeze().unwrap();
    let error = ended(results.store(&id, &kept, TTL)).await.unwrap_err();
    assert!(matches!(error, ResultError::Store { .. }), "{error:?}");
    server.thaw().unwrap();
    // Whether the first try arrived is not known; the second one succeeds either way.
    assert_eq!(ended(results.store(&id, &kept, TTL)).await.unwrap(), None);
    assert_eq!(results.fetch(&id).await.unwrap(), Some(kept));
}

#[tokio::test]
async fn a_lost_subscription_loses_no_wake_up() {
    let server = Redis::start().await.unwrap();
    let (one, other) = (RedisResults::new(server.url()), RedisResults::new(server.url()));
    for _ in 0..20 {
        let (id, kept) = (TaskId::new(), record(0));
        let mut wait = one.wait(&id, 0);
        assert!(timeout(Duration::from_millis(50), &mut wait).await.is_err());
        server.drop_subscribers().await.unwrap();
        other.store(&id, &kept, TTL).await.unwrap();
        assert_eq!(ended(wait).await.unwrap(), kept);
    }
}

#[tokio::test]
async fn a_wait_is_woken_by_push_again_after_its_subscription_was_lost() {
    let server = Redis::start().await.unwrap();
    let (one, other) = (RedisResults::new(server.url()), RedisResults::new(server.url()));
    let id = TaskId::new();
    let mut wait = one.wait(&id, 0);
    begun(&mut wait).await;
    server.drop_subscribers().await.unwrap();
    // Looks without a push come 1 and 3 seconds after the first, and the next of them at 7 seconds.
    assert!(timeout(Duration::from_secs(4), &mut wait).await.is_err());
    other.store(&id, &record(0), TTL).await.unwrap();
    let stored = Instant::now();
    ended(wait).await.unwrap();
    assert!(stored.elapsed() < Duration::from_secs(2), "it was not pushed but looked for");
}

#[tokio::test]
async fn all_connections_cut_again_and_again_lose_nothing() {
    let server = Redis::start().await.unwrap();
    let (one, other) = (RedisResults::new(server.url()), RedisResults::new(server.url()));
    let ids: Vec<TaskId> = (0..200).map(|_| TaskId::new()).collect();
    let cutting = async {
        loop {
            sleep(Duration::from_millis(20)).await;
            server.drop_clients().await.unwrap();
        }
    };
    let waits = futures_util::future::join_all(ids.iter().map(|id| one.wait(id, 0)));
    let stores = async {
        for id in &ids {
            assert_eq!(other.store(id, &record(0), TTL).await.unwrap(), None);
            sleep(Duration::from_millis(2)).await;
        }
    };
    let cut_all_the_while = async {
        tokio::select! {
            () = cutting => {}
            () = stores => {}
        }
    };
    let (waited, ()) = ended(async { tokio::join!(waits, cut_all_the_while) }).await;
    assert!(waited.iter().all(Result::is_ok));
}

#[tokio::test]
async fn a_store_whose_caller_gave_up_is_done_all_the_same() {
    let server = Redis::start().await.unwrap();
    let results = RedisResults::new(server.url());
    let (id, kept) = (TaskId::new(), record(0));
    results.startup().await.unwrap();
    server.freeze().unwrap();
    assert!(timeout(Duration::from_millis(100), results.store(&id, &kept, TTL)).await.is_err());
    server.thaw().unwrap();
    eventually("the record is there", async || results.fetch(&id).await.unwrap().is_some()).await;
}

#[tokio::test]
async fn a_closed_backend_has_no_connection_and_can_be_used_again() {
    let server = Redis::start().await.unwrap();
    let results = RedisResults::new(server.url());
    let (id, kept) = (TaskId::new(), record(0));
    results.store(&id, &kept, TTL).await.unwrap();
    ended(results.wait(&id, 0)).await.unwrap();
    results.close().await;
    eventually("only this test is connected", async || {
        let clients = server.command(&["CLIENT", "LIST"]).await.unwrap().text().unwrap();
        clients.lines().count() == 1
    })
    .await;
    assert_eq!(ended(results.fetch(&id)).await.unwrap(), Some(kept));
}

#[tokio::test]
async fn a_server_that_lets_in_and_takes_no_writes_is_not_stormed() {
    let server = Redis::start().await.unwrap();
    let results = RedisResults::new(server.url());
    results.startup().await.unwrap();
    // A replica of nobody: it answers READONLY to every write, as a former primary does.
    server.command(&["REPLICAOF", "127.0.0.1", "1"]).await.unwrap();
    let before = server.connections_made().await.unwrap();
    let failed = results.store(&TaskId::new(), &record(0), TTL).await.unwrap_err();
    assert!(matches!(failed, ResultError::Store { .. }), "{failed:?}");
    // The question makes one too.
    let made = server.connections_made().await.unwrap() - before - 1;
    assert!((2..=20).contains(&made), "{made} connections within the 5 seconds of one command");
    server.command(&["REPLICAOF", "NO", "ONE"]).await.unwrap();
    ended(async { while results.store(&TaskId::new(), &record(0), TTL).await.is_err() {} }).await;
}
