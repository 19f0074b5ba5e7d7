//! What a consumer receives.

mod consumer;
mod line;
mod pull;
mod settle;

pub use consumer::{Consumer, DeliverySource};
pub use line::Line;
pub(crate) use line::Watcher;
pub(crate) use settle::flush;
pub use settle::{Settle, Settlement, Unsettled};

use crate::message::{Content, Epitaph};
use std::sync::Arc;
use tokio::time::Instant;

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
