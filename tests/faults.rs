//! Words that get lost between worker and broker, servers' refusals, and tasks that wait behind long ones.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{sync::Arc, time::Duration};
use support::Log;
use taskq::{KiqError, TaskError, prelude::*};
use taskq_conformance::{FlakyBroker, Step};
use taskq_faults::wait::eventually;
use tokio::time::Instant;

#[task]
async fn work(log: State<Log>, name: &str) -> u8 {
    log.note(name);
    1
}

#[task(retry = 2)]
async fn give_up(log: State<Log>) -> Result<(), TaskError> {
    log.note("gave up");
    Err(TaskError::permanent("for good"))
}

#[task(retry = 2, backoff = "fixed(1s)")]
async fn fail_once(ctx: TaskContext, log: State<Log>) -> Result<u32, String> {
    log.note(format!("attempt {}", ctx.attempt()));
    if ctx.attempt() == 1 { Err("once".into()) } else { Ok(ctx.attempt()) }
}

#[task(ack = "on_receive")]
async fn at_most_once(log: State<Log>) {
    log.note("began");
    std::future::pending::<()>().await;
}

#[task]
async fn long(log: State<Log>) {
    log.note("long began");
    tokio::time::sleep(Duration::from_secs(120)).await;
}

type Flaky = Arc<FlakyBroker<InMemoryBroker>>;

fn flaky(faults: impl FnOnce(FlakyBroker<InMemoryBroker>) -> FlakyBroker<InMemoryBroker>) -> (Flaky, App, Log) {
    let (broker, log) = (Arc::new(faults(FlakyBroker::new(InMemoryBroker::new()))), Log::default());
    let app = broker.clone().with_state(log.clone());
    (broker, app, log)
}

fn acked(broker: &Flaky) -> usize {
    broker.history().iter().filter(|step| matches!(step, Step::Acked { .. })).count()
}

#[tokio::test(start_paused = true)]
async fn a_done_task_whose_acknowledgement_is_lost_does_not_run_again() {
    let (broker, app, log) = flaky(|broker| broker.lose_ack(1));
    let handle = work.kiq("once").on(&app).await.unwrap();
    assert!(handle.wait_result().await.unwrap().is_ok());
    eventually("it is acknowledged in the end", || async { acked(&broker) == 1 }).await;
    assert!(broker.history().iter().any(|step| matches!(step, Step::AckLost { .. })));
    assert_eq!(log.texts(), ["once"]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_task_whose_acknowledgement_is_lost_is_dead_lettered_and_does_not_run_again() {
    let (broker, app, log) = flaky(|broker| broker.lose_ack(1));
    let handle = give_up.kiq().on(&app).await.unwrap();
    assert!(handle.wait_result().await.unwrap().is_err());
    eventually("it is acknowledged in the end", || async { acked(&broker) == 1 }).await;
    assert_eq!(log.texts(), ["gave up"]);
    assert!(app.dead_letters("taskq").count().await.unwrap() >= 1);
}

#[tokio::test(start_paused = true)]
async fn a_failed_task_is_acknowledged_only_after_its_dead_letter_was_confirmed() {
    let (broker, app, log) = flaky(|broker| broker.refuse_publish_to("taskq.dead", 1).lose_confirm_to("taskq.dead", 2));
    give_up.kiq().on(&app).await.unwrap();
    eventually("it is acknowledged", || async { acked(&broker) == 1 }).await;
    let history = broker.history();
    let confirmed = |step: &Step| matches!(step, Step::Published { queue, .. } if queue == "taskq.dead");
    let position = |wanted: &dyn Fn(&Step) -> bool| history.iter().position(wanted).unwrap();
    assert!(position(&confirmed) < position(&|step| matches!(step, Step::Acked { .. })), "{history:#?}");
    assert_eq!(log.texts(), ["gave up"]);
}

#[tokio::test(start_paused = true)]
async fn a_retry_is_acknowledged_only_after_its_copy_was_confirmed() {
    // The first publish is the submission itself.
    let (broker, app, log) = flaky(|broker| broker.refuse_publish_to("taskq", 2).refuse_publish_to("taskq", 3));
    let handle = fail_once.kiq().on(&app).await.unwrap();
    assert_eq!(handle.wait_result().await.unwrap().into_value().unwrap(), 2);
    assert_eq!(log.texts(), ["attempt 1", "attempt 2"]);
    let history = broker.history();
    let published = |step: &Step| matches!(step, Step::Published { .. });
    let copy = history.iter().rposition(published).unwrap();
    let first_ack = history.iter().position(|step| matches!(step, Step::Acked { .. })).unwrap();
    assert!(copy < first_ack, "{history:#?}");
}

#[tokio::test(start_paused = true)]
async fn what_a_caller_is_told_is_what_happened() {
    let (_, app, log) = flaky(|broker| broker.refuse_publish(1).lose_confirm(2));
    let refused = work.kiq("refused").on(&app).await.unwrap_err();
    assert!(matches!(refused, KiqError::Nacked { .. }) && refused.is_retryable(), "{refused}");
    let KiqError::Unknown { id, .. } = work.kiq("maybe").on(&app).await.unwrap_err() else {
        panic!("the confirm was lost");
    };
    // As its text says: again with the same id.
    let again = work.kiq("maybe").task_id(id).on(&app).await.unwrap();
    assert!(again.wait_result().await.unwrap().is_ok());
    let after = work.kiq("after").on(&app).await.unwrap();
    assert!(after.wait_result().await.unwrap().is_ok());
    assert_eq!((log.count("refused"), log.count("maybe"), log.count("after")), (0, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_task_acknowledged_on_receipt_is_lost_with_its_worker_and_any_other_is_not() {
    let (broker, log) = (InMemoryBroker::new().without_worker(), Log::default());
    let app = broker.clone().with_state(log.clone());
    app.startup().await.unwrap();
    at_most_once.kiq().on(&app).await.unwrap();
    long.kiq().on(&app).await.unwrap();
    let worker = tokio::spawn(app.worker().run_until(std::future::pending::<()>()));
    eventually("both run", || async { log.texts().len() == 2 }).await;
    worker.abort();
    let _ = worker.await;
    let _second = tokio::spawn(app.worker().run_until(std::future::pending::<()>()));
    broker.wait_idle().await;
    assert_eq!((log.count("began"), log.count("long began")), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_waits_behind_a_long_one_is_given_back_after_a_minute_and_runs_elsewhere() {
    let (broker, log) = (InMemoryBroker::new().without_worker(), Log::default());
    let app = broker.clone().with_state(log.clone());
    app.startup().await.unwrap();
    let began = Instant::now();
    let slow = long.kiq().on(&app).await.unwrap();
    let quick = work.kiq("quick").on(&app).await.unwrap();
    let _busy = tokio::spawn(app.worker().concurrency(1).run_until(std::future::pending::<()>()));
    eventually("the first worker holds both", || async {
        let info = app.broker().inspect("taskq").await.unwrap();
        log.count("long began") == 1 && info.unsettled == Some(2)
    })
    .await;
    let _free = tokio::spawn(app.worker().concurrency(1).run_until(std::future::pending::<()>()));
    let result = quick.wait_result().await.unwrap();
    let waited = began.elapsed();
    assert!(waited >= Duration::from_secs(60), "{waited:?}");
    assert!(waited < Duration::from_secs(90), "the free worker did not get it: it ran after {waited:?}");
    assert_eq!(result.attempts(), 1, "giving back costs no attempt");
    assert!(slow.wait_result().await.unwrap().is_ok());
    assert_eq!((log.count("quick"), log.count("long began")), (1, 1));
}
