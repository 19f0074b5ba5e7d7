//! The contract of a broker, on RabbitMQ, through a line that can be cut.

#[path = "support/mod.rs"]
mod support;

use bytes::Bytes;
use lapin::BasicProperties;
use support::{line, operator};
use taskq_amqp::AmqpBroker;
use taskq_conformance::{Harness, broker_suite};
use taskq_core::QueueSpec;
use taskq_faults::proxy::{Proxy, Who};

struct OnRabbit {
    line: Proxy,
    spec: fn(&str) -> QueueSpec,
}

impl OnRabbit {
    fn of(spec: fn(&str) -> QueueSpec) -> Self {
        OnRabbit { line: line(), spec }
    }
}

impl Harness for OnRabbit {
    type Broker = AmqpBroker;

    async fn connect(&self) -> AmqpBroker {
        AmqpBroker::new(self.line.url()).name("conformance")
    }

    fn spec(&self, queue: &str) -> QueueSpec {
        (self.spec)(queue)
    }

    async fn interrupt(&self) -> bool {
        self.line.cut(Who::All);
        true
    }

    async fn inject(&self, queue: &str, body: Bytes) -> bool {
        operator().await.publish_raw(queue, [(body.to_vec(), BasicProperties::default())]).await;
        true
    }

    async fn cleanup(&self, queue: &str) {
        operator().await.delete_with_letters(queue).await;
    }
}

mod on_quorum_queues {
    use super::*;
    broker_suite!(OnRabbit::of(|queue| QueueSpec::new(queue)));
}

mod on_classic_queues {
    use super::*;
    broker_suite!(OnRabbit::of(|queue| QueueSpec::new(queue).classic()));
}
