//! Tasks that run for longer than RabbitMQ lets a consumer hold a message.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;
use support::{Servers, ledger::Ledger, unique};
use taskq::prelude::*;
use taskq_faults::{
    rabbit::Settings,
    wait::{PATIENCE, eventually},
};
use taskq_process_tests::nap;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_longer_than_the_consumer_timeout_runs_once() {
    let rabbit = Settings::new().consumer_timeout(Duration::from_secs(3)).start().await.unwrap();
    let servers = Servers::shared().with_amqp(rabbit.url());
    let (queue, ledger) = (unique("long"), Ledger::new());
    let app = servers.app(&queue);
    app.startup().await.unwrap();
    // Two of them: whose message comes again may be the other's.
    let _workers = [servers.worker(&queue, &ledger, &[]), servers.worker(&queue, &ledger, &[])];
    let mut sent = Vec::new();
    for millis in [12_000, 9_000, 100] {
        sent.push(nap.kiq(millis).on(&app).await.unwrap());
    }
    for handle in &sent {
        assert!(handle.wait_result().timeout(PATIENCE).await.unwrap().is_ok());
    }
    // What came again meanwhile, and waited for the end of the run, may still be on its way.
    eventually("nothing is left in any queue", async || {
        let queues = rabbit.ctl(&["list_queues", "name", "messages"]).await.unwrap();
        queues.lines().all(|line| line.ends_with("\t0"))
    })
    .await;
    assert_eq!(ledger.count("start"), 3, "{:?}", ledger.lines());
    assert_eq!(ledger.count("end"), 3, "{:?}", ledger.lines());
}
