//! Worker processes that are killed, and what becomes of their tasks.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};
use taskq::{BrokerExt, prelude::*};
use taskq_process_tests::{LEDGER, QUEUE, app, nap};
use tokio::process::{Child, Command};

const PATIENCE: Duration = Duration::from_secs(60);

fn worker(queue: &str, ledger: &Path, flags: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_process-test-worker"))
        .args(flags)
        .env(QUEUE, queue)
        .env(LEDGER, ledger)
        .env("RUST_LOG", "warn")
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// The ledger's lines: what, id, process.
fn lines(ledger: &Path) -> Vec<(String, String, u32)> {
    let text = std::fs::read_to_string(ledger).unwrap_or_default();
    // The last line may be on its way to the file.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let parsed = whole.lines().map(|line| {
        let mut words = line.split(' ');
        let mut word = || words.next().unwrap();
        (word().to_owned(), word().to_owned(), word().parse().unwrap())
    });
    parsed.collect()
}

/// The tasks that a process has begun, or ended.
fn noted(what: &str, ledger: &Path, process: u32) -> HashSet<String> {
    let lines = lines(ledger).into_iter().filter(|(noted, _, by)| noted == what && *by == process);
    lines.map(|(_, id, _)| id).collect()
}

fn ended_in(ledger: &Path, process: u32) -> HashSet<String> {
    noted("end", ledger, process)
}

/// What a process has begun and not ended.
fn running_in(ledger: &Path, process: u32) -> HashSet<String> {
    noted("start", ledger, process).difference(&ended_in(ledger, process)).cloned().collect()
}

async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !condition().await {
        assert!(began.elapsed() < PATIENCE, "this did not come true: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn delete(queue: &str) {
    let url = std::env::var("TASKQ_TEST_AMQP_URL").unwrap_or_else(|_| "amqp://guest:guest@127.0.0.1:5672/%2f".into());
    let connection = lapin::Connection::connect(&url, lapin::ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    for name in [queue.to_owned(), format!("{queue}.dead")] {
        let _ = channel.queue_delete(name.into(), Default::default()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_one_of_two_workers_loses_nothing_and_repeats_only_what_ran_there() {
    let queue = format!("test-killed-{}", taskq::TaskId::new());
    let folder = tempfile::tempdir().unwrap();
    let ledger = folder.path().join("ledger");
    let app = app().with_default_queue(&queue);
    app.startup().await.unwrap();
    let mut doomed = worker(&queue, &ledger, &["--concurrency", "20"]);
    let survivor = worker(&queue, &ledger, &["--concurrency", "20"]);
    let (doomed_id, survivor_id) = (doomed.id().unwrap(), survivor.id().unwrap());
    eventually("both consume", async || app.broker().inspect(&queue).await.unwrap().consumers == 2).await;

    let handles = app.kiq_many((0..300).map(|_| nap(700))).await.unwrap();
    eventually("the one to be killed has done some, 20 run, and 100 wait", async || {
        let waiting = app.broker().inspect(&queue).await.unwrap().ready;
        let (there, here) = (running_in(&ledger, doomed_id).len(), running_in(&ledger, survivor_id).len());
        ended_in(&ledger, doomed_id).len() >= 20 && there >= 10 && there + here >= 20 && waiting >= 100
    })
    .await;
    doomed.kill().await.unwrap();
    let struck = running_in(&ledger, doomed_id);
    assert!(!struck.is_empty());

    let mut processes = HashSet::new();
    for handle in &handles {
        processes.insert(handle.wait_result().timeout(PATIENCE).await.unwrap().into_value().unwrap());
    }
    assert_eq!(processes, HashSet::from([doomed_id, survivor_id]));

    let mut starts: HashMap<String, u32> = HashMap::new();
    for (_, id, _) in lines(&ledger).iter().filter(|(what, ..)| what == "start") {
        *starts.entry(id.clone()).or_default() += 1;
    }
    assert_eq!(starts.len(), handles.len(), "every task ran");
    assert!(starts.values().all(|runs| *runs <= 2), "no task ran more than twice");
    let repeated: HashSet<String> = starts.into_iter().filter(|(_, runs)| *runs == 2).map(|(id, _)| id).collect();
    let unexplained: Vec<_> = repeated.difference(&struck).collect();
    assert!(unexplained.is_empty(), "ran twice without running in the killed process: {unexplained:?}");
    drop(survivor);
    app.shutdown().await.unwrap();
    delete(&queue).await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminated_worker_finishes_what_runs_and_exits_cleanly() {
    let queue = format!("test-terminated-{}", taskq::TaskId::new());
    let folder = tempfile::tempdir().unwrap();
    let ledger = folder.path().join("ledger");
    let app = app().with_default_queue(&queue);
    app.startup().await.unwrap();
    let mut stopped = worker(&queue, &ledger, &["--concurrency", "5"]);
    let process = stopped.id().unwrap();
    let handles = app.kiq_many((0..30).map(|_| nap(500))).await.unwrap();
    eventually("five run", async || running_in(&ledger, process).len() == 5).await;
    let terminated = Command::new("kill").args(["-TERM", &process.to_string()]).status().await.unwrap();
    assert!(terminated.success());
    let exit = tokio::time::timeout(PATIENCE, stopped.wait()).await.unwrap().unwrap();
    assert_eq!(exit.code(), Some(0));
    assert!(running_in(&ledger, process).is_empty(), "what ran has finished");
    let done_there = lines(&ledger).iter().filter(|(what, ..)| what == "end").count();
    assert!(done_there < 30, "it took nothing more");

    let second = worker(&queue, &ledger, &["--concurrency", "30"]);
    for handle in &handles {
        assert!(handle.wait_result().timeout(PATIENCE).await.unwrap().is_ok());
    }
    let starts = lines(&ledger).iter().filter(|(what, ..)| what == "start").count();
    assert_eq!(starts, 30, "nothing ran twice");
    drop(second);
    app.shutdown().await.unwrap();
    delete(&queue).await;
}
