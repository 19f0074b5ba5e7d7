//! Panics, time limits, values that cannot be kept, tasks that nobody knows: the worker lives on.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;
use support::{Log, Stage};
use taskq::{BoxFuture, FailureKind, FromContext, Kiq, Next, Outcome, TaskConfig, TaskStatus, prelude::*};
use taskq_faults::wait::eventually;

#[task]
async fn greet(name: &str) -> String {
    format!("hello {name}")
}

#[task]
#[allow(clippy::panic)]
async fn explode(what: String) {
    panic!("{what} is on fire");
}

#[task]
#[allow(clippy::panic)]
fn explode_blocking() -> u8 {
    panic!("the pool is on fire");
}

#[task(timeout = "200ms")]
async fn sleep_forever(log: State<Log>) {
    log.note("began");
    std::future::pending::<()>().await;
}

#[task(timeout = "200ms")]
fn spin(ctx: TaskContext, log: State<Log>) {
    while !ctx.is_cancelled() {
        std::thread::yield_now();
    }
    log.note("saw that it was cancelled");
}

#[task]
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte)).sum()
}

#[task]
async fn too_much() -> Vec<u64> {
    vec![u64::MAX; 200_000]
}

#[task(retry = 3)]
async fn needs_a_label(#[inject] tenant: Tenant) -> String {
    tenant.0
}

struct Tenant(String);

impl FromContext for Tenant {
    async fn from_context(ctx: &TaskContext) -> Result<Self, taskq::BoxError> {
        let tenant = ctx.labels().get("tenant").ok_or("the label `tenant` is missing")?;
        Ok(Tenant(tenant.clone()))
    }
}

/// A task that no worker knows: a sender's stub.
struct Nowhere;

impl taskq::Task for Nowhere {
    type Args = ();
    type Output = ();
    type Returns = ();
    const NAME: &'static str = "nowhere.to.be.found";
    const CONFIG: TaskConfig = TaskConfig::new();
}

/// A stub whose arguments are not those of `greet`.
struct Mistaken;

impl taskq::Task for Mistaken {
    type Args = Vec<u8>;
    type Output = String;
    type Returns = String;
    const NAME: &'static str = concat!(module_path!(), "::greet");
    const CONFIG: TaskConfig = TaskConfig::new().retry(3);
}

async fn a_panic_is_a_failed_attempt_with_message_and_place(stage: Stage) {
    let app = stage.start(stage.app().with_state(Log::default())).await;
    let failure = explode
        .kiq("the moon".to_owned())
        .on(&app)
        .await
        .unwrap()
        .wait_result()
        .await
        .unwrap()
        .into_value()
        .unwrap_err();
    assert_eq!((failure.kind, failure.attempts), (FailureKind::Panic, 1));
    assert!(failure.message.contains("the moon is on fire") && failure.message.contains("failures.rs:"), "{failure}");
    let failure = explode_blocking.kiq().on(&app).await.unwrap().wait_result().await.unwrap().into_value().unwrap_err();
    assert_eq!(failure.kind, FailureKind::Panic);
    assert!(failure.message.contains("the pool is on fire") && failure.message.contains("failures.rs:"), "{failure}");
    assert_eq!(
        greet.kiq("you").on(&app).await.unwrap().wait_result().await.unwrap().into_value().unwrap(),
        "hello you"
    );
}

async fn a_run_past_its_limit_is_a_failed_attempt(stage: Stage) {
    let log = Log::default();
    let app = stage.start(stage.app().with_state(log.clone())).await;
    let failure = sleep_forever.kiq().on(&app).await.unwrap().wait_result().await.unwrap().into_value().unwrap_err();
    assert_eq!((failure.kind, failure.attempts), (FailureKind::Timeout, 1));
    assert!(failure.message.contains("200ms"), "{failure}");
    assert_eq!(log.texts(), ["began"]);
}

async fn a_plain_function_runs_on_the_blocking_pool(stage: Stage) {
    let app = stage.start(stage.app().with_state(Log::default())).await;
    let sum = checksum.kiq(&[1, 2, 250]).on(&app).await.unwrap().wait_result().await.unwrap().into_value().unwrap();
    assert_eq!(sum, 253);
    assert_eq!(checksum(&[1, 2]).await, 3);
}

async fn a_value_that_is_too_large_fails_once_and_says_so(stage: Stage) {
    let app = stage.start(stage.app().with_state(Log::default())).await;
    let failure = too_much.kiq().on(&app).await.unwrap().wait_result().await.unwrap().into_value().unwrap_err();
    assert_eq!((failure.kind, failure.attempts), (FailureKind::Result, 1));
    assert!(failure.message.contains("1048576"), "{failure}");
}

