//! Queues of RabbitMQ that somebody else made, and that no app of ours declares.

#![allow(missing_docs, clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod support;

use lapin::types::AMQPValue;
use std::future::IntoFuture;
use support::{Log, Stage, operator};
use taskq::{KiqError, TaskStatus, prelude::*};
use taskq_faults::wait::eventually;

#[task]
async fn one() -> u8 {
    1
}

#[task(retry = 1, backoff = "fixed(100ms)")]
async fn never() -> Result<(), String> {
    Err("no".into())
}

#[task]
async fn count(log: State<Log>, number: u32) {
    log.note(number.to_string());
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
        let app = stage.start_with(stage.app().with_state(Log::default()), |worker| worker.queue(&queue)).await;
        let handle = never.kiq().queue(&queue).on(&app).await.unwrap();
        let result = handle.wait_result().timeout("20s").await.unwrap();
        assert_eq!((result.status(), result.attempts()), (TaskStatus::Failed, 2));
        let dead = app.dead_letters(&queue);
        eventually("the dead letter is there", || async { matches!(dead.count().await, Ok(1)) }).await;
    })
    .await;
}

/// What a queue of five places refuses is refused: nobody is told so whose task then runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_twenty_at_once_for_a_queue_of_five_those_that_are_refused_never_run() {
    support::play(Stage::rabbitmq(), |stage| async move {
        let queue = stage.queue("five");
        let text = |value: &str| AMQPValue::LongString(value.into());
        let places = AMQPValue::LongInt(5);
        operator().await.declare(&queue, &[("x-max-length", places), ("x-overflow", text("reject-publish"))]).await;
        let (app, log) = (stage.app(), Log::default());
        let sending = (0..20).map(|number: u32| {
            let kiq = count.kiq(number).queue(&queue).within("1s").on(&app).into_future();
            async move { (number, kiq.await) }
        });
        let outcomes = futures_util::future::join_all(sending).await;
        let (mut refused, mut handles) = (Vec::new(), Vec::new());
        for (number, outcome) in outcomes {
            match outcome {
                Ok(handle) => handles.push(handle),
                Err(KiqError::QueueFull { .. }) => refused.push(number.to_string()),
                // A refusal that is late may be that of a node that has taken it.
                Err(KiqError::Unknown { .. }) => {}
                Err(error) => panic!("{number}: {error:?}"),
            }
        }
        assert!(handles.len() <= 5 && !refused.is_empty(), "it has five places: {} were taken", handles.len());
        stage.start_with(stage.app().with_state(log.clone()), |worker| worker.queue(&queue)).await;
        for handle in &handles {
            assert!(handle.wait_result().timeout("20s").await.unwrap().is_ok());
        }
        // Whatever else is in the queue lies before this one.
        let last = count.kiq(20).queue(&queue).on(&app).await.unwrap();
        assert!(last.wait_result().timeout("20s").await.unwrap().is_ok());
        let ran = log.texts();
        assert!(refused.iter().all(|number| !ran.contains(number)), "of {refused:?} one has run: {ran:?}");
        assert_eq!(ran.len(), 6, "what the queue took has run, once: {ran:?}");
    })
    .await;
}
