//! Redis stays away: results are kept in the queue, and work goes on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use support::{Servers, ledger::Ledger, signal, unique};
use taskq::prelude::*;
use taskq_faults::{
    redis,
    wait::{PATIENCE, ended, eventually},
};
use taskq_process_tests::{LEDGER, RESULT_PATIENCE, nap, nap_and_fail};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_redis_stays_away_work_goes_on_and_every_result_is_there_once_it_is_back() {
    const TASKS: usize = 300;
    let (queue, ledger) = (unique("spilled"), Ledger::new());
    let mut redis = redis::Settings::new().start().await.unwrap();
    let servers = Servers::shared().with_redis(redis.url());
    let app = servers.app(&queue);
    app.startup().await.unwrap();
    let mut command = servers.command(env!("CARGO_BIN_EXE_process-test-worker"), &queue);
    command.env(LEDGER, ledger.path()).env(RESULT_PATIENCE, "2s").args(["--concurrency", "10"]);
    let mut worker = command.spawn().unwrap();
    eventually("it consumes", async || app.broker().inspect(&queue).await.unwrap().consumers == 1).await;

    redis.kill();
    let done = app.kiq_many((0..TASKS).map(|_| nap(0))).await.unwrap();
    let failed = nap_and_fail.kiq(0).on(&app).await.unwrap();
    // Many more than the worker holds unacknowledged.
    eventually("all run", async || ledger.history().count("end") == TASKS + 1).await;
    redis.run().await.unwrap();

    for handle in &done {
        let result = handle.wait_result().timeout(PATIENCE).await.unwrap();
        assert_eq!((result.attempts(), result.into_value().unwrap()), (1, worker.id().unwrap()));
    }
    assert!(failed.wait_result().timeout(PATIENCE).await.unwrap().is_err());
    assert_eq!(app.dead_letters(&queue).count().await.unwrap(), 1);
    signal(&worker, "TERM").await;
    assert_eq!(ended(worker.wait()).await.unwrap().code(), Some(0));
    assert_eq!(app.broker().inspect(&queue).await.unwrap().ready, 0, "something was not acknowledged");
    assert_eq!(ledger.history().count("start"), TASKS + 1, "each ran once");
    servers.delete(&queue).await;
}
