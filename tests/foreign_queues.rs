//! Queues of RabbitMQ that somebody else made, and that no app of ours declares.

#![allow(missing_docs, clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod support;

use support::{Stage, operator};
use taskq::{TaskStatus, prelude::*};
use taskq_faults::wait::eventually;

#[task]
async fn one() -> u8 {
    1
}

#[task(retry = 1, backoff = "fixed(100ms)")]
async fn never() -> Result<(), String> {
    Err("no".into())
}

async fn made_by_somebody_else(stage: &Stage) -> String {
    let name = stage.queue("foreign");
    operator().await.declare(&name, &[]).await;
    name
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delayed_task_reaches_a_queue_that_somebody_else_made() {
    support::play(Stage::rabbitmq(), |stage| async move {
        let queue = made_by_somebody_else(&stage).await;
        one.kiq().queue(&queue).delay("1s").on(&stage.app()).await.unwrap();
        let operator = operator().await;
        eventually("it is there", || async { operator.ready(&queue).await == 1 }).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_from_a_queue_that_somebody_else_made_is_retried_and_then_dead_lettered() {
    support::play(Stage::rabbitmq(), |stage| async move {
        let queue = made_by_somebody_else(&stage).await;
        let app = stage.start_with(stage.app(), |worker| worker.queue(&queue)).await;
        let handle = never.kiq().queue(&queue).on(&app).await.unwrap();
        let result = handle.wait_result().timeout("20s").await.unwrap();
        assert_eq!((result.status(), result.attempts()), (TaskStatus::Failed, 2));
        let dead = app.dead_letters(&queue);
        eventually("the dead letter is there", || async { matches!(dead.count().await, Ok(1)) }).await;
    })
    .await;
}
