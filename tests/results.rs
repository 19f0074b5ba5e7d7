//! Waiting for results, asking for the status, replaying dead letters.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;
use support::{Log, Stage};
use taskq::{FailureKind, ResultError, TaskError, TaskStatus, prelude::*};
use taskq_faults::wait::eventually;

#[task]
async fn double(n: i64) -> i64 {
    n * 2
}

#[task(store_result = false)]
async fn forget(log: State<Log>) {
    log.note("ran");
}

#[task(track, retry = 1, backoff = "fixed(400ms)")]
async fn tracked(ctx: TaskContext, gate: State<Gate>) -> Result<(), String> {
    gate.permits.acquire().await.map_err(|error| error.to_string())?.forget();
    if ctx.attempt() == 1 { Err("once more".into()) } else { Ok(()) }
}

/// Lets tasks through one by one.
struct Gate {
    permits: tokio::sync::Semaphore,
}

#[task]
async fn mended(broken: State<std::sync::atomic::AtomicBool>) -> Result<String, TaskError> {
    if broken.load(std::sync::atomic::Ordering::SeqCst) {
        Err(TaskError::permanent("broken"))
    } else {
        Ok("mended".into())
    }
}

async fn a_result_waits_for_whoever_asks_also_twice(stage: Stage) {
    let app = stage.start(app_of(&stage)).await;
    let handle = double.kiq(21).on(&app).await.unwrap();
    let (first, second) = tokio::join!(handle.wait_result(), handle.clone().wait_result());
    assert_eq!(first.unwrap().into_value().unwrap(), 42);
    assert_eq!(second.unwrap().into_value().unwrap(), 42);
    let wrong = TaskHandle::<String>::attach(&app, handle.id()).wait_result().await.unwrap_err();
    assert!(matches!(wrong, ResultError::Decode { .. }), "{wrong}");
}

async fn a_limit_ends_the_wait_and_not_the_task(stage: Stage) {
    let app = stage.start(app_of(&stage)).await;
    let handle = double.kiq(21).delay("700ms").on(&app).await.unwrap();
    let error = handle.wait_result().timeout("100ms").await.unwrap_err();
    assert!(matches!(error, ResultError::Timeout { .. }), "{error}");
    assert_eq!(handle.wait_result().await.unwrap().into_value().unwrap(), 42);
    let error = handle.wait_result().timeout("100 apples").await.unwrap_err();
    assert!(matches!(error, ResultError::Invalid { .. }), "{error}");
}

async fn a_task_without_a_result_says_so_at_once(stage: Stage) {
    let log = Log::default();
    let app = stage.start(app_of(&stage).with_state(log.clone())).await;
    let handle = forget.kiq().on(&app).await.unwrap();
    let error = handle.wait_result().await.unwrap_err();
    assert!(matches!(error, ResultError::NoResult { .. }), "{error}");
    eventually("it ran all the same", || async { log.count("ran") == 1 }).await;
}

async fn tracking_tells_the_steps_apart(stage: Stage) {
    let gate = Gate { permits: tokio::sync::Semaphore::new(0) };
    let queue = stage.queue("tracked");
    let app = stage.idle_app().with_state(Log::default()).with_queue(QueueSpec::new(&queue));
    let app = app.with_state(gate).with_state(std::sync::atomic::AtomicBool::new(false));
    app.startup().await.unwrap();
    let gate = taskq::TaskContext::detached(&app).state::<Gate>().unwrap();
    let handle = tracked.kiq().queue(&queue).on(&app).await.unwrap();
    let status = || async { handle.status().await.unwrap() };
    assert_eq!(status().await, TaskStatus::Queued);
    let _app = stage.start(app.clone()).await;
    eventually("it runs", || async { status().await == TaskStatus::Running }).await;
    gate.permits.add_permits(1);
    eventually("it waits for its retry", || async {
        matches!(status().await, TaskStatus::Retrying { attempt: 2, .. })
    })
    .await;
    eventually("it runs again", || async { status().await == TaskStatus::Running }).await;
    gate.permits.add_permits(1);
    eventually("it is done", || async { status().await == TaskStatus::Done }).await;
    let untracked = double.kiq(1).queue(&queue).delay("1h").on(&app).await.unwrap();
    assert_eq!(untracked.status().await.unwrap(), TaskStatus::Pending);
}

