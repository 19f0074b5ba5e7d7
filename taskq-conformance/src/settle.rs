//! Settling: what is acked is gone, what is not comes again.

use crate::{
    CaseResult, Harness, Scene,
    messages::{are_exactly, message_of, number_of, numbered, publishes},
    scene::{Connection, Taker},
};
use taskq_core::{Broker, Delivery, QueueSpec};

async fn fill<B: Broker>(connection: &Connection<B>, queue: &QueueSpec, count: u64) -> CaseResult {
    for publish in publishes(queue, 1..=count) {
        connection.publish(publish).await?;
    }
    Ok(())
}

/// An acked message is gone for good.
pub(crate) async fn an_acked_message_is_gone<H: Harness>(scene: &Scene<H>) -> CaseResult {
    let (connection, queue) = scene.open("ack").await?;
    fill(&connection, &queue, 3).await?;
    let mut consumer = connection.consume(&queue, 3).await?;
    for number in 1..=3 {
        consumer.next_is(number).await?.ack();
    }
    connection.sees_nothing_left(&queue).await?;
    drop(consumer);
    connection.consume(&queue, 3).await?.stays_quiet("all messages were acked").await
}

/// A requeued message comes again before those behind it, and says that it was delivered before; those do not.
pub(crate) async fn a_requeued_message_comes_again_in_its_old_place<H: Harness>(scene: &Scene<H>) -> CaseResult {
    let (connection, queue) = scene.open("requeue").await?;
    fill(&connection, &queue, 3).await?;
    let mut consumer = connection.consume(&queue, 1).await?;
    let first = consumer.next_is(1).await?;
    ensure!(!first.redelivered, "a first delivery is marked as redelivered");
    first.requeue();
    for number in 1..=3 {
        let delivery = consumer.next_is(number).await?;
        let again = delivery.redelivered;
        ensure!(again == (number == 1), "only message 1 was delivered before; message {number} says {again}");
        delivery.ack();
    }
    connection.sees_nothing_left(&queue).await
}

/// A message can be requeued many times.
pub(crate) async fn a_message_may_be_requeued_fifty_times<H: Harness>(scene: &Scene<H>) -> CaseResult {
    let (connection, queue) = scene.open("fifty").await?;
    fill(&connection, &queue, 1).await?;
    let mut consumer = connection.consume(&queue, 1).await?;
    for _ in 0..50 {
        consumer.next_is(1).await?.requeue();
    }
    consumer.next_is(1).await?.ack();
    connection.sees_nothing_left(&queue).await
}

/// A delivery that is dropped unsettled comes again.
pub(crate) async fn a_dropped_delivery_comes_again<H: Harness>(scene: &Scene<H>) -> CaseResult {
    let (connection, queue) = scene.open("dropped").await?;
    fill(&connection, &queue, 1).await?;
    let mut consumer = connection.consume(&queue, 1).await?;
    drop(consumer.next_is(1).await?);
    comes_again(&mut consumer, 1).await?.ack();
    connection.sees_nothing_left(&queue).await
}

async fn comes_again(consumer: &mut Taker, number: u64) -> CaseResult<Delivery> {
    let delivery = consumer.next_is(number).await?;
    ensure!(delivery.redelivered, "message {number} came again, and is not marked as redelivered");
    Ok(delivery)
}

/// When a consumer and its deliveries are dropped, the next consumer receives all of them, whether they were handed out
/// or only held.
pub(crate) async fn what_a_dropped_consumer_held_comes_again<H: Harness>(scene: &Scene<H>) -> CaseResult {
    let (connection, queue) = scene.open("consumer").await?;
    fill(&connection, &queue, 10).await?;
    let mut consumer = connection.consume(&queue, 5).await?;
    let taken = consumer.take(3).await?;
    drop(consumer);
    drop(taken);
    let mut next = connection.consume(&queue, 10).await?;
    all_come(&mut next, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], &[1, 2, 3]).await?;
    connection.sees_nothing_left(&queue).await
}

