//! Ids of the caller's choice that are submitted again: what waits, runs, backs off or has ended does not run again.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::sync::Arc;
use support::{Log, Stage, unique};
use taskq::{Kiq, TaskHandle, TaskStatus, prelude::*};
use taskq_faults::wait::eventually;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Nobody passes until the test has added a permit.
type Gate = Arc<Semaphore>;

#[task(result_ttl = "2s")]
async fn succeed(log: State<Log>, gate: State<Gate>, who: &str) -> String {
    log.note("run");
    gate.acquire().await.unwrap().forget();
    who.to_owned()
}

#[task(retry = 1, backoff = "fixed(1s)")]
async fn fail_once(ctx: TaskContext, log: State<Log>, who: &str) -> Result<String, String> {
    log.note(format!("attempt {}", ctx.attempt()));
    if ctx.attempt() == 1 { Err("once".into()) } else { Ok(who.to_owned()) }
}

#[task(result_ttl = "2s")]
async fn fail(log: State<Log>, who: &str) -> Result<String, String> {
    log.note("run");
    Err(who.to_owned())
}

#[task]
async fn nothing() {}

/// An app whose tasks two workers run, one at a time each.
struct Pair {
    app: App,
    queue: String,
    log: Log,
    gate: Gate,
    id: String,
    stop: CancellationToken,
    workers: Vec<tokio::task::JoinHandle<Result<(), taskq::WorkerError>>>,
}

impl Pair {
    async fn idle(stage: &Stage) -> Pair {
        let (log, gate): (Log, Gate) = (Log::default(), Arc::new(Semaphore::new(0)));
        let app = stage.idle_app().with_state(log.clone()).with_state(gate.clone());
        app.startup().await.unwrap();
        let (queue, id) = (stage.queue.clone(), unique("chosen"));
        Pair { app, queue, log, gate, id, stop: CancellationToken::new(), workers: Vec::new() }
    }

    async fn working(stage: &Stage) -> Pair {
        let mut pair = Pair::idle(stage).await;
        pair.work();
        pair
    }

    fn work(&mut self) {
        for _ in 0..2 {
            let worker = self.app.worker().concurrency(1);
            let running = worker.run_until_stopped(self.stop.clone(), CancellationToken::new());
            self.workers.push(tokio::spawn(running));
        }
    }

    async fn submit<T: taskq::Task>(&self, kiq: Kiq<T>) -> TaskHandle<T::Output> {
        kiq.task_id(self.id.as_str()).on(&self.app).await.unwrap()
    }

    /// Waits until nothing is left to be done, and stops the workers.
    async fn rest(self) {
        let after = self.app.kiq_many((0..4).map(|_| nothing())).await.unwrap();
        for handle in after {
            handle.wait_result().await.unwrap();
        }
        let nothing_waits = || async { self.app.broker().inspect(&self.queue).await.unwrap().ready == 0 };
        eventually("nothing waits", nothing_waits).await;
        self.stop.cancel();
        for worker in self.workers {
            worker.await.unwrap().unwrap();
        }
        assert_eq!(self.app.broker().inspect(&self.queue).await.unwrap().ready, 0, "something was not acknowledged");
    }
}

async fn value(handle: &TaskHandle<String>) -> String {
    handle.wait_result().await.unwrap().into_value().unwrap()
}

async fn what_waits_runs_once(stage: Stage) {
    let mut pair = Pair::idle(&stage).await;
    let first = pair.submit(succeed.kiq("first")).await;
    let second = pair.submit(succeed.kiq("second")).await;
    pair.gate.add_permits(9);
    let log = pair.log.clone();
    pair.work();
    let winner = value(&first).await;
    assert_eq!(value(&second).await, winner);
    pair.rest().await;
    assert_eq!(log.texts(), ["run"]);
}

async fn what_runs_is_not_started_again(stage: Stage) {
    let pair = Pair::working(&stage).await;
    let (log, first) = (pair.log.clone(), pair.submit(succeed.kiq("first")).await);
    eventually("it runs", || async { log.count("run") == 1 }).await;
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(pair.submit(succeed.kiq("other")).await);
    }
    // The free worker has been through at least one of them when it has done these.
    let between = pair.app.kiq_many((0..4).map(|_| nothing())).await.unwrap();
    between[0].wait_result().await.unwrap();
    assert_eq!(log.texts(), ["run"]);
    pair.gate.add_permits(9);
    for handle in others.iter().chain([&first]) {
        assert_eq!(value(handle).await, "first");
    }
    pair.rest().await;
    assert_eq!(log.texts(), ["run"]);
}

async fn what_waits_for_its_retry_is_not_started_again(stage: Stage) {
    let pair = Pair::working(&stage).await;
    let (log, first) = (pair.log.clone(), pair.submit(fail_once.kiq("first")).await);
    eventually("the first run has failed", || async { log.count("attempt 1") == 1 }).await;
    let second = pair.submit(fail_once.kiq("second")).await;
    assert_eq!((value(&first).await.as_str(), value(&second).await.as_str()), ("first", "first"));
    pair.rest().await;
    assert_eq!(log.texts(), ["attempt 1", "attempt 2"]);
}

async fn what_has_failed_leaves_no_second_letter(stage: Stage) {
    let pair = Pair::working(&stage).await;
    let (log, app, queue) = (pair.log.clone(), pair.app.clone(), pair.queue.clone());
    let first = pair.submit(fail.kiq("first")).await;
    let failed = first.wait_result().await.unwrap().into_value().unwrap_err();
    let second = pair.submit(fail.kiq("second")).await;
    let again = second.wait_result().await.unwrap().into_value().unwrap_err();
    assert_eq!((failed.message.as_str(), again.message.as_str()), ("first", "first"));
    pair.rest().await;
    assert_eq!(log.texts(), ["run"]);
    assert_eq!(app.dead_letters(&queue).count().await.unwrap(), 1);
}

async fn what_is_forgotten_runs_anew(stage: Stage) {
    let pair = Pair::working(&stage).await;
    let log = pair.log.clone();
    pair.gate.add_permits(9);
    for who in ["first", "second"] {
        let handle = pair.submit(succeed.kiq(who)).await;
        assert_eq!(value(&handle).await, who);
        let forgotten = || async { handle.status().await.unwrap() != TaskStatus::Done };
        eventually("the result is forgotten", forgotten).await;
    }
    pair.rest().await;
    assert_eq!(log.texts(), ["run", "run"]);
}

async fn a_failure_that_is_forgotten_is_followed_by_a_new_run(stage: Stage) {
    let pair = Pair::working(&stage).await;
    let (log, app, queue) = (pair.log.clone(), pair.app.clone(), pair.queue.clone());
    for who in ["first", "second"] {
        let handle = pair.submit(fail.kiq(who)).await;
        assert_eq!(handle.wait_result().await.unwrap().into_value().unwrap_err().message, who);
        let forgotten = || async { handle.status().await.unwrap() != TaskStatus::Failed };
        eventually("the failure is forgotten", forgotten).await;
    }
    pair.rest().await;
    assert_eq!(log.texts(), ["run", "run"]);
    assert_eq!(app.dead_letters(&queue).count().await.unwrap(), 2, "one of each submission");
}

on_both! {
    what_waits_runs_once,
    what_runs_is_not_started_again,
    what_waits_for_its_retry_is_not_started_again,
    what_has_failed_leaves_no_second_letter,
    what_is_forgotten_runs_anew,
    a_failure_that_is_forgotten_is_followed_by_a_new_run,
}
