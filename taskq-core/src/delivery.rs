//! What a consumer receives, and how it is settled: once, on every path.

mod line;
mod pull;

pub use line::Line;
pub(crate) use line::Watcher;

use crate::{
    message::{Content, Epitaph},
    panic::{self, Panic},
};
use std::{
    fmt,
    num::NonZeroU16,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::{sync::mpsc, time::Instant};

/// What the broker is told about a delivery in the end.
///
/// ```
/// use taskq::Settlement;
///
/// /// The method of AMQP 0-9-1 that says it, and its `requeue` bit.
/// fn method(settlement: Settlement) -> (&'static str, Option<bool>) {
///     match settlement {
///         Settlement::Ack => ("basic.ack", None),
///         Settlement::Requeue => ("basic.nack", Some(true)),
///     }
/// }
/// assert_eq!(method(Settlement::Requeue), ("basic.nack", Some(true)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// It is done with: the broker forgets it.
    Ack,
    /// It goes back to its old place in the queue and is delivered again.
    Requeue,
}

/// The broker's side of settling: takes the word over at once and does what is needed by itself.
///
/// After the connection that a delivery came by has died, settling does nothing: the message comes again.
///
/// ```
/// use std::{collections::BTreeMap, sync::Mutex};
/// use taskq::{Content, Settle, Settlement};
///
/// /// A queue in memory.
/// #[derive(Default)]
/// struct Queue {
///     ready: Mutex<BTreeMap<u64, Content>>,
///     unsettled: Mutex<BTreeMap<u64, Content>>,
/// }
///
/// impl Settle for Queue {
///     fn settle(&self, tag: u64, settlement: Settlement) {
///         let content = self.unsettled.lock().unwrap().remove(&tag);
///         if let (Settlement::Requeue, Some(content)) = (settlement, content) {
///             self.ready.lock().unwrap().insert(tag, content); // at its old place
///         }
///     }
/// }
/// # let queue = Queue::default();
/// # let content = Content::from(taskq::Message::new("1".into(), "mail.send", Default::default(), "{}".into()));
/// # queue.unsettled.lock().unwrap().insert(7, content);
/// # queue.settle(7, Settlement::Requeue);
/// # assert_eq!((queue.ready.lock().unwrap().len(), queue.unsettled.lock().unwrap().len()), (1, 0));
/// ```
pub trait Settle: Send + Sync {
    /// Called once per delivery, with the tag that the broker gave it. It must not block: a settlement that needs the
    /// network is handed to a task of the broker.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use taskq::{Content, ContentType, Delivery, Message, Settle, Settlement, TaskId};
    /// use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
    ///
    /// struct ToConnection(UnboundedSender<(u64, Settlement)>);
    ///
    /// impl Settle for ToConnection {
    ///     fn settle(&self, tag: u64, settlement: Settlement) {
    ///         // Without a connection there is nothing to do: the message comes again.
    ///         let _ = self.0.send((tag, settlement));
    ///     }
    /// }
    ///
    /// let (sender, mut connection) = unbounded_channel();
    /// let message = Message::new(TaskId::new(), "mail.send", ContentType::Json, "{}".into());
    /// Delivery::new(message.into(), false, 7, Arc::new(ToConnection(sender))).ack();
    /// assert_eq!(connection.try_recv(), Ok((7, Settlement::Ack)));
    /// ```
    fn settle(&self, tag: u64, settlement: Settlement);

    /// Many were settled, and no more of them follow at once: a hint to a broker that holds settlements back, to tell many of
    /// them together. Called where the results of many runs were stored together, and not for what is settled otherwise:
    /// such a broker needs a timer too. It must not block. By default nothing happens.
    ///
    /// ```
    /// use std::sync::{Mutex, mpsc::{Sender, channel}};
    /// use taskq::{Settle, Settlement};
    ///
    /// struct Gathering {
    ///     untold: Mutex<Vec<u64>>,
    ///     connection: Sender<Vec<u64>>,
    /// }
    ///
    /// impl Settle for Gathering {
    ///     fn settle(&self, tag: u64, _: Settlement) {
    ///         self.untold.lock().unwrap().push(tag); // and a timer, for settlements that come alone
    ///     }
    ///
    ///     fn flush(&self) {
    ///         let tags = std::mem::take(&mut *self.untold.lock().unwrap());
    ///         let _ = self.connection.send(tags);
    ///     }
    /// }
    ///
    /// let (connection, told) = channel();
    /// let settle = Gathering { untold: Mutex::default(), connection };
    /// (1..=3).for_each(|tag| settle.settle(tag, Settlement::Ack));
    /// settle.flush();
    /// assert_eq!(told.try_recv(), Ok(vec![1, 2, 3]));
    /// ```
    fn flush(&self) {}
}

