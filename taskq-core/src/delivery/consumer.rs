//! Where deliveries come from.

use super::{Delivery, pull::Pull};
use std::{
    fmt,
    num::NonZeroU16,
    task::{Context, Poll},
};
use tokio::sync::mpsc;

/// Where a [`Consumer`] takes its deliveries from; what a broker implements.
///
/// ```
/// use std::{collections::VecDeque, task::{Context, Poll}};
/// use taskq::{Consumer, Delivery, DeliverySource};
///
/// /// Gives what was fetched at once, then ends.
/// struct Fetched(VecDeque<Delivery>);
///
/// impl DeliverySource for Fetched {
///     fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Option<Delivery>> {
///         Poll::Ready(self.0.pop_front())
///     }
///     fn stop(&mut self) {
///         self.0.clear(); // dropped, and so given back
///     }
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # use std::sync::{Arc, mpsc};
/// # use taskq::{Content, ContentType, Message, Settle, Settlement, TaskId};
/// # struct Told(mpsc::Sender<(u64, Settlement)>);
/// # impl Settle for Told { fn settle(&self, tag: u64, settlement: Settlement) { self.0.send((tag, settlement)).unwrap(); } }
/// # let (sender, told) = mpsc::channel();
/// # let broker: Arc<dyn Settle> = Arc::new(Told(sender));
/// # let content = Content::from(Message::new(TaskId::new(), "mail.send", ContentType::Json, "{}".into()));
/// # let deliveries = [1, 2].map(|tag| Delivery::new(content.clone(), false, tag, broker.clone()));
/// let mut consumer = Consumer::new(Fetched(deliveries.into()));
/// consumer.next().await.unwrap().ack();
/// consumer.stop();
/// # assert_eq!(told.try_iter().collect::<Vec<_>>(), [(1, Settlement::Ack), (2, Settlement::Requeue)]);
/// # }
/// ```
pub trait DeliverySource: Send {
    /// The next delivery; `None` after [`DeliverySource::stop`] or when the broker was closed. Where it is pending,
    /// `cx` is woken when one may have come.
    ///
    /// ```
    /// use std::task::{Context, Poll};
    /// use taskq::{Delivery, DeliverySource};
    /// use tokio::sync::mpsc::Receiver;
    ///
    /// struct FromConnection(Receiver<Delivery>);
    ///
    /// impl DeliverySource for FromConnection {
    ///     fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
    ///         self.0.poll_recv(cx)
    ///     }
    ///     fn stop(&mut self) {
    ///         self.0.close();
    ///         while self.0.try_recv().is_ok() {}
    ///     }
    /// }
    ///
    /// let (connection, deliveries) = tokio::sync::mpsc::channel(8);
    /// let mut source = FromConnection(deliveries);
    /// let mut cx = Context::from_waker(std::task::Waker::noop());
    /// assert!(source.poll_next(&mut cx).is_pending());
    /// drop(connection);
    /// assert!(matches!(source.poll_next(&mut cx), Poll::Ready(None)));
    /// ```
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>>;

    /// Whether what is delivered comes here by itself, and waits to be taken. A worker that stores results is then woken when
    /// these are stored, once for all that has come meanwhile: up to a millisecond late, two more in a steady flow of tasks, and up
    /// to 250 where the result store is suddenly slow. `false` by default, because polling may be what fetches.
    ///
    /// ```
    /// # use std::task::{Context, Poll};
    /// # use taskq::{Delivery, DeliverySource};
    /// # use tokio::sync::mpsc::Receiver;
    /// # struct FromConnection(Receiver<Delivery>);
    /// impl DeliverySource for FromConnection {
    ///     fn buffers(&self) -> bool {
    ///         true
    ///     }
    /// #   fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> { self.0.poll_recv(cx) }
    /// #   fn stop(&mut self) { self.0.close(); }
    /// }
    /// ```
    fn buffers(&self) -> bool {
        false
    }

    /// Takes nothing more; what was not handed out goes back. Called once, also when the [`Consumer`] is dropped.
    ///
    /// ```
    /// use std::{sync::{Arc, atomic::{AtomicBool, Ordering}}, task::{Context, Poll}};
    /// use taskq::{Consumer, Delivery, DeliverySource};
    ///
    /// #[derive(Clone, Default)]
    /// struct Never { stopped: Arc<AtomicBool> }
    ///
    /// impl DeliverySource for Never {
    ///     fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Option<Delivery>> {
    ///         Poll::Pending
    ///     }
    ///     fn stop(&mut self) {
    ///         self.stopped.store(true, Ordering::Release);
    ///     }
    /// }
    ///
    /// let source = Never::default();
    /// drop(Consumer::new(source.clone()));
    /// assert!(source.stopped.load(Ordering::Acquire));
    /// ```
    fn stop(&mut self);
}

