//! A broker with connections that can be closed and cut, over an in-memory one; right, or wrong in one way.

use crate::{
    Fault,
    source::{Line, WiredSource},
};
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    num::NonZeroU16,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use taskq_conformance::Harness;
use taskq_core::{
    BoxFuture, Broker, BrokerError, Capabilities, Consumer, Foreign, InMemoryBroker, Publish, QueueInfo, QueueSpec,
};

/// The server: queues in memory, and all connections to it.
pub(crate) struct Server {
    pub(crate) fault: Fault,
    pub(crate) broker: InMemoryBroker,
    lines: Mutex<Vec<Arc<Line>>>,
    pub(crate) queues: Mutex<Vec<String>>,
    published: AtomicU64,
    pub(crate) longest_delay: Mutex<Option<tokio::time::Instant>>,
}

/// One connection to it.
pub(crate) struct Connection {
    server: Arc<Server>,
    line: Arc<Line>,
}

/// Makes connections to a server that is wrong in one way, or in none.
pub(crate) struct Wired(Arc<Server>);

impl Wired {
    pub(crate) fn new(fault: Fault) -> Self {
        Wired(Arc::new(Server {
            fault,
            broker: InMemoryBroker::new().without_worker(),
            lines: Mutex::default(),
            queues: Mutex::default(),
            published: AtomicU64::new(0),
            longest_delay: Mutex::default(),
        }))
    }
}

impl Harness for Wired {
    type Broker = Connection;

    async fn connect(&self) -> Connection {
        let line = Arc::new(Line::new(self.0.fault));
        self.0.lines.lock().unwrap().push(line.clone());
        Connection { server: self.0.clone(), line }
    }

    async fn interrupt(&self) -> bool {
        let lines = self.0.lines.lock().unwrap().clone();
        for line in lines {
            line.cut(&self.0.broker).await;
        }
        true
    }

    async fn inject(&self, queue: &str, body: Bytes) -> bool {
        let reason = "it has no envelope".to_owned();
        let foreign = Foreign { reason, id: None, content_type: None, headers: BTreeMap::new(), body };
        self.0.put(Publish::new(queue, foreign)).await.is_ok()
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(2)
    }
}

impl Server {
    pub(crate) fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    async fn declare(&self, queue: &QueueSpec) -> Result<(), BrokerError> {
        if self.is(Fault::PurgesAtDeclare) {
            self.purge(queue).await;
        }
        match self.broker.declare(queue).await {
            Err(BrokerError::Mismatch { .. }) if self.is(Fault::OverlooksMismatch) => {}
            other => other?,
        }
        self.queues.lock().unwrap().push(queue.name().to_owned());
        Ok(())
    }

    async fn purge(&self, queue: &QueueSpec) {
        let Ok(mut consumer) = self.broker.consume(queue, NonZeroU16::MAX).await else { return };
        while let Ok(Some(delivery)) = tokio::time::timeout(Duration::ZERO, consumer.next()).await {
            delivery.ack();
        }
    }

    async fn inspect(&self, queue: &str) -> Result<QueueInfo, BrokerError> {
        if self.is(Fault::ForgetsDeadLetters) && queue.ends_with(".dead") {
            return Err(BrokerError::Unroutable { queue: queue.to_owned() });
        }
        let mut info = self.broker.inspect(queue).await?;
        if self.is(Fault::MiscountsConsumers) {
            info.consumers = 0;
        }
        Ok(info)
    }

    /// Counts one publish; whether it is one of every `nth`.
    pub(crate) fn is_every(&self, nth: u64) -> bool {
        (self.published.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(nth)
    }
}

impl Connection {
    fn open(&self) -> Result<&Server, BrokerError> {
        if self.line.is_closed() { Err(BrokerError::Closed) } else { Ok(&self.server) }
    }
}

impl Broker for Connection {
    fn capabilities(&self) -> Capabilities {
        let can = Capabilities::none();
        let can = if self.server.is(Fault::DeniesDelays) { can } else { can.with_delay() };
        if self.server.is(Fault::DeniesPriorities) { can } else { can.with_priorities() }
    }

    fn declare<'a>(&'a self, queue: &'a QueueSpec) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(async move { self.open()?.declare(queue).await })
    }

    fn publish(&self, message: Publish) -> BoxFuture<'_, Result<(), BrokerError>> {
        Box::pin(async move {
            if self.server.is(Fault::PublishesAfterClose) {
                return self.server.publish(message, &self.line).await;
            }
            self.open()?.publish(message, &self.line).await
        })
    }

    fn publish_many(&self, messages: Vec<Publish>) -> BoxFuture<'_, Vec<Result<(), BrokerError>>> {
        Box::pin(async move {
            let mut outcomes = Vec::new();
            for message in messages {
                outcomes.push(self.publish(message).await);
            }
            if self.server.is(Fault::MixesOutcomes) {
                outcomes.sort_by_key(Result::is_err);
            }
            outcomes
        })
    }

    fn consume<'a>(
        &'a self,
        queue: &'a QueueSpec,
        prefetch: NonZeroU16,
    ) -> BoxFuture<'a, Result<Consumer, BrokerError>> {
        Box::pin(async move {
            let server = self.open()?;
            if server.is(Fault::CreatesQueuesToConsume) {
                server.declare(queue).await?;
            }
            let prefetch = if server.is(Fault::IgnoresPrefetch) { NonZeroU16::MAX } else { prefetch };
            let consumer = server.broker.consume(queue, prefetch).await?;
            Ok(Consumer::new(WiredSource::new(&self.line, server.broker.clone(), consumer, queue, prefetch)))
        })
    }

    fn inspect<'a>(&'a self, queue: &'a str) -> BoxFuture<'a, Result<QueueInfo, BrokerError>> {
        Box::pin(async move { self.open()?.inspect(queue).await })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        self.line.close();
        Box::pin(async { Ok(()) })
    }
}
