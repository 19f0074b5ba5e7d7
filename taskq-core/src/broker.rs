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
/// let can = taskq::Capabilities::none().with_delay();
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
    ///
    /// ```
    /// use taskq::Capabilities;
    /// let can = Capabilities::none();
    /// assert!(!can.delay && !can.priorities);
    /// ```
    pub fn none() -> Self {
        Capabilities::default()
    }

    /// The same with delays: [`Publish::delay`] is kept. Retries need them.
    ///
    /// ```
    /// use taskq::Capabilities;
    /// assert!(Capabilities::none().with_delay().delay);
    /// ```
    pub fn with_delay(mut self) -> Self {
        self.delay = true;
        self
    }

    /// The same with priorities: a queue may be declared with [`QueueSpec::priorities`].
    ///
    /// ```
    /// use taskq::{Broker, Capabilities, InMemoryBroker};
    /// assert_eq!(InMemoryBroker::new().capabilities(), Capabilities::none().with_delay().with_priorities());
    /// ```
    pub fn with_priorities(mut self) -> Self {
        self.priorities = true;
        self
    }
}

/// Who publishes. It decides who waits for room, and how finely a delay is kept.
///
/// ```
/// use std::time::Duration;
/// use taskq::{Origin, Publish};
///
/// /// How long this publish may wait for room in its queue.
/// fn patience(publish: &Publish) -> Duration {
///     match publish.origin {
///         Origin::Caller => publish.within,
///         _ => Duration::ZERO,
///     }
/// }
/// # let message = taskq::Message::new("1".into(), "mail.send", taskq::ContentType::Json, "{}".into());
/// # assert_eq!(patience(&Publish::new("mail", message.clone()).origin(Origin::Worker)), Duration::ZERO);
/// # assert_eq!(patience(&Publish::new("mail", message)), Duration::from_secs(30));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// A producer: it waits while the queue is full, and its delay is kept to the tick.
    Caller,
    /// A running task: it never waits for room that only its own end would make.
    Task,
    /// The worker, with a retry or a dead letter of a message that was taken already: it never waits, and its delays
    /// may be rounded up by an eighth.
    Worker,
}

/// One message to publish.
///
/// ```
/// # use taskq::{Broker, BrokerError, ContentType, Message, Publish, TaskId};
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
    pub queue: Arc<str>,
    /// What it carries.
    pub content: Content,
    /// Not to be delivered before this much time has passed.
    pub delay: Option<Duration>,
    /// How long publishing may take in all: re-sends, reconnects and waiting for room included.
    pub within: Duration,
    /// Who publishes.
    pub origin: Origin,
    /// Why it lies among the dead letters, if it goes there.
    pub epitaph: Option<Box<Epitaph>>,
}

impl Publish {
    /// A message from a caller, due at once, with the default timeout of 30 s.
    ///
    /// ```
    /// use taskq::{ContentType, Message, Origin, Publish, TaskId};
    /// let message = Message::new(TaskId::new(), "mail.send", ContentType::Json, "{}".into());
    /// let publish = Publish::new("mail", message);
    /// assert_eq!((publish.origin, publish.delay, publish.within.as_secs()), (Origin::Caller, None, 30));
    /// ```
    pub fn new(queue: impl AsRef<str>, content: impl Into<Content>) -> Self {
        Publish::to(queue.as_ref().into(), content.into())
    }

    pub(crate) fn to(queue: Arc<str>, content: Content) -> Self {
        Publish { queue, content, delay: None, within: PUBLISH_TIMEOUT, origin: Origin::Caller, epitaph: None }
    }

