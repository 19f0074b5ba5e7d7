//! A RabbitMQ that is killed and comes back, and lines to it that are cut.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod support;

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};
use support::{Servers, chain, ledger::Ledger};
use taskq::prelude::*;
use taskq_faults::{
    proxy::{Line, Proxy, Who},
    rabbit::{Rabbit, Settings},
    wait::{PATIENCE, ended, eventually},
};
use taskq_process_tests::nap;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_confirmed_tasks_outlive_a_killed_broker_and_everyone_goes_on_without_a_restart() {
    let mut node = Settings::new().dead_letter_timeout(Duration::from_secs(5)).start().await.unwrap();
    let servers = Servers::shared().with_amqp(node.url());
    let (app, ledger) = (servers.app("work"), Ledger::new());
    app.startup().await.unwrap();
    let handles = app.kiq_many((0..1_000).map(|_| nap(0))).await.unwrap();
    let delayed = nap.kiq(0).delay("6s").on(&app).await.unwrap();
    node.kill();

    // This one may have been written to the dying connection, so that nobody knows; the next one is not.
    let error = nap.kiq(0).on(&app).within("1s").await.unwrap_err();
    println!("at once: {}", chain(&error));
    let began = Instant::now();
    let error = nap.kiq(0).on(&app).within("1s").await.unwrap_err();
    let (took, text) = (began.elapsed(), chain(&error));
    println!("after {took:?}: {text}");
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert!(text.contains(&node.address()) && !text.contains("guest"), "{text}");
    let patient = tokio::spawn(nap.kiq(0).on(&app).within("60s"));
    // A worker that is started while there is no broker goes on trying.
    let mut worker = servers.worker("work", &ledger, &["--concurrency", "100"]);

    node.run().await.unwrap();
    let patient = ended(patient).await.unwrap().expect("a publish rides out the restart");
    let after = nap.kiq(0).on(&app).await.expect("the app works again");
    for handle in handles.iter().chain([&patient, &after, &delayed]) {
        assert!(handle.wait_result().timeout(PATIENCE).await.unwrap().is_ok());
    }
    assert_eq!(ledger.starts().len(), 1_003, "every task ran");

    // The other way round: the worker is there, and rides it out with tasks under way.
    let handles = app.kiq_many((0..300).map(|_| nap(300))).await.unwrap();
    eventually("some run", async || ledger.running_in(worker.id().unwrap()).len() >= 50).await;
    node.kill();
    node.run().await.unwrap();
    for handle in &handles {
        assert!(handle.wait_result().timeout(PATIENCE).await.unwrap().is_ok());
    }
    let runs: Vec<u32> = ledger.starts().into_values().collect();
    assert_eq!(runs.len(), 1_303);
    assert!(runs.iter().all(|runs| *runs <= 2), "{}", runs.iter().max().unwrap());
    eventually("the queue is empty", async || app.broker().inspect("work").await.is_ok_and(|info| info.ready == 0))
        .await;

    node.kill();
    support::signal(&worker, "TERM").await;
    assert_eq!(ended(worker.wait()).await.unwrap().code(), Some(0), "a worker can be stopped without a broker");
    let _ = ended(app.shutdown()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_three_cut_lines_there_is_one_consumer_with_the_prefetch_it_was_given() {
    let node = Rabbit::start().await.unwrap();
    let line = Proxy::amqp(&node.url()).unwrap();
    let servers = Servers::shared().with_amqp(node.url());
    let (app, ledger) = (servers.app("work"), Ledger::new());
    app.startup().await.unwrap();
    let worker = servers.with_amqp(line.url()).worker("work", &ledger, &["--concurrency", "7"]);
    let mut ids = HashSet::new();
    for _ in 0..3 {
        let handles = app.kiq_many((0..30).map(|_| nap(50))).await.unwrap();
        eventually("some run", async || !ledger.running_in(worker.id().unwrap()).is_empty()).await;
        line.cut(Who::All);
        for handle in handles {
            assert!(handle.wait_result().timeout(PATIENCE).await.unwrap().is_ok());
            ids.insert(handle.id().clone());
        }
    }
    assert_eq!(ledger.starts().len(), ids.len(), "every task ran");
    eventually("one consumer of prefetch 14", async || {
        let columns = ["list_consumers", "queue_name", "prefetch_count"];
        node.ctl(&columns).await.unwrap() == "work\t14\n"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_slow_line_callers_and_tasks_share_round_trips() {
    let line = Proxy::amqp(&Servers::shared().amqp).unwrap();
    let servers = Servers::shared().with_amqp(line.url());
    let queue = support::unique("slow-line");
    let app = servers.app(&queue);
    app.startup().await.unwrap();
    nap.kiq(0).on(&app).await.unwrap();
    line.lines(Who::All, Line::Delay(Duration::from_millis(50)));

    let began = Instant::now();
    let sent = futures_util::future::join_all((0..100).map(|_| nap.kiq(0).on(&app))).await;
    let sending = began.elapsed();
    println!("100 callers were confirmed in {sending:?} at 100 ms a round trip");
    assert!(sending < Duration::from_secs(4), "one round trip each: {sending:?}");

    let worker = tokio::spawn(app.worker().concurrency(50).run_until(std::future::pending::<()>()));
    let began = Instant::now();
    for handle in sent {
        assert!(handle.unwrap().wait_result().timeout(PATIENCE).await.unwrap().is_ok());
    }
    let working = began.elapsed();
    println!("100 tasks were done in {working:?}");
    assert!(working < Duration::from_secs(6), "one round trip each: {working:?}");
    line.heal();
    worker.abort();
    Servers::shared().delete(&queue).await;
}
