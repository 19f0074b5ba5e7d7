//! A server that reads and does not answer: every call still ends in its own time.

mod support;

use std::time::Duration;
use support::{
    PATIENCE,
    relay::{Mode, Relay},
    to, with_queue,
};
use taskq_amqp::AmqpBroker;
use taskq_core::{Broker, BrokerError, QueueSpec};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_says_nothing_about_many_messages_does_not_hold_up_the_next() {
    with_queue("silence", async |queue| {
        let relay = Relay::start().await;
        let broker = AmqpBroker::new(relay.url()).heartbeat(Duration::from_secs(600));
        broker.declare(&QueueSpec::new(&queue)).await.unwrap();
        broker.publish(to(&queue, 0)).await.unwrap();
        relay.set(Mode::Mute);
        let soon = Duration::from_millis(500);
        let lost = broker.publish_many((1..=300).map(|number| to(&queue, number).within(soon)).collect()).await;
        assert!(lost.iter().all(|outcome| matches!(outcome, Err(BrokerError::Unconfirmed { .. }))), "{lost:?}");
        let next = tokio::time::timeout(PATIENCE, broker.publish(to(&queue, 301).within(soon))).await;
        assert!(next.expect("its time is over").is_err());
    })
    .await;
}