    /// Due after `delay`; at once with `None` or zero, as without this.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), taskq::BrokerError> {
    /// # tokio::time::pause();
    /// use std::{num::NonZeroU16, time::Duration};
    /// use taskq::{Broker, InMemoryBroker, Publish, QueueSpec};
    /// # fn message(task: &'static str) -> taskq::Message { taskq::Message::new(taskq::TaskId::new(), task, taskq::ContentType::Json, "{}".into()) }
    /// let (broker, mail) = (InMemoryBroker::new(), QueueSpec::new("mail"));
    /// broker.declare(&mail).await?;
    /// broker.publish(Publish::new("mail", message("mail.send")).delay(Some(Duration::from_secs(60)))).await?;
    /// let began = tokio::time::Instant::now();
    /// broker.consume(&mail, NonZeroU16::MIN).await?.next().await;
    /// assert!(began.elapsed() >= Duration::from_secs(60));
    /// # Ok(()) }
    /// ```
    pub fn delay(mut self, delay: Option<Duration>) -> Self {
        self.delay = delay.filter(|delay| !delay.is_zero());
        self
    }

    /// Published by `origin`; by [`Origin::Caller`] without this.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), taskq::BrokerError> {
    /// use taskq::{Broker, InMemoryBroker, Origin, Publish, QueueSpec};
    /// # fn message(task: &'static str) -> taskq::Message { taskq::Message::new(taskq::TaskId::new(), task, taskq::ContentType::Json, "{}".into()) }
    /// let broker = InMemoryBroker::new().capacity(1);
    /// broker.declare(&QueueSpec::new("mail")).await?;
    /// broker.publish(Publish::new("mail", message("mail.send"))).await?;
    /// // The queue is full; a retry does not wait for room.
    /// broker.publish(Publish::new("mail", message("mail.send")).origin(Origin::Worker)).await?;
    /// assert_eq!(broker.inspect("mail").await?.ready, 2);
    /// # Ok(()) }
    /// ```
    pub fn origin(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self
    }

    /// May take this long; 30 s without this.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), taskq::BrokerError> {
    /// # tokio::time::pause();
    /// use std::time::Duration;
    /// use taskq::{Broker, BrokerError, InMemoryBroker, Publish, QueueSpec};
    /// # fn message(task: &'static str) -> taskq::Message { taskq::Message::new(taskq::TaskId::new(), task, taskq::ContentType::Json, "{}".into()) }
    /// let broker = InMemoryBroker::new().capacity(1);
    /// broker.declare(&QueueSpec::new("mail")).await?;
    /// broker.publish(Publish::new("mail", message("mail.send"))).await?;
    /// let second = Publish::new("mail", message("mail.send")).within(Duration::from_millis(200));
    /// assert!(matches!(broker.publish(second).await, Err(BrokerError::Full { queue }) if queue == "mail"));
    /// # Ok(()) }
    /// ```
    pub fn within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// Published as a dead letter: what the epitaph says travels with the message.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), taskq::BrokerError> {
    /// use taskq::{Broker, Epitaph, FailureKind, InMemoryBroker, Publish, QueueSpec, TaskFailure, UnixMillis};
    /// # fn message(task: &'static str) -> taskq::Message { taskq::Message::new(taskq::TaskId::new(), task, taskq::ContentType::Json, "{}".into()) }
    /// let (broker, mail) = (InMemoryBroker::new(), QueueSpec::new("mail"));
    /// broker.declare(&mail).await?;
    /// let (failure, now) = (TaskFailure::new(FailureKind::Error, "smtp is down", 4), UnixMillis::now());
    /// let epitaph = Epitaph { failure, queue: "mail".into(), first_failed: now, last_failed: now };
    /// broker.publish(Publish::new(mail.dead_letter_name(), message("mail.send")).epitaph(Some(Box::new(epitaph)))).await?;
    /// assert_eq!(broker.dead_letters("mail")[0].error, "smtp is down");
    /// # Ok(()) }
    /// ```
    pub fn epitaph(mut self, epitaph: Option<Box<Epitaph>>) -> Self {
        self.epitaph = epitaph;
        self
    }
}

/// A look at one queue from outside.
///
/// ```
/// # use taskq::{Broker, BrokerError};
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
    /// A look at a queue, for a broker to answer [`Broker::inspect`] with.
    ///
    /// ```
    /// use taskq::QueueInfo;
    /// // A server that does not tell how many deliveries are unsettled:
    /// let info = QueueInfo::new(12, None, 3);
    /// assert_eq!((info.ready, info.unsettled, info.consumers), (12, None, 3));
    /// ```
    pub fn new(ready: u64, unsettled: Option<u64>, consumers: u64) -> Self {
        QueueInfo { ready, unsettled, consumers }
    }
}

