//! Stopping in stages, and what comes back.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;
use support::{Log, Stage};
use taskq::{WorkerError, prelude::*};
use taskq_faults::wait::eventually;
use tokio_util::sync::CancellationToken;

#[task(retry = 0)]
async fn slow(ctx: TaskContext, log: State<Log>, millis: u64) -> u32 {
    log.note("began");
    tokio::time::sleep(Duration::from_millis(millis)).await;
    log.note("ended");
    ctx.attempt()
}

async fn a_stopping_worker_lets_running_tasks_finish_and_gives_the_rest_back(stage: Stage) {
    let log = Log::default();
    let app = stage.idle_app().with_state(log.clone());
    app.startup().await.unwrap();
    let handles = app.kiq_many((0..6).map(|_| slow(400))).await.unwrap();
    let stop = CancellationToken::new();
    let worker = app.worker().concurrency(2).run_until_stopped(stop.clone(), CancellationToken::new());
    let running = tokio::spawn(worker);
    eventually("two run", || async { log.count("began") == 2 }).await;
    stop.cancel();
    running.await.unwrap().unwrap();
    assert_eq!((log.count("began"), log.count("ended")), (2, 2));
    eventually("the rest is back", || async { app.broker().inspect(&stage.queue).await.unwrap().ready == 4 }).await;

    let _app = stage.start(app).await;
    for handle in handles {
        assert_eq!(handle.wait_result().await.unwrap().into_value().unwrap(), 1);
    }
    assert_eq!(log.count("began"), 6, "nothing ran twice");
}

async fn a_task_that_outlasts_the_shutdown_timeout_is_given_back_at_no_cost(stage: Stage) {
    let log = Log::default();
    let app = stage.idle_app().with_state(log.clone());
    app.startup().await.unwrap();
    let handle = slow.kiq(1500).on(&app).await.unwrap();
    let stop = CancellationToken::new();
    let worker = app.worker().shutdown_timeout("100ms").run_until_stopped(stop.clone(), CancellationToken::new());
    let running = tokio::spawn(worker);
    eventually("it runs", || async { log.count("began") == 1 }).await;
    stop.cancel();
    let ended = running.await.unwrap();
    assert!(matches!(ended, Err(WorkerError::Abandoned { in_flight: 1 })), "{ended:?}");
    assert_eq!(log.count("ended"), 0);

    let _app = stage.start(app).await;
    assert_eq!(handle.wait_result().await.unwrap().into_value().unwrap(), 1, "it is still the first attempt");
    assert_eq!((log.count("began"), log.count("ended")), (2, 1));
}

async fn a_second_signal_ends_the_waiting(stage: Stage) {
    let log = Log::default();
    let app = stage.idle_app().with_state(log.clone());
    app.startup().await.unwrap();
    slow.kiq(3_600_000).on(&app).await.unwrap();
    let (stop, now) = (CancellationToken::new(), CancellationToken::new());
    let running = tokio::spawn(app.worker().shutdown_timeout("1h").run_until_stopped(stop.clone(), now.clone()));
    eventually("it runs", || async { log.count("began") == 1 }).await;
    stop.cancel();
    now.cancel();
    assert!(matches!(running.await.unwrap(), Err(WorkerError::Abandoned { in_flight: 1 })));
}

async fn dropping_a_worker_gives_its_tasks_back(stage: Stage) {
    let log = Log::default();
    let app = stage.idle_app().with_state(log.clone());
    app.startup().await.unwrap();
    let handle = slow.kiq(300).on(&app).await.unwrap();
    let running = tokio::spawn(app.worker().run_until(std::future::pending::<()>()));
    eventually("it runs", || async { log.count("began") == 1 }).await;
    running.abort();
    let _app = stage.start(app).await;
    assert!(handle.wait_result().await.unwrap().is_ok());
    assert_eq!((log.count("began"), log.count("ended")), (2, 1));
}

on_both! {
    a_stopping_worker_lets_running_tasks_finish_and_gives_the_rest_back,
    a_task_that_outlasts_the_shutdown_timeout_is_given_back_at_no_cost,
    a_second_signal_ends_the_waiting,
    dropping_a_worker_gives_its_tasks_back,
}
