//! Priorities: the more urgent first.

use crate::{
    CaseResult, Harness, NotPassed, Scene,
    messages::{message_of, numbered},
    scene::Connection,
};
use taskq_core::{BrokerError, QueueSpec};

const HIGHEST: u8 = 9;

async fn open<H: Harness>(scene: &Scene<H>, label: &str) -> CaseResult<(Connection<H::Broker>, QueueSpec)> {
    let connection = scene.connect().await?;
    connection.needs_priorities()?;
    let queue = scene.spec(&scene.name(label)).priorities(HIGHEST);
    connection.declare(&queue).await?;
    Ok((connection, queue))
}

/// Higher priorities come first, equal ones in the order of publishing; none counts as 0.
pub(crate) async fn higher_priorities_come_first<H: Harness>(scene: &Scene<H>) -> CaseResult {
    let (connection, queue) = open(scene, "first").await?;
    let priorities = [None, Some(5), Some(HIGHEST), Some(0), Some(5), Some(1), Some(HIGHEST), None];
    for (number, priority) in (0..).zip(priorities) {
        let mut message = numbered(number);
        message.priority = priority;
        connection.publish_to(&queue, message).await?;
    }
    let mut consumer = connection.consume(&queue, 1).await?;
    for number in [2, 6, 1, 4, 5, 0, 3, 7] {
        consumer.next_is(number).await?.ack();
    }
    connection.sees_nothing_left(&queue).await
}

/// A message still has its priority when it arrives, so that a retry of it can keep it.
pub(crate) async fn a_message_keeps_its_priority<H: Harness>(scene: &Scene<H>) -> CaseResult {
    let (connection, queue) = open(scene, "kept").await?;
    let mut consumer = connection.consume(&queue, 1).await?;
    for priority in [None, Some(0), Some(3), Some(HIGHEST)] {
        let mut message = numbered(1);
        message.priority = priority;
        connection.publish_to(&queue, message).await?;
        let delivery = consumer.next_is(1).await?;
        let found = message_of(&delivery)?.priority;
        ensure!(found == priority, "priority {priority:?} arrived as {found:?}");
        delivery.ack();
    }
    Ok(())
}

/// A message that is given back does not fall behind less urgent ones.
pub(crate) async fn a_requeued_message_keeps_its_rank<H: Harness>(scene: &Scene<H>) -> CaseResult {
    let (connection, queue) = open(scene, "rank").await?;
    for number in 0..3 {
        let mut message = numbered(number);
        message.priority = Some(2 - number as u8);
        connection.publish_to(&queue, message).await?;
    }
    let mut consumer = connection.consume(&queue, 1).await?;
    consumer.next_is(0).await?.requeue();
    for number in 0..3 {
        consumer.next_is(number).await?.ack();
    }
    connection.sees_nothing_left(&queue).await
}

/// A broker without priorities refuses to declare a queue with them.
pub(crate) async fn a_broker_without_priorities_refuses_them<H: Harness>(scene: &Scene<H>) -> CaseResult {
    let connection = scene.connect().await?;
    if connection.capabilities().priorities {
        return Err(NotPassed::LeftOut("this broker has priorities".into()));
    }
    let queue = scene.spec(&scene.name("without")).priorities(HIGHEST);
    match connection.try_declare(&queue).await? {
        Err(BrokerError::Unsupported { .. }) => Ok(()),
        other => Err(NotPassed::Broken(format!("priorities should be Unsupported here; declaring gave {other:?}"))),
    }
}
