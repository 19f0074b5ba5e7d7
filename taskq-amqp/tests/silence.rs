//! A server that reads and does not answer: every call still ends in its own time.

mod support;

use std::time::Duration;
use support::{broker_with, line, operator, to, with_queue};
use taskq_amqp::AmqpBroker;
use taskq_core::{Broker, BrokerError, QueueSpec};
use taskq_faults::{
    proxy::{Line, Way, Who},
    wait::{PATIENCE, eventually},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_says_nothing_about_many_messages_does_not_hold_up_the_next() {
    with_queue("silence", async |queue| {
        let line = line();
        let broker = AmqpBroker::new(line.url()).heartbeat(Duration::from_secs(600));
        broker.declare(&QueueSpec::new(&queue)).await.unwrap();
        broker.publish(to(&queue, 0)).await.unwrap();
        line.line(Who::All, Way::ToClient, Line::Stall);
        let soon = Duration::from_millis(500);
        let lost = broker.publish_many((1..=300).map(|number| to(&queue, number).within(soon)).collect()).await;
        assert!(lost.iter().all(|outcome| matches!(outcome, Err(BrokerError::Unconfirmed { .. }))), "{lost:?}");
        let next = tokio::time::timeout(PATIENCE, broker.publish(to(&queue, 301).within(soon))).await;
        assert!(next.expect("its time is over").is_err());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_message_without_a_word_about_it_is_enough_to_leave_a_connection_on_which_nothing_is_answered() {
    with_queue("left", async |queue| {
        let line = line();
        let broker = AmqpBroker::new(line.url()).heartbeat(Duration::from_secs(600));
        broker.declare(&QueueSpec::new(&queue)).await.unwrap();
        broker.publish(to(&queue, 0)).await.unwrap();
        line.line(Who::All, Way::ToClient, Line::Stall);
        let lost = broker.publish(to(&queue, 1).within(Duration::from_millis(500))).await;
        assert!(matches!(lost, Err(BrokerError::Unconfirmed { .. })), "{lost:?}");
        eventually("there is another connection", async || line.counters().accepted == 2).await;
        line.heal();
        broker.publish(to(&queue, 2)).await.unwrap();
    })
    .await;
}

/// RabbitMQ 3.10 reads nothing more from most connections to which this happens. From some it does: it ends them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishing_goes_on_after_a_queue_was_deleted_with_hundreds_of_messages_on_their_way_to_it() {
    with_queue("loaded", async |queue| {
        let other = format!("{queue}.other");
        let broker = broker_with(&queue).await;
        broker.declare(&QueueSpec::new(&other)).await.unwrap();
        let operator = operator().await;
        let soon = Duration::from_secs(2);
        let many: Vec<_> = (0..3000).map(|number| to(&queue, number).within(soon)).collect();
        broker.publish(to(&queue, 0)).await.unwrap();
        let publisher = broker.clone();
        let publishing = tokio::spawn(async move { publisher.publish_many(many).await });
        tokio::time::sleep(Duration::from_millis(30)).await;
        operator.delete(&queue).await;
        publishing.await.unwrap();
        broker.publish(to(&other, 0).within(PATIENCE)).await.unwrap();
        operator.close().await;
    })
    .await;
}
