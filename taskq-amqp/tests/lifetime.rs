//! The broker lives by itself: on threads of its own, as long as somebody holds it, and no longer.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;
use support::{broker_with, consume, line, next, number_of, operator, take_all, to, with_queue};
use taskq_amqp::AmqpBroker;
use taskq_core::{Broker, BrokerError, QueueSpec};
use taskq_faults::{proxy::Who, shared::amqp_url, wait::eventually};
use tokio::runtime;

fn runtime() -> runtime::Runtime {
    runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn a_broker_outlives_the_runtime_it_was_first_used_in() {
    runtime().block_on(with_queue("outlives", async |queue| {
        let broker = AmqpBroker::new(amqp_url());
        let (in_thread, name) = (broker.clone(), queue.clone());
        let consumer = std::thread::spawn(move || {
            runtime().block_on(async {
                in_thread.declare(&QueueSpec::new(&name)).await.unwrap();
                in_thread.publish(to(&name, 0)).await.unwrap();
                consume(&in_thread, &name, 1).await
            })
        });
        let mut consumer = consumer.join().unwrap();
        broker.publish(to(&queue, 1)).await.unwrap();
        assert_eq!(take_all(&mut consumer, 2).await, [1, 1]);
    }));
}

#[test]
fn a_broker_keeps_real_time_while_a_test_has_paused_its_own() {
    runtime().block_on(with_queue("paused", async |queue| {
        let name = queue.clone();
        let paused = std::thread::spawn(move || {
            let paused = runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
            paused.block_on(async {
                let broker = broker_with(&name).await;
                broker.publish_many((0..100).map(|number| to(&name, number)).collect()).await
            })
        });
        let outcomes = paused.join().unwrap();
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    }));
}

#[tokio::test]
async fn heartbeats_go_on_while_user_code_blocks_its_runtime() {
    with_queue("blocking", async |queue| {
        let line = line();
        let broker = AmqpBroker::new(line.url()).heartbeat(Duration::from_secs(1));
        broker.declare(&QueueSpec::new(&queue)).await.unwrap();
        let mut consumer = consume(&broker, &queue, 1).await;
        broker.publish(to(&queue, 0)).await.unwrap();
        let held = next(&mut consumer).await;
        std::thread::sleep(Duration::from_secs(5));
        assert_eq!((line.open(Who::Publishers), line.open(Who::Consumers)), (1, 1));
        assert!(!held.line.as_ref().unwrap().is_cut(), "the connection that it came by was lost");
        held.ack();
        broker.publish(to(&queue, 1)).await.unwrap();
        assert_eq!(number_of(&next(&mut consumer).await), 1);
    })
    .await;
}

#[tokio::test]
async fn dropping_the_last_handle_closes_the_connections_and_gives_back_what_was_held() {
    with_queue("dropped", async |queue| {
        let broker = broker_with(&queue).await;
        broker.publish(to(&queue, 0)).await.unwrap();
        let mut consumer = consume(&broker, &queue, 1).await;
        let held = next(&mut consumer).await;
        drop(broker);
        drop(consumer);
        drop(held);
        let given_back = async || operator().await.find(&queue).await == Some((1, 0));
        eventually("the message is given back and nobody consumes", given_back).await;
    })
    .await;
}

#[tokio::test]
async fn an_ack_just_before_the_last_handle_is_dropped_counts() {
    with_queue("last-ack", async |queue| {
        for _ in 0..10 {
            let broker = broker_with(&queue).await;
            broker.publish(to(&queue, 0)).await.unwrap();
            let mut consumer = consume(&broker, &queue, 1).await;
            next(&mut consumer).await.ack();
            drop((consumer, broker));
            let nobody = async || operator().await.consumers(&queue).await == 0;
            eventually("nobody consumes", nobody).await;
            assert_eq!(operator().await.ready(&queue).await, 0);
        }
    })
    .await;
}

#[tokio::test]
async fn closing_tells_the_last_settlements_and_refuses_what_comes_after() {
    with_queue("closed", async |queue| {
        let broker = broker_with(&queue).await;
        broker.publish_many((0..50).map(|number| to(&queue, number)).collect()).await;
        let mut consumer = consume(&broker, &queue, 200).await;
        for _ in 0..30 {
            next(&mut consumer).await.ack();
        }
        let held = next(&mut consumer).await;
        broker.close().await.unwrap();
        broker.close().await.unwrap();
        drop(held);
        assert_eq!(operator().await.find(&queue).await, Some((20, 0)));
        assert!(consumer.next().await.is_none());
        assert!(matches!(broker.publish(to(&queue, 0)).await, Err(BrokerError::Closed)));
        assert!(matches!(broker.inspect(&queue).await, Err(BrokerError::Closed)));
    })
    .await;
}

/// A question about a queue that is not there costs its channel, and lapin never uses the number of that channel again.
#[test]
fn a_connection_outlives_more_channels_that_the_server_closed_than_it_has_numbers_for() {
    const NUMBERS: usize = 2_047;
    runtime().block_on(with_queue("numbers", async |queue| {
        let broker = broker_with(&queue).await;
        let missing = format!("{queue}.missing");
        let mut lost = 0;
        for question in 0..=NUMBERS {
            match broker.inspect(&missing).await {
                Err(BrokerError::Unroutable { .. }) => {}
                Err(BrokerError::Unreachable { .. }) => lost += 1,
                answer => panic!("{question}: {answer:?}"),
            }
        }
        assert!(lost <= 1, "{lost} questions were not answered");
        broker.publish(to(&queue, 0)).await.unwrap();
        eventually("it answers by another connection", async || broker.inspect(&queue).await.is_ok()).await;
        assert_eq!(take_all(&mut consume(&broker, &queue, 1).await, 1).await, [1]);
    }));
}
