//! A broker of one's own: what it takes to keep the whole contract, without delays and priorities.
//!
//! Run with `cargo run --example custom_broker`. You should see:
//!
//! ```text
//! 2 + 3 = 5
//! ```
//!
//! `cargo test --example custom_broker` runs the contract's own suite on it.

#![allow(clippy::print_stdout)]

use std::{
    collections::{BTreeMap, HashMap},
    num::NonZeroU16,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};
use taskq::{
    App, BoxFuture, Broker, BrokerError, Capabilities, Consumer, Content, Delivery, DeliverySource, Epitaph,
    InMemoryResults, Publish, QueueInfo, QueueSpec, Settle, Settlement, prelude::*,
};

/// Queues in the memory of this process. Clones are the same broker.
#[derive(Clone, Default)]
struct LocalBroker {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    queues: HashMap<String, Queue>,
    closed: bool,
}

/// Messages are kept by their place, the number of their publish, so that one that is given back returns to it.
#[derive(Default)]
struct Queue {
    published: u64,
    ready: BTreeMap<u64, Stored>,
    unsettled: BTreeMap<u64, Stored>,
    consumers: u64,
    waiting: Vec<Waker>,
}

#[derive(Clone)]
struct Stored {
    content: Content,
    epitaph: Option<Epitaph>,
    redelivered: bool,
}

impl LocalBroker {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `action` gives for this queue; whoever waits at the queue looks again.
    fn on<T>(&self, queue: &str, action: impl FnOnce(&mut Queue) -> T) -> Result<T, BrokerError> {
        let mut state = self.lock();
        if state.closed {
            return Err(BrokerError::Closed);
        }
        let unknown = || BrokerError::Unroutable { queue: queue.to_owned() };
        let queue = state.queues.get_mut(queue).ok_or_else(unknown)?;
        let value = action(queue);
        queue.waiting.drain(..).for_each(Waker::wake);
        Ok(value)
    }

    fn declare_both(&self, queue: &QueueSpec) -> Result<(), BrokerError> {
        if queue.highest_priority().is_some() {
            return Err(BrokerError::Unsupported { what: "priorities".into() });
        }
        let mut state = self.lock();
        if state.closed {
            return Err(BrokerError::Closed);
        }
        state.queues.entry(queue.name().to_owned()).or_default();
        state.queues.entry(queue.dead_letter_name()).or_default();
        Ok(())
    }

    fn take_over(&self, Publish { queue, content, epitaph, delay, .. }: Publish) -> Result<(), BrokerError> {
        if delay.is_some() {
            return Err(BrokerError::Unsupported { what: "delays".into() });
        }
        self.on(&queue, |queue| {
            queue.ready.insert(queue.published, Stored { content, epitaph, redelivered: false });
            queue.published += 1;
        })
    }
}

impl Broker for LocalBroker {
    fn capabilities(&self) -> Capabilities {
        Capabilities::none()
    }

    fn declare<'a>(&'a self, queue: &'a QueueSpec) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(async { self.declare_both(queue) })
    }

    fn publish(&self, message: Publish) -> BoxFuture<'_, Result<(), BrokerError>> {
        Box::pin(async { self.take_over(message) })
    }

    fn consume<'a>(
        &'a self,
        queue: &'a QueueSpec,
        prefetch: NonZeroU16,
    ) -> BoxFuture<'a, Result<Consumer, BrokerError>> {
        Box::pin(async move {
            self.on(queue.name(), |queue| queue.consumers += 1)?;
            let held = Held { broker: self.clone(), queue: queue.name().to_owned(), room: Mutex::new(prefetch.get()) };
            Ok(Consumer::new(LocalSource(Arc::new(held))))
        })
    }

    fn inspect<'a>(&'a self, queue: &'a str) -> BoxFuture<'a, Result<QueueInfo, BrokerError>> {
        let look = |queue: &mut Queue| {
            QueueInfo::new(queue.ready.len() as u64, Some(queue.unsettled.len() as u64), queue.consumers)
        };
        Box::pin(async move { self.on(queue, look) })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        let mut state = self.lock();
        state.closed = true;
        state.queues.drain().for_each(|(_, queue)| queue.waiting.into_iter().for_each(Waker::wake));
        Box::pin(async { Ok(()) })
    }
}

/// One consumer's side of its queue: it takes a message when it is asked for one, and has room.
struct LocalSource(Arc<Held>);

struct Held {
    broker: LocalBroker,
    queue: String,
    room: Mutex<u16>,
}

impl DeliverySource for LocalSource {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        let held = &self.0;
        let mut state = held.broker.lock();
        let Some(queue) = state.queues.get_mut(&held.queue) else { return Poll::Ready(None) };
        let mut room = held.room.lock().unwrap_or_else(PoisonError::into_inner);
        let first = if *room > 0 { queue.ready.pop_first() } else { None };
        let Some((place, stored)) = first else {
            if !queue.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                queue.waiting.push(cx.waker().clone());
            }
            return Poll::Pending;
        };
        *room -= 1;
        queue.unsettled.insert(place, stored.clone());
        let delivery = Delivery::new(stored.content, stored.redelivered, place, held.clone());
        Poll::Ready(Some(delivery.with_epitaph(stored.epitaph)))
    }

    fn stop(&mut self) {
        // After the broker was closed there is nothing to leave.
        let _ = self.0.broker.on(&self.0.queue, |queue| queue.consumers -= 1);
    }
}

impl Settle for Held {
    fn settle(&self, place: u64, settlement: Settlement) {
        let _ = self.broker.on(&self.queue, |queue| {
            let Some(stored) = queue.unsettled.remove(&place) else { return };
            *self.room.lock().unwrap_or_else(PoisonError::into_inner) += 1;
            if let Settlement::Requeue = settlement {
                queue.ready.insert(place, Stored { redelivered: true, ..stored });
            }
        });
    }
}

/// Adds two numbers.
#[task]
async fn add(a: i64, b: i64) -> i64 {
    a + b
}

async fn two_and_three(app: &App) -> taskq::Result<i64> {
    Ok(add.kiq(2, 3).on(app).await?.wait_result().await?.into_value()?)
}

#[tokio::main]
async fn main() -> taskq::Result<()> {
    let app = LocalBroker::default().with_result_backend(InMemoryResults::new());
    let mut sum = Ok(0);
    app.worker().run_until(async { sum = two_and_three(&app).await }).await?;
    println!("2 + 3 = {}", sum?);
    Ok(())
}

#[cfg(test)]
mod contract {
    use super::LocalBroker;
    use taskq_conformance::{Harness, broker_suite};

    struct Local(LocalBroker);

    impl Harness for Local {
        type Broker = LocalBroker;

        async fn connect(&self) -> LocalBroker {
            self.0.clone()
        }

        fn outlives_close(&self) -> bool {
            false
        }
    }

    broker_suite!(Local(LocalBroker::default()));
}