/// The stream of deliveries from one queue. It goes on over reconnects; dropping it stops it.
///
/// ```
/// # use taskq::{Broker, BrokerError, QueueSpec};
/// # use std::num::NonZeroU16;
/// # async fn example(broker: impl Broker) -> Result<(), BrokerError> {
/// let mut consumer = broker.consume(&QueueSpec::new("mail"), NonZeroU16::MIN).await?;
/// if let Some(delivery) = consumer.next().await {
///     delivery.ack();
/// }
/// consumer.stop(); // what was not taken goes back
/// assert!(consumer.next().await.is_none());
/// # Ok(()) }
/// ```
pub struct Consumer {
    source: Box<dyn DeliverySource>,
    stopped: bool,
}

impl Consumer {
    /// A consumer of `source`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use std::task::{Context, Poll};
    /// use taskq::{Consumer, Delivery, DeliverySource};
    ///
    /// /// A queue that nothing ever comes to.
    /// struct Closed;
    ///
    /// impl DeliverySource for Closed {
    ///     fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Option<Delivery>> {
    ///         Poll::Ready(None)
    ///     }
    ///     fn stop(&mut self) {}
    /// }
    ///
    /// assert!(Consumer::new(Closed).next().await.is_none());
    /// # }
    /// ```
    pub fn new(source: impl DeliverySource + 'static) -> Self {
        Consumer { source: Box::new(source), stopped: false }
    }

    /// A consumer of what a broker's own task sends; `on_stop` tells that task to take nothing more.
    ///
    /// What lies in the channel when the consumer stops is dropped, and so given back.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use taskq::{Consumer, Delivery};
    /// # use std::sync::{Arc, mpsc};
    /// # use taskq::{Content, ContentType, Message, Settle, Settlement, TaskId};
    /// # struct Told(mpsc::Sender<(u64, Settlement)>);
    /// # impl Settle for Told { fn settle(&self, tag: u64, settlement: Settlement) { self.0.send((tag, settlement)).unwrap(); } }
    /// # let (sender, told) = mpsc::channel();
    /// # let broker: Arc<dyn Settle> = Arc::new(Told(sender));
    /// # let content = Content::from(Message::new(TaskId::new(), "mail.send", ContentType::Json, "{}".into()));
    /// use tokio_util::sync::CancellationToken;
    /// let (incoming, deliveries) = tokio::sync::mpsc::channel(8);
    /// let stop = CancellationToken::new();
    /// let mut consumer = Consumer::from_channel(deliveries, { let stop = stop.clone(); move || stop.cancel() });
    ///
    /// incoming.send(Delivery::new(content, false, 7, broker)).await.unwrap();
    /// consumer.next().await.unwrap().ack();
    /// consumer.stop();
    /// assert!(stop.is_cancelled());
    /// # assert_eq!(told.try_iter().collect::<Vec<_>>(), [(7, Settlement::Ack)]);
    /// # }
    /// ```
    pub fn from_channel(deliveries: mpsc::Receiver<Delivery>, on_stop: impl FnOnce() + Send + 'static) -> Self {
        Consumer::new(Channel { deliveries, on_stop: Some(Box::new(on_stop)) })
    }

    /// A consumer of what an async function gives, for a broker that is asked for one message at a time.
    ///
    /// `next` resolves when there is a delivery, and with `None` once the broker is closed. It is called again for each
    /// delivery, and only while fewer than `prefetch` are unsettled: a broker need not count them. Its future is kept
    /// while nobody waits for the consumer, and dropped when the consumer stops; a delivery that it holds then goes back.
    /// `on_stop` is called once, after that.
    ///
    /// ```
    /// # use std::{num::NonZeroU16, sync::Arc};
    /// # use taskq::{ContentType, Message, Settle, Settlement, TaskId};
    /// use taskq::{Consumer, Delivery};
    /// # struct Nobody;
    /// # impl Settle for Nobody {
    /// #     fn settle(&self, _: u64, _: Settlement) {}
    /// # }
    /// # async fn receive(number: u64) -> Option<Delivery> {
    /// #     let message = Message::new(TaskId::new(), "a.task", ContentType::Json, "{}".into());
    /// #     (number < 2).then(|| Delivery::new(message.into(), false, number, Arc::new(Nobody)))
    /// # }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let mut asked = 0;
    /// let next = move || {
    ///     asked += 1;
    ///     receive(asked) // an async function that asks the server
    /// };
    /// let mut consumer = Consumer::from_fn(NonZeroU16::MIN, next, || {});
    /// consumer.next().await.unwrap().ack();
    /// assert!(consumer.next().await.is_none()); // the broker was closed
    /// # }
    /// ```
    pub fn from_fn<F>(
        prefetch: NonZeroU16,
        next: impl FnMut() -> F + Send + 'static,
        on_stop: impl FnOnce() + Send + 'static,
    ) -> Self
    where
        F: Future<Output = Option<Delivery>> + Send + 'static,
    {
        Consumer::new(Pull::new(prefetch, next, on_stop))
    }

