//! Consuming and settling, right or wrong.

use crate::Fault;
use std::{
    collections::BTreeMap,
    mem,
    num::NonZeroU16,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker, ready},
};
use taskq_core::{
    Broker, Consumer, Content, ContentType, Delivery, DeliverySource, InMemoryBroker, Message, Publish, QueueSpec,
    Settle, Settlement, TaskId, Unsettled,
};
use tokio::runtime::Handle;

/// One connection: its consumers, and what they hold. Tags begin anew when it is cut.
pub(crate) struct Line {
    fault: Fault,
    closed: AtomicBool,
    epoch: AtomicU64,
    held: Mutex<Holding>,
    feeds: Mutex<Vec<Arc<Feed>>>,
}

#[derive(Default)]
struct Holding {
    next: u64,
    unsettled: BTreeMap<u64, Held>,
}

struct Held {
    unsettled: Unsettled,
    content: Content,
    queue: String,
}

/// What one consumer takes from.
struct Feed {
    consumer: Mutex<Consumer>,
    queue: QueueSpec,
    prefetch: NonZeroU16,
    waker: Mutex<Option<Waker>>,
    stopped: AtomicBool,
    over: AtomicBool,
}

impl Line {
    pub(crate) fn new(fault: Fault) -> Self {
        Line {
            fault,
            closed: AtomicBool::new(false),
            epoch: AtomicU64::new(0),
            held: Mutex::default(),
            feeds: Mutex::default(),
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        if !self.is(Fault::KeepsUnsettledAtClose) {
            self.let_go();
        }
        if self.is(Fault::ConsumesAfterClose) {
            return;
        }
        for feed in self.feeds.lock().unwrap().iter() {
            feed.end();
        }
    }

    pub(crate) async fn cut(&self, broker: &InMemoryBroker) {
        if self.is_closed() {
            return;
        }
        self.epoch.fetch_add(1, Ordering::SeqCst);
        self.let_go();
        let feeds = self.feeds.lock().unwrap().clone();
        for feed in feeds {
            match self.fault {
                Fault::EndsWhenCut => feed.end(),
                Fault::ForgetsPrefetchWhenCut => feed.consume_again(broker, NonZeroU16::MAX).await,
                _ => feed.consume_again(broker, feed.prefetch).await,
            }
        }
    }

    /// Gives back whatever is unsettled.
    fn let_go(&self) {
        let held = mem::take(&mut *self.held.lock().unwrap());
        if self.is(Fault::LosesWhenCut) {
            held.unsettled.into_values().for_each(|held| held.unsettled.ack());
        }
    }

    fn hold(&self, held: Held) -> u64 {
        let mut holding = self.held.lock().unwrap();
        let tag = holding.next;
        holding.next += 1;
        holding.unsettled.insert(tag, held);
        tag
    }
}

impl Feed {
    fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
        self.consumer.lock().unwrap().stop();
        self.wake();
    }

    async fn consume_again(&self, broker: &InMemoryBroker, prefetch: NonZeroU16) {
        if self.stopped.load(Ordering::SeqCst) {
            return;
        }
        if let Ok(consumer) = broker.consume(&self.queue, prefetch).await {
            *self.consumer.lock().unwrap() = consumer;
        }
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.lock().unwrap().take() {
            waker.wake();
        }
    }
}

fn as_task(content: Content) -> Content {
    match content {
        Content::Task(_) => content,
        Content::Foreign(foreign) => {
            Message::new(TaskId::new(), "unknown", ContentType::MessagePack, foreign.body.clone()).into()
        }
    }
}

/// A consumer of one connection.
pub(crate) struct WiredSource {
    line: Arc<Line>,
    feed: Arc<Feed>,
    broker: InMemoryBroker,
    is_first: bool,
    stuck: bool,
    taken: Vec<Delivery>,
}

impl WiredSource {
    pub(crate) fn new(
        line: &Arc<Line>,
        broker: InMemoryBroker,
        consumer: Consumer,
        queue: &QueueSpec,
        prefetch: NonZeroU16,
    ) -> Self {
        let feed = Arc::new(Feed {
            consumer: Mutex::new(consumer),
            queue: queue.clone(),
            prefetch,
            waker: Mutex::default(),
            stopped: AtomicBool::new(false),
            over: AtomicBool::new(false),
        });
        let mut feeds = line.feeds.lock().unwrap();
        feeds.push(feed.clone());
        let is_first = feeds.len() == 1;
        WiredSource { line: line.clone(), feed, broker, is_first, stuck: false, taken: Vec::new() }
    }

