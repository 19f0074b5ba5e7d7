//! How often and when a failing task runs again.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;
use support::{Log, Stage};
use taskq::{FailureKind, TaskError, TaskStatus, prelude::*};

#[derive(Debug)]
struct Refused {
    transient: bool,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "refused, transient: {}", self.transient)
    }
}

impl std::error::Error for Refused {}

impl Refused {
    fn is_transient(&self) -> bool {
        self.transient
    }
}

#[task(retry = 2, backoff = "fixed(200ms)")]
async fn fail_until(ctx: TaskContext, log: State<Log>, attempt: u32) -> Result<u32, String> {
    log.note(format!("attempt {}", ctx.attempt()));
    if ctx.attempt() < attempt { Err(format!("attempt {} fails", ctx.attempt())) } else { Ok(ctx.attempt()) }
}

#[task]
async fn fail_once(log: State<Log>) -> Result<(), String> {
    log.note("run");
    Err("no".into())
}

#[task(retry = 5, backoff = "fixed(100ms)")]
async fn fail_for_good(log: State<Log>, how: &str) -> anyhow::Result<()> {
    use anyhow::Context;
    log.note(how);
    let permanent = || TaskError::permanent("the card was declined");
    match how {
        "plain" => Err(permanent().into()),
        "context" => Err(permanent()).context("while charging").context("while checking out"),
        _ => Err(anyhow::Error::new(permanent())),
    }
}

#[task(retry = 1)]
async fn fail_with_box(log: State<Log>) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    log.note("run");
    Err(Box::new(TaskError::permanent("no")))
}

#[task(retry = 3, backoff = "fixed(100ms)", retry_on = Refused::is_transient)]
async fn fail_if(log: State<Log>, transient: bool) -> Result<(), Refused> {
    log.note("run");
    Err(Refused { transient })
}

#[task(retry = 1, backoff = "fixed(1h)")]
async fn retry_soon(ctx: TaskContext, log: State<Log>) -> Result<(), TaskError> {
    log.note("run");
    if ctx.attempt() == 1 { Err(TaskError::retry_in("the bank is closed", "300ms")) } else { Ok(()) }
}

#[task(retry = 3)]
async fn discard(log: State<Log>) -> Result<(), TaskError> {
    log.note("run");
    Err(TaskError::discard("nobody wants it"))
}

#[task(retry = 1, backoff = "fixed(100ms)", dead_letter = false)]
async fn fail_without_letter() -> Result<(), String> {
    Err("no".into())
}

#[task(retry = 1, backoff = "fixed(5s)")]
async fn slow_to_recover(ctx: TaskContext, log: State<Log>) -> Result<(), String> {
    log.note(format!("slow {}", ctx.attempt()));
    if ctx.attempt() == 1 { Err("later".into()) } else { Ok(()) }
}

#[task]
async fn quick(log: State<Log>) {
    log.note("quick");
}

async fn retry_n_gives_n_further_runs_and_then_the_result(stage: Stage) {
    let log = Log::default();
    let app = stage.start(stage.app().with_state(log.clone())).await;
    let result = fail_until.kiq(3).on(&app).await.unwrap().wait_result().await.unwrap();
    assert_eq!(result.attempts(), 3);
    assert_eq!(result.into_value().unwrap(), 3);
    assert_eq!(log.texts(), ["attempt 1", "attempt 2", "attempt 3"]);
}

async fn a_task_that_keeps_failing_runs_n_plus_one_times_and_is_dead_lettered(stage: Stage) {
    let log = Log::default();
    let app = stage.start(stage.app().with_state(log.clone())).await;
    let handle = fail_until.kiq(99).label("tenant", "acme").on(&app).await.unwrap();
    let result = handle.wait_result().await.unwrap();
    assert_eq!(result.status(), TaskStatus::Failed);
    let failure = result.into_value().unwrap_err();
    assert_eq!((failure.kind, failure.attempts), (FailureKind::Error, 3));
    assert_eq!(failure.message, "attempt 3 fails");
    assert_eq!(log.texts().len(), 3);

    let letters = app.dead_letters(&stage.queue);
    taskq_faults::wait::eventually("the letter is there", || async { letters.count().await.unwrap() == 1 }).await;
    let letter = letters.get(handle.id()).await.unwrap().unwrap();
    assert_eq!((letter.kind, letter.attempts, letter.error.as_str()), (FailureKind::Error, 3, "attempt 3 fails"));
    assert_eq!(letter.labels["tenant"], "acme");
    assert_eq!(letter.queue, stage.queue);
    let apart = letter.last_failed.unwrap().0 - letter.first_failed.unwrap().0;
    assert!((200..30_000).contains(&apart), "{apart} ms");
}

