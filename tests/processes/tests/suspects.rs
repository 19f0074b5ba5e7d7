//! Tasks that end their process, those that run beside them, and those that are broken off and given back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod support;

use redis::AsyncCommands;
use support::{Servers, gate::Gate, ledger::Ledger, signal, unique};
use taskq::{FailureKind, prelude::*};
use taskq_faults::wait::{PATIENCE, ended, eventually};
use taskq_process_tests::{
    doubtful::{abort, gated},
    nap,
};
use tokio::task::AbortHandle;

/// Replaces the worker whenever it dies, as a supervisor does.
fn supervised(servers: &Servers, queue: &str, ledger: &Ledger, concurrency: &'static str) -> AbortHandle {
    let (servers, queue, path) = (servers.clone(), queue.to_owned(), ledger.path());
    let keeping = async move {
        loop {
            let mut command = servers.command(env!("CARGO_BIN_EXE_process-test-worker"), &queue);
            command.env(taskq_process_tests::LEDGER, &path).args(["--concurrency", concurrency]);
            command.env("RUST_LOG", "off").spawn().unwrap().wait().await.unwrap();
        }
    };
    tokio::spawn(keeping).abort_handle()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_aborts_its_process_is_dead_lettered_and_ninety_nine_beside_it_are_done() {
    let queue = unique("poison");
    let (servers, ledger) = (Servers::shared(), Ledger::new());
    let app = servers.app(&queue);
    app.startup().await.unwrap();
    let mut innocents = app.kiq_many((0..50).map(|_| nap(300))).await.unwrap();
    let poison = abort.kiq(150).on(&app).await.unwrap();
    innocents.extend(app.kiq_many((0..49).map(|_| nap(300))).await.unwrap());
    let worker = supervised(&servers, &queue, &ledger, "100");

    for handle in &innocents {
        let result = handle.wait_result().timeout(PATIENCE * 2).await.expect("an innocent ends");
        assert!(result.is_ok(), "{:?}\n{}", result.into_value(), ledger.history().of(handle.id()));
        assert_eq!(result.attempts(), 1, "a death beside it costs no attempt");
    }
    let failure = poison.wait_result().timeout(PATIENCE).await.unwrap().into_value().unwrap_err();
    assert_eq!(failure.kind, FailureKind::WorkerLost, "{failure}");
    let letters = app.dead_letters(&queue);
    eventually("it is dead-lettered", async || letters.count().await.unwrap() == 1).await;
    eventually("all is acknowledged", async || app.broker().inspect(&queue).await.unwrap().ready == 0).await;
    worker.abort();
    let letter = letters.get(poison.id()).await.unwrap().expect("it is the one that aborted");
    assert_eq!(letter.kind, FailureKind::WorkerLost);

    let history = ledger.history();
    let starts = history.of(poison.id()).count("start");
    let most = innocents.iter().map(|handle| history.of(handle.id()).count("start")).max().unwrap();
    println!("the one that aborts was started {starts} times; an innocent at most {most} times");
    // One beside all others, one claimed beside all others, and then alone until it has been silent three times.
    assert_eq!(starts, 4, "{}", history.of(poison.id()));
    assert!(innocents.iter().all(|handle| history.of(handle.id()).count("end") == 1), "{history}");
    servers.delete(&queue).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_tasks_that_abort_their_process_take_no_innocent_with_them() {
    let queue = unique("poisons");
    let (servers, ledger) = (Servers::shared(), Ledger::new());
    let app = servers.app(&queue);
    app.startup().await.unwrap();
    let mut innocents = app.kiq_many((0..10).map(|_| nap(300))).await.unwrap();
    let poisons = app.kiq_many([abort(100), abort(200)]).await.unwrap();
    innocents.extend(app.kiq_many((0..10).map(|_| nap(300))).await.unwrap());
    let worker = supervised(&servers, &queue, &ledger, "100");

    for handle in &innocents {
        let result = handle.wait_result().timeout(PATIENCE * 2).await.expect("an innocent ends");
        assert!(result.is_ok(), "{:?}\n{}", result.into_value(), ledger.history());
    }
    for handle in &poisons {
        let failure = handle.wait_result().timeout(PATIENCE).await.unwrap().into_value().unwrap_err();
        assert_eq!(failure.kind, FailureKind::WorkerLost, "{failure}");
    }
    let letters = app.dead_letters(&queue);
    eventually("both are dead-lettered", async || letters.count().await.unwrap() == 2).await;
    worker.abort();
    let history = ledger.history();
    let starts: Vec<_> = poisons.iter().map(|handle| history.of(handle.id()).count("start")).collect();
    println!("they were started {starts:?} times");
    assert!(starts.iter().all(|starts| *starts <= 5), "{history}");
    servers.delete(&queue).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_innocent_beside_which_another_task_ends_the_process_again_and_again_is_done() {
    let queue = unique("unlucky");
    let (servers, ledger) = (Servers::shared(), Ledger::new());
    let app = servers.app(&queue);
    app.startup().await.unwrap();
    let worker = supervised(&servers, &queue, &ledger, "10");
    let innocent = nap.kiq(2_000).task_id(unique("innocent")).on(&app).await.unwrap();
    let mut poisons = Vec::new();
    for round in 1..=3 {
        eventually("it runs", async || ledger.history().of(innocent.id()).count("start") >= round).await;
        // None of them has run before: each comes as healthy as any other task.
        poisons.push(abort.kiq(0).on(&app).await.unwrap());
    }
    let result = innocent.wait_result().timeout(PATIENCE * 2).await.expect("it ends");
    assert!(result.is_ok(), "{:?}\n{}", result.into_value(), ledger.history());
    for handle in &poisons {
        let failure = handle.wait_result().timeout(PATIENCE * 2).await.unwrap().into_value().unwrap_err();
        assert_eq!(failure.kind, FailureKind::WorkerLost, "{failure}");
    }
    worker.abort();
    assert_eq!(ledger.history().of(innocent.id()).count("start"), 3, "{}", ledger.history());
    servers.delete(&queue).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_is_broken_off_and_given_back_five_times_is_no_suspect_and_costs_no_attempt() {
    let queue = unique("given-back");
    let (servers, ledger, gate) = (Servers::shared(), Ledger::new(), Gate::closed());
    let app = servers.app(&queue);
    app.startup().await.unwrap();
    let handle = gated.kiq(gate.path()).on(&app).await.unwrap();
    let mut redis = redis::Client::open(&*servers.redis).unwrap().get_multiplexed_async_connection().await.unwrap();
    for round in 1..=5 {
        let mut worker = servers.worker(&queue, &ledger, &["--shutdown-timeout", "0s"]);
        eventually("it runs", async || ledger.history().count("start") == round).await;
        signal(&worker, "TERM").await;
        assert_eq!(ended(worker.wait()).await.unwrap().code(), Some(3), "a run was given back");
        assert_eq!(ledger.history().count("broken"), round);
        let key = format!("taskq:{{{}}}:c", handle.id());
        let (owner, silent): (Option<String>, Option<u32>) = redis.hmget(&key, &["owner", "silent"]).await.unwrap();
        assert_eq!((owner.unwrap_or_default().as_str(), silent.unwrap_or(0)), ("", 0), "after round {round}");
    }
    gate.open();
    let _last = servers.worker(&queue, &ledger, &[]);
    let result = handle.wait_result().timeout(PATIENCE).await.unwrap();
    assert!(result.is_ok());
    assert_eq!(result.attempts(), 1);
    let history = ledger.history();
    assert_eq!((history.count("start"), history.count("broken"), history.count("end")), (6, 5, 1), "{history}");
    servers.delete(&queue).await;
}
