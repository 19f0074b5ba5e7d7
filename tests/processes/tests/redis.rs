//! What is said to Redis, what is kept there, and what becomes of tasks while it is away.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod support;

use std::{
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};
use support::{Servers, ledger::Ledger, unique};
use taskq::{Event, Observer, TaskId, TaskStatus, UnixMillis, prelude::*};
use taskq_faults::{
    redis::Redis,
    wait::{PATIENCE, ended, eventually},
};
use taskq_process_tests::{nap, nap_and_fail, nap_twice};
use tokio::time::Instant;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_waits_cost_few_commands_and_end_with_the_task() {
    let redis = Redis::start().await.unwrap();
    let servers = Servers::shared().with_redis(redis.url());
    let queue = unique("waits");
    let (app, ledger) = (servers.app(&queue), Ledger::new());
    app.startup().await.unwrap();
    let _worker = servers.worker(&queue, &ledger, &["--concurrency", "100"]);
    eventually("it consumes", async || app.broker().inspect(&queue).await.unwrap().consumers == 1).await;
    let before = total(&redis).await;

    let handles = app.kiq_many((0..100).map(|_| nap(5_000))).await.unwrap();
    let mut elsewhere = servers.command(env!("CARGO_BIN_EXE_process-test-waiter"), &queue);
    elsewhere.args(handles[50..].iter().map(|handle| handle.id().as_str())).stdout(Stdio::piped());
    let elsewhere = tokio::spawn(elsewhere.spawn().unwrap().wait_with_output());
    let late = futures_util::future::join_all(handles[..50].iter().map(async |handle| {
        let finished = handle.wait_result().timeout(PATIENCE).await.unwrap().record().finished;
        UnixMillis::now().0.saturating_sub(finished.0)
    }));
    let mut late: Vec<u64> = late.await;
    let output = ended(elsewhere).await.unwrap().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    late.extend(text.lines().map(|line| line.parse::<u64>().unwrap()));
    assert_eq!(late.len(), 100);
    late.sort_unstable();

    let commands = total(&redis).await - before;
    println!("{commands} commands for 100 waits of 5 s");
    println!("a wait ended after its task by {} ms (median), {} ms (90 %), {} ms (all)", late[50], late[90], late[99]);
    assert!(commands <= 1_000, "{commands} commands: {:?}", redis.command_counts().await.unwrap());
    assert!(late[90] < 500, "{late:?}");
    servers.delete(&queue).await;
}

