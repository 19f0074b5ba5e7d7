//! Lines that break: everything goes on by itself, with nothing lost.

mod support;

use support::{
    PATIENCE, consume, eventually, next, number_of, rabbit,
    relay::{Mode, Relay},
    to, with_queue,
};
use taskq_amqp::AmqpBroker;
use taskq_core::{Broker, QueueSpec};

#[tokio::test(flavor = "multi_thread")]
async fn scratch() {
    tracing_subscriber::fmt().with_env_filter("debug").init();
    with_queue("scratch", async |queue| {
        let relay = Relay::start().await;
        let broker = AmqpBroker::new(relay.url());
        broker.declare(&QueueSpec::new(&queue)).await.unwrap();
        let mut c = consume(&broker, &queue, 3).await;
        broker.publish(to(&queue, 1)).await.unwrap();
        next(&mut c).await.ack();
        relay.cut();
        broker.publish(to(&queue, 2)).await.unwrap();
        assert_eq!(number_of(&next(&mut c).await), 2);
    })
    .await;
}
