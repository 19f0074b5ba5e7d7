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
};
use taskq::{
    App, BoxFuture, Broker, BrokerError, Capabilities, Consumer, Content, Delivery, Epitaph, InMemoryResults, Publish,
    QueueInfo, QueueSpec, Settle, Settlement, prelude::*,
};
use tokio::sync::Notify;

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
    consumers: u64,
    changed: Arc<Notify>,
}

#[derive(Clone)]
struct Stored {
    content: Content,
    epitaph: Option<Box<Epitaph>>,
    redelivered: bool,
}

impl Queue {
    fn put(&mut self, place: u64, stored: Stored) {
        self.ready.insert(place, stored);
        self.changed.notify_waiters();
    }
}

impl LocalBroker {
    fn open(&self) -> Result<MutexGuard<'_, State>, BrokerError> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.closed { Err(BrokerError::Closed) } else { Ok(state) }
    }

    /// What `action` gives for this queue.
    fn on<T>(&self, queue: &str, action: impl FnOnce(&mut Queue) -> T) -> Result<T, BrokerError> {
        let unknown = || BrokerError::Unroutable { queue: queue.to_owned() };
        self.open()?.queues.get_mut(queue).map(action).ok_or_else(unknown)
    }
}

type Answer<'a, T> = BoxFuture<'a, Result<T, BrokerError>>;

impl Broker for LocalBroker {
    fn capabilities(&self) -> Capabilities {
        Capabilities::none()
    }

    fn declare<'a>(&'a self, queue: &'a QueueSpec) -> Answer<'a, ()> {
        Box::pin(async {
            if queue.highest_priority().is_some() {
                return Err(BrokerError::Unsupported { what: "priorities".into() });
            }
            let mut state = self.open()?;
            state.queues.entry(queue.name().to_owned()).or_default();
            state.queues.entry(queue.dead_letter_name()).or_default();
            Ok(())
        })
    }

    fn publish(&self, message: Publish) -> Answer<'_, ()> {
        Box::pin(async move {
            let Publish { queue, content, epitaph, delay, .. } = message;
            if delay.is_some() {
                return Err(BrokerError::Unsupported { what: "delays".into() });
            }
            self.on(&queue, |queue| {
                queue.published += 1;
                queue.put(queue.published, Stored { content, epitaph, redelivered: false });
            })
        })
    }

    fn consume<'a>(&'a self, queue: &'a QueueSpec, prefetch: NonZeroU16) -> Answer<'a, Consumer> {
        Box::pin(async move {
            self.on(queue.name(), |queue| queue.consumers += 1)?;
            let queue = LocalQueue { broker: self.clone(), name: queue.name().to_owned() };
            let left = queue.clone();
            let leave = move || drop(left.broker.on(&left.name, |queue| queue.consumers -= 1));
            Ok(Consumer::from_fn(prefetch, move || queue.clone().next(), leave))
        })
    }

    fn inspect<'a>(&'a self, queue: &'a str) -> Answer<'a, QueueInfo> {
        let look = |queue: &mut Queue| QueueInfo::new(queue.ready.len() as u64, None, queue.consumers);
        Box::pin(async move { self.on(queue, look) })
    }

    fn close(&self) -> Answer<'_, ()> {
        Box::pin(async {
            let Ok(mut state) = self.open() else { return Ok(()) };
            state.closed = true;
            state.queues.values().for_each(|queue| queue.changed.notify_waiters());
            Ok(())
        })
    }
}

/// A queue as its consumers see it.
#[derive(Clone)]
struct LocalQueue {
    broker: LocalBroker,
    name: String,
}

impl LocalQueue {
    /// The first message, as soon as there is one; `None` once the broker is closed.
    async fn next(self) -> Option<Delivery> {
        let changes = self.broker.on(&self.name, |queue| queue.changed.clone()).ok()?;
        loop {
            // Listened for before looking, so that a change in between is not missed.
            let change = changes.notified();
            if let Some((place, stored)) = self.broker.on(&self.name, |queue| queue.ready.pop_first()).ok()? {
                let Stored { content, epitaph, redelivered } = stored.clone();
                let delivery = Delivery::new(content, redelivered, place, Arc::new(Taken { queue: self, stored }));
                return Some(delivery.with_epitaph(epitaph));
            }
            change.await;
        }
    }
}

/// A message in a consumer's hands.
struct Taken {
    queue: LocalQueue,
    stored: Stored,
}

impl Settle for Taken {
    fn settle(&self, place: u64, settlement: Settlement) {
        if settlement == Settlement::Requeue {
            let stored = Stored { redelivered: true, ..self.stored.clone() };
            // A broker that was closed has nowhere to put it.
            let _ = self.queue.broker.on(&self.queue.name, |queue| queue.put(place, stored));
        }
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
