//! Lines to the broker that are cut while tasks run, and words that are lost on them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod support;

use redis::AsyncCommands;
use std::time::Duration;
use support::{Servers, gate::Gate, ledger::Ledger, signal, unique};
use taskq::prelude::*;
use taskq_faults::{
    proxy::{Door, Line, Proxy, Rule, Who},
    wait::{PATIENCE, ended, eventually},
};
use taskq_process_tests::{
    doubtful::{gated, gated_and_failed, gated_and_retried, gated_plain},
    nap,
};
use tokio::process::Child;

/// What counts as a standstill is half of it.
const STANDSTILL: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_whose_line_is_cut_again_and_again_run_once_in_the_only_worker() {
    let (queue, servers, ledger, gate) = (unique("cut"), Servers::shared(), Ledger::new(), Gate::closed());
    let line = Proxy::amqp(&servers.amqp).unwrap();
    let app = servers.app(&queue);
    app.startup().await.unwrap();
    let worker = servers.clone().with_amqp(line.url()).worker(&queue, &ledger, &["--concurrency", "40"]);
    let handles = app.kiq_many((0..30).map(|_| gated(gate.path()))).await.unwrap();
    eventually("all run", async || ledger.history().running() == 30).await;
    for _ in 0..3 {
        line.cut(Who::All);
        // What comes back lies before this in the queue: once it is done, all has come back.
        let behind = nap.kiq(0).on(&app).await.unwrap();
        assert!(behind.wait_result().timeout(PATIENCE).await.unwrap().is_ok());
    }
    gate.open();
    let process = worker.id().unwrap();
    for handle in &handles {
        let result = handle.wait_result().timeout(PATIENCE).await.unwrap();
        assert_eq!((result.attempts(), result.into_value().unwrap()), (1, process));
    }
    nothing_is_left_after(worker, &app, &queue).await;
    let history = ledger.history();
    assert_eq!((history.count("start"), history.count("end"), history.count("broken")), (33, 33, 0), "{history}");
    servers.delete(&queue).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_workers_the_one_whose_line_is_cut_keeps_a_run_or_breaks_it_off() {
    cut_one_of_two(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_whose_line_is_cut_and_that_claims_too_late_breaks_its_runs_off() {
    let moved = cut_one_of_two(Duration::from_millis(400)).await;
    assert!(moved > 0, "none was taken over");
}

/// Between its delivery and its beginning a run may wait for long, and lose its line meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_function_that_waits_for_a_core_does_not_begin_where_its_line_was_cut() {
    let (queue, servers, ledger, gate) = (unique("cut-waiting"), Servers::shared(), Ledger::new(), Gate::closed());
    let line = Proxy::amqp(&servers.amqp).unwrap();
    let app = servers.app(&queue);
    app.startup().await.unwrap();
    let cut_off = servers.clone().with_amqp(line.url()).worker(&queue, &ledger, &["--concurrency", "50"]);
    let cores = std::thread::available_parallelism().unwrap().get();
    let running = app.kiq_many((0..cores).map(|_| gated_plain(gate.path()))).await.unwrap();
    eventually("all cores are taken", async || ledger.history().running() == cores).await;
    let waiting = gated_plain.kiq(gate.path()).on(&app).await.unwrap();
    eventually("it has come", async || app.broker().inspect(&queue).await.unwrap().ready == 0).await;
    // Behind it, so that it waits for its core by now.
    let behind = nap.kiq(0).on(&app).await.unwrap();
    assert!(behind.wait_result().timeout(PATIENCE).await.unwrap().is_ok());
    line.door(Door::Drop);
    line.cut(Who::All);
    let other = servers.worker(&queue, &ledger, &["--concurrency", "50"]);
    eventually("it runs elsewhere", async || ledger.history().of(waiting.id()).running() == 1).await;
    gate.open();
    for handle in running.iter().chain([&waiting]) {
        assert!(handle.wait_result().timeout(PATIENCE).await.unwrap().is_ok());
    }
    line.heal();
    for worker in [cut_off, other] {
        nothing_is_left_after(worker, &app, &queue).await;
    }
    let of_task = ledger.history().of(waiting.id());
    assert_eq!(of_task.count("start"), 1, "it began where it had no right to\n{of_task}");
    servers.delete(&queue).await;
}

/// It has to be claimed then, as what came behind it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_function_that_waits_for_a_core_while_its_worker_stands_still_is_not_overtaken() {
    let (queue, in_order) = (unique("standstill"), unique("standstill-in-order"));
    let (servers, ledger, gate) = (Servers::shared(), Ledger::new(), Gate::closed());
    let app = servers.app(&queue);
    app.startup().await.unwrap();
    app.broker().declare(&QueueSpec::new(&in_order)).await.unwrap();
    let queues = format!("--queues={queue}:50,{in_order}:1");
    let worker = servers.worker(&queue, &ledger, &[&queues]);
    let cores = std::thread::available_parallelism().unwrap().get();
    let running = app.kiq_many((0..cores).map(|_| gated_plain(gate.path()))).await.unwrap();
    eventually("all cores are taken", async || ledger.history().running() == cores).await;
    let first = gated_plain.kiq(gate.path()).queue(&in_order).on(&app).await.unwrap();
    let second = gated.kiq(gate.path()).queue(&in_order).on(&app).await.unwrap();
    eventually("both have come", async || app.broker().inspect(&in_order).await.unwrap().ready == 0).await;
    signal(&worker, "STOP").await;
    tokio::time::sleep(STANDSTILL).await;
    signal(&worker, "CONT").await;
    gate.open();
    for handle in running.iter().chain([&first, &second]) {
        assert!(handle.wait_result().timeout(PATIENCE).await.unwrap().is_ok());
    }
    nothing_is_left_after(worker, &app, &queue).await;
    let began: Vec<String> =
        ledger.lines().into_iter().filter(|(what, ..)| what == "start").map(|(_, id, _)| id).collect();
    let place = |handle: &TaskHandle<u32>| began.iter().position(|id| *id == handle.id().to_string()).unwrap();
    assert!(place(&first) < place(&second), "{}", ledger.history());
    servers.delete(&queue).await;
    servers.delete(&in_order).await;
}

/// What the one that is cut off says to Redis takes so long; gives how many runs the other one took over.
async fn cut_one_of_two(slowness: Duration) -> usize {
    let (queue, servers, ledger, gate) = (unique("cut-two"), Servers::shared(), Ledger::new(), Gate::closed());
    let line = Proxy::amqp(&servers.amqp).unwrap();
    let app = servers.app(&queue);
    app.startup().await.unwrap();
    let to_redis = Proxy::redis(&servers.redis).unwrap();
    let cut_off = servers.clone().with_amqp(line.url()).with_redis(to_redis.url());
    let cut_off = cut_off.worker(&queue, &ledger, &["--concurrency", "20"]);
    let handles = app.kiq_many((0..20).map(|_| gated(gate.path()))).await.unwrap();
    eventually("all run", async || ledger.history().running() == 20).await;
    let other = servers.worker(&queue, &ledger, &["--concurrency", "20"]);
    eventually("both consume", async || app.broker().inspect(&queue).await.unwrap().consumers == 2).await;
    let (here, there) = (cut_off.id().unwrap(), other.id().unwrap());
    to_redis.lines(Who::All, Line::Delay(slowness));
    line.cut(Who::All);

    let mut redis = redis::Client::open(&*servers.redis).unwrap().get_multiplexed_async_connection().await.unwrap();
    eventually("each run is claimed, and runs in one place", async || {
        for handle in &handles {
            let owner: Option<String> = redis.hget(format!("taskq:{{{}}}:c", handle.id()), "owner").await.unwrap();
            let is_claimed = owner.is_some_and(|owner| !owner.is_empty());
            if !is_claimed || ledger.history().of(handle.id()).running() != 1 {
                return false;
            }
        }
        true
    })
    .await;
    gate.open();
    for handle in &handles {
        assert_eq!(handle.wait_result().timeout(PATIENCE).await.unwrap().attempts(), 1);
    }
    for worker in [cut_off, other] {
        nothing_is_left_after(worker, &app, &queue).await;
    }
    let history = ledger.history();
    let mut moved = 0;
    for handle in &handles {
        let of_task = history.of(handle.id());
        let (here, there) = (of_task.within(here), of_task.within(there));
        assert_eq!(of_task.count("end"), 1, "each ends once\n{of_task}");
        assert_eq!(here.count("start"), 1, "{of_task}");
        assert_eq!(there.count("start"), here.count("broken"), "it runs again only where it was broken off\n{of_task}");
        moved += there.count("start");
    }
    println!("{moved} of {} runs were taken over", handles.len());
    servers.delete(&queue).await;
    moved
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_run_whose_acknowledgement_is_lost_is_followed_by_one_second_run() {
    let (queue, servers, ledger, gate) = (unique("unheard"), Servers::shared(), Ledger::new(), Gate::closed());
    let line = Proxy::amqp(&servers.amqp).unwrap();
    let app = servers.app(&queue);
    app.startup().await.unwrap();
    gate.open();
    let worker = servers.clone().with_amqp(line.url()).worker(&queue, &ledger, &[]);
    eventually("it consumes", async || app.broker().inspect(&queue).await.unwrap().consumers == 1).await;
    let lost = line.add(Rule::lost_acks());
    let handle = gated_and_retried.kiq(gate.path()).on(&app).await.unwrap();
    eventually("the first run is acknowledged, and nobody hears", async || lost.hits() > 0).await;
    lost.end();
    line.cut(Who::All);
    let result = handle.wait_result().timeout(PATIENCE).await.unwrap();
    assert_eq!((result.attempts(), result.is_ok()), (2, true));
    nothing_is_left_after(worker, &app, &queue).await;
    each_attempt_ran_once(&ledger, 2);
    servers.delete(&queue).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_run_whose_worker_dies_unheard_is_followed_by_one_second_run_elsewhere() {
    let (queue, servers, ledger, gate) = (unique("unheard-dead"), Servers::shared(), Ledger::new(), Gate::closed());
    let line = Proxy::amqp(&servers.amqp).unwrap();
    let app = servers.app(&queue);
    app.startup().await.unwrap();
    gate.open();
    let mut doomed = servers.clone().with_amqp(line.url()).worker(&queue, &ledger, &[]);
    eventually("it consumes", async || app.broker().inspect(&queue).await.unwrap().consumers == 1).await;
    let lost = line.add(Rule::lost_acks());
    let handle = gated_and_retried.kiq(gate.path()).on(&app).await.unwrap();
    eventually("the first run is acknowledged, and nobody hears", async || lost.hits() > 0).await;
    doomed.kill().await.unwrap();
    let survivor = servers.worker(&queue, &ledger, &[]);
    let result = handle.wait_result().timeout(PATIENCE).await.unwrap();
    assert_eq!((result.attempts(), result.into_value().unwrap()), (2, survivor.id().unwrap()));
    nothing_is_left_after(survivor, &app, &queue).await;
    each_attempt_ran_once(&ledger, 2);
    servers.delete(&queue).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_failed_for_good_unheard_leaves_one_dead_letter() {
    let (queue, servers, ledger, gate) = (unique("unheard-end"), Servers::shared(), Ledger::new(), Gate::closed());
    let line = Proxy::amqp(&servers.amqp).unwrap();
    let app = servers.app(&queue);
    app.startup().await.unwrap();
    gate.open();
    let mut doomed = servers.clone().with_amqp(line.url()).worker(&queue, &ledger, &[]);
    eventually("it consumes", async || app.broker().inspect(&queue).await.unwrap().consumers == 1).await;
    let lost = line.add(Rule::lost_acks());
    let handle = gated_and_failed.kiq(gate.path()).on(&app).await.unwrap();
    eventually("its end is acknowledged, and nobody hears", async || lost.hits() > 0).await;
    doomed.kill().await.unwrap();
    let survivor = servers.worker(&queue, &ledger, &[]);
    assert!(handle.wait_result().timeout(PATIENCE).await.unwrap().is_err());
    // What comes after it is done when it is done.
    assert!(nap.kiq(0).on(&app).await.unwrap().wait_result().timeout(PATIENCE).await.unwrap().is_ok());
    nothing_is_left_after(survivor, &app, &queue).await;
    assert_eq!(ledger.history().of(handle.id()).count("start"), 1);
    assert_eq!(app.dead_letters(&queue).count().await.unwrap(), 1);
    servers.delete(&queue).await;
}

fn each_attempt_ran_once(ledger: &Ledger, attempts: u32) {
    let history = ledger.history();
    for attempt in 1..=attempts {
        assert_eq!(history.attempt(attempt).count("start"), 1, "{history}");
    }
    assert_eq!(history.count("start"), attempts as usize, "{history}");
}

/// What was not acknowledged is back when its worker has gone.
async fn nothing_is_left_after(mut worker: Child, app: &App, queue: &str) {
    eventually("nothing waits", async || app.broker().inspect(queue).await.unwrap().ready == 0).await;
    signal(&worker, "TERM").await;
    assert_eq!(ended(worker.wait()).await.unwrap().code(), Some(0));
    let info = app.broker().inspect(queue).await.unwrap();
    assert_eq!(info.ready, 0, "something was not acknowledged");
}