/// The duty to settle one delivery. It is done once: by [`Unsettled::ack`], by [`Unsettled::requeue`], or by being
/// dropped, which gives the delivery back.
///
/// ```
/// use taskq::{Content, Delivery, Message, Unsettled};
/// # use std::sync::{Arc, mpsc};
/// # use taskq::{ContentType, Settle, Settlement, TaskId};
/// # struct Told(mpsc::Sender<(u64, Settlement)>);
/// # impl Settle for Told { fn settle(&self, tag: u64, settlement: Settlement) { self.0.send((tag, settlement)).unwrap(); } }
/// # let (sender, told) = mpsc::channel();
/// # let broker: Arc<dyn Settle> = Arc::new(Told(sender));
/// # let content = Content::from(Message::new(TaskId::new(), "mail.send", ContentType::Json, "{}".into()));
/// # let delivery = Delivery::new(content, false, 7, broker);
/// fn store(content: &Content, unsettled: Unsettled) -> Result<(), &'static str> {
///     if content.body().len() > 1 {
///         return Err("too large"); // `unsettled` is dropped here: the message goes back
///     }
///     unsettled.ack();
///     Ok(())
/// }
///
/// let Delivery { content, unsettled, .. } = delivery;
/// assert!(store(&content, unsettled).is_err());
/// # assert_eq!(told.try_iter().collect::<Vec<_>>(), [(7, Settlement::Requeue)]);
/// ```
#[must_use = "a delivery that is dropped goes back to its queue"]
pub struct Unsettled {
    tag: u64,
    settle: Option<Arc<dyn Settle>>,
}

impl Unsettled {
    /// Done with: the broker forgets it. Returns at once; the broker is told behind it.
    ///
    /// ```
    /// use taskq::Delivery;
    /// # use std::sync::{Arc, mpsc};
    /// # use taskq::{Content, ContentType, Message, Settle, Settlement, TaskId};
    /// # struct Told(mpsc::Sender<(u64, Settlement)>);
    /// # impl Settle for Told { fn settle(&self, tag: u64, settlement: Settlement) { self.0.send((tag, settlement)).unwrap(); } }
    /// # let (sender, told) = mpsc::channel();
    /// # let broker: Arc<dyn Settle> = Arc::new(Told(sender));
    /// # let content = Content::from(Message::new(TaskId::new(), "mail.send", ContentType::Json, "{}".into()));
    /// let Delivery { unsettled, .. } = Delivery::new(content, false, 7, broker);
    /// unsettled.ack();
    /// assert_eq!(told.recv(), Ok((7, Settlement::Ack)));
    /// ```
    pub fn ack(mut self) {
        self.tell(Settlement::Ack);
    }

    /// Goes back to its old place in the queue and is delivered again. Returns at once; the broker is told behind it.
    ///
    /// ```
    /// use taskq::Delivery;
    /// # use std::sync::{Arc, mpsc};
    /// # use taskq::{Content, ContentType, Message, Settle, Settlement, TaskId};
    /// # struct Told(mpsc::Sender<(u64, Settlement)>);
    /// # impl Settle for Told { fn settle(&self, tag: u64, settlement: Settlement) { self.0.send((tag, settlement)).unwrap(); } }
    /// # let (sender, told) = mpsc::channel();
    /// # let broker: Arc<dyn Settle> = Arc::new(Told(sender));
    /// # let content = Content::from(Message::new(TaskId::new(), "mail.send", ContentType::Json, "{}".into()));
    /// let Delivery { unsettled, .. } = Delivery::new(content, false, 7, broker);
    /// unsettled.requeue();
    /// assert_eq!(told.recv(), Ok((7, Settlement::Requeue)));
    /// ```
    pub fn requeue(mut self) {
        self.tell(Settlement::Requeue);
    }

    /// What it is settled with, until it is.
    pub(crate) fn settler(&self) -> Option<&Arc<dyn Settle>> {
        self.settle.as_ref()
    }

    /// Once: nothing is told after that.
    pub(crate) fn tell(&mut self, settlement: Settlement) {
        if let Some(settle) = self.settle.take() {
            tell(&*settle, self.tag, settlement);
        }
    }
}

