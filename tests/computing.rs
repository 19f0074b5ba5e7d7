//! Runs that compute for long before they first wait, or never do.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};
use support::Stage;
use taskq::{FailureKind, WorkerError, prelude::*};
use taskq_faults::wait::PATIENCE;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// A door that a run stands before with its whole thread.
#[derive(Clone, Default)]
struct Door(Arc<(Mutex<bool>, Condvar)>);

impl Door {
    /// Whether it was opened in time.
    fn pass(&self) -> bool {
        let (is_open, opened) = &*self.0;
        let passed = opened.wait_timeout_while(is_open.lock().unwrap(), PATIENCE / 2, |is_open| !*is_open).unwrap();
        !passed.1.timed_out()
    }

    fn shut(&self) {
        *self.0.0.lock().unwrap() = false;
    }

    fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }
}

#[task]
async fn stand(door: State<Door>) -> bool {
    door.pass()
}

#[task]
async fn open(door: State<Door>) {
    door.open();
}

#[task]
async fn nothing() {}

/// All of it lies in the queue before the worker begins, so that it comes at once, and nothing comes behind it.
async fn none_waits_behind_a_run_that_holds_its_thread(stage: Stage) {
    let door = Door::default();
    let app = stage.idle_app().with_state(door.clone()).with_state(Begun::default());
    app.startup().await.unwrap();
    // What the first one wakes is on the thread that the second one holds.
    let first = nothing.kiq().on(&app).await.unwrap();
    let stands = stand.kiq().on(&app).await.unwrap();
    let others = app.kiq_many((0..3).map(|_| nothing())).await.unwrap();
    let opens = open.kiq().on(&app).await.unwrap();
    stage.start(app).await;
    assert!(stands.wait_result().await.unwrap().into_value().unwrap(), "nobody came to open the door");
    for handle in others.iter().chain([&first, &opens]) {
        handle.wait_result().await.unwrap().into_value().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn none_waits_behind_a_run_that_holds_its_thread_in_memory() {
    support::play(Stage::memory(), none_waits_behind_a_run_that_holds_its_thread).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn none_waits_behind_a_run_that_holds_its_thread_on_rabbitmq() {
    support::play(Stage::rabbitmq(), none_waits_behind_a_run_that_holds_its_thread).await;
}

#[task]
async fn stand_by(door: State<Door>, begun: State<Begun>) -> bool {
    begun.0.0.notify_one();
    door.pass()
}

/// Calls come from elsewhere, so that nothing but deliveries and answers of the store wakes the worker's runtime.
#[test]
fn what_comes_begins_while_a_run_holds_the_thread_that_listened() {
    let working = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let calling = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    calling.block_on(support::play(Stage::rabbitmq(), async |stage: Stage| {
        let (door, begun) = (Door::default(), Begun::default());
        let app = || stage.app().with_state(door.clone()).with_state(begun.clone());
        let (works, calls) = (app(), app());
        let starting = stage.clone();
        working.spawn(async move { starting.start(works).await }).await.unwrap();
        calls.startup().await.unwrap();
        for _ in 0..5 {
            nothing.kiq().on(&calls).await.unwrap().wait_result().await.unwrap().into_value().unwrap();
            let stands = stand_by.kiq().on(&calls).await.unwrap();
            begun.0.notified().await;
            open.kiq().on(&calls).await.unwrap().wait_result().await.unwrap().into_value().unwrap();
            assert!(stands.wait_result().await.unwrap().into_value().unwrap(), "nobody came to open the door");
            door.shut();
        }
        calls.shutdown().await.unwrap();
    }));
    working.shutdown_background();
}

#[task(timeout = "300ms")]
async fn never_pauses() {
    loop {
        tokio::task::consume_budget().await;
    }
}

#[derive(Clone, Default)]
struct Begun(Arc<Notify>);

#[task]
async fn goes_on_and_on(begun: State<Begun>) {
    begun.0.0.notify_one();
    loop {
        tokio::task::consume_budget().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_never_leaves_anything_of_its_turn_is_interrupted() {
    let (begun, now) = (Begun::default(), CancellationToken::new());
    let app = taskq::InMemoryBroker::new()
        .without_worker()
        .with_default_queue("slow")
        .with_state(begun.clone())
        .with_state(Door::default());
    goes_on_and_on.kiq().on(&app).await.unwrap();
    let running = tokio::spawn(app.worker().run_until_stopped(now.clone(), now.clone()));
    begun.0.notified().await;
    now.cancel();
    assert!(matches!(running.await.unwrap(), Err(WorkerError::Abandoned { in_flight: 1 })));
    assert_eq!(app.broker().inspect("slow").await.unwrap().ready, 1, "it was not given back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_never_leaves_anything_of_its_turn_ends_at_its_limit() {
    let app = taskq::InMemoryBroker::new().into_app();
    let ended = never_pauses.kiq().on(&app).await.unwrap().wait_result().timeout(Duration::from_secs(30)).await;
    assert_eq!(ended.unwrap().into_value().unwrap_err().kind, FailureKind::Timeout);
}
