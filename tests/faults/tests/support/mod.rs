//! A client of RabbitMQ, for looking at what servers and proxies do to clients.

#![allow(dead_code, unreachable_pub, missing_debug_implementations, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

pub mod fake;

use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties,
    options::{BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions},
    types::{AMQPValue, FieldTable},
};
use std::time::Duration;

/// Longer than anything here takes; a test that waits so long has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Fails the test instead of hanging it.
pub async fn ended<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("it did not end")
}

/// What takes this long will not happen.
pub async fn hangs<F: Future>(future: F) -> bool {
    tokio::time::timeout(Duration::from_millis(700), future).await.is_err()
}

/// Waits until `condition` holds.
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let holds = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, holds).await.unwrap_or_else(|_| panic!("this did not come true: {what}"));
}

pub struct Client {
    pub connection: Connection,
    pub channel: Channel,
}

impl Client {
    /// A connection of this name, with a channel that asks for confirms.
    pub async fn connect(url: &str, name: &str) -> Client {
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let connection = ended(Connection::connect(url, properties)).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        Client { connection, channel }
    }

    pub async fn declare_quorum(&self, queue: &str) {
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        ended(self.channel.queue_declare(queue.into(), QueueDeclareOptions::durable(), arguments)).await.unwrap();
    }

    /// A queue that goes with the connection.
    pub async fn declare_passing(&self) -> String {
        let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
        let queue = ended(self.channel.queue_declare("".into(), options, FieldTable::default())).await.unwrap();
        queue.name().to_string()
    }

    /// A queue that other connections may use, to be deleted at the end.
    pub async fn declare_shared(&self) -> String {
        let options = QueueDeclareOptions { durable: true, ..Default::default() };
        let queue = ended(self.channel.queue_declare("".into(), options, FieldTable::default())).await.unwrap();
        queue.name().to_string()
    }

    pub async fn delete(&self, queue: &str) {
        ended(self.channel.queue_delete(queue.into(), QueueDeleteOptions::default())).await.unwrap();
    }

    /// Publishes and waits for the confirm. `false`: refused, as by a quorum queue that has no leader yet.
    pub async fn publish(&self, queue: &str, body: &str) -> Result<bool, lapin::Error> {
        let options = BasicPublishOptions { mandatory: true, immediate: false };
        let properties = BasicProperties::default().with_delivery_mode(2);
        let confirm =
            self.channel.basic_publish("".into(), queue.into(), options, body.as_bytes(), properties).await?.await?;
        match confirm {
            Confirmation::Ack(None) => Ok(true),
            Confirmation::Nack(None) => Ok(false),
            other => panic!("not confirmed: {other:?}"),
        }
    }

    /// Publishes until the queue takes it. What was on its way to a leader that is gone may never be confirmed, so each
    /// try has its time.
    pub async fn publish_at_last(&self, queue: &str, body: &str) {
        eventually(&format!("the queue takes `{body}`"), async || {
            let publish = tokio::time::timeout(Duration::from_secs(2), self.publish(queue, body));
            publish.await.is_ok_and(|confirmed| confirmed.unwrap())
        })
        .await;
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
}
