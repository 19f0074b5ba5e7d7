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
///
/// A broker that lives in this process, and for which everything else is as the suite assumes:
///
/// ```
/// # use taskq::InMemoryBroker as MyBroker;
/// use taskq_conformance::Harness;
///
/// struct MyHarness(MyBroker);
///
/// impl Harness for MyHarness {
///     type Broker = MyBroker;
///
///     async fn connect(&self) -> MyBroker {
///         self.0.clone()
///     }
///
///     fn outlives_close(&self) -> bool {
///         false
///     }
/// }
/// ```
pub trait Harness: Send + Sync {
    /// The broker under test.
    type Broker: Broker;

    /// A fresh connection, each time to the same broker. A broker inside this process gives a handle of the same one.
    ///
    /// The suite closes every one of them after the case. A broker that cannot be reached has no other way to say so than
    /// a panic, which fails the case.
    ///
    /// ```
    /// # use taskq::{Broker, InMemoryBroker as MyBroker, QueueSpec};
    /// use taskq_conformance::Harness;
    /// # struct MyHarness(MyBroker);
    /// # impl Harness for MyHarness {
    /// #     type Broker = MyBroker;
    /// #     async fn connect(&self) -> MyBroker {
    /// #         self.0.clone()
    /// #     }
    /// # }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let harness = MyHarness(MyBroker::new());
    /// let (one, other) = (harness.connect().await, harness.connect().await);
    /// one.declare(&QueueSpec::new("mail")).await?;
    /// assert!(other.inspect("mail").await.is_ok());
    /// # Ok::<_, taskq::BrokerError>(())
    /// # }).unwrap();
    /// ```
    fn connect(&self) -> impl Future<Output = Self::Broker> + Send;

    /// A name that no other test uses at the same time; `label` says what for. The suite also uses such a name with `a.`
    /// before it and with `.dead` after it. By default it holds the label, this process's number and a [`TaskId`].
    ///
    /// ```
    /// # use taskq::InMemoryBroker as MyBroker;
    /// use taskq_conformance::Harness;
    /// use taskq::TaskId;
    ///
    /// # struct MyHarness(MyBroker);
    /// impl Harness for MyHarness {
    ///     // ..
    /// #   type Broker = MyBroker;
    /// #   async fn connect(&self) -> MyBroker {
    /// #       self.0.clone()
    /// #   }
    ///     fn queue(&self, label: &str) -> String {
    ///         format!("ci.{label}.{}", TaskId::new())
    ///     }
    /// }
    ///
    /// let harness = MyHarness(MyBroker::new());
    /// assert_ne!(harness.queue("order"), harness.queue("order"));
    /// ```
    fn queue(&self, label: &str) -> String {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let made = MADE.fetch_add(1, Ordering::Relaxed);
        format!("conformance.{label}.{}.{made}.{}", process::id(), TaskId::new())
    }

    /// How a queue is declared that needs nothing special; to run the suite on other kinds of queues.
    ///
    /// ```
    /// # use taskq::InMemoryBroker as MyBroker;
    /// use taskq_conformance::Harness;
    /// use taskq::QueueSpec;
    ///
    /// # struct MyHarness(MyBroker);
    /// impl Harness for MyHarness {
    ///     // ..
    /// #   type Broker = MyBroker;
    /// #   async fn connect(&self) -> MyBroker {
    /// #       self.0.clone()
    /// #   }
    ///     fn spec(&self, queue: &str) -> QueueSpec {
    ///         QueueSpec::new(queue).classic()
    ///     }
    /// }
    /// ```
    fn spec(&self, queue: &str) -> QueueSpec {
        QueueSpec::new(queue)
    }

    /// Cuts all connections of this harness, as a network would, and lets new ones through. `false`, the default, if it
    /// cannot: the cases about broken connections are left out.
    ///
    /// Resolves once they are cut. With a relay between the broker and the tests:
    ///
    /// ```
    /// # use taskq::InMemoryBroker as MyBroker;
    /// use taskq_conformance::Harness;
    ///
    /// # #[derive(Clone, Default)]
    /// # struct Relay;
    /// # impl Relay {
    /// #     fn cut(&self) {}
    /// # }
    /// struct MyHarness {
    ///     relay: Relay,
    ///     // ..
    /// #   broker: MyBroker,
    /// }
    ///
    /// impl Harness for MyHarness {
    ///     // ..
    /// #   type Broker = MyBroker;
    /// #   async fn connect(&self) -> MyBroker {
    /// #       self.broker.clone()
    /// #   }
    ///     async fn interrupt(&self) -> bool {
    ///         self.relay.cut();
    ///         true
    ///     }
    /// }
    /// ```
    fn interrupt(&self) -> impl Future<Output = bool> + Send {
        ready(false)
    }

