//! What a consumer receives, and how it is settled: once, on every path.

mod pull;

use crate::message::{Content, Epitaph};
use std::{
    fmt,
    num::NonZeroU16,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::{sync::mpsc, time::Instant};

/// What the broker is told about a delivery in the end.
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
pub trait Settle: Send + Sync {
    /// Called once per delivery, with the tag that the broker gave it.
    fn settle(&self, tag: u64, settlement: Settlement);
}

/// The duty to settle one delivery. It is done once: by [`Unsettled::ack`], by [`Unsettled::requeue`], or by being
/// dropped, which gives the delivery back.
#[must_use = "a delivery that is dropped goes back to its queue"]
pub struct Unsettled {
    tag: u64,
    settle: Option<Arc<dyn Settle>>,
}

impl Unsettled {
    /// Done with: the broker forgets it.
    pub fn ack(mut self) {
        self.tell(Settlement::Ack);
    }

    /// Goes back to its old place in the queue and is delivered again.
    pub fn requeue(mut self) {
        self.tell(Settlement::Requeue);
    }

    fn tell(&mut self, settlement: Settlement) {
        if let Some(settle) = self.settle.take() {
            settle.settle(self.tag, settlement);
        }
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
/// # use taskq_core::{Broker, BrokerError, QueueSpec};
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
    pub epitaph: Option<Epitaph>,
    /// Whether it was delivered before, to anyone.
    pub redelivered: bool,
    /// When it came.
    pub received: Instant,
    /// The duty to settle it.
    pub unsettled: Unsettled,
}

impl Delivery {
    /// A delivery that `settle` will hear of under `tag`.
    pub fn new(content: Content, redelivered: bool, tag: u64, settle: Arc<dyn Settle>) -> Self {
        let unsettled = Unsettled { tag, settle: Some(settle) };
        Delivery { content, epitaph: None, redelivered, received: Instant::now(), unsettled }
    }

    /// The same, from a queue of dead letters.
    pub fn with_epitaph(mut self, epitaph: Option<Epitaph>) -> Self {
        self.epitaph = epitaph;
        self
    }

    /// Done with: the broker forgets it.
    pub fn ack(self) {
        self.unsettled.ack();
    }

    /// Goes back to its old place in the queue and is delivered again.
    pub fn requeue(self) {
        self.unsettled.requeue();
    }
}

/// Where a [`Consumer`] takes its deliveries from; what a broker implements.
pub trait DeliverySource: Send {
    /// The next delivery; `None` after [`DeliverySource::stop`] or when the broker was closed.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>>;

    /// Takes nothing more; what was not handed out goes back.
    fn stop(&mut self);
}

/// The stream of deliveries from one queue. It goes on over reconnects; dropping it stops it.
///
/// ```
/// # use taskq_core::{Broker, BrokerError, QueueSpec};
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
    pub fn new(source: impl DeliverySource + 'static) -> Self {
        Consumer { source: Box::new(source), stopped: false }
    }

    /// A consumer of what a broker's own task sends; `on_stop` tells that task to take nothing more.
    ///
    /// What lies in the channel when the consumer stops is dropped, and so given back.
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
    /// # use taskq_core::{ContentType, Message, Settle, Settlement, TaskId};
    /// use taskq_core::{Consumer, Delivery};
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

    /// The next delivery; `None` after [`Consumer::stop`] or when the broker was closed. Cancel safe.
    pub async fn next(&mut self) -> Option<Delivery> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Polls for the next delivery.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        if self.stopped { Poll::Ready(None) } else { self.source.poll_next(cx) }
    }

    /// Takes nothing more from the queue; what was not handed out goes back.
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
