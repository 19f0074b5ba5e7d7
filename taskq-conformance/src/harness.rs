//! What a tester says about the broker under test.

use bytes::Bytes;
use std::{
    future::{Future, ready},
    process,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use taskq_core::{Broker, QueueSpec, TaskId};

/// How the suite reaches the broker under test, and what else it may do to it.
///
/// Only [`connect`](Harness::connect) must be written; all of it may be written as `async fn`. What is not provided
/// leaves out the cases that need it. [`broker_suite!`](crate::broker_suite) makes one harness per case.
pub trait Harness: Send + Sync {
    /// The broker under test.
    type Broker: Broker;

    /// A fresh connection, each time to the same broker. A broker inside this process gives a handle of the same one.
    fn connect(&self) -> impl Future<Output = Self::Broker> + Send;

    /// A name that no other test uses at the same time; `label` says what for. The suite also uses such a name with `a.`
    /// before it and with `.dead` after it.
    fn queue(&self, label: &str) -> String {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let made = MADE.fetch_add(1, Ordering::Relaxed);
        format!("conformance.{label}.{}.{made}.{}", process::id(), TaskId::new())
    }

    /// How a queue is declared that needs nothing special; to run the suite on other kinds of queues.
    fn spec(&self, queue: &str) -> QueueSpec {
        QueueSpec::new(queue)
    }

    /// Cuts all connections of this harness, as a network would, and lets new ones through. `false`, the default, if it
    /// cannot.
    fn interrupt(&self) -> impl Future<Output = bool> + Send {
        ready(false)
    }

    /// Puts a message into the queue that has this body and no envelope that taskq could read. `false`, the default, if
    /// it cannot.
    fn inject(&self, queue: &str, body: Bytes) -> impl Future<Output = bool> + Send {
        let _ = (queue, body);
        ready(false)
    }

    /// Removes what a case left behind: called once per queue, and once for its dead letters, when all connections are
    /// closed. Does nothing by default.
    fn cleanup(&self, queue: &str) -> impl Future<Output = ()> + Send {
        let _ = queue;
        ready(())
    }

    /// Whether closing one connection leaves the others and the queues as they are. `false` for a broker inside this
    /// process that is closed as a whole.
    fn outlives_close(&self) -> bool {
        true
    }

    /// The longest that the suite waits for any one thing that must happen, over and above a delay; 10 s unless said
    /// otherwise. A whole case may take twelve times as long.
    fn patience(&self) -> Duration {
        Duration::from_secs(10)
    }
}
