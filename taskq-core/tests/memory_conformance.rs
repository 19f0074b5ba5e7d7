//! The in-memory broker keeps the contract of brokers, with and without the limit of its own worker.

use bytes::Bytes;
use taskq_conformance::{Harness, broker_suite};
use taskq_core::{Broker, Content, Foreign, InMemoryBroker, Publish};

struct Memory(InMemoryBroker);

impl Harness for Memory {
    type Broker = InMemoryBroker;

    async fn connect(&self) -> InMemoryBroker {
        self.0.clone()
    }

    async fn inject(&self, queue: &str, body: Bytes) -> bool {
        let foreign = Foreign {
            reason: "it is not ours".into(),
            id: None,
            content_type: None,
            headers: Default::default(),
            body,
        };
        self.0.publish(Publish::new(queue, Content::from(foreign))).await.is_ok()
    }

    fn outlives_close(&self) -> bool {
        false
    }
}

broker_suite!(Memory(InMemoryBroker::new().without_worker()));

mod with_its_own_worker {
    use super::{InMemoryBroker, Memory, broker_suite};

    broker_suite!(Memory(InMemoryBroker::new()));
}