async fn a_replayed_dead_letter_has_a_result_of_its_own(stage: Stage) {
    let app = stage.start(app_of(&stage)).await;
    let broken = taskq::TaskContext::detached(&app).state::<std::sync::atomic::AtomicBool>().unwrap();
    broken.store(true, std::sync::atomic::Ordering::SeqCst);
    let handle = mended.kiq().on(&app).await.unwrap();
    let failure = handle.wait_result().await.unwrap().into_value().unwrap_err();
    assert_eq!(failure.kind, FailureKind::Permanent);
    let letters = app.dead_letters(&stage.queue);
    eventually("the letter is there", || async { letters.count().await.unwrap() == 1 }).await;
    assert_eq!(letters.list(10).await.unwrap()[0].id.as_ref().unwrap(), handle.id());
    assert_eq!(letters.list(10).await.unwrap().len(), 1, "listing takes nothing away");

    broken.store(false, std::sync::atomic::Ordering::SeqCst);
    let again = letters.replay(handle.id()).await.unwrap().unwrap();
    let result = again.typed::<String>().wait_result().await.unwrap();
    assert_eq!(result.record().round, 1);
    assert_eq!(result.into_value().unwrap(), "mended");
    assert_eq!(letters.count().await.unwrap(), 0);
    assert_eq!(
        handle.wait_result().await.unwrap().into_value().unwrap(),
        "mended",
        "the higher round replaces the lower"
    );
    assert!(letters.replay("never-heard-of").await.unwrap().is_none());
}

fn app_of(stage: &Stage) -> App {
    let app = stage.app().with_state(Log::default()).with_state(std::sync::atomic::AtomicBool::new(false));
    app.with_state(Gate { permits: tokio::sync::Semaphore::new(100) })
}

on_both! {
    a_result_waits_for_whoever_asks_also_twice,
    a_limit_ends_the_wait_and_not_the_task,
    a_task_without_a_result_says_so_at_once,
    tracking_tells_the_steps_apart,
    a_replayed_dead_letter_has_a_result_of_its_own,
}

#[tokio::test]
async fn without_a_result_backend_waiting_and_own_ids_are_errors() {
    let stage = Stage::rabbitmq();
    let app = AmqpBroker::new(taskq_faults::shared::amqp_url()).with_default_queue(&stage.queue);
    let error = double.kiq(1).task_id("mine").on(&app).await.unwrap_err();
    assert!(matches!(error, taskq::KiqError::Unsupported { .. } | taskq::KiqError::Startup { .. }), "{error}");
    stage.clear().await;
}

#[tokio::test]
async fn an_id_of_ones_own_needs_a_stored_result() {
    let app = InMemoryBroker::new().with_state(Log::default());
    let error = forget.kiq().task_id("mine").on(&app).await.unwrap_err();
    assert!(matches!(error, taskq::KiqError::Unsupported { .. }), "{error}");
}

#[tokio::test]
async fn an_app_that_was_shut_down_does_not_start_again() {
    let app = InMemoryBroker::new().into_app();
    app.startup().await.unwrap();
    app.shutdown().await.unwrap();
    let error = app.startup().await.unwrap_err();
    assert!(error.to_string().contains("build a new one"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn results_in_memory_are_forgotten_in_the_end() {
    let app = InMemoryBroker::new().with_state(Log::default());
    let handle = double.kiq(1).on(&app).await.unwrap();
    assert!(handle.wait_result().await.unwrap().is_ok());
    tokio::time::sleep(Duration::from_secs(24 * 3600 + 1)).await;
    assert_eq!(handle.status().await.unwrap(), TaskStatus::Pending);
}

/// A store that has gone silent.
struct Silent;

impl taskq::ResultBackend for Silent {
    fn store<'a>(
        &'a self,
        _: &'a taskq::TaskId,
        _: &'a taskq::ResultRecord,
        _: Duration,
    ) -> taskq::BoxFuture<'a, Result<Option<taskq::ResultRecord>, ResultError>> {
        Box::pin(std::future::pending())
    }
    fn fetch<'a>(
        &'a self,
        _: &'a taskq::TaskId,
    ) -> taskq::BoxFuture<'a, Result<Option<taskq::ResultRecord>, ResultError>> {
        Box::pin(std::future::pending())
    }
    fn wait<'a>(
        &'a self,
        _: &'a taskq::TaskId,
        _: u32,
    ) -> taskq::BoxFuture<'a, Result<taskq::ResultRecord, ResultError>> {
        Box::pin(std::future::pending())
    }
    fn tracks(&self) -> bool {
        true
    }
    fn track<'a>(
        &'a self,
        _: &'a taskq::TaskId,
        _: taskq::Step,
        _: Duration,
    ) -> taskq::BoxFuture<'a, Result<(), ResultError>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_store_does_not_hold_up_the_sender_of_a_tracked_task() {
    let app = InMemoryBroker::new().without_worker().with_result_backend(Silent).with_tracking();
    let sending = double.kiq(1).within("1s").on(&app).into_future();
    let sent = tokio::time::timeout(Duration::from_secs(5), sending).await.unwrap();
    assert!(sent.is_ok(), "the broker has confirmed it: {sent:?}");
}
