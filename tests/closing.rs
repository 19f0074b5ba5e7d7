//! What an app says after its end, and when something in it does not end.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;
use support::Stage;
use taskq::{BoxFuture, BrokerError, KiqError, Message, SendMiddleware, SendNext, WorkerError, prelude::*};

#[task]
async fn add(a: i64, b: i64) -> i64 {
    a + b
}

async fn a_closed_app_refuses_at_once_and_says_why(stage: Stage) {
    let app = stage.app();
    app.startup().await.unwrap();
    add.kiq(1, 2).on(&app).await.unwrap();
    app.shutdown().await.unwrap();
    app.shutdown().await.expect("closing twice is no error");
    let began = std::time::Instant::now();
    for kiq in [add.kiq(1, 2), add.kiq(1, 2).delay("1s")] {
        let error = kiq.on(&app).await.unwrap_err();
        assert!(matches!(error, KiqError::Broker { source: BrokerError::Closed, .. }), "{error:?}");
    }
    let error = app.kiq_many((0..10).map(|i| add(i, i))).await.unwrap_err();
    assert_eq!(error.failed(), 10);
    let error = app.worker().run_until(std::future::pending::<()>()).await.unwrap_err();
    assert!(matches!(error, WorkerError::Broker(BrokerError::Closed)), "{error:?}");
    assert!(app.dead_letters(&stage.queue).count().await.is_err());
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

async fn a_send_middleware_that_hangs_does_not_outlast_the_limit(stage: Stage) {
    struct Hangs;
    impl SendMiddleware for Hangs {
        fn call<'a>(&'a self, _: Message, _: SendNext<'a>) -> BoxFuture<'a, Result<(), KiqError>> {
            Box::pin(std::future::pending())
        }
    }
    let app = stage.app().with_send_middleware(Hangs);
    app.startup().await.unwrap();
    let sending = add.kiq(1, 2).on(&app).within("300ms");
    let error = tokio::time::timeout(Duration::from_secs(10), sending).await.expect("it ends").unwrap_err();
    assert!(matches!(error, KiqError::Unknown { .. }), "{error}");
}

async fn closing_the_broker_under_a_worker_ends_it(stage: Stage) {
    let app = stage.idle_app();
    app.startup().await.unwrap();
    let worker = tokio::spawn(app.worker().run_until(std::future::pending::<()>()));
    let handle = add.kiq(1, 2).on(&app).await.unwrap();
    assert_eq!(handle.wait_result().await.unwrap().into_value().unwrap(), 3);
    app.broker().close().await.unwrap();
    let ended = tokio::time::timeout(taskq_faults::wait::PATIENCE, worker).await.unwrap().unwrap();
    assert!(matches!(ended, Err(WorkerError::Broker(BrokerError::Closed))), "{ended:?}");
}

async fn a_clone_of_a_shut_down_app_is_shut_down_and_a_new_one_works(stage: Stage) {
    let app = stage.idle_app();
    app.startup().await.unwrap();
    let (clone, sent) = (app.clone(), add.kiq(1, 2).on(&app).await.unwrap());
    app.shutdown().await.unwrap();
    assert!(add.kiq(1, 2).on(&clone).await.is_err());
    if stage.is_memory() {
        return;
    }
    let fresh = stage.start(stage.app()).await;
    let attached = TaskHandle::<i64>::attach(&fresh, sent.id());
    assert_eq!(attached.wait_result().await.unwrap().into_value().unwrap(), 3);
}

on_both! {
    a_closed_app_refuses_at_once_and_says_why,
    a_send_middleware_that_hangs_does_not_outlast_the_limit,
    closing_the_broker_under_a_worker_ends_it,
    a_clone_of_a_shut_down_app_is_shut_down_and_a_new_one_works,
}