    /// The next delivery of the queue itself.
    fn poll_queue(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        let mut consumer = self.feed.consumer.lock().unwrap();
        if self.line.is(Fault::LosesAtStop) {
            while let Poll::Ready(Some(delivery)) = consumer.poll_next(cx) {
                self.taken.insert(0, delivery);
            }
            if let Some(delivery) = self.taken.pop() {
                return Poll::Ready(Some(delivery));
            }
        }
        consumer.poll_next(cx)
    }

    fn pass_on(&self, delivery: Delivery) -> Delivery {
        let content = match self.line.fault {
            Fault::TakesForeignForTasks => as_task(delivery.content),
            _ => delivery.content,
        };
        let held =
            Held { unsettled: delivery.unsettled, content: content.clone(), queue: self.feed.queue.name().to_owned() };
        let tag = self.line.hold(held);
        let settle = WiredSettle {
            line: self.line.clone(),
            feed: self.feed.clone(),
            broker: self.broker.clone(),
            epoch: self.line.epoch(),
            runtime: Handle::current(),
        };
        let redelivered = delivery.redelivered && !self.line.is(Fault::ForgetsRedelivered);
        Delivery::new(content, redelivered, tag, Arc::new(settle)).with_epitaph(delivery.epitaph)
    }
}

impl DeliverySource for WiredSource {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        *self.feed.waker.lock().unwrap() = Some(cx.waker().clone());
        if self.feed.over.load(Ordering::SeqCst) {
            return Poll::Ready(None);
        }
        if self.stuck || (self.line.is(Fault::ServesOneConsumer) && !self.is_first) {
            return Poll::Pending;
        }
        let next = self.poll_queue(cx);
        self.stuck |= next.is_pending() && self.line.is(Fault::NeverLooksAgain);
        let Some(delivery) = ready!(next) else { return Poll::Ready(None) };
        if let Content::Foreign(_) = &delivery.content
            && self.line.is(Fault::StopsAtForeign)
        {
            self.stuck = true;
            return Poll::Pending;
        }
        Poll::Ready(Some(self.pass_on(delivery)))
    }

    fn stop(&mut self) {
        self.feed.stopped.store(true, Ordering::SeqCst);
        self.feed.consumer.lock().unwrap().stop();
        self.taken.drain(..).for_each(Delivery::ack);
    }
}

struct WiredSettle {
    line: Arc<Line>,
    feed: Arc<Feed>,
    broker: InMemoryBroker,
    epoch: u64,
    runtime: Handle,
}

impl Settle for WiredSettle {
    fn settle(&self, tag: u64, settlement: Settlement) {
        let line = &self.line;
        if self.epoch != line.epoch() && !line.is(Fault::MixesEpochs) {
            return;
        }
        let mut holding = line.held.lock().unwrap();
        let Some(held) = holding.unsettled.remove(&tag) else { return };
        let later = if line.is(Fault::AcksAllBefore) && settlement == Settlement::Ack {
            holding.unsettled.split_off(&tag)
        } else {
            mem::take(&mut holding.unsettled)
        };
        let before = mem::replace(&mut holding.unsettled, later);
        drop(holding);
        before.into_values().for_each(|held| held.unsettled.ack());
        match settlement {
            Settlement::Ack => self.ack(held),
            Settlement::Requeue => self.requeue(held),
        }
    }
}

impl WiredSettle {
    fn ack(&self, held: Held) {
        let stopped = self.feed.stopped.load(Ordering::SeqCst);
        match self.line.fault {
            Fault::IgnoresAcks => held.unsettled.requeue(),
            Fault::ForgetsAtStop if stopped => held.unsettled.requeue(),
            _ => held.unsettled.ack(),
        }
    }

    fn requeue(&self, held: Held) {
        static REQUEUES: AtomicU64 = AtomicU64::new(0);
        match (self.line.fault, &held.content) {
            (Fault::LosesRequeues, _) => held.unsettled.ack(),
            (Fault::LimitsRequeues, _) if REQUEUES.fetch_add(1, Ordering::Relaxed) == 20 => held.unsettled.ack(),
            (Fault::RequeuesToTheEnd, Content::Task(message)) => {
                self.publish_again((**message).clone(), held.queue);
                held.unsettled.ack();
            }
            _ => held.unsettled.requeue(),
        }
    }

    fn publish_again(&self, mut message: Message, queue: String) {
        message.priority = None;
        let broker = self.broker.clone();
        self.runtime.spawn(async move { broker.publish(Publish::new(queue, message)).await });
    }
}