    /// The next delivery; `None` after [`Consumer::stop`] or when the broker was closed. Waits as long as there is
    /// none. Cancel safe.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), taskq::BrokerError> {
    /// # use std::num::NonZeroU16;
    /// use taskq::{Broker, InMemoryBroker, QueueSpec};
    /// # use taskq::{BrokerError, ContentType, Message, Publish, TaskId};
    /// # fn message(task: &'static str) -> Message { Message::new(TaskId::new(), task, ContentType::Json, "{}".into()) }
    /// # let (broker, mail) = (InMemoryBroker::new(), QueueSpec::new("mail"));
    /// # broker.declare(&mail).await?;
    /// # broker.publish(Publish::new("mail", message("mail.first"))).await?;
    /// # broker.publish(Publish::new("mail", message("mail.second"))).await?;
    /// let mut consumer = broker.consume(&mail, NonZeroU16::MIN).await?;
    /// let mut taken = 0;
    /// while let Some(delivery) = consumer.next().await {
    ///     delivery.ack();
    ///     taken += 1;
    ///     if taken == 2 {
    ///         broker.close().await?;
    ///     }
    /// }
    /// # assert_eq!(taken, 2);
    /// # Ok(()) }
    /// ```
    pub async fn next(&mut self) -> Option<Delivery> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Polls for the next delivery, for streams and futures written by hand. As [`Consumer::next`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), taskq::BrokerError> {
    /// # use std::num::NonZeroU16;
    /// use std::future::poll_fn;
    /// use taskq::{Broker, InMemoryBroker, QueueSpec};
    /// # use taskq::{BrokerError, ContentType, Message, Publish, TaskId};
    /// # fn message(task: &'static str) -> Message { Message::new(TaskId::new(), task, ContentType::Json, "{}".into()) }
    /// # let (broker, mail) = (InMemoryBroker::new(), QueueSpec::new("mail"));
    /// # broker.declare(&mail).await?;
    /// # broker.publish(Publish::new("mail", message("mail.first"))).await?;
    /// # broker.publish(Publish::new("mail", message("mail.second"))).await?;
    /// let mut consumer = broker.consume(&mail, NonZeroU16::MIN).await?;
    /// let first = poll_fn(|cx| consumer.poll_next(cx)).await;
    /// assert!(first.is_some());
    /// // With a prefetch of 1 the second one does not come before the first is settled.
    /// let second = poll_fn(|cx| std::task::Poll::Ready(consumer.poll_next(cx))).await;
    /// assert!(second.is_pending());
    /// # Ok(()) }
    /// ```
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        if self.stopped { Poll::Ready(None) } else { self.source.poll_next(cx) }
    }

    /// Whether a wake may come late: see [`DeliverySource::buffers`].
    pub(crate) fn buffers(&self) -> bool {
        self.source.buffers()
    }

    /// Takes nothing more from the queue; what was not handed out goes back. Deliveries that were handed out can still
    /// be settled. Calling it again does nothing.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), taskq::BrokerError> {
    /// # use std::num::NonZeroU16;
    /// use taskq::{Broker, InMemoryBroker, QueueSpec};
    /// # use taskq::{BrokerError, ContentType, Message, Publish, TaskId};
    /// # fn message(task: &'static str) -> Message { Message::new(TaskId::new(), task, ContentType::Json, "{}".into()) }
    /// # let (broker, mail) = (InMemoryBroker::new(), QueueSpec::new("mail"));
    /// # broker.declare(&mail).await?;
    /// # broker.publish(Publish::new("mail", message("mail.first"))).await?;
    /// # broker.publish(Publish::new("mail", message("mail.second"))).await?;
    /// let mut consumer = broker.consume(&mail, NonZeroU16::MIN).await?;
    /// let delivery = consumer.next().await.unwrap();
    /// consumer.stop();
    /// assert!(consumer.next().await.is_none());
    /// delivery.ack();
    /// assert_eq!(broker.inspect("mail").await?.ready, 1);
    /// # Ok(()) }
    /// ```
    pub fn stop(&mut self) {
        if !self.stopped {
            self.stopped = true;
            self.source.stop();
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer").field("stopped", &self.stopped).finish_non_exhaustive()
    }
}

struct Channel {
    deliveries: mpsc::Receiver<Delivery>,
    on_stop: Option<Box<dyn FnOnce() + Send>>,
}

impl DeliverySource for Channel {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        self.deliveries.poll_recv(cx)
    }

    fn buffers(&self) -> bool {
        true
    }

    fn stop(&mut self) {
        if let Some(on_stop) = self.on_stop.take() {
            on_stop();
        }
        self.deliveries.close();
        while self.deliveries.try_recv().is_ok() {}
    }
}
