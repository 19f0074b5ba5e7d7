<<<<<<< HEAD
//! stub
use taskq_core::*;
#[derive(Clone)] pub struct AmqpBroker(InMemoryBroker);
impl AmqpBroker { pub fn new(_: impl Into<String>) -> Self { AmqpBroker(InMemoryBroker::new()) } }
impl Broker for AmqpBroker {
    fn capabilities(&self) -> Capabilities { self.0.capabilities() }
    fn declare<'a>(&'a self, q: &'a QueueSpec) -> BoxFuture<'a, Result<(), BrokerError>> { self.0.declare(q) }
    fn publish(&self, m: Publish) -> BoxFuture<'_, Result<(), BrokerError>> { self.0.publish(m) }
    fn consume<'a>(&'a self, q: &'a QueueSpec, p: std::num::NonZeroU16) -> BoxFuture<'a, Result<Consumer, BrokerError>> { self.0.consume(q, p) }
    fn inspect<'a>(&'a self, q: &'a str) -> BoxFuture<'a, Result<QueueInfo, BrokerError>> { self.0.inspect(q) }
    fn close(&self) -> BoxFuture<'_, Result<(), BrokerError>> { self.0.close() }
}
=======
//! taskq on RabbitMQ.
//!
//! [`AmqpBroker`] is a [`Broker`](taskq_core::Broker). Every publish is persistent, mandatory and confirmed; queues are
//! quorum queues unless asked otherwise; delays need no plugin and survive restarts; connections that break are made
//! again, and no message is lost on the way.

mod address;
mod broker;
mod config;
mod consumer;
mod declared;
mod delay;
mod dial;
mod engine;
mod error;
mod link;
mod publisher;
mod runtime;
mod session;
mod topology;
mod wire;

pub use broker::AmqpBroker;
>>>>>>> 2cd34d3 (Publish, consume, settle and declare on RabbitMQ)
