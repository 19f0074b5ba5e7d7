//! The contract of a broker: it carries messages, and it forgets none that it took.

use crate::{
    BoxFuture,
    defaults::PUBLISH_TIMEOUT,
    delivery::Consumer,
    error::BrokerError,
    message::{Content, Epitaph},
    queue::QueueSpec,
    results::ResultBackend,
};
use futures_util::future::join_all;
use std::{
    num::{NonZeroU16, NonZeroUsize},
    sync::Arc,
    time::Duration,
};

/// What a broker can do. Asking for more is an error at start, or of the call that asks.
///
/// ```
/// let can = taskq_core::Capabilities::none().with_delay();
/// assert!(can.delay && !can.priorities);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Capabilities {
    /// Messages can be published with a delay.
    pub delay: bool,
    /// Queues can be declared with priorities.
    pub priorities: bool,
}

impl Capabilities {
    /// A broker that only carries messages in order.
    pub fn none() -> Self {
        Capabilities::default()
    }

    /// The same with delays.
    pub fn with_delay(mut self) -> Self {
        self.delay = true;
        self
    }

    /// The same with priorities.
    pub fn with_priorities(mut self) -> Self {
        self.priorities = true;
        self
    }
}

/// Who publishes. It decides who waits for room, and how finely a delay is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// A producer: it waits while the queue is full, and its delay is kept to the tick.
    Caller,
    /// A running task: it never waits for room that only its own end would make.
    Task,
    /// The worker, with a retry or a dead letter of a message that was taken already: it never waits, and its delays may
    /// be rounded up by an eighth.
    Worker,
}

/// One message to publish.
///
/// ```
/// # use taskq_core::{Broker, BrokerError, ContentType, Message, Publish, TaskId};
/// # use std::time::Duration;
/// # async fn example(broker: impl Broker) -> Result<(), BrokerError> {
/// let message = Message::new(TaskId::new(), "mail.send", ContentType::Json, b"{}".to_vec().into());
/// broker.publish(Publish::new("mail", message).delay(Some(Duration::from_secs(5)))).await?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Publish {
    /// The queue it goes to.
    pub queue: String,
    /// What it carries.
    pub content: Content,
    /// Not to be delivered before this much time has passed.
    pub delay: Option<Duration>,
    /// How long publishing may take in all: re-sends, reconnects and waiting for room included.
    pub within: Duration,
    /// Who publishes.
    pub origin: Origin,
    /// Why it lies among the dead letters, if it goes there.
    pub epitaph: Option<Epitaph>,
}

impl Publish {
    /// A message from a caller, due at once, with the default timeout.
    pub fn new(queue: impl Into<String>, content: impl Into<Content>) -> Self {
        Publish {
            queue: queue.into(),
            content: content.into(),
            delay: None,
            within: PUBLISH_TIMEOUT,
            origin: Origin::Caller,
            epitaph: None,
        }
    }

    /// Due after `delay`.
    pub fn delay(mut self, delay: Option<Duration>) -> Self {
        self.delay = delay.filter(|delay| !delay.is_zero());
        self
    }

    /// Published by `origin`.
    pub fn origin(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self
    }

    /// May take this long.
    pub fn within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// Published as a dead letter.
    pub fn epitaph(mut self, epitaph: Option<Epitaph>) -> Self {
        self.epitaph = epitaph;
        self
    }
}

/// A look at one queue from outside.
///
/// ```
/// # use taskq_core::{Broker, BrokerError};
/// # async fn example(broker: impl Broker) -> Result<(), BrokerError> {
/// let mail = broker.inspect("mail").await?;
/// println!("{} wait, for {} consumers", mail.ready, mail.consumers);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueInfo {
    /// Messages that wait for a consumer.
    pub ready: u64,
    /// Messages that were delivered and not settled yet, if the broker tells.
    pub unsettled: Option<u64>,
    /// Consumers of the queue.
    pub consumers: u64,
}

impl QueueInfo {
    /// A look at a queue.
    pub fn new(ready: u64, unsettled: Option<u64>, consumers: u64) -> Self {
        QueueInfo { ready, unsettled, consumers }
    }
}

