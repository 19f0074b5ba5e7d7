//! Clocks that disagree: those who submit and those who work need not have the same time.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{thread, time::Duration};
use support::{Log, Stage};
use taskq::{TaskStatus, UnixMillis, prelude::*};
use tokio::runtime;

const HOUR: Duration = Duration::from_secs(3600);

#[task]
async fn note(log: State<Log>, text: &str) {
    log.note(text);
}

#[task(retry = 1, backoff = "fixed(1s)")]
async fn fail_once(ctx: TaskContext) -> Result<u32, String> {
    if ctx.attempt() == 1 { Err("once".into()) } else { Ok(ctx.attempt()) }
}

/// Runs `test` where the clock is an hour fast, and goes on as clocks do.
fn an_hour_ahead<T: Send + 'static>(test: impl AsyncFnOnce() -> T + Send + 'static) -> thread::JoinHandle<T> {
    thread::spawn(move || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let before = UnixMillis::now();
            tokio::time::pause();
            tokio::time::advance(HOUR).await;
            tokio::time::resume();
            assert!(before.until(UnixMillis::now()) >= HOUR, "the clock is as before");
            test().await
        })
    })
}

async fn joined<T: Send + 'static>(thread: thread::JoinHandle<T>) -> T {
    tokio::task::spawn_blocking(|| thread.join().unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_whose_clock_is_an_hour_fast_runs_delayed_and_retried_tasks_in_their_time() {
    support::play(Stage::rabbitmq(), |stage| async move {
        let app = stage.app().with_state(Log::default());
        app.startup().await.unwrap();
        let (fast, log) = (stage.app(), Log::default());
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let fast = fast.with_state(log.clone());
        let worker = an_hour_ahead(async move || fast.worker().run_until(stopped).await);
        let delayed = note.kiq("delayed").delay("2s").on(&app).await.unwrap();
        let retried = fail_once.kiq().on(&app).await.unwrap();
        assert!(note.kiq("now").on(&app).await.unwrap().wait_result().timeout("20s").await.unwrap().is_ok());
        let retried = retried.wait_result().timeout("20s").await.expect("a retry comes when it is due");
        assert_eq!(retried.into_value().unwrap(), 2);
        let delayed = delayed.wait_result().timeout("20s").await.expect("a delayed task runs when it is due");
        assert!(delayed.is_ok());
        assert_eq!(log.texts(), ["now", "delayed"]);
        let _ = stop.send(());
        joined(worker).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_a_caller_whose_clock_is_an_hour_fast_has_delayed_runs_when_it_is_due() {
    support::play(Stage::rabbitmq(), |stage| async move {
        let log = Log::default();
        let app = stage.start(stage.app().with_state(log.clone())).await;
        let fast = stage.app().with_state(Log::default());
        let ids = an_hour_ahead(async move || {
            let now = note.kiq("now").on(&fast).await.unwrap().id().clone();
            let expiring = note.kiq("expiring").expires("1m").on(&fast).await.unwrap().id().clone();
            let delayed = note.kiq("delayed").delay("2s").on(&fast).await.unwrap().id().clone();
            [now, expiring, delayed]
        });
        for id in joined(ids).await {
            let result = TaskHandle::<()>::attach(&app, &id).wait_result().timeout("20s").await;
            let result =
                result.unwrap_or_else(|error| panic!("{id} did not run in its time: {error}; {:?}", log.texts()));
            assert_eq!(result.status(), TaskStatus::Done);
        }
    })
    .await;
}
