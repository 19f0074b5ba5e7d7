//! A chosen id that is submitted again to another worker at the worst moment.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod support;

use std::time::Duration;
use support::{Servers, gate::Gate, ledger::Ledger, signal, unique};
use taskq::prelude::*;
use taskq_faults::{
    proxy::{Line, Proxy, Who},
    wait::{PATIENCE, ended, eventually},
};
use taskq_process_tests::{doubtful::gated_and_failed, nap};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_that_is_on_its_way_to_the_dead_letters_is_not_sent_there_by_another_worker_too() {
    let (queue, servers, ledger, gate) = (unique("two-letters"), Servers::shared(), Ledger::new(), Gate::closed());
    let line = Proxy::amqp(&servers.amqp).unwrap();
    let app = servers.app(&queue);
    app.startup().await.unwrap();
    let mut slow = servers.clone().with_amqp(line.url()).worker(&queue, &ledger, &["--concurrency", "1"]);
    let id = unique("failing");
    let submit = async || gated_and_failed.kiq(gate.path()).task_id(id.as_str()).on(&app).await.unwrap();
    let first = submit().await;
    eventually("it runs", async || ledger.history().running() == 1).await;
    // It holds two, and takes no third.
    nap.kiq(0).on(&app).await.unwrap();
    eventually("the worker is full", async || app.broker().inspect(&queue).await.unwrap().ready == 0).await;
    let mut quick = servers.worker(&queue, &ledger, &[]);
    eventually("both consume", async || app.broker().inspect(&queue).await.unwrap().consumers == 2).await;
    line.lines(Who::All, Line::Delay(Duration::from_millis(700)));
    gate.open();
    assert!(first.wait_result().timeout(PATIENCE).await.unwrap().is_err());
    let second = submit().await;
    assert!(second.wait_result().timeout(PATIENCE).await.unwrap().is_err());
    let letters = app.dead_letters(&queue);
    eventually("it is dead-lettered", async || letters.count().await.is_ok_and(|count| count > 0)).await;
    for worker in [&mut slow, &mut quick] {
        signal(worker, "TERM").await;
        assert_eq!(ended(worker.wait()).await.unwrap().code(), Some(0));
    }
    assert_eq!(ledger.history().of(first.id()).count("start"), 1);
    assert_eq!(letters.count().await.unwrap(), 1, "one task, one letter");
    servers.delete(&queue).await;
}