fn tell(settle: &dyn Settle, tag: u64, settlement: Settlement) {
    guarded(|| settle.settle(tag, settlement));
}

/// Says that no more settlements follow at once.
pub(crate) fn flush(settle: &dyn Settle) {
    guarded(|| settle.flush());
}

/// A panic of the broker costs no more than what it had been told and not passed on.
fn guarded(told: impl FnOnce()) {
    if let Err(Panic { message, location }) = panic::catch(told) {
        tracing::error!(panic = message, location, "the broker panicked when it was told what is settled");
    }
}

impl Drop for Unsettled {
    fn drop(&mut self) {
        self.tell(Settlement::Requeue);
    }
}

impl fmt::Debug for Unsettled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unsettled").field("tag", &self.tag).finish_non_exhaustive()
    }
}

/// One message in a consumer's hands, with the duty to settle it.
///
/// ```
/// # use taskq::{Broker, BrokerError, QueueSpec};
/// # use std::num::NonZeroU16;
/// # async fn example(broker: impl Broker) -> Result<(), BrokerError> {
/// let mut consumer = broker.consume(&QueueSpec::new("mail"), NonZeroU16::MIN).await?;
/// while let Some(delivery) = consumer.next().await {
///     match delivery.content.body().is_empty() {
///         true => delivery.requeue(),
///         false => delivery.ack(),
///     }
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "a delivery that is dropped goes back to its queue"]
#[non_exhaustive]
pub struct Delivery {
    /// What it carries.
    pub content: Content,
    /// Why it lies among the dead letters, if it comes from there.
    pub epitaph: Option<Box<Epitaph>>,
    /// Whether it was delivered before, to anyone.
    pub redelivered: bool,
    /// When it was taken from the broker.
    pub received: Instant,
    /// The broker has sent it later than this. It may have waited on a line that stood still, and the broker have given it to
    /// somebody else meanwhile.
    pub sent_after: Instant,
    /// Whether the broker has kept the delay that the message was published with to its end.
    pub is_due: bool,
    /// The line that it came by. When it is cut, the broker may give the message to somebody else: the connection is gone, or
    /// the queue is. `None` from a broker without connections.
    pub line: Option<Line>,
    /// The duty to settle it.
    pub unsettled: Unsettled,
}

impl Delivery {
    /// A delivery that `settle` will hear of under `tag`, received now, from no queue of dead letters.
    ///
    /// ```
    /// use taskq::Delivery;
    /// # use std::sync::{Arc, mpsc};
    /// # use taskq::{Content, ContentType, Message, Settle, Settlement, TaskId};
    /// # struct Told(mpsc::Sender<(u64, Settlement)>);
    /// # impl Settle for Told { fn settle(&self, tag: u64, settlement: Settlement) { self.0.send((tag, settlement)).unwrap(); } }
    /// # let (sender, told) = mpsc::channel();
    /// # let broker: Arc<dyn Settle> = Arc::new(Told(sender));
    /// # let content = Content::from(Message::new(TaskId::new(), "mail.send", ContentType::Json, "{}".into()));
    /// let redelivered = true;
    /// let delivery = Delivery::new(content, redelivered, 7, broker);
    /// assert!(delivery.redelivered && delivery.epitaph.is_none());
    /// drop(delivery);
    /// assert_eq!(told.recv(), Ok((7, Settlement::Requeue)));
    /// ```
    pub fn new(content: Content, redelivered: bool, tag: u64, settle: Arc<dyn Settle>) -> Self {
        let unsettled = Unsettled { tag, settle: Some(settle) };
        let received = Instant::now();
        Delivery {
            content,
            epitaph: None,
            redelivered,
            received,
            sent_after: received,
            is_due: false,
            line: None,
            unsettled,
        }
    }

    /// The same, sent by the broker later than this, as far as anybody knows. A broker without lines leaves this out.
    ///
    /// ```
    /// # use std::{sync::Arc, time::Duration};
    /// # use taskq::{ContentType, Delivery, Message, Settle, Settlement, TaskId};
    /// # struct Acks;
    /// # impl Settle for Acks { fn settle(&self, _: u64, _: Settlement) {} }
    /// # let message = Message::new(TaskId::new(), "a.task", ContentType::Json, "{}".into());
    /// let heard = tokio::time::Instant::now(); // the broker has answered a question that was asked then
    /// let delivery = Delivery::new(message.into(), false, 1, Arc::new(Acks)).with_sent_after(heard);
    /// assert!(delivery.sent_after <= delivery.received);
    /// ```
    pub fn with_sent_after(mut self, instant: Instant) -> Self {
        self.sent_after = instant.min(self.received);
        self
    }

