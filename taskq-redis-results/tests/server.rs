//! What a server sees: how many commands, which keys, and whom it refuses.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use futures_util::future::{Either, join_all, select};
use std::time::Duration;
use support::{TTL, record};
use taskq_core::{ResultBackend, ResultError, Step, TaskId};
use taskq_faults::{
    redis::{Redis, Settings},
    wait::{ended, eventually},
};
use taskq_redis_results::RedisResults;
use tokio::time::{Instant, timeout};

#[tokio::test]
async fn a_hundred_waits_of_five_seconds_cost_ten_commands_each_at_most() {
    let server = Redis::start().await.unwrap();
    let (one, attached) = (RedisResults::new(server.url()), RedisResults::new(server.url()));
    let worker = RedisResults::new(server.url());
    let ids: Vec<TaskId> = (0..100).map(|_| TaskId::new()).collect();
    let before: u64 = server.command_counts().await.unwrap().values().sum();
    let mut waits = join_all(ids.iter().enumerate().map(|(n, id)| match n % 2 {
        0 => one.wait(id, 0),
        _ => attached.wait(id, 0),
    }));
    assert!(timeout(Duration::from_secs(5), &mut waits).await.is_err());
    let stored = Instant::now();
    let kept = record(0);
    let stores = join_all(ids.iter().map(|id| worker.store(id, &kept, TTL)));
    let (waited, stores) = ended(async { tokio::join!(waits, stores) }).await;
    let woken = stored.elapsed();
    assert!(waited.iter().all(Result::is_ok) && stores.iter().all(Result::is_ok));
    // The next look without a push is due 7 seconds after the first.
    assert!(woken < Duration::from_millis(1_500), "the waits were not ended by a push: {woken:?}");
    let counts = server.command_counts().await.unwrap();
    let cost = counts.values().sum::<u64>() - before;
    println!("100 waits: {cost} commands, all woken {woken:?} after the first store; {counts:?}");
    assert!(cost <= 1_000, "{cost} commands for 100 waits: {counts:?}");
}

#[tokio::test]
async fn many_waits_for_one_task_register_once() {
    let server = Redis::start().await.unwrap();
    let results = RedisResults::new(server.url());
    let id = TaskId::new();
    let mut waits = join_all((0..500).map(|_| results.wait(&id, 0)));
    assert!(timeout(Duration::from_millis(500), &mut waits).await.is_err());
    results.store(&id, &record(0), TTL).await.unwrap();
    assert!(ended(waits).await.iter().all(Result::is_ok));
    let counts = server.command_counts().await.unwrap();
    assert_eq!((counts["sadd"], counts["publish"], counts["subscribe"]), (1, 1, 1), "{counts:?}");
}

#[tokio::test]
async fn a_result_that_nobody_waits_for_costs_two_commands() {
    let server = Redis::start().await.unwrap();
    let results = RedisResults::new(server.url());
    results.startup().await.unwrap();
    let before: u64 = server.command_counts().await.unwrap().values().sum();
    for _ in 0..50 {
        results.store(&TaskId::new(), &record(0), TTL).await.unwrap();
    }
    let counts = server.command_counts().await.unwrap();
    assert_eq!(counts.values().sum::<u64>() - before, 100, "{counts:?}");
}

#[tokio::test]
async fn dropped_waits_leave_nothing_behind_in_this_process() {
    let server = Redis::start().await.unwrap();
    let results = RedisResults::new(server.url());
    let ids: Vec<TaskId> = (0..100).map(|_| TaskId::new()).collect();
    let waits = join_all(ids.iter().map(|id| results.wait(id, 0)));
    assert!(timeout(Duration::from_millis(300), waits).await.is_err());
    assert!(timeout(Duration::ZERO, results.wait(&ids[0], 0)).await.is_err());
    eventually("nothing is waited for", async || format!("{results:?}").contains("waited_for: 0")).await;
    for id in &ids {
        results.store(id, &record(0), TTL).await.unwrap();
        assert!(ended(results.wait(id, 0)).await.is_ok());
    }
}

#[tokio::test]
async fn every_key_has_a_time_to_live_and_the_braces_of_its_task() {
    let server = Redis::start().await.unwrap();
    let results = RedisResults::new(server.url()).prefix("my_app");
    for round in [0, 0, 1, 2] {
        let id = TaskId::from(format!("order {round}.é"));
        results.track(&id, Step::Queued, TTL).await.unwrap();
        results.track(&id, Step::Running, TTL).await.unwrap();
        assert!(timeout(Duration::from_millis(300), results.wait(&id, round + 1)).await.is_err());
        results.store(&id, &record(round), TTL).await.unwrap();
        results.wait(&id, round).await.unwrap();
    }
    // Neither no time at all nor more than Redis can count.
    results.store(&TaskId::from("short"), &record(0), Duration::ZERO).await.unwrap();
    results.store(&TaskId::from("long"), &record(0), Duration::MAX).await.unwrap();
    results.track(&TaskId::from("long"), Step::Running, Duration::MAX).await.unwrap();
    let keys = server.keys().await.unwrap();
    assert!(keys.len() >= 3 * 3 + 2, "{keys:?}");
    for (key, ttl) in keys {
        assert!(ttl != -1, "{key} has no time to live");
        assert!(key.starts_with("my_app:{") && key[key.len() - 3..].starts_with("}:"), "{key}");
    }
}

