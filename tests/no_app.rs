//! Without any app: alone in its process, because the first app that starts becomes the process's own.

#![allow(missing_docs, clippy::unwrap_used)]

use taskq::{KiqError, prelude::*};

#[task]
async fn add(a: i64, b: i64) -> i64 {
    a + b
}

#[tokio::test]
async fn without_an_app_kiq_says_what_to_do_and_the_first_that_starts_is_the_default() {
    let error = add.kiq(1, 2).await.unwrap_err();
    assert!(matches!(error, KiqError::NoApp { .. }), "{error}");
    assert!(error.to_string().contains("app.startup()"), "{error}");

    let first = InMemoryBroker::new().into_app();
    first.startup().await.unwrap();
    let second = InMemoryBroker::new().without_worker();
    let second_app = second.clone().into_app();
    second_app.startup().await.unwrap();
    assert_eq!(add.kiq(1, 2).await.unwrap().wait_result().await.unwrap().into_value().unwrap(), 3);

    second_app.make_default();
    add.kiq(1, 2).await.unwrap();
    assert_eq!(taskq::Broker::inspect(&second, "taskq").await.unwrap().ready, 1);
}