/// Carries messages from producers to workers. Object-safe; a broker of one's own implements just this, and
/// `taskq-conformance` tests it.
///
/// A broker does not declare queues while publishing, does not drop what it confirmed, and gives every delivery to one
/// consumer until that consumer settles it or goes away.
pub trait Broker: Send + Sync + 'static {
    /// What this broker can do.
    fn capabilities(&self) -> Capabilities;

    /// Makes sure that the queue exists as described, and the queue of its dead letters with it. Connects if need be.
    /// Calling it again does nothing.
    ///
    /// # Errors
    /// [`BrokerError::Mismatch`] if it exists in another form, [`BrokerError::Unsupported`] if this broker has no such
    /// queues, and whatever keeps it from connecting.
    fn declare<'a>(&'a self, queue: &'a QueueSpec) -> BoxFuture<'a, Result<(), BrokerError>>;

    /// Resolves when the broker has taken the message over, within [`Publish::within`]. Dropping the future leaves open
    /// whether the message was taken.
    ///
    /// # Errors
    /// [`BrokerError::Unroutable`] for a queue that does not exist, [`BrokerError::Full`], [`BrokerError::Nacked`],
    /// [`BrokerError::Blocked`] when it was not taken, and [`BrokerError::Unconfirmed`] when that is not known.
    fn publish(&self, message: Publish) -> BoxFuture<'_, Result<(), BrokerError>>;

    /// Publishes several messages with one outcome each, in order.
    fn publish_many(&self, messages: Vec<Publish>) -> BoxFuture<'_, Vec<Result<(), BrokerError>>> {
        Box::pin(join_all(messages.into_iter().map(|message| self.publish(message))))
    }

    /// Starts taking deliveries, at most `prefetch` of them unsettled at any time.
    ///
    /// # Errors
    /// [`BrokerError::Unroutable`] for a queue that does not exist, and whatever keeps it from connecting.
    fn consume<'a>(
        &'a self,
        queue: &'a QueueSpec,
        prefetch: NonZeroU16,
    ) -> BoxFuture<'a, Result<Consumer, BrokerError>>;

    /// A look at one queue.
    ///
    /// # Errors
    /// [`BrokerError::Unroutable`] for a queue that does not exist, and whatever keeps it from asking.
    fn inspect<'a>(&'a self, queue: &'a str) -> BoxFuture<'a, Result<QueueInfo, BrokerError>>;

    /// Ends all consumers, refuses further publishes, and disconnects. What was delivered and not settled goes back.
    ///
    /// # Errors
    /// Disconnecting did not go as it should; the broker is closed all the same.
    fn close(&self) -> BoxFuture<'_, Result<(), BrokerError>>;

    /// The result backend of an app on this broker that names no other.
    fn default_results(&self) -> Option<Arc<dyn ResultBackend>> {
        None
    }

    /// For a broker inside this process: how many tasks of `queue` an app runs by itself, without a worker being
    /// started. `None`, the default, leaves running to workers.
    fn embedded_concurrency(&self, queue: &str) -> Option<NonZeroUsize> {
        let _ = queue;
        None
    }
}

impl<B: Broker + ?Sized> Broker for Arc<B> {
    fn capabilities(&self) -> Capabilities {
        (**self).capabilities()
    }
    fn declare<'a>(&'a self, queue: &'a QueueSpec) -> BoxFuture<'a, Result<(), BrokerError>> {
        (**self).declare(queue)
    }
    fn publish(&self, message: Publish) -> BoxFuture<'_, Result<(), BrokerError>> {
        (**self).publish(message)
    }
    fn publish_many(&self, messages: Vec<Publish>) -> BoxFuture<'_, Vec<Result<(), BrokerError>>> {
        (**self).publish_many(messages)
    }
    fn consume<'a>(
        &'a self,
        queue: &'a QueueSpec,
        prefetch: NonZeroU16,
    ) -> BoxFuture<'a, Result<Consumer, BrokerError>> {
        (**self).consume(queue, prefetch)
    }
    fn inspect<'a>(&'a self, queue: &'a str) -> BoxFuture<'a, Result<QueueInfo, BrokerError>> {
        (**self).inspect(queue)
    }
    fn close(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        (**self).close()
    }
    fn default_results(&self) -> Option<Arc<dyn ResultBackend>> {
        (**self).default_results()
    }
    fn embedded_concurrency(&self, queue: &str) -> Option<NonZeroUsize> {
        (**self).embedded_concurrency(queue)
    }
}
