//! The contract of a broker, on RabbitMQ, through a line that can be cut.

#[path = "support/mod.rs"]
mod support;

use bytes::Bytes;
use lapin::BasicProperties;
use support::{amqp_url, rabbit, relay::Relay};
use taskq_amqp::AmqpBroker;
use taskq_conformance::{Harness, broker_suite};
use taskq_core::QueueSpec;

struct OnRabbit {
    relay: Relay,
    spec: fn(&str) -> QueueSpec,
}

impl OnRabbit {
    async fn of(spec: fn(&str) -> QueueSpec) -> Self {
        OnRabbit { relay: Relay::start().await, spec }
    }
}

impl Harness for OnRabbit {
    type Broker = AmqpBroker;

    async fn connect(&self) -> AmqpBroker {
        AmqpBroker::new(self.relay.url()).name("conformance")
    }

    fn spec(&self, queue: &str) -> QueueSpec {
        (self.spec)(queue)
    }

    async fn interrupt(&self) -> bool {
        self.relay.cut();
        true
    }

    async fn inject(&self, queue: &str, body: Bytes) -> bool {
        rabbit::publish_raw(&amqp_url(), queue, &body, BasicProperties::default()).await;
        true
    }

    async fn cleanup(&self, queue: &str) {
        rabbit::delete(&amqp_url(), &[queue.to_owned()]).await;
    }
}

mod on_quorum_queues {
    use super::*;
    broker_suite!(OnRabbit::of(|queue| QueueSpec::new(queue)).await);
}

mod on_classic_queues {
    use super::*;
    broker_suite!(OnRabbit::of(|queue| QueueSpec::new(queue).classic()).await);
}
