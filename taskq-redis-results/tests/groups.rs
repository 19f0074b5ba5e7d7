//! Records that are stored together, on whatever runtime.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use futures_util::FutureExt;
use std::{
    pin::pin,
    task::{Context, Poll, Waker},
    thread,
    time::{Duration, Instant},
};
use support::{TTL, record};
use taskq_core::{ResultBackend, ResultError, ResultRecord, TaskId};
use taskq_faults::{
    redis::Redis,
    shared::redis_url,
    wait::{PATIENCE, ended, eventually},
};
use taskq_redis_results::RedisResults;
use tokio::runtime::{Builder, Runtime};

fn single() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn group(size: usize) -> Vec<(TaskId, ResultRecord, Duration)> {
    (0..size).map(|_| (TaskId::new(), record(0), TTL)).collect()
}

async fn is_stored(results: &RedisResults, group: &[(TaskId, ResultRecord, Duration)]) -> bool {
    for (id, record, _) in group {
        if results.fetch(id).await.unwrap().as_ref() != Some(record) {
            return false;
        }
    }
    true
}

/// What `store_many` gave for each.
fn are_kept(stored: &[Result<Option<ResultRecord>, ResultError>]) {
    assert!(stored.iter().all(|stored| matches!(stored, Ok(None))), "{stored:?}");
}

async fn store(results: &RedisResults) {
    let group = group(3);
    are_kept(&ended(results.store_many(&group)).await);
    assert!(is_stored(results, &group).await);
}

#[test]
fn one_runtime_after_the_other_stores() {
    let results = RedisResults::new(redis_url());
    for _ in 0..3 {
        single().block_on(store(&results));
    }
}

#[test]
fn two_runtimes_store_by_turns() {
    let (results, one, other) = (RedisResults::new(redis_url()), single(), single());
    for _ in 0..3 {
        one.block_on(store(&results));
        other.block_on(store(&results));
    }
}

#[test]
fn a_runtime_that_has_no_connections_stores_as_well() {
    let results = RedisResults::new(redis_url());
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    for _ in 0..3 {
        runtime.block_on(store(&results));
    }
}

#[test]
fn who_is_on_no_runtime_stores_as_well() {
    let results = RedisResults::new(redis_url());
    let group = group(3);
    are_kept(&on_no_runtime(results.store_many(&group)));
}

/// Polls it where there is no runtime.
fn on_no_runtime<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let (mut cx, began) = (Context::from_waker(Waker::noop()), Instant::now());
    loop {
        assert!(began.elapsed() < PATIENCE, "it did not end");
        if let Poll::Ready(done) = future.as_mut().poll(&mut cx) {
            return done;
        }
        thread::yield_now();
    }
}

#[tokio::test(start_paused = true)]
async fn where_time_stands_still_nothing_is_taken_for_an_outage() {
    let results = RedisResults::new(redis_url());
    for _ in 0..3 {
        are_kept(&results.store_many(&group(3)).await);
    }
}

/// Whoever waits elsewhere has it before the runtime goes on.
#[tokio::test]
async fn what_was_begun_is_stored_while_its_runtime_is_held_up() {
    let (results, beside) = (RedisResults::new(redis_url()), RedisResults::new(redis_url()));
    store(&results).await;
    let group = group(3);
    let mut storing = results.store_many(&group);
    assert!((&mut storing).now_or_never().is_none());
    let looked_for = group.clone();
    let looking = move || {
        single().block_on(eventually("it is not stored", async || is_stored(&beside, &looked_for).await));
    };
    thread::spawn(looking).join().unwrap();
    are_kept(&ended(storing).await);
}

#[tokio::test]
async fn what_was_begun_is_stored_when_nobody_waits_for_it_any_more() {
    let results = RedisResults::new(redis_url());
    for connected in [false, true] {
        let group = group(300);
        let mut storing = results.store_many(&group);
        assert!((&mut storing).now_or_never().is_none());
        drop(storing);
        eventually("it is not stored", async || is_stored(&results, &group).await).await;
        if !connected {
            store(&results).await;
        }
    }
}

#[tokio::test]
async fn a_server_that_was_away_is_stored_to_again() {
    let mut server = Redis::start().await.unwrap();
    let results = RedisResults::new(server.url());
    store(&results).await;
    for _ in 0..2 {
        server.kill();
        let group = group(3);
        let stored = ended(results.store_many(&group)).await;
        assert!(stored.iter().all(Result::is_err), "{stored:?}");
        server.run().await.unwrap();
        eventually("it is stored to again", async || results.store_many(&group).await.iter().all(Result::is_ok)).await;
        store(&results).await;
    }
}
