//! A broker that fails where a test asks for it.

use std::{
    collections::HashMap,
    fmt,
    num::{NonZeroU16, NonZeroUsize},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};
use taskq_core::{
    BoxFuture, Broker, BrokerError, Capabilities, Consumer, Delivery, DeliverySource, Publish, QueueInfo, QueueSpec,
    ResultBackend, Settle, Settlement, TaskId, Unsettled,
};

/// One thing that went through a [`FlakyBroker`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// A message was published, and the publisher knows.
    Published {
        /// To this queue.
        queue: String,
        /// The task's id, if the message has one.
        id: Option<TaskId>,
    },
    /// A message was not published, and the publisher knows.
    Refused {
        /// To this queue.
        queue: String,
        /// The task's id, if the message has one.
        id: Option<TaskId>,
    },
    /// A message was published, and the publisher does not know.
    ConfirmLost {
        /// To this queue.
        queue: String,
        /// The task's id, if the message has one.
        id: Option<TaskId>,
    },
    /// A delivery was acked.
    Acked {
        /// The task's id, if the message has one.
        id: Option<TaskId>,
    },
    /// A delivery was acked, the broker did not hear of it, and it comes again.
    AckLost {
        /// The task's id, if the message has one.
        id: Option<TaskId>,
    },
    /// A delivery was given back.
    Requeued {
        /// The task's id, if the message has one.
        id: Option<TaskId>,
    },
}

/// Wraps a broker, fails the publishes and loses the acks that a test names, and remembers what went through it.
///
/// Faults are set before the broker is shared; all clones of an `Arc` of it count together. Its history grows with every
/// message: it is for tests.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use std::sync::Arc;
/// use taskq_conformance::FlakyBroker;
/// use taskq_core::{Broker, BrokerError, ContentType, InMemoryBroker, Message, Publish, QueueSpec, TaskId};
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
    log: Arc<Log>,
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
        let counts = self.queue.as_ref().is_none_or(|queue| *queue == publish.queue);
        counts && self.seen.fetch_add(1, Ordering::Relaxed) + 1 == self.nth
    }
}

#[derive(Default)]
struct Log {
    acks: AtomicU64,
    steps: Mutex<Vec<Step>>,
}

impl Log {
    fn write(&self, step: Step) {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner).push(step);
    }
}

impl<B: Broker> FlakyBroker<B> {
    /// `broker`, without faults so far.
    pub fn new(broker: B) -> Self {
        FlakyBroker { broker, faults: Vec::new(), lost_acks: Vec::new(), log: Arc::default() }
    }

    /// The `nth` publish, counted from 1, does not reach the broker and gives [`BrokerError::Nacked`].
    pub fn refuse_publish(self, nth: u64) -> Self {
        self.fault(None, nth, FaultKind::Refuse)
    }

    /// The same, for the `nth` publish to `queue`.
    pub fn refuse_publish_to(self, queue: impl Into<String>, nth: u64) -> Self {
        self.fault(Some(queue.into()), nth, FaultKind::Refuse)
    }

    /// The `nth` publish, counted from 1, reaches the broker and gives [`BrokerError::Unconfirmed`].
    pub fn lose_confirm(self, nth: u64) -> Self {
        self.fault(None, nth, FaultKind::LoseConfirm)
    }

    /// The same, for the `nth` publish to `queue`.
    pub fn lose_confirm_to(self, queue: impl Into<String>, nth: u64) -> Self {
        self.fault(Some(queue.into()), nth, FaultKind::LoseConfirm)
    }

    /// The `nth` ack, counted from 1 over all consumers, does not reach the broker: the message comes again.
    pub fn lose_ack(mut self, nth: u64) -> Self {
        self.lost_acks.push(nth);
        self
    }

    fn fault(mut self, queue: Option<String>, nth: u64, kind: FaultKind) -> Self {
        self.faults.push(PublishFault { queue, nth, kind, seen: AtomicU64::new(0) });
        self
    }

    /// All that went through so far, in the order in which the broker was told or had answered.
    pub fn history(&self) -> Vec<Step> {
        self.log.steps.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn publish_or_fail(&self, publish: Publish) -> Result<(), BrokerError> {
        let (queue, id) = (publish.queue.clone(), publish.content.id().cloned());
        // Every fault counts this publish, whichever of them meets it.
        let met = self.faults.iter().filter(|fault| fault.meets(&publish)).map(|fault| fault.kind).last();
        if let Some(FaultKind::Refuse) = met {
            self.log.write(Step::Refused { queue: queue.clone(), id });
            return Err(BrokerError::Nacked { queue });
        }
        if let Err(error) = self.broker.publish(publish).await {
            self.log.write(Step::Refused { queue, id });
            return Err(error);
        }
        if let Some(FaultKind::LoseConfirm) = met {
            self.log.write(Step::ConfirmLost { queue: queue.clone(), id });
            return Err(BrokerError::Unconfirmed { queue });
        }
        self.log.write(Step::Published { queue, id });
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
            let (log, lost_acks) = (self.log.clone(), self.lost_acks.clone());
            let held = Held { log, lost_acks, deliveries: Mutex::default() };
            Ok(Consumer::new(FlakySource { consumer, held: Arc::new(held), next: 0 }))
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

/// Passes deliveries on with their settling in our hands.
struct FlakySource {
    consumer: Consumer,
    held: Arc<Held>,
    next: u64,
}

impl DeliverySource for FlakySource {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        let Some(delivery) = ready!(self.consumer.poll_next(cx)) else { return Poll::Ready(None) };
        let (tag, id) = (self.next, delivery.content.id().cloned());
        self.next += 1;
        self.held.lock().insert(tag, (id, delivery.unsettled));
        let mut passed = Delivery::new(delivery.content, delivery.redelivered, tag, self.held.clone());
        passed.epitaph = delivery.epitaph;
        passed.received = delivery.received;
        Poll::Ready(Some(passed))
    }

    fn stop(&mut self) {
        self.consumer.stop();
    }
}

/// The deliveries of one consumer, until they are settled.
struct Held {
    log: Arc<Log>,
    lost_acks: Vec<u64>,
    deliveries: Mutex<HashMap<u64, (Option<TaskId>, Unsettled)>>,
}

impl Held {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, (Option<TaskId>, Unsettled)>> {
        self.deliveries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn loses_this_ack(&self) -> bool {
        let nth = self.log.acks.fetch_add(1, Ordering::Relaxed) + 1;
        self.lost_acks.contains(&nth)
    }
}

impl Settle for Held {
    fn settle(&self, tag: u64, settlement: Settlement) {
        let Some((id, unsettled)) = self.lock().remove(&tag) else { return };
        // Written before the broker hears of it: afterwards the message may come again, and its steps before this one.
        match settlement {
            Settlement::Requeue => {
                self.log.write(Step::Requeued { id });
                unsettled.requeue();
            }
            Settlement::Ack if self.loses_this_ack() => {
                self.log.write(Step::AckLost { id });
                unsettled.requeue();
            }
            Settlement::Ack => {
                self.log.write(Step::Acked { id });
                unsettled.ack();
            }
        }
    }
}
