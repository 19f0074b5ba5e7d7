//! What tests do to RabbitMQ behind taskq's back.

use super::amqp_url;
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions},
    types::FieldTable,
};

pub async fn channel() -> (Connection, Channel) {
    let connection = Connection::connect(&amqp_url(), ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    (connection, channel)
}

/// Deletes the queues and those of their dead letters.
pub async fn delete(queues: &[String]) {
    let (connection, channel) = channel().await;
    for queue in queues {
        for name in [queue.clone(), format!("{queue}.dead")] {
            let _ = channel.queue_delete(name.into(), QueueDeleteOptions::default()).await;
        }
    }
    let _ = connection.close(200, "done".into()).await;
}

/// Publishes something that is no message of taskq's.
pub async fn publish_raw(queue: &str, bodies: impl IntoIterator<Item = (Vec<u8>, BasicProperties)>) {
    let (connection, channel) = channel().await;
    let mut confirms = Vec::new();
    for (body, properties) in bodies {
        let options = BasicPublishOptions::default();
        confirms.push(channel.basic_publish("".into(), queue.into(), options, &body, properties).await.unwrap());
    }
    for confirm in confirms {
        assert!(confirm.await.unwrap().is_ack());
    }
    connection.close(200, "done".into()).await.unwrap();
}

/// Messages that wait in a queue.
pub async fn ready(queue: &str) -> u32 {
    let (connection, channel) = channel().await;
    let options = QueueDeclareOptions { passive: true, durable: true, ..QueueDeclareOptions::default() };
    let count = channel.queue_declare(queue.into(), options, FieldTable::default()).await.unwrap().message_count();
    connection.close(200, "done".into()).await.unwrap();
    count
}
