//! A broker that fails where a test asks for it.

mod history;
mod source;

pub use history::Step;

use history::History;
use source::FlakySource;
use std::{
    fmt,
    num::{NonZeroU16, NonZeroUsize},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use taskq_core::{
    BoxFuture, Broker, BrokerError, Capabilities, Consumer, Publish, QueueInfo, QueueSpec, ResultBackend,
};

/// Wraps a broker, fails the publishes and loses the acks that a test names, and remembers what went through it.
///
/// Faults are set before the broker is shared; all clones of an `Arc` of it count together. Its history grows with every
/// message: it is for tests.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use std::sync::Arc;
/// use taskq_conformance::FlakyBroker;
/// use taskq::{Broker, BrokerError, ContentType, InMemoryBroker, Message, Publish, QueueSpec, TaskId};
///
/// let broker = Arc::new(FlakyBroker::new(InMemoryBroker::new()).refuse_publish_to("mail", 1).lose_ack(1));
/// broker.declare(&QueueSpec::new("mail")).await?;
/// let message = Message::new(TaskId::new(), "welcome", ContentType::Json, "{}".into());
/// let outcome = broker.publish(Publish::new("mail", message)).await;
/// assert!(matches!(outcome, Err(BrokerError::Nacked { .. })));
/// # Ok::<_, BrokerError>(())
/// # }).unwrap();
/// ```
pub struct FlakyBroker<B> {
    broker: B,
    faults: Vec<PublishFault>,
    lost_acks: Vec<u64>,
    history: Arc<History>,
}

/// What happens to one publish.
struct PublishFault {
    /// Counts and meets only publishes to this queue, if there is one.
    queue: Option<String>,
    nth: u64,
    kind: FaultKind,
    seen: AtomicU64,
}

#[derive(Clone, Copy)]
enum FaultKind {
    Refuse,
    LoseConfirm,
}

impl PublishFault {
    fn meets(&self, publish: &Publish) -> bool {
        let counts = self.queue.as_ref().is_none_or(|queue| **queue == *publish.queue);
        counts && self.seen.fetch_add(1, Ordering::Relaxed) + 1 == self.nth
    }
}

impl<B: Broker> FlakyBroker<B> {
    /// `broker`, without faults so far.
    ///
    /// ```
    /// use taskq_conformance::FlakyBroker;
    /// use taskq::{Broker, BrokerError, InMemoryBroker, QueueSpec};
    /// # use taskq::{ContentType, Message, Publish, TaskId};
    /// # fn mail(id: &str) -> Publish {
    /// #     Publish::new("mail", Message::new(TaskId::from(id), "welcome", ContentType::Json, "{}".into()))
    /// # }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), BrokerError> {
    /// let broker = FlakyBroker::new(InMemoryBroker::new());
    /// broker.declare(&QueueSpec::new("mail")).await?;
    /// broker.publish(mail("one")).await?;
    /// assert_eq!(broker.inspect("mail").await?.ready, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(broker: B) -> Self {
        FlakyBroker { broker, faults: Vec::new(), lost_acks: Vec::new(), history: Arc::default() }
    }

    /// The `nth` publish, counted from 1, does not reach the broker and gives [`BrokerError::Nacked`].
    ///
    /// ```
    /// use taskq_conformance::FlakyBroker;
    /// use taskq::{Broker, BrokerError, InMemoryBroker, QueueSpec};
    /// # use taskq::{ContentType, Message, Publish, TaskId};
    /// # fn mail(id: &str) -> Publish {
    /// #     Publish::new("mail", Message::new(TaskId::from(id), "welcome", ContentType::Json, "{}".into()))
    /// # }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), BrokerError> {
    /// let broker = FlakyBroker::new(InMemoryBroker::new()).refuse_publish(2);
    /// broker.declare(&QueueSpec::new("mail")).await?;
    /// broker.publish(mail("one")).await?;
    /// assert!(matches!(broker.publish(mail("two")).await, Err(BrokerError::Nacked { .. })));
    /// assert_eq!(broker.inspect("mail").await?.ready, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn refuse_publish(self, nth: u64) -> Self {
        self.fault(None, nth, FaultKind::Refuse)
    }

    /// The same, for the `nth` publish to `queue`: to fail a dead letter, and not the task before it.
    ///
    /// ```
    /// use taskq_conformance::FlakyBroker;
    /// use taskq::{Broker, BrokerError, InMemoryBroker, QueueSpec};
    /// # use taskq::{ContentType, Message, Publish, TaskId};
    /// # fn mail(id: &str) -> Publish {
    /// #     Publish::new("mail", Message::new(TaskId::from(id), "welcome", ContentType::Json, "{}".into()))
    /// # }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), BrokerError> {
    /// let broker = FlakyBroker::new(InMemoryBroker::new()).refuse_publish_to("mail.dead", 1);
    /// broker.declare(&QueueSpec::new("mail")).await?;
    /// broker.publish(mail("one")).await?;
    /// let mut letter = mail("one");
    /// letter.queue = "mail.dead".into();
    /// assert!(broker.publish(letter).await.is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn refuse_publish_to(self, queue: impl Into<String>, nth: u64) -> Self {
        self.fault(Some(queue.into()), nth, FaultKind::Refuse)
    }

    /// The `nth` publish, counted from 1, reaches the broker and gives [`BrokerError::Unconfirmed`].
    ///
    /// ```
    /// use taskq_conformance::FlakyBroker;
    /// use taskq::{Broker, BrokerError, InMemoryBroker, QueueSpec};
    /// # use taskq::{ContentType, Message, Publish, TaskId};
    /// # fn mail(id: &str) -> Publish {
    /// #     Publish::new("mail", Message::new(TaskId::from(id), "welcome", ContentType::Json, "{}".into()))
    /// # }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), BrokerError> {
    /// let broker = FlakyBroker::new(InMemoryBroker::new()).lose_confirm(1);
    /// broker.declare(&QueueSpec::new("mail")).await?;
    /// assert!(matches!(broker.publish(mail("one")).await, Err(BrokerError::Unconfirmed { .. })));
    /// assert_eq!(broker.inspect("mail").await?.ready, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn lose_confirm(self, nth: u64) -> Self {
        self.fault(None, nth, FaultKind::LoseConfirm)
    }

    /// The same, for the `nth` publish to `queue`.
    ///
    /// ```
    /// use taskq_conformance::FlakyBroker;
    /// use taskq::{Broker, BrokerError, InMemoryBroker, QueueSpec};
    /// # use taskq::{ContentType, Message, Publish, TaskId};
    /// # fn mail(id: &str) -> Publish {
    /// #     Publish::new("mail", Message::new(TaskId::from(id), "welcome", ContentType::Json, "{}".into()))
    /// # }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), BrokerError> {
    /// let broker = FlakyBroker::new(InMemoryBroker::new()).lose_confirm_to("mail", 2);
    /// broker.declare(&QueueSpec::new("mail")).await?;
    /// broker.publish(mail("one")).await?;
    /// assert!(broker.publish(mail("two")).await.is_err());
    /// assert_eq!(broker.inspect("mail").await?.ready, 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn lose_confirm_to(self, queue: impl Into<String>, nth: u64) -> Self {
        self.fault(Some(queue.into()), nth, FaultKind::LoseConfirm)
    }

    /// The `nth` ack, counted from 1 over all consumers, does not reach the broker: the message comes again.
    ///
    /// ```
    /// use taskq_conformance::FlakyBroker;
    /// use taskq::{Broker, BrokerError, InMemoryBroker, QueueSpec};
    /// # use taskq::{ContentType, Message, Publish, TaskId};
    /// # fn mail(id: &str) -> Publish {
    /// #     Publish::new("mail", Message::new(TaskId::from(id), "welcome", ContentType::Json, "{}".into()))
    /// # }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), BrokerError> {
    /// let (broker, queue) = (FlakyBroker::new(InMemoryBroker::new()).lose_ack(1), QueueSpec::new("mail"));
    /// broker.declare(&queue).await?;
    /// broker.publish(mail("one")).await?;
    /// let mut consumer = broker.consume(&queue, 1.try_into().unwrap()).await?;
    /// consumer.next().await.unwrap().ack();
    /// assert!(consumer.next().await.unwrap().redelivered);
    /// # Ok(())
    /// # }
    /// ```
    pub fn lose_ack(mut self, nth: u64) -> Self {
        self.lost_acks.push(nth);
        self
    }

    fn fault(mut self, queue: Option<String>, nth: u64, kind: FaultKind) -> Self {
        self.faults.push(PublishFault { queue, nth, kind, seen: AtomicU64::new(0) });
        self
    }

    /// All that went through so far, in the order in which the broker was told or had answered.
    ///
    /// ```
    /// use taskq_conformance::{FlakyBroker, Step};
    /// use taskq::{Broker, BrokerError, InMemoryBroker, QueueSpec};
    /// # use taskq::{ContentType, Message, Publish, TaskId};
    /// # fn mail(id: &str) -> Publish {
    /// #     Publish::new("mail", Message::new(TaskId::from(id), "welcome", ContentType::Json, "{}".into()))
    /// # }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), BrokerError> {
    /// let (broker, queue) = (FlakyBroker::new(InMemoryBroker::new()), QueueSpec::new("mail"));
    /// broker.declare(&queue).await?;
    /// broker.publish(mail("one")).await?;
    /// broker.consume(&queue, 1.try_into().unwrap()).await?.next().await.unwrap().ack();
    /// let id = Some("one".into());
    /// assert_eq!(broker.history()[1], Step::Acked { id });
    /// # Ok(())
    /// # }
    /// ```
    pub fn history(&self) -> Vec<Step> {
        self.history.steps()
    }

    async fn publish_or_fail(&self, publish: Publish) -> Result<(), BrokerError> {
        let (queue, id) = (publish.queue.to_string(), publish.content.id().cloned());
        // Every fault counts this publish, whichever of them meets it.
        let met = self.faults.iter().filter(|fault| fault.meets(&publish)).map(|fault| fault.kind).last();
        if let Some(FaultKind::Refuse) = met {
            self.history.write(Step::Refused { queue: queue.clone(), id });
            return Err(BrokerError::Nacked { queue });
        }
        if let Err(error) = self.broker.publish(publish).await {
            self.history.write(Step::Refused { queue, id });
            return Err(error);
        }
        if let Some(FaultKind::LoseConfirm) = met {
            self.history.write(Step::ConfirmLost { queue: queue.clone(), id });
            return Err(BrokerError::Unconfirmed { queue });
        }
        self.history.write(Step::Published { queue, id });
        Ok(())
    }
}

