//! A broker that hands a message on long before its publisher hears that it was taken.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{sync::Arc, time::Duration};
use support::Log;
use taskq::{
    Bid, BoxFuture, Broker, BrokerError, ClaimAnswer, InMemoryResults, Origin, Publish, ResultBackend, RunId,
    prelude::*,
};

/// Longer than a message waits for a run elsewhere.
const LATE: Duration = Duration::from_secs(10);

struct LateConfirms(InMemoryBroker);

impl Broker for LateConfirms {
    broker_but_publish!(0);

    fn publish(&self, message: Publish) -> BoxFuture<'_, Result<(), BrokerError>> {
        Box::pin(async move {
            let is_workers = matches!(message.origin, Origin::Worker);
            self.0.publish(message).await?;
            if is_workers {
                tokio::time::sleep(LATE).await;
            }
            Ok(())
        })
    }
}

#[task]
async fn work(log: State<Log>) -> u8 {
    log.note("run");
    1
}

#[task(retry = 1, backoff = "fixed(1s)")]
async fn fail_once(ctx: TaskContext, log: State<Log>) -> Result<u32, String> {
    log.note(format!("attempt {}", ctx.attempt()));
    if ctx.attempt() == 1 { Err("once".into()) } else { Ok(ctx.attempt()) }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_comes_back_from_its_wait_before_the_wait_is_confirmed_is_not_lost() {
    let (results, log) = (InMemoryResults::new(), Log::default());
    let app =
        Arc::new(LateConfirms(InMemoryBroker::new())).with_result_backend(results.clone()).with_state(log.clone());
    let elsewhere = Bid::new(RunId { task: "order-17".into(), round: 0, attempt: 1 }, "elsewhere");
    let Some(ClaimAnswer::Run(claim)) = results.claim(&elsewhere).await.unwrap() else { panic!("it is free") };
    let handle = work.kiq().task_id("order-17").on(&app).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    claim.give_back().await.unwrap();
    let result = handle.wait_result().timeout("10m").await.expect("the message was lost");
    assert!(result.is_ok());
    assert_eq!(log.texts(), ["run"]);
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_runs_before_its_copy_is_confirmed_runs_once() {
    let log = Log::default();
    let app = Arc::new(LateConfirms(InMemoryBroker::new())).with_state(log.clone());
    let handle = fail_once.kiq().on(&app).await.unwrap();
    assert_eq!(handle.wait_result().timeout("10m").await.unwrap().into_value().unwrap(), 2);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(log.texts(), ["attempt 1", "attempt 2"]);
    assert_eq!(app.broker().inspect("taskq").await.unwrap().unsettled, Some(0));
}