/// Takes and acks exactly `wanted`, in any order; of them, `again` must be marked as redelivered.
async fn all_come(consumer: &mut Taker, wanted: &[u64], again: &[u64]) -> CaseResult {
    let deliveries = consumer.take(wanted.len()).await?;
    are_exactly(&deliveries, wanted.iter().copied())?;
    for delivery in deliveries {
        let number = number_of(message_of(&delivery)?)?;
        let marked = delivery.redelivered || !again.contains(&number);
        ensure!(marked, "message {number} came again, and is not marked as redelivered");
        delivery.ack();
    }
    consumer.stays_quiet("all messages have come").await
}

/// Deliveries are settled each by itself, in any order: an ack does not take along what came before it.
pub(crate) async fn settling_out_of_order_settles_each_by_itself<H: Harness>(scene: &Scene<H>) -> CaseResult {
    let (connection, queue) = scene.open("gaps").await?;
    fill(&connection, &queue, 8).await?;
    let mut consumer = connection.consume(&queue, 8).await?;
    let mut kept = Vec::new();
    for delivery in consumer.take(8).await?.into_iter().rev() {
        match number_of(message_of(&delivery)?)? % 3 {
            0 => kept.push(delivery),
            _ => delivery.ack(),
        }
    }
    connection.sees(&queue, "two deliveries are unsettled", |info| info.unsettled.is_none_or(|n| n == 2)).await?;
    drop(consumer);
    drop(kept);
    let mut next = connection.consume(&queue, 8).await?;
    all_come(&mut next, &[3, 6], &[3, 6]).await?;
    connection.sees_nothing_left(&queue).await
}

/// What was handed out before [`Consumer::stop`](taskq_core::Consumer::stop) can be settled after it.
pub(crate) async fn settling_after_stop_counts<H: Harness>(scene: &Scene<H>) -> CaseResult {
    let (connection, queue) = scene.open("stopped").await?;
    fill(&connection, &queue, 3).await?;
    let mut consumer = connection.consume(&queue, 3).await?;
    let (first, second) = (consumer.next_is(1).await?, consumer.next_is(2).await?);
    consumer.stop();
    first.ack();
    second.requeue();
    connection.sees(&queue, "messages 2 and 3 should be ready", |info| info.ready == 2).await?;
    drop(consumer);
    let mut next = connection.consume(&queue, 3).await?;
    all_come(&mut next, &[2, 3], &[2]).await?;
    connection.sees_nothing_left(&queue).await
}

/// After its connection was closed a delivery belongs to whoever receives it next: settling it does nothing.
pub(crate) async fn settling_after_close_does_nothing<H: Harness>(scene: &Scene<H>) -> CaseResult {
    scene.needs_outliving_close()?;
    let (connection, queue) = scene.open("closed").await?;
    let other = scene.connect().await?;
    fill(&connection, &queue, 2).await?;
    let mut consumer = connection.consume(&queue, 2).await?;
    let (first, second) = (consumer.next_is(1).await?, consumer.next_is(2).await?);
    connection.close().await?;
    let mut next = other.consume(&queue, 2).await?;
    let (again, also) = (next.next().await?, next.next().await?);
    first.ack();
    second.requeue();
    next.stays_quiet("nothing was settled by its holder").await?;
    drop((again, also));
    all_come(&mut next, &[1, 2], &[1, 2]).await?;
    other.sees_nothing_left(&queue).await
}

/// After its connection was cut, settling a delivery does nothing: the message comes again, and is settled then.
pub(crate) async fn settling_after_an_interruption_does_nothing<H: Harness>(scene: &Scene<H>) -> CaseResult {
    let (connection, queue) = scene.open("cut").await?;
    connection.publish_to(&queue, numbered(1)).await?;
    let mut consumer = connection.consume(&queue, 1).await?;
    let lost = consumer.next_is(1).await?;
    scene.interrupt().await?;
    let again = comes_again(&mut consumer, 1).await?;
    lost.ack();
    again.requeue();
    comes_again(&mut consumer, 1).await?.ack();
    connection.sees_nothing_left(&queue).await
}
