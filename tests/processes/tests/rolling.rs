//! All workers replaced one after the other, under load.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod support;

use support::{Servers, ledger::Ledger, signal, unique};
use taskq::prelude::*;
use taskq_faults::wait::{PATIENCE, ended, eventually};
use taskq_process_tests::nap;
use tokio::process::Child;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replacing_all_workers_under_load_loses_nothing_and_runs_nothing_twice() {
    let (queue, servers, ledger) = (unique("rolling"), Servers::shared(), Ledger::new());
    let app = servers.app(&queue);
    app.startup().await.unwrap();
    let start = || servers.worker(&queue, &ledger, &["--concurrency", "10"]);
    let mut workers: Vec<Child> = (0..3).map(|_| start()).collect();
    let handles = app.kiq_many((0..600).map(|_| nap(200))).await.unwrap();
    for worker in &mut workers {
        let process = worker.id().unwrap();
        eventually("it is at work", async || ledger.ended_in(process).len() >= 10).await;
        assert!(!ledger.running_in(process).is_empty());
        signal(worker, "TERM").await;
        let old = std::mem::replace(worker, start());
        assert_eq!(exit_code(old).await, Some(0), "what ran was finished");
        assert!(ledger.running_in(process).is_empty());
    }
    assert!(app.broker().inspect(&queue).await.unwrap().ready > 0, "it was under load all the while");
    for handle in &handles {
        let result = handle.wait_result().timeout(PATIENCE).await.unwrap();
        assert_eq!((result.attempts(), result.is_ok()), (1, true));
    }
    let starts = ledger.starts();
    assert_eq!(starts.len(), 600);
    assert!(starts.values().all(|starts| *starts == 1), "{}", ledger.history());
    servers.delete(&queue).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replacing_all_workers_without_waiting_for_them_costs_no_attempt_and_ends_each_task_once() {
    let (queue, servers, ledger) = (unique("rolling-fast"), Servers::shared(), Ledger::new());
    let app = servers.app(&queue);
    app.startup().await.unwrap();
    let start = || servers.worker(&queue, &ledger, &["--concurrency", "10", "--shutdown-timeout", "0s"]);
    let mut workers: Vec<Child> = (0..3).map(|_| start()).collect();
    let handles = app.kiq_many((0..600).map(|_| nap(200))).await.unwrap();
    for place in [0, 1, 2, 0, 1, 2] {
        let process = workers[place].id().unwrap();
        eventually("it is at work", async || ledger.ended_in(process).len() >= 10).await;
        signal(&workers[place], "TERM").await;
        let old = std::mem::replace(&mut workers[place], start());
        assert!(matches!(exit_code(old).await, Some(0 | 3)));
    }
    for handle in &handles {
        let result = handle.wait_result().timeout(PATIENCE).await.unwrap();
        assert_eq!((result.attempts(), result.is_ok()), (1, true));
    }
    let history = ledger.history();
    for handle in &handles {
        let of_task = history.of(handle.id());
        assert_eq!(of_task.count("end"), 1, "{of_task}");
    }
    assert_eq!(app.dead_letters(&queue).count().await.unwrap(), 0);
    servers.delete(&queue).await;
}

async fn exit_code(mut worker: Child) -> Option<i32> {
    ended(worker.wait()).await.unwrap().code()
}
