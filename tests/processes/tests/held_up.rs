//! A run is over, and what follows it is held up while its message goes to another worker.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use redis::AsyncCommands;
use support::{Servers, gate::Gate, ledger::Ledger, unique};
use taskq::prelude::*;
use taskq_faults::{
    Proxy,
    proxy::{Line, Way, Who},
    wait::{PATIENCE, eventually},
};
use taskq_process_tests::{doubtful::gated_and_retried, nap};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_whose_retry_cannot_be_published_is_not_run_again_by_whoever_is_given_its_message() {
    let (queue, servers, ledger, gate) = (unique("held-up"), Servers::shared(), Ledger::new(), Gate::closed());
    let line = Proxy::amqp(&servers.amqp).unwrap();
    let app = servers.app(&queue);
    app.startup().await.unwrap();
    let held_up = servers.clone().with_amqp(line.url()).worker(&queue, &ledger, &["--concurrency", "1"]);
    eventually("it consumes", async || app.broker().inspect(&queue).await.unwrap().consumers == 1).await;
    let handle = gated_and_retried.kiq(gate.path()).on(&app).await.unwrap();
    eventually("it runs", async || ledger.history().running() == 1).await;
    let other = servers.worker(&queue, &ledger, &["--concurrency", "1"]);
    eventually("both consume", async || app.broker().inspect(&queue).await.unwrap().consumers == 2).await;

    line.lines(Who::Publishers, Line::Stall);
    gate.open();
    eventually("its first run is over", async || ledger.history().attempt(1).count("end") == 1).await;
    // The worker hears of it first; otherwise it would be chance who is the faster one.
    line.line(Who::Consumers, Way::ToServer, Line::Stall);
    line.half_close(Who::Consumers, Way::ToClient);
    let mut redis = redis::Client::open(&*servers.redis).unwrap().get_multiplexed_async_connection().await.unwrap();
    let key = format!("taskq:{{{}}}:c", handle.id());
    eventually("the run is claimed by the worker whose line is lost", async || {
        let owner: Option<String> = redis.hget(&key, "owner").await.unwrap();
        owner.is_some_and(|owner| !owner.is_empty())
    })
    .await;
    line.reset(Who::Consumers);
    // Whoever is given the message has looked at it when this is done: it lies behind.
    let behind = nap.kiq(0).on(&app).await.unwrap();
    assert!(behind.wait_result().timeout(PATIENCE).await.unwrap().is_ok());
    line.heal();

    let result = handle.wait_result().timeout(PATIENCE).await.unwrap();
    assert_eq!((result.attempts(), result.is_ok()), (2, true));
    let history = ledger.history().of(handle.id());
    assert_eq!((history.attempt(1).count("start"), history.attempt(2).count("start")), (1, 1), "{history}");
    drop((held_up, other));
    servers.delete(&queue).await;
}

/// The line that tasks come by holds: what needs no publish is done and acknowledged all the while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_that_cannot_be_published_keeps_its_message_unacknowledged_and_holds_up_no_other_task() {
    let (queue, servers, ledger, gate) = (unique("unpublished"), Servers::shared(), Ledger::new(), Gate::closed());
    let line = Proxy::amqp(&servers.amqp).unwrap();
    let app = servers.app(&queue);
    app.startup().await.unwrap();
    let worker = servers.clone().with_amqp(line.url()).worker(&queue, &ledger, &["--concurrency", "4"]);
    let handle = gated_and_retried.kiq(gate.path()).on(&app).await.unwrap();
    eventually("it runs", async || ledger.history().running() == 1).await;
    line.lines(Who::Publishers, Line::Stall);
    gate.open();
    eventually("its first run is over", async || ledger.history().attempt(1).count("end") == 1).await;
    for other in app.kiq_many((0..50).map(|_| nap(0))).await.unwrap() {
        assert!(other.wait_result().timeout(PATIENCE).await.unwrap().is_ok(), "others are done meanwhile");
    }
    assert_eq!(ledger.history().of(handle.id()).count("start"), 1, "{}", ledger.history().of(handle.id()));
    line.heal();
    let result = handle.wait_result().timeout(PATIENCE).await.unwrap();
    assert_eq!((result.attempts(), result.is_ok()), (2, true), "the retry is published in the end");
    let history = ledger.history().of(handle.id());
    assert_eq!((history.attempt(1).count("start"), history.attempt(2).count("start")), (1, 1), "{history}");
    eventually("all is acknowledged", async || app.broker().inspect(&queue).await.unwrap().ready == 0).await;
    drop(worker);
    servers.delete(&queue).await;
}