async fn total(redis: &Redis) -> u64 {
    redis.command_counts().await.unwrap().values().sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_kept_is_kept_for_as_long_as_was_asked() {
    let redis = Redis::start().await.unwrap();
    let servers = Servers::shared().with_redis(redis.url());
    let queue = unique("ttl");
    let (app, ledger) = (servers.app(&queue).with_result_ttl("2h"), Ledger::new());
    app.startup().await.unwrap();
    let _worker = servers.worker(&queue, &ledger, &[]);
    let done = nap.kiq(0).on(&app).await.unwrap();
    let failed = nap_and_fail.kiq(0).on(&app).await.unwrap();
    let tracked = nap_twice.kiq(0).on(&app).await.unwrap();
    let late = nap.kiq(0).expires("301ms").delay("300ms").on(&app).await.unwrap();
    let waiting = TaskHandle::<u32>::attach(&app, "nobody-knows");
    assert!(waiting.wait_result().timeout("300ms").await.is_err());
    for handle in [&done, &failed, &tracked, &late] {
        handle.wait_result().timeout(PATIENCE).await.unwrap();
    }
    let replayed = async || app.dead_letters(&queue).replay(failed.id()).await.unwrap();
    eventually("the letter is replayed", async || match replayed().await {
        Some(handle) => handle.typed::<u32>().wait_result().timeout(PATIENCE).await.unwrap().is_err(),
        None => false,
    })
    .await;

    let keys = redis.keys().await.unwrap();
    assert!(keys.values().all(|ttl| *ttl > 0), "every key has a time to live: {keys:?}");
    let of = |handle: &TaskHandle<u32>, end: &str| {
        let key = keys.iter().find(|(key, _)| key.contains(handle.id().as_str()) && key.ends_with(end));
        Duration::from_millis(key.expect("a key").1.unsigned_abs())
    };
    let about = |asked: u64| Duration::from_secs(asked - 60)..=Duration::from_secs(asked);
    // The worker's own app keeps results for a day; the task says a minute.
    assert!(about(24 * 3600).contains(&of(&done, ":r")) && about(24 * 3600).contains(&of(&failed, ":r")), "{keys:?}");
    assert!(of(&tracked, ":r") <= Duration::from_secs(60), "{keys:?}");
    servers.delete(&queue).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_redis_is_away_results_are_held_and_nothing_is_acknowledged_or_run_again() {
    let mut redis = Redis::start().await.unwrap();
    let servers = Servers::shared().with_redis(redis.url());
    let queue = unique("held");
    let (app, ledger) = (servers.app(&queue), Ledger::new());
    app.startup().await.unwrap();
    let first = servers.worker(&queue, &ledger, &["--concurrency", "30"]);
    eventually("it consumes", async || app.broker().inspect(&queue).await.unwrap().consumers == 1).await;
    redis.kill();

    let began = Instant::now();
    let tracked = nap_twice.kiq(0).within("2s").on(&app).await.expect("kiq needs no Redis");
    let took = began.elapsed();
    let handles = app.kiq_many((0..20).map(|_| nap(100))).await.unwrap();
    eventually("all have run", async || ledger.ended_in(first.id().unwrap()).len() == 21).await;
    assert!(matches!(handles[0].wait_result().timeout("200ms").await, Err(taskq::ResultError::Timeout { .. })));
    redis.run().await.unwrap();
    for handle in handles.iter().chain([&tracked]) {
        assert!(handle.wait_result().timeout(PATIENCE).await.unwrap().is_ok());
    }
    let starts = ledger.starts();
    assert!(handles.iter().all(|handle| starts[handle.id().as_str()] == 1), "each ran once: {starts:?}");
    assert_eq!(starts[tracked.id().as_str()], 2, "one run, and its retry");
    eventually("all is acknowledged", async || app.broker().inspect(&queue).await.unwrap().ready == 0).await;
    assert_eq!(tracked.status().await.unwrap(), TaskStatus::Done);
    assert!(took < Duration::from_secs(3), "a `kiq` within 2 s took {took:?}");
    servers.delete(&queue).await;
}

/// Remembers which tasks were started in this process.
#[derive(Clone, Default)]
struct Started(Arc<Mutex<Vec<TaskId>>>);

impl Observer for Started {
    fn on(&self, event: &Event<'_>) {
        if let Event::Started { message, .. } = event {
            self.0.lock().unwrap().push(message.id.clone());
        }
    }
}

impl Started {
    fn count(&self, id: &TaskId) -> usize {
        self.0.lock().unwrap().iter().filter(|started| *started == id).count()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redelivered_task_waits_until_redis_can_be_asked_and_others_run_meanwhile() {
    let mut redis = Redis::start().await.unwrap();
    let servers = Servers::shared().with_redis(redis.url());
    let queue = unique("unasked");
    let (started, ledger) = (Started::default(), Ledger::new());
    let app = servers.app(&queue).with_observer(started.clone());
    app.startup().await.unwrap();
    let mut doomed = servers.worker(&queue, &ledger, &[]);
    let process = doomed.id().unwrap();
    eventually("it consumes", async || app.broker().inspect(&queue).await.unwrap().consumers == 1).await;
    redis.kill();
    let held = nap.kiq(0).on(&app).await.unwrap();
    eventually("it has run", async || ledger.ended_in(process).len() == 1).await;
    doomed.kill().await.unwrap();
    eventually("it was not acknowledged", async || app.broker().inspect(&queue).await.unwrap().ready == 1).await;

    let _worker = tokio::spawn(app.worker().run_until(std::future::pending::<()>()));
    let fresh = nap.kiq(0).on(&app).await.unwrap();
    eventually("what was not delivered before runs", async || started.count(fresh.id()) == 1).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(started.count(held.id()), 0, "it was not started on a guess");
    redis.run().await.unwrap();
    for handle in [&held, &fresh] {
        assert!(handle.wait_result().timeout(PATIENCE).await.unwrap().is_ok());
    }
    assert_eq!((started.count(held.id()), started.count(fresh.id())), (1, 1));
    servers.delete(&queue).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_started_while_redis_is_away_goes_on_trying() {
    let mut redis = Redis::start().await.unwrap();
    let servers = Servers::shared().with_redis(redis.url());
    let queue = unique("late-redis");
    let (app, ledger) = (servers.app(&queue), Ledger::new());
    app.startup().await.unwrap();
    redis.kill();
    let mut worker = servers.worker(&queue, &ledger, &[]);
    let handle = nap.kiq(0).on(&app).await.unwrap();
    let exit = tokio::time::timeout(Duration::from_secs(3), worker.wait()).await;
    assert!(exit.is_err(), "it ended: {exit:?}");
    redis.run().await.unwrap();
    assert!(handle.wait_result().timeout(PATIENCE).await.unwrap().is_ok());
    servers.delete(&queue).await;
}