    /// Puts a message into the queue that has this body and no envelope that taskq could read. `false`, the default, if
    /// it cannot: the cases about unreadable messages are left out.
    ///
    /// Resolves once the message is in the queue.
    ///
    /// ```
    /// # use taskq::InMemoryBroker as MyBroker;
    /// use taskq_conformance::Harness;
    /// use bytes::Bytes;
    /// use taskq::{Broker, Content, Foreign, Publish};
    ///
    /// # struct MyHarness(MyBroker);
    /// impl Harness for MyHarness {
    ///     // ..
    /// #   type Broker = MyBroker;
    /// #   async fn connect(&self) -> MyBroker {
    /// #       self.0.clone()
    /// #   }
    ///     async fn inject(&self, queue: &str, body: Bytes) -> bool {
    ///         let reason = "not from taskq".into();
    ///         let foreign = Foreign { reason, id: None, content_type: None, headers: Default::default(), body };
    ///         self.0.publish(Publish::new(queue, Content::from(foreign))).await.is_ok()
    ///     }
    /// }
    /// ```
    fn inject(&self, queue: &str, body: Bytes) -> impl Future<Output = bool> + Send {
        let _ = (queue, body);
        ready(false)
    }

    /// Removes what a case left behind: called once per queue, and once for its dead letters, when all connections are
    /// closed. Does nothing by default.
    ///
    /// Resolves once the queue is gone. The queue may not exist: a case may have failed before it declared it.
    ///
    /// ```
    /// # use taskq::InMemoryBroker as MyBroker;
    /// use taskq_conformance::Harness;
    ///
    /// # #[derive(Clone, Default)]
    /// # struct Admin;
    /// # impl Admin {
    /// #     async fn delete_queue(&self, _: &str) {}
    /// # }
    /// struct MyHarness {
    ///     admin: Admin,
    ///     // ..
    /// #   broker: MyBroker,
    /// }
    ///
    /// impl Harness for MyHarness {
    ///     // ..
    /// #   type Broker = MyBroker;
    /// #   async fn connect(&self) -> MyBroker {
    /// #       self.broker.clone()
    /// #   }
    ///     async fn cleanup(&self, queue: &str) {
    ///         self.admin.delete_queue(queue).await;
    ///     }
    /// }
    /// ```
    fn cleanup(&self, queue: &str) -> impl Future<Output = ()> + Send {
        let _ = queue;
        ready(())
    }

    /// Whether closing one connection leaves the others and the queues as they are. `false` for a broker inside this
    /// process that is closed as a whole: the cases about it are left out. `true` by default.
    ///
    /// ```
    /// # use taskq::InMemoryBroker as MyBroker;
    /// use taskq_conformance::Harness;
    ///
    /// # struct MyHarness(MyBroker);
    /// impl Harness for MyHarness {
    ///     // ..
    /// #   type Broker = MyBroker;
    /// #   async fn connect(&self) -> MyBroker {
    /// #       self.0.clone()
    /// #   }
    ///     fn outlives_close(&self) -> bool {
    ///         false
    ///     }
    /// }
    /// ```
    fn outlives_close(&self) -> bool {
        true
    }

    /// The longest that the suite waits for any one thing that must happen, over and above a delay; 10 s unless said
    /// otherwise. A whole case may take twelve times as long.
    ///
    /// ```
    /// # use taskq::InMemoryBroker as MyBroker;
    /// use taskq_conformance::Harness;
    /// use std::time::Duration;
    ///
    /// # struct MyHarness(MyBroker);
    /// impl Harness for MyHarness {
    ///     // ..
    /// #   type Broker = MyBroker;
    /// #   async fn connect(&self) -> MyBroker {
    /// #       self.0.clone()
    /// #   }
    ///     fn patience(&self) -> Duration {
    ///         Duration::from_secs(60) // a slow machine
    ///     }
    /// }
    /// ```
    fn patience(&self) -> Duration {
        Duration::from_secs(10)
    }
}
