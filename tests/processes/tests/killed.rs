//! Worker processes that are killed, and what becomes of their tasks.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::HashSet;
use support::{Servers, ledger::Ledger, signal, unique};
use taskq::prelude::*;
use taskq_faults::{
    proxy::{Line, Proxy, Way, Who},
    wait::{PATIENCE, ended, eventually},
};
use taskq_process_tests::{nap, nap_and_fail, nap_at_most_once};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_one_of_two_workers_loses_nothing_and_repeats_only_what_ran_there() {
    let queue = unique("killed");
    let (servers, ledger) = (Servers::shared(), Ledger::new());
    let app = servers.app(&queue);
    app.startup().await.unwrap();
    let mut doomed = servers.worker(&queue, &ledger, &["--concurrency", "20"]);
    let survivor = servers.worker(&queue, &ledger, &["--concurrency", "20"]);
    let (doomed_id, survivor_id) = (doomed.id().unwrap(), survivor.id().unwrap());
    eventually("both consume", async || app.broker().inspect(&queue).await.unwrap().consumers == 2).await;

    let handles = app.kiq_many((0..300).map(|_| nap(700))).await.unwrap();
    eventually("the one to be killed has done some, 20 run, and 100 wait", async || {
        let waiting = app.broker().inspect(&queue).await.unwrap().ready;
        let (there, here) = (ledger.running_in(doomed_id).len(), ledger.running_in(survivor_id).len());
        ledger.ended_in(doomed_id).len() >= 20 && there >= 10 && there + here >= 20 && waiting >= 100
    })
    .await;
    doomed.kill().await.unwrap();
    let struck = ledger.running_in(doomed_id);
    assert!(!struck.is_empty());

    let mut processes = HashSet::new();
    for handle in &handles {
        processes.insert(handle.wait_result().timeout(PATIENCE).await.unwrap().into_value().unwrap());
    }
    assert_eq!(processes, HashSet::from([doomed_id, survivor_id]));

    let starts = ledger.starts();
    assert_eq!(starts.len(), handles.len(), "every task ran");
    assert!(starts.values().all(|runs| *runs <= 2), "no task ran more than twice");
    let repeated: HashSet<String> = starts.into_iter().filter(|(_, runs)| *runs == 2).map(|(id, _)| id).collect();
    let unexplained: Vec<_> = repeated.difference(&struck).collect();
    assert!(unexplained.is_empty(), "ran twice without running in the killed process: {unexplained:?}");
    drop(survivor);
    app.shutdown().await.unwrap();
    servers.delete(&queue).await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminated_worker_finishes_what_runs_and_exits_cleanly() {
    let queue = unique("terminated");
    let (servers, ledger) = (Servers::shared(), Ledger::new());
    let app = servers.app(&queue);
    app.startup().await.unwrap();
    let mut stopped = servers.worker(&queue, &ledger, &["--concurrency", "5"]);
    let process = stopped.id().unwrap();
    let handles = app.kiq_many((0..30).map(|_| nap(500))).await.unwrap();
    eventually("five run", async || ledger.running_in(process).len() == 5).await;
    signal(&stopped, "TERM").await;
    let exit = tokio::time::timeout(PATIENCE, stopped.wait()).await.unwrap().unwrap();
    assert_eq!(exit.code(), Some(0));
    assert!(ledger.running_in(process).is_empty(), "what ran has finished");
    assert!(ledger.count("end") < 30, "it took nothing more");

    let second = servers.worker(&queue, &ledger, &["--concurrency", "30"]);
    for handle in &handles {
        assert!(handle.wait_result().timeout(PATIENCE).await.unwrap().is_ok());
    }
    assert_eq!(ledger.count("start"), 30, "nothing ran twice");
    drop(second);
    app.shutdown().await.unwrap();
    servers.delete(&queue).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_a_worker_at_once_and_costs_its_tasks_no_attempt() {
    let queue = unique("twice");
    let (servers, ledger) = (Servers::shared(), Ledger::new());
    let app = servers.app(&queue);
    app.startup().await.unwrap();
    let mut stopped = servers.worker(&queue, &ledger, &["--concurrency", "1", "--shutdown-timeout", "1h"]);
    let process = stopped.id().unwrap();
    let handle = nap.kiq(4_000).on(&app).await.unwrap();
    app.kiq_many((0..3).map(|_| nap(0))).await.unwrap();
    eventually("one runs", async || ledger.running_in(process).len() == 1).await;
    signal(&stopped, "TERM").await;
    eventually("the rest is back", async || app.broker().inspect(&queue).await.unwrap().ready == 3).await;
    assert!(stopped.try_wait().unwrap().is_none(), "it waits for what runs");
    signal(&stopped, "TERM").await;
    assert_eq!(ended(stopped.wait()).await.unwrap().code(), Some(3));
    assert_eq!(ledger.count("end"), 0);

    let _second = servers.worker(&queue, &ledger, &[]);
    let result = handle.wait_result().timeout(PATIENCE).await.unwrap();
    assert_eq!(result.attempts(), 1);
    assert!(result.is_ok());
    servers.delete(&queue).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_is_acknowledged_on_receipt_runs_at_most_once() {
    let queue = unique("on-receive");
    let (servers, ledger) = (Servers::shared(), Ledger::new());
    let app = servers.app(&queue);
    app.startup().await.unwrap();
    let mut doomed = servers.worker(&queue, &ledger, &[]);
    let process = doomed.id().unwrap();
    let lost = nap_at_most_once.kiq(60_000).on(&app).await.unwrap();
    eventually("it runs", async || ledger.running_in(process).len() == 1).await;
    // The acknowledgement of a run that ended tells that the one before it has been told too.
    assert!(nap_at_most_once.kiq(0).on(&app).await.unwrap().wait_result().timeout(PATIENCE).await.unwrap().is_ok());
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    doomed.kill().await.unwrap();

    let _second = servers.worker(&queue, &ledger, &[]);
    assert!(nap.kiq(0).on(&app).await.unwrap().wait_result().timeout(PATIENCE).await.unwrap().is_ok());
    eventually("the queue is empty", async || app.broker().inspect(&queue).await.unwrap().ready == 0).await;
    assert_eq!(ledger.starts()[lost.id().as_str()], 1);
    assert!(TaskHandle::<u32>::attach(&app, lost.id()).wait_result().timeout("100ms").await.is_err());
    servers.delete(&queue).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_killed_between_result_and_acknowledgement_does_not_make_its_task_run_again() {
    let queue = unique("unacked");
    let (servers, ledger) = (Servers::shared(), Ledger::new());
    let line = Proxy::amqp(&servers.amqp).unwrap();
    let app = servers.app(&queue);
    app.startup().await.unwrap();
    let mut doomed = servers.clone().with_amqp(line.url()).worker(&queue, &ledger, &[]);
    let process = doomed.id().unwrap();
    let done = nap.kiq(1_000).on(&app).await.unwrap();
    let failed = nap_and_fail.kiq(1_000).on(&app).await.unwrap();
    eventually("both run", async || ledger.running_in(process).len() == 2).await;
    line.line(Who::All, Way::ToServer, Line::Swallow);
    assert!(done.wait_result().timeout(PATIENCE).await.unwrap().is_ok());
    assert!(failed.wait_result().timeout(PATIENCE).await.unwrap().is_err());
    doomed.kill().await.unwrap();
    line.cut(Who::All);
    eventually("neither was acknowledged", async || app.broker().inspect(&queue).await.unwrap().ready == 2).await;
    assert_eq!(app.dead_letters(&queue).count().await.unwrap(), 0);

    let _second = servers.worker(&queue, &ledger, &[]);
    eventually("the failed one is dead-lettered", async || app.dead_letters(&queue).count().await.unwrap() == 1).await;
    assert!(nap.kiq(0).on(&app).await.unwrap().wait_result().timeout(PATIENCE).await.unwrap().is_ok());
    eventually("the queue is empty", async || app.broker().inspect(&queue).await.unwrap().ready == 0).await;
    let starts = ledger.starts();
    assert_eq!((starts[done.id().as_str()], starts[failed.id().as_str()]), (1, 1), "neither ran again");
    let letter = app.dead_letters(&queue).get(failed.id()).await.unwrap().unwrap();
    assert_eq!(letter.error, "slept badly");
    servers.delete(&queue).await;
}
