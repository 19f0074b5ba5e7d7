//! The flaky broker fails where it was told to, and nowhere else; and a retry survives it.

#![allow(clippy::unwrap_used)]

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};
use taskq_conformance::{FlakyBroker, Harness, Step, broker_suite};
use taskq_core::{
    BoxError, Broker, BrokerError, BrokerExt, Call, Consumer, ContentType, InMemoryBroker, Message, Publish, QueueSpec,
    Run, Task, TaskConfig, TaskContext, TaskId,
};

/// Without faults it is the broker that it wraps.
mod without_faults {
    use super::{Arc, FlakyBroker, Harness, InMemoryBroker, broker_suite};

    struct Faultless(Arc<FlakyBroker<InMemoryBroker>>);

    impl Harness for Faultless {
        type Broker = Arc<FlakyBroker<InMemoryBroker>>;

        async fn connect(&self) -> Self::Broker {
            self.0.clone()
        }

        fn outlives_close(&self) -> bool {
            false
        }
    }

    broker_suite!(Faultless(Arc::new(FlakyBroker::new(InMemoryBroker::new().without_worker()))));
}

async fn with_queue(broker: FlakyBroker<InMemoryBroker>) -> (Arc<FlakyBroker<InMemoryBroker>>, Consumer) {
    let (broker, queue) = (Arc::new(broker), QueueSpec::new("q"));
    broker.declare(&queue).await.unwrap();
    let consumer = broker.consume(&queue, 10.try_into().unwrap()).await.unwrap();
    (broker, consumer)
}

fn message(id: &str) -> Publish {
    Publish::new("q", Message::new(TaskId::from(id), "task", ContentType::Json, "{}".into()))
}

fn id(id: &str) -> Option<TaskId> {
    Some(TaskId::from(id))
}

#[tokio::test]
async fn a_refused_publish_is_an_error_and_does_not_arrive() {
    let (broker, mut consumer) = with_queue(FlakyBroker::new(InMemoryBroker::new()).refuse_publish(2)).await;
    assert!(broker.publish(message("one")).await.is_ok());
    assert!(matches!(broker.publish(message("two")).await, Err(BrokerError::Nacked { .. })));
    assert!(broker.publish(message("three")).await.is_ok());
    for arrived in ["one", "three"] {
        let delivery = consumer.next().await.unwrap();
        assert_eq!(delivery.content.id().cloned(), id(arrived));
        delivery.ack();
    }
    assert!(broker.history().contains(&Step::Refused { queue: "q".into(), id: id("two") }));
}

#[tokio::test]
async fn a_publish_whose_confirm_is_lost_is_an_error_and_arrives() {
    let broker = FlakyBroker::new(InMemoryBroker::new()).lose_confirm_to("q", 1).lose_confirm_to("elsewhere", 2);
    let (broker, mut consumer) = with_queue(broker).await;
    assert!(matches!(broker.publish(message("one")).await, Err(BrokerError::Unconfirmed { .. })));
    assert!(broker.publish(message("two")).await.is_ok());
    consumer.next().await.unwrap().ack();
    consumer.next().await.unwrap().ack();
    let queue = || "q".to_owned();
    let wanted = [
        Step::ConfirmLost { queue: queue(), id: id("one") },
        Step::Published { queue: queue(), id: id("two") },
        Step::Acked { id: id("one") },
        Step::Acked { id: id("two") },
    ];
    assert_eq!(broker.history(), wanted);
}

#[tokio::test]
async fn after_a_lost_ack_the_message_comes_again() {
    let (broker, mut consumer) = with_queue(FlakyBroker::new(InMemoryBroker::new()).lose_ack(1)).await;
    broker.publish(message("one")).await.unwrap();
    consumer.next().await.unwrap().ack();
    let again = consumer.next().await.unwrap();
    assert!(again.redelivered);
    again.ack();
    assert_eq!(broker.inspect("q").await.unwrap().ready, 0);
    assert_eq!(broker.history()[1..], [Step::AckLost { id: id("one") }, Step::Acked { id: id("one") }]);
}

/// Fails once, then gives the number of its runs.
struct FailsOnce;

impl Task for FailsOnce {
    type Args = ();
    type Output = u32;
    type Returns = u32;
    const NAME: &'static str = "fails_once";
    const CONFIG: TaskConfig = TaskConfig::new().queue("q").retry(1);
}

impl Run for FailsOnce {
    async fn run(ctx: TaskContext, (): ()) -> Result<u32, BoxError> {
        let runs = ctx.state::<AtomicU32>()?.fetch_add(1, Ordering::SeqCst) + 1;
        if runs == 1 { Err("once".into()) } else { Ok(runs) }
    }
}

/// Runs it, and gives the first four steps after its submission.
async fn steps_of_a_retry(broker: FlakyBroker<InMemoryBroker>) -> Vec<Step> {
    let broker = Arc::new(broker);
    let app = broker.clone().with_state(AtomicU32::new(0)).register::<FailsOnce>();
    let handle = Call::<FailsOnce>::new(()).kiq().task_id("fails").on(&app).await.unwrap();
    assert_eq!(handle.wait_result().await.unwrap().into_value().unwrap(), 2);
    let history = broker.history();
    assert_eq!(history[0], Step::Published { queue: "q".into(), id: id("fails") });
    history[1..4].to_vec()
}

#[tokio::test(start_paused = true)]
async fn a_failed_delivery_is_acked_only_after_its_copy_was_published() {
    let (queue, id) = ("q".to_owned(), id("fails"));
    let wanted = [
        Step::Refused { queue: queue.clone(), id: id.clone() },
        Step::Published { queue, id: id.clone() },
        Step::Acked { id },
    ];
    assert_eq!(steps_of_a_retry(FlakyBroker::new(InMemoryBroker::new()).refuse_publish(2)).await, wanted);
}

#[tokio::test(start_paused = true)]
async fn a_copy_whose_confirm_was_lost_is_published_again_before_the_ack() {
    let (queue, id) = ("q".to_owned(), id("fails"));
    let wanted = [
        Step::ConfirmLost { queue: queue.clone(), id: id.clone() },
        Step::Published { queue, id: id.clone() },
        Step::Acked { id },
    ];
    assert_eq!(steps_of_a_retry(FlakyBroker::new(InMemoryBroker::new()).lose_confirm_to("q", 2)).await, wanted);
}
