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