#[tokio::test]
async fn wrong_credentials_are_an_error_at_once_from_every_call() {
    let server = Settings::new().option("requirepass", "r1ght").start().await.unwrap();
    let port = server.port();
    let (id, kept) = (TaskId::new(), record(0));
    for user in ["", ":wr0ng@", "nobody:wr0ng@"] {
        let results = RedisResults::new(format!("redis://{user}127.0.0.1:{port}/1"));
        let errors = [
            ended(results.startup()).await.unwrap_err(),
            ended(results.store(&id, &kept, TTL)).await.unwrap_err(),
            ended(results.fetch(&id)).await.unwrap_err(),
            ended(results.wait(&id, 0)).await.unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, ResultError::SetUp { .. }), "{error:?}");
            assert!(!error.is_retryable());
            assert!(error.to_string().contains(&format!("127.0.0.1:{port}")), "{error}");
            assert!(!format!("{error:?} {results:?}").contains("wr0ng"), "{error:?} {results:?}");
        }
    }
    let results = RedisResults::new(format!("redis://:r1ght@127.0.0.1:{port}/1"));
    results.startup().await.unwrap();
    let mut wait = results.wait(&id, 0);
    assert!(timeout(Duration::from_millis(300), &mut wait).await.is_err());
    results.store(&id, &kept, TTL).await.unwrap();
    assert_eq!(ended(wait).await.unwrap(), kept);
    assert!(!format!("{results:?}").contains("r1ght"));
}

#[tokio::test]
async fn a_refused_user_is_let_in_once_the_server_allows_it() {
    let server = Redis::start().await.unwrap();
    let results = RedisResults::new(format!("redis://worker:pass@127.0.0.1:{}", server.port()));
    assert!(matches!(results.startup().await, Err(ResultError::SetUp { .. })));
    let rules = ["ACL", "SETUSER", "worker", "on", ">pass", "~*", "&*", "+@all", "-config"];
    server.command(&rules).await.unwrap();
    // It may not ask for the configuration, which is no reason not to start.
    results.startup().await.unwrap();
    server.command(&["ACL", "SETUSER", "worker", "-set"]).await.unwrap();
    let error = results.store(&TaskId::new(), &record(0), TTL).await.unwrap_err();
    assert!(matches!(error, ResultError::SetUp { .. }), "{error:?}");
}

#[tokio::test]
async fn a_database_that_is_not_there_is_an_error_of_set_up() {
    let server = Redis::start().await.unwrap();
    let error = RedisResults::new(format!("{}/9999", server.url())).startup().await.unwrap_err();
    assert!(matches!(error, ResultError::SetUp { .. }), "{error:?}");
}

#[tokio::test]
async fn what_cannot_be_an_address_is_an_error_of_start_up_and_not_of_building() {
    for results in [
        RedisResults::new("http://me:s3cret@host"),
        RedisResults::new("redis://me:s3cret@"),
        RedisResults::new(""),
        RedisResults::from_env_var("TASKQ_TEST_NEVER_SET"),
        RedisResults::new("redis://localhost").prefix("a{b"),
    ] {
        let error = results.startup().await.unwrap_err();
        assert!(matches!(error, ResultError::SetUp { .. }), "{error:?}");
        assert!(!format!("{error:?} {results:?}").contains("s3cret"), "{error:?} {results:?}");
        assert!(matches!(results.fetch(&TaskId::new()).await, Err(ResultError::SetUp { .. })));
        assert!(matches!(results.wait(&TaskId::new(), 0).await, Err(ResultError::SetUp { .. })));
    }
}

#[tokio::test]
async fn a_record_of_a_newer_release_is_neither_read_nor_overwritten() {
    let server = Redis::start().await.unwrap();
    let client = redis::Client::open(server.url()).unwrap();
    let mut operator = client.get_multiplexed_async_connection().await.unwrap();
    let results = RedisResults::new(server.url());
    let id = TaskId::new();
    let key = format!("taskq:{{{id}}}:r");
    let newer = [b"\x81\xa1v".as_slice(), &[9]].concat();
    let _: () = redis::cmd("SET").arg(&key).arg(&newer).query_async(&mut operator).await.unwrap();
    for outcome in [
        results.fetch(&id).await.map(drop),
        ended(results.wait(&id, 0)).await.map(drop),
        results.store(&id, &record(0), TTL).await.map(drop),
        results.store(&id, &record(1), TTL).await.map(drop),
    ] {
        assert!(matches!(outcome, Err(ResultError::Decode { .. })), "{outcome:?}");
    }
    let left: Vec<u8> = redis::cmd("GET").arg(&key).query_async(&mut operator).await.unwrap();
    assert_eq!(left, newer);
}

