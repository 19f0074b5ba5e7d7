//! A raw connection to RabbitMQ, and what is opened on it.

use crate::protocol::Place;
use anyhow::{Result, bail};
use futures_util::{FutureExt, StreamExt};
use lapin::{
    Channel, Connection, ConnectionProperties, Consumer,
    message::Delivery,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
        QueueDeclareOptions,
    },
    types::{FieldTable, ShortString},
};
use std::time::Duration;

pub(super) const MANDATORY: BasicPublishOptions = BasicPublishOptions { mandatory: true, immediate: false };

pub(super) const ALL_UP_TO: BasicAckOptions = BasicAckOptions { multiple: true };

const PASSIVE: QueueDeclareOptions =
    QueueDeclareOptions { passive: true, durable: true, exclusive: false, auto_delete: false, nowait: false };

/// RabbitMQ loses acks of a quorum queue that are on their way to it when their channel closes.
const ACKS_ARRIVE: Duration = Duration::from_millis(200);

/// With the frame size that RabbitMQ would choose, as taskq has it: told from the start, lapin need not enlarge its buffers,
/// which makes them all resident.
pub(crate) async fn connect(place: &Place) -> Result<Connection> {
    let separator = if place.amqp.contains('?') { '&' } else { '?' };
    let address = format!("{}{separator}frame_max=131072", place.amqp);
    Ok(Connection::connect(&address, ConnectionProperties::default()).await?)
}

pub(super) async fn confirming(connection: &Connection) -> Result<Channel> {
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(channel)
}

pub(super) async fn consume(channel: &Channel, queue: &str, prefetch: u16) -> Result<Consumer> {
    channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
    // As taskq has it: every delivery carries it.
    let (tag, options) = (ShortString::from("taskq"), BasicConsumeOptions::default());
    Ok(channel.basic_consume(queue.into(), tag, options, FieldTable::default()).await?)
}

/// Waits for a delivery, and takes with it what else has arrived, up to `most`.
pub(super) async fn arrived(deliveries: &mut Consumer, most: usize, batch: &mut Vec<Delivery>) -> Result<u64> {
    batch.clear();
    let Some(first) = deliveries.next().await else { bail!("the consumer was cancelled") };
    batch.push(first?);
    while batch.len() < most
        && let Some(Some(delivery)) = deliveries.next().now_or_never()
    {
        batch.push(delivery?);
    }
    Ok(batch.last().map_or(0, |delivery| delivery.delivery_tag))
}

pub(super) fn id_of(delivery: &Delivery) -> &str {
    delivery.properties.message_id().as_ref().map_or("", |id| id.as_str())
}

/// How many messages are ready in a queue. The server answers after all that was said on this channel before.
pub(crate) async fn ready(channel: &Channel, queue: &str) -> Result<u64> {
    Ok(channel.queue_declare(queue.into(), PASSIVE, FieldTable::default()).await?.message_count().into())
}

/// Closes channels on which acks were said just now.
pub(super) async fn close(connection: Connection, channels: &[Channel]) -> Result<()> {
    tokio::time::sleep(ACKS_ARRIVE).await;
    for channel in channels {
        channel.close(200, "done".into()).await?;
    }
    Ok(connection.close(200, "done".into()).await?)
}
