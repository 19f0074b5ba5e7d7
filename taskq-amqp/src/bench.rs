//! What `cargo xtask bench --micro` measures of this crate. Nothing is done here that is not done elsewhere.

use crate::{delay, wire};
use bytes::Bytes;
use lapin::BasicProperties;
use std::time::Duration;
use taskq_core::{BrokerError, Content, Epitaph, Origin, Settlement, TaskId};

#[path = "consumer/ledger.rs"]
#[allow(dead_code, reason = "the consumer asks its ledger more than is measured")]
#[expect(clippy::duplicate_mod, reason = "the consumer's own is for nobody else, and stays so")]
mod ledger;

/// The properties and headers of one message.
#[derive(Debug, Clone)]
pub struct Properties(BasicProperties);

/// What a message looks like in AMQP.
///
/// # Errors
/// A name that AMQP has no room for.
pub fn properties(content: &Content, id: &TaskId) -> Result<Properties, BrokerError> {
    wire::properties(content, None, id).map(Properties)
}

/// What came, as ours.
pub fn content(properties: &Properties, body: Bytes) -> (Content, Option<Box<Epitaph>>) {
    wire::content(&properties.0, body)
}

/// The exchange and the routing key of a delayed message; `None` without a delay.
pub fn way(delay: Duration, origin: Origin, queue: &str) -> Option<(String, String)> {
    delay::Ticks::of(delay, origin).map(|ticks| (ticks.exchange(), ticks.routing_key(queue)))
}

/// The queue at the end of a way.
pub fn target(routing_key: &str) -> Option<&str> {
    delay::target(routing_key)
}

/// The settlements of one channel.
#[derive(Debug, Default)]
pub struct Ledger(ledger::Ledger);

impl Ledger {
    /// One more delivery.
    pub fn deliver(&mut self) {
        self.0.deliver();
    }

    /// This delivery is acked.
    pub fn ack(&mut self, tag: u64) {
        self.0.settle(tag, Settlement::Ack);
    }

    /// What the server is to be told: the watermark, and how many acks by themselves.
    pub fn take(&mut self) -> (Option<u64>, usize) {
        let batch = self.0.take(false);
        (batch.acked_up_to, batch.acked.len())
    }
}