    /// The same, of a message that was published with a delay which is over by the broker's clock: how much later its `eta` is
    /// by the clock of this process is how far the clock of its sender is ahead, and is not waited for. A broker that has the
    /// clock of its apps leaves this out.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use taskq::{ContentType, Delivery, Message, Settle, Settlement, TaskId};
    /// # struct Acks;
    /// # impl Settle for Acks { fn settle(&self, _: u64, _: Settlement) {} }
    /// # let message = Message::new(TaskId::new(), "a.task", ContentType::Json, "{}".into());
    /// let delivery = Delivery::new(message.into(), false, 1, Arc::new(Acks)).with_delay_kept(true);
    /// assert!(delivery.is_due);
    /// ```
    pub fn with_delay_kept(mut self, is_due: bool) -> Self {
        self.is_due = is_due;
        self
    }

    /// The same, by this line. A broker without connections leaves this out.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use taskq::{ContentType, Delivery, Line, Message, Settle, Settlement, TaskId};
    /// # struct Acks;
    /// # impl Settle for Acks { fn settle(&self, _: u64, _: Settlement) {} }
    /// # let message = Message::new(TaskId::new(), "a.task", ContentType::Json, "{}".into());
    /// let connection = Line::new();
    /// let delivery = Delivery::new(message.into(), false, 1, Arc::new(Acks)).with_line(connection.clone());
    /// connection.cut(); // somebody is given the message again
    /// assert!(delivery.line.is_some_and(|line| line.is_cut()));
    /// ```
    pub fn with_line(mut self, line: Line) -> Self {
        self.line = Some(line);
        self
    }

    /// The same, from a queue of dead letters.
    ///
    /// ```
    /// use taskq::{Delivery, Epitaph, FailureKind, TaskFailure, UnixMillis};
    /// # use std::sync::{Arc, mpsc};
    /// # use taskq::{Content, ContentType, Message, Settle, Settlement, TaskId};
    /// # struct Told(mpsc::Sender<(u64, Settlement)>);
    /// # impl Settle for Told { fn settle(&self, tag: u64, settlement: Settlement) { self.0.send((tag, settlement)).unwrap(); } }
    /// # let (sender, told) = mpsc::channel();
    /// # let broker: Arc<dyn Settle> = Arc::new(Told(sender));
    /// # let content = Content::from(Message::new(TaskId::new(), "mail.send", ContentType::Json, "{}".into()));
    /// let (failure, now) = (TaskFailure::new(FailureKind::Error, "smtp is down", 4), UnixMillis::now());
    /// let epitaph = Epitaph { failure, queue: "mail".into(), first_failed: now, last_failed: now };
    /// let letter = Delivery::new(content, false, 7, broker).with_epitaph(Some(Box::new(epitaph)));
    /// assert_eq!(letter.epitaph.as_ref().unwrap().failure.attempts, 4);
    /// # letter.requeue();
    /// ```
    pub fn with_epitaph(mut self, epitaph: Option<Box<Epitaph>>) -> Self {
        self.epitaph = epitaph;
        self
    }

    /// Done with: the broker forgets it. Returns at once; the broker is told behind it.
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
    /// consumer.next().await.unwrap().ack();
    /// let second = consumer.next().await.unwrap();
    /// assert!(matches!(&second.content, taskq::Content::Task(message) if message.task == "mail.second"));
    /// # second.ack();
    /// # Ok(()) }
    /// ```
    pub fn ack(self) {
        self.unsettled.ack();
    }

    /// Goes back to its old place in the queue and is delivered again. Returns at once; the broker is told behind it.
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
    /// let first = consumer.next().await.unwrap();
    /// let id = first.content.id().cloned();
    /// first.requeue();
    /// let again = consumer.next().await.unwrap();
    /// assert!(again.redelivered && again.content.id() == id.as_ref(), "it is still the first one");
    /// # again.ack();
    /// # Ok(()) }
    /// ```
    pub fn requeue(self) {
        self.unsettled.requeue();
    }
}

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
        Consumer::new(pull::Pull::new(prefetch, next, on_stop))
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

    fn stop(&mut self) {
        if let Some(on_stop) = self.on_stop.take() {
            on_stop();
        }
        self.deliveries.close();
        while self.deliveries.try_recv().is_ok() {}
    }
}
