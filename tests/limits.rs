//! Values at the far end of what can be asked for: no limit at all, a delay without end, as many at once as there may be.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::time::Duration;
use taskq::{BoxFuture, Next, Outcome, TaskContext, TaskError, TaskStatus, prelude::*};

#[task]
async fn add(a: i64, b: i64) -> i64 {
    a + b
}

#[task(retry = 1)]
async fn not_before_the_end_of_time() -> Result<(), TaskError> {
    Err(TaskError::retry_in("not yet", Duration::MAX))
}

#[tokio::test(start_paused = true)]
async fn a_submission_may_take_any_time() {
    let app = InMemoryBroker::new().into_app();
    let handle = add.kiq(1, 2).within(Duration::MAX).on(&app).await.unwrap();
    assert_eq!(handle.wait_result().timeout(Duration::MAX).await.unwrap().into_value().unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_delay_may_have_any_length() {
    let app = InMemoryBroker::new().into_app();
    for kiq in [add.kiq(1, 2).delay(Duration::MAX), add.kiq(1, 2).delay("1000years").expires(Duration::MAX)] {
        assert_eq!(kiq.on(&app).await.unwrap().status().await.unwrap(), TaskStatus::Pending);
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_may_be_put_off_for_any_time() {
    let app = InMemoryBroker::new().with_tracking();
    let handle = not_before_the_end_of_time.kiq().on(&app).await.unwrap();
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    let status = handle.status().await.unwrap();
    assert!(matches!(status, TaskStatus::Retrying { attempt: 2, .. }), "{status:?}");
    assert_eq!(app.broker().inspect("taskq").await.unwrap().unsettled, Some(0), "the attempt is settled");
}

#[tokio::test(start_paused = true)]
async fn a_run_may_take_any_time_under_middleware_too() {
    fn onward<'a>(ctx: &'a TaskContext, next: Next<'a>) -> BoxFuture<'a, Outcome> {
        next.run(ctx)
    }
    let app = InMemoryBroker::new().without_worker().with_middleware(onward);
    let worker = app.worker().task_timeout(Duration::MAX).run_until(std::future::pending::<()>());
    let handle = add.kiq(1, 2).on(&app).await.unwrap();
    tokio::select! {
        ended = worker => panic!("{ended:?}"),
        result = handle.wait_result().timeout("60s") => assert_eq!(result.unwrap().into_value().unwrap(), 3),
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_may_wait_for_any_time() {
    let app = InMemoryBroker::new().without_worker().into_app();
    app.worker().shutdown_timeout(Duration::MAX).run_until(std::future::ready(())).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn any_number_of_tasks_may_run_at_once() {
    let embedded = InMemoryBroker::new().concurrency(usize::MAX).into_app();
    let handle = add.kiq(1, 2).on(&embedded).await.unwrap();
    assert_eq!(handle.wait_result().timeout("60s").await.unwrap().into_value().unwrap(), 3);

    let app = InMemoryBroker::new().without_worker().into_app();
    app.worker().concurrency(usize::MAX).run_until(std::future::ready(())).await.unwrap();
}
