//! What tests do to RabbitMQ behind the broker's back.

use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    options::{
        BasicAckOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
        QueueDeleteOptions,
    },
    types::{AMQPValue, FieldTable},
};

pub async fn channel(url: &str) -> (Connection, Channel) {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap_or_else(|error| {
        panic!(
            "no RabbitMQ at TASKQ_TEST_AMQP_URL or on localhost ({error}); `apt-get install rabbitmq-server` has one"
        )
    });
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    (connection, channel)
}

/// Deletes the queues and those of their dead letters.
pub async fn delete(url: &str, queues: &[String]) {
    let (connection, channel) = channel(url).await;
    for queue in queues {
        for name in [queue.clone(), format!("{queue}.dead")] {
            channel.queue_delete(name.into(), QueueDeleteOptions::default()).await.unwrap();
        }
    }
    connection.close(200, "done".into()).await.unwrap();
}

/// Declares a durable queue of other people's.
pub async fn declare(url: &str, queue: &str, arguments: &[(&'static str, AMQPValue)]) {
    let (connection, channel) = channel(url).await;
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        table.insert((*name).into(), value.clone());
    }
    channel.queue_declare(queue.into(), QueueDeclareOptions::durable(), table).await.unwrap();
    connection.close(200, "done".into()).await.unwrap();
}

/// Publishes something that is no message of taskq's.
pub async fn publish_raw(url: &str, queue: &str, body: &[u8], properties: BasicProperties) {
    let (connection, channel) = channel(url).await;
    let options = BasicPublishOptions { mandatory: true, immediate: false };
    let confirm = channel.basic_publish("".into(), queue.into(), options, body, properties).await.unwrap();
    assert!(confirm.await.unwrap().take_message().is_none(), "no queue `{queue}`");
    connection.close(200, "done".into()).await.unwrap();
}

/// Messages that wait in a queue, and its consumers.
pub async fn counts(url: &str, queue: &str) -> (u32, u32) {
    let (connection, channel) = channel(url).await;
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
    let seen = channel.queue_declare(queue.into(), options, FieldTable::default()).await.unwrap();
    connection.close(200, "done".into()).await.unwrap();
    (seen.message_count(), seen.consumer_count())
}

/// Takes the messages with this routing key out of a queue that others use too; says how many there were.
pub async fn take_out(url: &str, queue: &str, routing_key: &str) -> usize {
    let (connection, channel) = channel(url).await;
    let mut taken = 0;
    while let Some(message) = channel.basic_get(queue.into(), BasicGetOptions::default()).await.unwrap() {
        if message.delivery.routing_key.as_str().ends_with(routing_key) {
            channel.basic_ack(message.delivery.delivery_tag, BasicAckOptions::default()).await.unwrap();
            taken += 1;
        }
    }
    // What was not acked goes back with the channel.
    connection.close(200, "done".into()).await.unwrap();
    taken
}

/// Whether there is a queue of this name: something if so, for `eventually`.
pub async fn exists(url: &str, queue: &str) -> Option<()> {
    let (connection, channel) = channel(url).await;
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
    let seen = channel.queue_declare(queue.into(), options, FieldTable::default()).await;
    connection.close(200, "done".into()).await.unwrap();
    seen.ok().map(drop)
}