async fn arguments_that_do_not_fit_are_dead_lettered_and_the_next_task_runs(stage: Stage) {
    let app = stage.start(stage.app().with_state(Log::default())).await;
    let call = taskq::Call::<Mistaken>::new(vec![1, 2, 3]);
    let failure = call.kiq().on(&app).await.unwrap().wait_result().await.unwrap().into_value().unwrap_err();
    assert_eq!((failure.kind, failure.attempts), (FailureKind::Undecodable, 1));
    let letters = app.dead_letters(&stage.queue);
    eventually("the letter is there", || async { letters.count().await.unwrap() == 1 }).await;
    assert_eq!(
        greet.kiq("you").on(&app).await.unwrap().wait_result().await.unwrap().into_value().unwrap(),
        "hello you"
    );
}

async fn an_injected_parameter_that_cannot_be_had_fails_the_attempt(stage: Stage) {
    let app = stage.start(stage.app().with_state(Log::default())).await;
    let tenant = needs_a_label.kiq().label("tenant", "acme").on(&app).await.unwrap().wait_result().await.unwrap();
    assert_eq!(tenant.into_value().unwrap(), "acme");
}

on_both! {
    a_panic_is_a_failed_attempt_with_message_and_place,
    a_run_past_its_limit_is_a_failed_attempt,
    a_plain_function_runs_on_the_blocking_pool,
    a_value_that_is_too_large_fails_once_and_says_so,
    arguments_that_do_not_fit_are_dead_lettered_and_the_next_task_runs,
    an_injected_parameter_that_cannot_be_had_fails_the_attempt,
}

/// An error that cannot even be shown.
#[derive(Debug)]
struct Unspeakable;

impl std::fmt::Display for Unspeakable {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("no words for it");
    }
}

impl std::error::Error for Unspeakable {}

#[task]
async fn speechless() -> Result<(), Unspeakable> {
    Err(Unspeakable)
}

/// A value that cannot even be written.
struct Unwritable;

impl serde::Serialize for Unwritable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("not for the record");
    }
}

impl<'de> serde::Deserialize<'de> for Unwritable {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Ok(Unwritable)
    }
}

#[task]
async fn secretive() -> Unwritable {
    Unwritable
}

struct BadLoser;

impl Drop for BadLoser {
    fn drop(&mut self) {
        panic!("not finished yet");
    }
}

#[task(timeout = "200ms")]
async fn does_not_want_to_stop() {
    let _loser = BadLoser;
    std::future::pending::<()>().await;
}

/// One run, which must be the last: a run that took its delivery down with it would come again at once, without end.
async fn panics_once<T: taskq::Task>(app: &App, kiq: Kiq<T>, text: &str) {
    let handle = kiq.on(app).await.unwrap();
    let result = handle.wait_result().await.unwrap();
    let Err(failure) = result.into_value() else { panic!("it has a value") };
    assert_eq!((failure.kind, failure.attempts), (FailureKind::Panic, 1), "{failure}");
    assert!(failure.message.contains(text), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn code_of_the_user_that_panics_around_a_run_fails_the_attempt() {
    fn careless<'a>(ctx: &'a TaskContext, next: Next<'a>) -> BoxFuture<'a, Outcome> {
        assert!(ctx.labels().contains_key("tenant"), "no tenant");
        next.run(ctx)
    }
    let app = InMemoryBroker::new().with_state(Log::default());
    panics_once(&app, speechless.kiq(), "no words for it").await;
    panics_once(&app, secretive.kiq(), "not for the record").await;
    panics_once(&app, does_not_want_to_stop.kiq(), "not finished yet").await;

    let app = InMemoryBroker::new().with_state(Log::default()).with_middleware(careless);
    panics_once(&app, sleep_forever.kiq(), "no tenant").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_function_past_its_limit_is_told_and_keeps_its_slot() {
    let log = Log::default();
    let app = InMemoryBroker::new().with_state(log.clone());
    let failure = spin.kiq().on(&app).await.unwrap().wait_result().await.unwrap().into_value().unwrap_err();
    assert_eq!(failure.kind, FailureKind::Timeout);
    eventually("the function sees it", || async { log.count("saw that it was cancelled") == 1 }).await;
}

#[tokio::test(start_paused = true)]
async fn a_task_that_nobody_knows_waits_for_a_newer_worker_and_is_then_dead_lettered() {
    let broker = InMemoryBroker::new();
    let app = broker.clone().with_state(Log::default());
    let began = tokio::time::Instant::now();
    let result = taskq::Call::<Nowhere>::new(()).kiq().on(&app).await.unwrap().wait_result().await.unwrap();
    assert_eq!(result.status(), TaskStatus::Failed);
    assert_eq!(result.attempts(), 0);
    assert_eq!(result.into_value().unwrap_err().kind, FailureKind::UnknownTask);
    assert!(began.elapsed() >= Duration::from_secs(150), "{:?}", began.elapsed());
    broker.wait_idle().await;
    assert_eq!(broker.dead_letters("taskq")[0].kind, FailureKind::UnknownTask);
}