/// Carries messages from producers to workers. Object-safe; a broker of one's own implements just this, and
/// `taskq-conformance` tests it.
///
/// A broker does not declare queues while publishing, does not drop what it confirmed, and gives every delivery to one
/// consumer until that consumer settles it or goes away.
///
/// ```
/// use std::{num::{NonZeroU16, NonZeroUsize}, sync::{Arc, atomic::{AtomicU64, Ordering}}};
/// use taskq::{
///     BoxFuture, Broker, BrokerError, Capabilities, Consumer, Publish, QueueInfo, QueueSpec, ResultBackend,
/// };
///
/// /// Counts what another broker takes over. `examples/custom_broker.rs` is a broker from the ground up.
/// struct Counted<B> {
///     inner: B,
///     taken: AtomicU64,
/// }
///
/// impl<B: Broker> Broker for Counted<B> {
///     fn capabilities(&self) -> Capabilities {
///         self.inner.capabilities()
///     }
///     fn declare<'a>(&'a self, queue: &'a QueueSpec) -> BoxFuture<'a, Result<(), BrokerError>> {
///         self.inner.declare(queue)
///     }
///     fn publish(&self, message: Publish) -> BoxFuture<'_, Result<(), BrokerError>> {
///         Box::pin(async move {
///             self.inner.publish(message).await?;
///             self.taken.fetch_add(1, Ordering::Relaxed);
///             Ok(())
///         })
///     }
///     fn consume<'a>(
///         &'a self,
///         queue: &'a QueueSpec,
///         prefetch: NonZeroU16,
///     ) -> BoxFuture<'a, Result<Consumer, BrokerError>> {
///         self.inner.consume(queue, prefetch)
///     }
///     fn inspect<'a>(&'a self, queue: &'a str) -> BoxFuture<'a, Result<QueueInfo, BrokerError>> {
///         self.inner.inspect(queue)
///     }
///     fn close(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
///         self.inner.close()
///     }
///     // What follows has defaults; a broker that wraps another passes its answers on.
///     fn default_results(&self) -> Option<Arc<dyn ResultBackend>> {
///         self.inner.default_results()
///     }
///     fn embedded_concurrency(&self, queue: &str) -> Option<NonZeroUsize> {
///         self.inner.embedded_concurrency(queue)
///     }
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> taskq::Result<()> {
/// # use taskq::{InMemoryBroker, prelude::*};
/// # use taskq::{BoxError, BoxFuture, Call, Run, Task, TaskConfig, TaskContext};
/// # struct Ping;
/// # impl Task for Ping { type Args = (); type Output = u32; type Returns = u32; const NAME: &'static str = "ping"; const CONFIG: TaskConfig = TaskConfig::new(); }
/// # impl Run for Ping { async fn run(ctx: TaskContext, _: ()) -> Result<u32, BoxError> { Ok(ctx.attempt()) } }
/// # fn ping() -> Call<Ping> { Call::new(()) }
/// # let broker = Arc::new(Counted { inner: InMemoryBroker::new(), taken: AtomicU64::new(0) });
/// # let app = broker.clone().register::<Ping>();
/// # for handle in app.kiq_many([ping(), ping()]).await? { handle.wait_result().await?; }
/// # assert_eq!(broker.taken.load(Ordering::Relaxed), 2);
/// # Ok(()) }
/// ```
pub trait Broker: Send + Sync + 'static {
    /// What this broker can do. Asked when an app starts, and at every submission with a delay.
    ///
    /// ```
    /// use taskq::{Broker, InMemoryBroker};
    /// assert!(InMemoryBroker::new().capabilities().delay, "so tasks can be retried");
    /// ```
    fn capabilities(&self) -> Capabilities;

    /// Makes sure that the queue exists as described, and the queue of its dead letters with it. Connects if need be.
    /// Resolves when both are there; calling it again does nothing. Dropping the future leaves open whether they are.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), taskq::BrokerError> {
    /// use taskq::{Broker, BrokerError, InMemoryBroker, QueueSpec};
    /// let broker = InMemoryBroker::new();
    /// broker.declare(&QueueSpec::new("mail")).await?;
    /// assert_eq!(broker.inspect("mail.dead").await?.ready, 0);
    /// let other = broker.declare(&QueueSpec::new("mail").priorities(10)).await;
    /// assert!(matches!(other, Err(BrokerError::Mismatch { argument, .. }) if argument == "priorities"));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`BrokerError::Mismatch`] if it exists in another form, [`BrokerError::Unsupported`] if this broker has no such
    /// queues, [`BrokerError::Closed`] after [`Broker::close`], and whatever keeps it from connecting.
    fn declare<'a>(&'a self, queue: &'a QueueSpec) -> BoxFuture<'a, Result<(), BrokerError>>;

    /// Makes ready what delayed messages need, so that the first of them does not wait for it. A worker asks for it before
    /// it consumes, if one of its tasks may be retried. Resolves when that is done; calling it again does nothing. By
    /// default there is nothing to do.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), taskq::BrokerError> {
    /// # use taskq::{Broker, InMemoryBroker};
    /// # let broker = InMemoryBroker::new();
    /// broker.prepare_delays().await?; // now, and not within the first delayed `kiq`
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The server refuses it, [`BrokerError::Closed`] after [`Broker::close`], and whatever keeps it from connecting.
    fn prepare_delays(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Resolves when the broker has taken the message over, within [`Publish::within`]. Dropping the future leaves open
    /// whether the message was taken.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), taskq::BrokerError> {
    /// use taskq::{Broker, BrokerError, InMemoryBroker, Publish, QueueSpec};
    /// # fn message(task: &'static str) -> taskq::Message { taskq::Message::new(taskq::TaskId::new(), task, taskq::ContentType::Json, "{}".into()) }
    /// let broker = InMemoryBroker::new();
    /// let published = broker.publish(Publish::new("mail", message("mail.send"))).await;
    /// assert!(matches!(published, Err(BrokerError::Unroutable { .. })), "publishing declares nothing");
    ///
    /// broker.declare(&QueueSpec::new("mail")).await?;
    /// broker.publish(Publish::new("mail", message("mail.send"))).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`BrokerError::Unroutable`] for a queue that does not exist, [`BrokerError::Full`], [`BrokerError::Nacked`],
    /// [`BrokerError::Blocked`] when it was not taken, [`BrokerError::Unconfirmed`] when that is not known,
    /// [`BrokerError::Unsupported`] for a delay that this broker does not have, and [`BrokerError::Closed`] after
    /// [`Broker::close`].
    fn publish(&self, message: Publish) -> BoxFuture<'_, Result<(), BrokerError>>;

    /// Publishes several messages with one outcome each, in order. Resolves when all have one; each has its own
    /// [`Publish::within`]. Dropping the future leaves open which of them were taken. By default this is
    /// [`Broker::publish`] for each, all at once.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), taskq::BrokerError> {
    /// use taskq::{Broker, BrokerError, InMemoryBroker, Publish, QueueSpec};
    /// # fn message(task: &'static str) -> taskq::Message { taskq::Message::new(taskq::TaskId::new(), task, taskq::ContentType::Json, "{}".into()) }
    /// let broker = InMemoryBroker::new();
    /// broker.declare(&QueueSpec::new("mail")).await?;
    /// let two = ["mail", "nowhere"].map(|queue| Publish::new(queue, message("mail.send")));
    /// let outcomes = broker.publish_many(two.into()).await;
    /// assert!(matches!(outcomes.as_slice(), [Ok(()), Err(BrokerError::Unroutable { .. })]));
    /// # Ok(()) }
    /// ```
    fn publish_many(&self, messages: Vec<Publish>) -> BoxFuture<'_, Vec<Result<(), BrokerError>>> {
        Box::pin(join_all(messages.into_iter().map(|message| self.publish(message))))
    }

    /// Starts taking deliveries, at most `prefetch` of them unsettled at any time. Resolves when the consumer is there;
    /// dropping the future leaves none behind.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), taskq::BrokerError> {
    /// use std::num::NonZeroU16;
    /// use taskq::{Broker, InMemoryBroker, Publish, QueueSpec};
    /// # fn message(task: &'static str) -> taskq::Message { taskq::Message::new(taskq::TaskId::new(), task, taskq::ContentType::Json, "{}".into()) }
    /// let (broker, mail) = (InMemoryBroker::new(), QueueSpec::new("mail"));
    /// broker.declare(&mail).await?;
    /// broker.publish(Publish::new("mail", message("mail.send"))).await?;
    /// let mut consumer = broker.consume(&mail, NonZeroU16::MIN).await?;
    /// let delivery = consumer.next().await.unwrap();
    /// assert_eq!(broker.inspect("mail").await?.unsettled, Some(1));
    /// delivery.ack();
    /// assert_eq!(broker.inspect("mail").await?.unsettled, Some(0));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`BrokerError::Unroutable`] for a queue that does not exist, [`BrokerError::Closed`] after [`Broker::close`],
    /// and whatever keeps it from connecting.
    fn consume<'a>(
        &'a self,
        queue: &'a QueueSpec,
        prefetch: NonZeroU16,
    ) -> BoxFuture<'a, Result<Consumer, BrokerError>>;

    /// A look at one queue. It changes nothing; cancel safe.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), taskq::BrokerError> {
    /// use taskq::{Broker, InMemoryBroker, Publish, QueueSpec};
    /// # fn message(task: &'static str) -> taskq::Message { taskq::Message::new(taskq::TaskId::new(), task, taskq::ContentType::Json, "{}".into()) }
    /// let broker = InMemoryBroker::new();
    /// broker.declare(&QueueSpec::new("mail")).await?;
    /// broker.publish(Publish::new("mail", message("mail.send"))).await?;
    /// let mail = broker.inspect("mail").await?;
    /// assert_eq!((mail.ready, mail.consumers), (1, 0));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`BrokerError::Unroutable`] for a queue that does not exist, [`BrokerError::Closed`] after [`Broker::close`],
    /// and whatever keeps it from asking.
    fn inspect<'a>(&'a self, queue: &'a str) -> BoxFuture<'a, Result<QueueInfo, BrokerError>>;

    /// Ends all consumers, refuses further publishes, and disconnects. What was delivered and not settled goes back.
    /// Resolves when it has disconnected; dropping the future leaves open how far that came.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), taskq::BrokerError> {
    /// use taskq::{Broker, BrokerError, InMemoryBroker, QueueSpec};
    /// let broker = InMemoryBroker::new();
    /// broker.close().await?;
    /// assert!(matches!(broker.declare(&QueueSpec::new("mail")).await, Err(BrokerError::Closed)));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Disconnecting did not go as it should; the broker is closed all the same.
    fn close(&self) -> BoxFuture<'_, Result<(), BrokerError>>;

    /// The result backend of an app on this broker that names no other. None by default.
    ///
    /// ```
    /// use taskq::{Broker, InMemoryBroker, prelude::*};
    /// let broker = InMemoryBroker::new();
    /// assert!(broker.default_results().is_some() && broker.into_app().results().is_some());
    /// ```
    fn default_results(&self) -> Option<Arc<dyn ResultBackend>> {
        None
    }

    /// For a broker inside this process: how many tasks of `queue` an app runs by itself, without a worker being
    /// started. `None`, the default, leaves running to workers.
    ///
    /// ```
    /// use taskq::{Broker, InMemoryBroker};
    /// let broker = InMemoryBroker::new().concurrency(4).queue_concurrency("mail", 1);
    /// assert_eq!(broker.embedded_concurrency("mail").unwrap().get(), 1);
    /// assert_eq!(broker.embedded_concurrency("images").unwrap().get(), 4);
    /// assert_eq!(broker.without_worker().embedded_concurrency("mail"), None);
    /// ```
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
    fn prepare_delays(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        (**self).prepare_delays()
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