async fn without_retry_a_task_runs_once(stage: Stage) {
    let log = Log::default();
    let app = stage.start(stage.app().with_state(log.clone())).await;
    let result = fail_once.kiq().on(&app).await.unwrap().wait_result().await.unwrap();
    assert_eq!(result.into_value().unwrap_err().attempts, 1);
    assert_eq!(log.texts().len(), 1);
}

async fn a_permanent_error_is_not_retried_however_it_is_wrapped(stage: Stage) {
    let log = Log::default();
    let app = stage.start(stage.app().with_state(log.clone())).await;
    for how in ["plain", "context", "anyhow"] {
        let result = fail_for_good.kiq(how).on(&app).await.unwrap().wait_result().await.unwrap();
        let failure = result.into_value().unwrap_err();
        assert_eq!((failure.kind, failure.attempts), (FailureKind::Permanent, 1), "{how}: {failure}");
        assert_eq!(log.count(how), 1);
        if how == "context" {
            assert_eq!(failure.message, "while checking out");
            assert_eq!(failure.chain, ["while charging", "the card was declined"]);
        }
    }
    let result = fail_with_box.kiq().on(&app).await.unwrap().wait_result().await.unwrap();
    assert_eq!(result.into_value().unwrap_err().kind, FailureKind::Permanent);
}

async fn retry_on_decides_which_errors_are_worth_a_retry(stage: Stage) {
    let log = Log::default();
    let app = stage.start(stage.app().with_state(log.clone())).await;
    let no = fail_if.kiq(false).on(&app).await.unwrap().wait_result().await.unwrap().into_value().unwrap_err();
    assert_eq!((no.kind, no.attempts), (FailureKind::Permanent, 1));
    let yes = fail_if.kiq(true).on(&app).await.unwrap().wait_result().await.unwrap().into_value().unwrap_err();
    assert_eq!((yes.kind, yes.attempts), (FailureKind::Error, 4));
    assert_eq!(log.texts().len(), 5);
}

async fn retry_in_sets_the_delay_of_the_next_run(stage: Stage) {
    let log = Log::default();
    let app = stage.start(stage.app().with_state(log.clone())).await;
    let result = retry_soon.kiq().on(&app).await.unwrap().wait_result().timeout("60s").await.unwrap();
    assert!(result.is_ok(), "{result:?}");
    let times = log.times();
    let waited = times[1] - times[0];
    assert!(waited >= Duration::from_millis(300), "{waited:?}");
}

async fn a_discarded_task_leaves_no_dead_letter(stage: Stage) {
    let log = Log::default();
    let app = stage.start(stage.app().with_state(log.clone())).await;
    let result = discard.kiq().on(&app).await.unwrap().wait_result().await.unwrap();
    assert_eq!(result.status(), TaskStatus::Discarded);
    assert_eq!(result.into_value().unwrap_err().kind, FailureKind::Discarded);
    let result = fail_without_letter.kiq().on(&app).await.unwrap().wait_result().await.unwrap();
    assert_eq!(result.status(), TaskStatus::Discarded);
    assert_eq!(result.into_value().unwrap_err().attempts, 2);
    assert_eq!(log.texts(), ["run"]);
    assert_eq!(app.dead_letters(&stage.queue).count().await.unwrap(), 0);
}

async fn a_task_that_backs_off_holds_up_nobody(stage: Stage) {
    let log = Log::default();
    let app = stage.app().with_state(log.clone());
    let app = stage.start_with(app, |worker| worker.concurrency(1)).await;
    let slow = slow_to_recover.kiq().on(&app).await.unwrap();
    for _ in 0..10 {
        quick.kiq().on(&app).await.unwrap();
    }
    assert!(slow.wait_result().await.unwrap().is_ok());
    let texts = log.texts();
    assert_eq!(texts.first().unwrap(), "slow 1");
    assert_eq!(texts.last().unwrap(), "slow 2", "{texts:?}");
    assert_eq!(texts.len(), 12);
}

on_both! {
    retry_n_gives_n_further_runs_and_then_the_result,
    a_task_that_keeps_failing_runs_n_plus_one_times_and_is_dead_lettered,
    without_retry_a_task_runs_once,
    a_permanent_error_is_not_retried_however_it_is_wrapped,
    retry_on_decides_which_errors_are_worth_a_retry,
    retry_in_sets_the_delay_of_the_next_run,
    a_discarded_task_leaves_no_dead_letter,
    a_task_that_backs_off_holds_up_nobody,
}
