//! Delays, on the levels of a real server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::{Duration, Instant};
use support::{broker_with, consume, next, number_of, operator, take_all, to, with_queue};
use taskq_core::{Broker, BrokerError, Content, Origin, Publish, QueueSpec};
use taskq_faults::{shared::amqp_url, wait::eventually};

const TICK: Duration = Duration::from_millis(100);

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_delayed_again_and_again_arrives_each_time() {
    with_queue("again", async |queue| {
        let broker = broker_with(&queue).await;
        let mut consumer = consume(&broker, &queue, 1).await;
        let mut publish = to(&queue, 0);
        // Delays that share levels: what remembers its way through them is taken for going in circles.
        for ticks in [3, 6, 5, 7, 3] {
            let due = Instant::now() + TICK * ticks;
            broker.publish(publish.delay(Some(TICK * ticks)).origin(Origin::Worker)).await.unwrap();
            let delivery = next(&mut consumer).await;
            assert!(Instant::now() >= due, "it came early");
            let Content::Task(message) = &delivery.content else { panic!("{:?}", delivery.content) };
            assert!(message.labels.is_empty(), "{:?}", message.labels);
            publish = Publish::new(&queue, delivery.content.clone());
            delivery.ack();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn delayed_messages_reach_their_own_queue_only() {
    with_queue("similar", async |queue| {
        let broker = broker_with(&queue).await;
        let long = format!("a.{queue}");
        broker.declare(&QueueSpec::new(&long)).await.unwrap();
        let mut of_long = consume(&broker, &long, 5).await;
        broker.publish(to(&long, 1).delay(Some(TICK))).await.unwrap();
        assert_eq!(number_of(&next(&mut of_long).await), 1);
        assert_eq!(operator().await.find(&queue).await, Some((0, 0)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_delayed_messages_of_a_deleted_queue_do_not_hold_up_others() {
    with_queue("deleted", async |queue| {
        let broker = broker_with(&queue).await;
        let deleted = format!("{queue}.other");
        broker.declare(&QueueSpec::new(&deleted)).await.unwrap();
        let mut publishes: Vec<_> = (0..40).map(|number| to(&deleted, number).delay(Some(TICK * 15))).collect();
        publishes.push(to(&queue, 40).delay(Some(TICK * 15)));
        let outcomes = broker.publish_many(publishes).await;
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        operator().await.delete_with_letters(&deleted).await;
        // Much less than the three minutes after which the server tries dead letters again.
        assert_eq!(number_of(&next(&mut consume(&broker, &queue, 1).await).await), 40);
        let (operator, mut kept) = (operator().await, 0);
        eventually("the forty are kept where nothing is lost", async || {
            kept += operator.take_out("taskq.v1.unroutable", &format!(".{deleted}")).await;
            kept >= 40
        })
        .await;
        // The next connection asks again whether the queue is there.
        let other = taskq_amqp::AmqpBroker::new(amqp_url());
        let refused = other.publish(to(&deleted, 41).delay(Some(TICK))).await;
        assert!(matches!(refused, Err(BrokerError::Unroutable { .. })), "{refused:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_due_while_its_queue_was_away_comes_when_it_is_consumed_again() {
    with_queue("away", async |queue| {
        let broker = broker_with(&queue).await;
        let other = format!("{queue}.other");
        broker.declare(&QueueSpec::new(&other)).await.unwrap();
        let mut consumer = consume(&broker, &queue, 10).await;
        let mut publishes: Vec<_> = (0..5).map(|number| to(&queue, number).delay(Some(TICK * 10))).collect();
        publishes.push(to(&other, 5).delay(Some(TICK * 15)));
        let outcomes = broker.publish_many(publishes).await;
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        operator().await.delete_with_letters(&queue).await;
        // Due after the others, which have gone where nothing is lost.
        assert_eq!(number_of(&next(&mut consume(&broker, &other, 1).await).await), 5);
        taskq_amqp::AmqpBroker::new(amqp_url()).declare(&QueueSpec::new(&queue)).await.unwrap();
        assert_eq!(take_all(&mut consumer, 5).await, [1; 5]);
        let left = operator().await.take_out("taskq.v1.unroutable", &format!(".{queue}")).await;
        assert_eq!(left, 0, "each was brought, and none is left behind");
    })
    .await;
}
