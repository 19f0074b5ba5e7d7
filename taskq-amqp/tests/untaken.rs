//! Deliveries that lie there because nobody takes them, as in a program that blocks its runtime: how old they are is known, they
//! are not given back, and what happens to their channel is noticed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;
use support::{broker_with, consume, next, number_of, operator, to, with_queue};
use taskq_amqp::AmqpBroker;
use taskq_core::{Broker, Delivery};
use taskq_faults::wait::eventually;
use tokio::time::{Instant, sleep};

/// Several questions to the server, each of which is answered at once.
const SOME_ANSWERS: Duration = Duration::from_secs(4);

/// A question and its answer, on a machine that has much to do.
const ONE_ANSWER: Duration = Duration::from_millis(2500);

/// Longer than a channel stays quiet that has nothing to do.
const LONG: Duration = Duration::from_secs(13);

async fn publish_all(broker: &AmqpBroker, queue: &str, numbers: impl Iterator<Item = usize>) {
    for number in numbers {
        broker.publish(to(queue, number)).await.unwrap();
    }
}

fn age(delivery: &Delivery) -> Duration {
    Instant::now() - delivery.sent_after
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_lain_there_is_not_taken_for_young() {
    with_queue("lain", async |queue| {
        let broker = broker_with(&queue).await;
        let mut consumer = consume(&broker, &queue, 10).await;
        broker.publish(to(&queue, 0)).await.unwrap();
        next(&mut consumer).await.ack();
        publish_all(&broker, &queue, 1..=3).await;
        let sent = Instant::now();
        sleep(SOME_ANSWERS).await;
        for number in 1..=3 {
            let delivery = next(&mut consumer).await;
            assert_eq!(number_of(&delivery), number);
            assert!(delivery.sent_after <= sent, "{number} was sent before {:?}", age(&delivery));
            delivery.ack();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_after_a_long_pause_is_known_to_be_young() {
    with_queue("pause", async |queue| {
        let broker = broker_with(&queue).await;
        let mut consumer = consume(&broker, &queue, 10).await;
        broker.publish(to(&queue, 0)).await.unwrap();
        next(&mut consumer).await.ack();
        let soon = tokio::spawn(async move { (next(&mut consumer).await, Instant::now(), consumer) });
        sleep(SOME_ANSWERS).await;
        broker.publish(to(&queue, 1)).await.unwrap();
        let (delivery, came, _consumer) = soon.await.unwrap();
        assert!(came - delivery.sent_after < ONE_ANSWER, "{:?}", came - delivery.sent_after);
        delivery.ack();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_there_is_not_given_back_for_being_quiet() {
    with_queue("lies", async |queue| {
        let broker = broker_with(&queue).await;
        let mut consumer = consume(&broker, &queue, 10).await;
        publish_all(&broker, &queue, 0..4).await;
        next(&mut consumer).await.ack();
        sleep(LONG).await;
        for number in 1..4 {
            let delivery = next(&mut consumer).await;
            assert_eq!((number_of(&delivery), delivery.redelivered), (number, false));
            delivery.ack();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_consumer_is_noticed_while_nobody_takes_anything() {
    with_queue("noticed", async |queue| {
        let broker = broker_with(&queue).await;
        let mut consumer = consume(&broker, &queue, 10).await;
        publish_all(&broker, &queue, 0..3).await;
        let held = next(&mut consumer).await;
        operator().await.delete(&queue).await;
        eventually("the line is cut", async || held.line.as_ref().unwrap().is_cut()).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_prefetch_goes_on_while_one_is_held() {
    with_queue("small", async |queue| {
        let broker = broker_with(&queue).await;
        let mut consumer = consume(&broker, &queue, 2).await;
        publish_all(&broker, &queue, 0..6).await;
        let held = next(&mut consumer).await;
        for number in 1..6 {
            let delivery = next(&mut consumer).await;
            assert_eq!(number_of(&delivery), number);
            delivery.ack();
        }
        drop(consumer);
        held.ack();
        eventually("nothing is left", async || operator().await.consumers(&queue).await == 0).await;
        assert_eq!(operator().await.ready(&queue).await, 0);
        broker.close().await.unwrap();
    })
    .await;
}
