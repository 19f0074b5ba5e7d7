//! Prefetch: how many deliveries a consumer holds unsettled.

use crate::{
    CaseResult, Harness, Scene,
    messages::{message_of, number_of, numbered, publishes},
    scene::Taker,
};
use std::collections::BTreeSet;
use taskq_core::Delivery;

/// A consumer never holds more deliveries than it asked for.
pub(crate) async fn no_more_than_prefetch_are_unsettled<H: Harness>(scene: &Scene<H>) -> CaseResult {
    for prefetch in [1, 5] {
        let (connection, queue) = scene.open("limit").await?;
        for publish in publishes(&queue, 1..=20) {
            connection.publish(publish).await?;
        }
        let mut consumer = connection.consume(&queue, prefetch).await?;
        let held = consumer.take(prefetch.into()).await?;
        consumer.stays_quiet(&format!("{prefetch} deliveries are unsettled, and no more were asked for")).await?;
        let left = 20 - u64::from(prefetch);
        connection.sees(&queue, "what is over the prefetch waits in the queue", |info| info.ready == left).await?;
        drop(held);
    }
    Ok(())
}

/// Each settling makes room for one more, whether by ack, by requeue or by dropping.
pub(crate) async fn settling_one_frees_one<H: Harness>(scene: &Scene<H>) -> CaseResult {
    let (connection, queue) = scene.open("frees").await?;
    for publish in publishes(&queue, 1..=10) {
        connection.publish(publish).await?;
    }
    let mut consumer = connection.consume(&queue, 2).await?;
    let (first, second) = (consumer.next_is(1).await?, consumer.next_is(2).await?);
    first.ack();
    let third = consumer.next_is(3).await?;
    consumer.stays_quiet("one delivery was acked, and one came for it").await?;
    second.requeue();
    let second = consumer.next_is(2).await?;
    consumer.stays_quiet("one delivery was requeued, and one came for it").await?;
    drop(third);
    let third = consumer.next_is(3).await?;
    consumer.stays_quiet("one delivery was dropped, and one came for it").await?;
    drop((second, third));
    Ok(())
}

/// Two consumers of one queue each hold their own prefetch, and together receive every message once.
pub(crate) async fn two_consumers_share_a_queue_without_duplicates<H: Harness>(scene: &Scene<H>) -> CaseResult {
    let (connection, queue) = scene.open("share").await?;
    let other = scene.connect().await?;
    let (mut left, mut right) = (connection.consume(&queue, 5).await?, other.consume(&queue, 5).await?);
    for publish in publishes(&queue, 0..100) {
        connection.publish(publish).await?;
    }
    let mut seen = BTreeSet::new();
    let (here, there) = (left.take(5).await?, right.take(5).await?);
    left.stays_quiet("the first consumer holds its prefetch").await?;
    right.stays_quiet("the second consumer holds its prefetch").await?;
    settle(here.into_iter().chain(there).collect(), &mut seen)?;
    share_out(&mut left, &mut right, &mut seen, 100).await?;
    connection.sees_nothing_left(&queue).await
}

/// Takes from both until `count` messages have come.
async fn share_out(left: &mut Taker, right: &mut Taker, seen: &mut BTreeSet<u64>, count: usize) -> CaseResult {
    while seen.len() < count {
        let delivery = tokio::select! {
            delivery = left.next() => delivery?,
            delivery = right.next() => delivery?,
        };
        settle(vec![delivery], seen)?;
    }
    left.stays_quiet("all messages have come").await?;
    right.stays_quiet("all messages have come").await
}

fn settle(deliveries: Vec<Delivery>, seen: &mut BTreeSet<u64>) -> CaseResult {
    for delivery in &deliveries {
        let number = number_of(message_of(delivery)?)?;
        ensure!(seen.insert(number), "message {number} was delivered to two consumers, and nobody gave it back");
    }
    deliveries.into_iter().for_each(Delivery::ack);
    Ok(())
}

/// A consumer with room receives messages while another one, full, keeps its own.
pub(crate) async fn a_full_consumer_does_not_hold_up_another<H: Harness>(scene: &Scene<H>) -> CaseResult {
    let (connection, queue) = scene.open("full").await?;
    let mut full = connection.consume(&queue, 1).await?;
    connection.publish_to(&queue, numbered(1)).await?;
    let held = full.next_is(1).await?;
    let mut free = connection.consume(&queue, 1).await?;
    for number in 2..=5 {
        connection.publish_to(&queue, numbered(number)).await?;
        free.next_is(number).await?.ack();
    }
    held.ack();
    connection.sees_nothing_left(&queue).await
}
