//! What tests do to a RabbitMQ behind taskq's back.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use crate::wait::{ended, eventually};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Error, PublisherConfirm,
    options::{
        BasicAckOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
        QueueDeleteOptions,
    },
    types::{AMQPValue, FieldTable},
};
use std::{fmt, time::Duration};

/// A plain client, with one connection, which ends with it. It fails its test by panicking, unless a method says
/// otherwise.
pub struct Client {
    url: String,
    /// Its connection.
    pub connection: Connection,
    /// A channel that asks for confirms.
    pub channel: Channel,
}

impl Client {
    /// A client of no name.
    pub async fn of(url: &str) -> Client {
        Client::named(url, "taskq-faults").await
    }

    /// A client of this name.
    pub async fn named(url: &str, name: &str) -> Client {
        let connection = connect(url, name).await.unwrap_or_else(|error| {
            panic!("no RabbitMQ lets a test in ({error}); `cargo xtask test` finds or starts one")
        });
        Client::on(connection, url).await
    }

    /// The same, of a server that may take a while: a node of a cluster that has been away pauses itself once it finds out.
    pub async fn named_at_last(url: &str, name: &str) -> Client {
        let connection = loop {
            match connect(url, name).await {
                Ok(connection) => break connection,
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        };
        Client::on(connection, url).await
    }

    async fn on(connection: Connection, url: &str) -> Client {
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        Client { url: url.to_owned(), connection, channel }
    }

    /// Declares a durable queue with these arguments.
    pub async fn declare(&self, queue: &str, arguments: &[(&'static str, AMQPValue)]) {
        let mut table = FieldTable::default();
        for (name, value) in arguments {
            table.insert((*name).into(), value.clone());
        }
        ended(self.channel.queue_declare(queue.into(), QueueDeclareOptions::durable(), table)).await.unwrap();
    }

    /// Declares a quorum queue.
    pub async fn declare_quorum(&self, queue: &str) {
        self.declare(queue, &[("x-queue-type", AMQPValue::LongString("quorum".into()))]).await;
    }

    /// A queue that goes with the connection; its name.
    pub async fn declare_passing(&self) -> String {
        let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
        let queue = ended(self.channel.queue_declare("".into(), options, FieldTable::default())).await.unwrap();
        queue.name().to_string()
    }

    /// A queue that other connections may use, to be deleted at the end; its name.
    pub async fn declare_shared(&self) -> String {
        let options = QueueDeclareOptions::durable();
        let queue = ended(self.channel.queue_declare("".into(), options, FieldTable::default())).await.unwrap();
        queue.name().to_string()
    }

    /// Deletes a queue, if there is one. RabbitMQ 3.10 now and then answers with an internal error, for no reason that it tells,
    /// and ends the connection: then another one asks again.
    pub async fn delete(&self, queue: &str) {
        if let Err(error) = self.try_delete(queue).await {
            eprintln!("queue `{queue}` was not deleted at once: {error}");
            Client::of(&self.url).await.try_delete(queue).await.unwrap();
        }
    }

    async fn try_delete(&self, queue: &str) -> Result<u32, Error> {
        ended(self.channel.queue_delete(queue.into(), QueueDeleteOptions::default())).await
    }

    /// Deletes a queue of taskq's and that of its dead letters.
    pub async fn delete_with_letters(&self, queue: &str) {
        for name in [queue, &format!("{queue}.dead")] {
            self.delete(name).await;
        }
    }

    /// Publishes and waits for the confirm. `false`: refused, as by a quorum queue that has no leader yet.
    ///
    /// # Errors
    /// The connection ends before.
    pub async fn publish(&self, queue: &str, body: &str) -> Result<bool, Error> {
        let properties = BasicProperties::default().with_delivery_mode(2);
        match self.send(queue, body.as_bytes(), properties).await?.await? {
            Confirmation::Ack(None) => Ok(true),
            Confirmation::Nack(None) => Ok(false),
            other => panic!("not confirmed: {other:?}"),
        }
    }

    /// Publishes until the queue takes it: one without a leader refuses.
    pub async fn publish_at_last(&self, queue: &str, body: &str) {
        let taken = async || self.publish(queue, body).await.unwrap();
        eventually(&format!("the queue takes `{body}`"), taken).await;
    }

    /// Publishes what need not be a message of taskq's, and waits until the queue has taken all of it.
    pub async fn publish_raw(&self, queue: &str, messages: impl IntoIterator<Item = (Vec<u8>, BasicProperties)>) {
        let mut confirms = Vec::new();
        for (body, properties) in messages {
            confirms.push(self.send(queue, &body, properties).await.unwrap());
        }
        for confirm in confirms {
            let confirmation = ended(confirm).await.unwrap();
            assert!(matches!(confirmation, Confirmation::Ack(None)), "`{queue}` did not take it: {confirmation:?}");
        }
    }

    async fn send(&self, queue: &str, body: &[u8], properties: BasicProperties) -> Result<PublisherConfirm, Error> {
        let options = BasicPublishOptions { mandatory: true, immediate: false };
        self.channel.basic_publish("".into(), queue.into(), options, body, properties).await
    }

    /// Messages that wait in a queue, and its consumers; `None` where there is no such queue.
    pub async fn find(&self, queue: &str) -> Option<(u32, u32)> {
        // The question closes its channel where the answer is no.
        let channel = ended(self.connection.create_channel()).await.unwrap();
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
        let seen = ended(channel.queue_declare(queue.into(), options, FieldTable::default())).await.ok()?;
        channel.close(200, "done".into()).await.unwrap();
        Some((seen.message_count(), seen.consumer_count()))
    }

    /// Messages that wait in a queue.
    pub async fn ready(&self, queue: &str) -> u32 {
        self.find(queue).await.unwrap_or_else(|| panic!("no queue `{queue}`")).0
    }

    /// Who consumes a queue.
    pub async fn consumers(&self, queue: &str) -> u32 {
        self.find(queue).await.unwrap_or_else(|| panic!("no queue `{queue}`")).1
    }

    /// What is in a queue. It is left there.
    pub async fn look_into(&self, queue: &str) -> Vec<String> {
        let channel = self.connection.create_channel().await.unwrap();
        let mut bodies = Vec::new();
        while let Some(message) = channel.basic_get(queue.into(), BasicGetOptions::default()).await.unwrap() {
            bodies.push(String::from_utf8(message.delivery.data).unwrap());
        }
        // What was not acked goes back with the channel.
        channel.close(200, "done".into()).await.unwrap();
        bodies
    }

    /// Takes the messages whose routing key ends like this out of a queue that others use too; says how many there were.
    pub async fn take_out(&self, queue: &str, routing_key: &str) -> usize {
        let channel = self.connection.create_channel().await.unwrap();
        let mut taken = 0;
        while let Some(message) = channel.basic_get(queue.into(), BasicGetOptions::default()).await.unwrap() {
            if message.delivery.routing_key.as_str().ends_with(routing_key) {
                channel.basic_ack(message.delivery.delivery_tag, BasicAckOptions::default()).await.unwrap();
                taken += 1;
            }
        }
        channel.close(200, "done".into()).await.unwrap();
        taken
    }

    /// Ends the connection in an orderly way, and waits until it has ended.
    pub async fn close(self) {
        ended(self.connection.close(200, "done".into())).await.unwrap();
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

async fn connect(url: &str, name: &str) -> Result<Connection, Error> {
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    ended(Connection::connect(url, properties)).await
}