#[tokio::test]
async fn a_key_that_cannot_be_read_holds_up_no_wait_for_another() {
    let server = Redis::start().await.unwrap();
    let results = RedisResults::new(server.url());
    let ids: Vec<TaskId> = (0..20).map(|_| TaskId::new()).collect();
    let (list, others) = ids.split_first().unwrap();
    let key = format!("taskq:{{{list}}}:r");
    server.command(&["LPUSH", &key, "no record"]).await.unwrap();
    let mut waits = join_all(others.iter().map(|id| results.wait(id, 0)));
    let mut unreadable = results.wait(list, 0);
    for id in others {
        results.store(id, &record(0), TTL).await.unwrap();
    }
    let waited = ended(select(&mut waits, &mut unreadable)).await;
    assert!(matches!(waited, Either::Left((waited, _)) if waited.iter().all(Result::is_ok)));
    server.command(&["DEL", &key]).await.unwrap();
    results.store(list, &record(0), TTL).await.unwrap();
    assert!(ended(unreadable).await.is_ok());
}

#[tokio::test]
async fn waits_that_a_replica_refuses_hold_up_no_other() {
    let (server, master) = (Redis::start().await.unwrap(), Redis::start().await.unwrap());
    let (results, worker) = (RedisResults::new(server.url()), RedisResults::new(master.url()));
    let id = TaskId::new();
    let mut entered = results.wait(&id, 0);
    assert!(timeout(Duration::from_millis(500), &mut entered).await.is_err());
    // From now on it takes no writes, and entering is one.
    server.command(&["REPLICAOF", "127.0.0.1", &master.port().to_string()]).await.unwrap();
    let others: Vec<TaskId> = (0..8).map(|_| TaskId::new()).collect();
    let mut refused: Vec<_> = others.iter().map(|id| results.wait(id, 0)).collect();
    for wait in &mut refused {
        // Each by itself.
        assert!(timeout(Duration::from_millis(50), wait).await.is_err());
    }
    worker.store(&id, &record(0), TTL).await.unwrap();
    let waited = ended(select(&mut entered, join_all(refused))).await;
    assert!(matches!(waited, Either::Left((Ok(_), _))), "the others have ended");
}

#[tokio::test]
async fn thousands_of_waits_of_a_user_who_is_not_let_in_end_together() {
    let server = Redis::start().await.unwrap();
    let results = RedisResults::new(format!("redis://nobody:wr0ng@127.0.0.1:{}/", server.port()));
    let ids: Vec<TaskId> = (0..3_000).map(|_| TaskId::new()).collect();
    let before = server.connections_made().await.unwrap();
    let waited = ended(join_all(ids.iter().map(|id| results.wait(id, 0)))).await;
    assert!(waited.iter().all(|waited| matches!(waited, Err(ResultError::SetUp { .. }))));
    let made = server.connections_made().await.unwrap() - before;
    assert!(made <= 20, "{made} connections");
}

#[tokio::test]
async fn a_wait_for_a_round_that_has_ended_does_not_wait_with_those_for_a_later_one() {
    let server = Redis::start().await.unwrap();
    let (results, worker) = (RedisResults::new(server.url()), RedisResults::new(server.url()));
    let id = TaskId::new();
    let mut later = results.wait(&id, 1);
    let mut first = results.wait(&id, 0);
    assert!(timeout(Duration::from_millis(300), select(&mut first, &mut later)).await.is_err());
    worker.store(&id, &record(0), TTL).await.unwrap();
    let told = ended(select(&mut first, &mut later)).await;
    assert!(matches!(told, Either::Left((Ok(told), _)) if told.round == 0));
    let again = ended(select(results.wait(&id, 0), &mut later)).await;
    assert!(matches!(again, Either::Left((Ok(told), _)) if told.round == 0));
    worker.store(&id, &record(1), TTL).await.unwrap();
    assert_eq!(ended(later).await.unwrap().round, 1);
}

#[test]
fn a_backend_outlives_the_runtime_that_used_it_first() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = runtime().block_on(Redis::start()).unwrap();
    let results = RedisResults::new(server.url());
    let id = TaskId::new();
    runtime().block_on(async {
        results.startup().await.unwrap();
        assert!(timeout(Duration::from_millis(300), results.wait(&id, 0)).await.is_err());
    });
    runtime().block_on(async {
        let mut wait = results.wait(&id, 0);
        assert!(timeout(Duration::from_millis(300), &mut wait).await.is_err());
        results.store(&id, &record(0), TTL).await.unwrap();
        ended(wait).await.unwrap();
        // Dropped inside a runtime, where nothing may block.
        drop(results);
    });
}