impl<B: Broker> Broker for FlakyBroker<B> {
    fn capabilities(&self) -> Capabilities {
        self.broker.capabilities()
    }

    fn declare<'a>(&'a self, queue: &'a QueueSpec) -> BoxFuture<'a, Result<(), BrokerError>> {
        self.broker.declare(queue)
    }

    fn prepare_delays(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        self.broker.prepare_delays()
    }

    fn publish(&self, message: Publish) -> BoxFuture<'_, Result<(), BrokerError>> {
        Box::pin(self.publish_or_fail(message))
    }

    fn consume<'a>(
        &'a self,
        queue: &'a QueueSpec,
        prefetch: NonZeroU16,
    ) -> BoxFuture<'a, Result<Consumer, BrokerError>> {
        Box::pin(async move {
            let consumer = self.broker.consume(queue, prefetch).await?;
            Ok(Consumer::new(FlakySource::new(consumer, self.history.clone(), self.lost_acks.clone())))
        })
    }

    fn inspect<'a>(&'a self, queue: &'a str) -> BoxFuture<'a, Result<QueueInfo, BrokerError>> {
        self.broker.inspect(queue)
    }

    fn close(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        self.broker.close()
    }

    fn default_results(&self) -> Option<Arc<dyn ResultBackend>> {
        self.broker.default_results()
    }

    fn embedded_concurrency(&self, queue: &str) -> Option<NonZeroUsize> {
        self.broker.embedded_concurrency(queue)
    }
}

impl<B: fmt::Debug> fmt::Debug for FlakyBroker<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlakyBroker").field("broker", &self.broker).finish_non_exhaustive()
    }
}
