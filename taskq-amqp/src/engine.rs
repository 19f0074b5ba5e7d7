//! What a broker is made of once it is used: its runtime, two connections, publisher and consumers.

use crate::{
    address::Address,
    config::Config,
    consumer::{Subscriber, subscribe},
    error,
    levels::Levels,
    link::{Link, Patience, Role},
    publisher::Publisher,
    runtime::Runtime,
    session::{Line, Session},
    strays::Strays,
    topology,
};
use std::{
    num::NonZeroU16,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use taskq_core::{BrokerError, Consumer, Publish, QueueInfo, QueueSpec};
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long a call that needs a connection keeps trying, all servers at least once.
const PATIENCE: Patience = Patience::AtLeast(Duration::from_secs(3));

/// For a question that the server answers at once if it answers at all.
const ANSWER: Duration = Duration::from_secs(10);

/// What closing waits for consumers to tell the last settlements.
const CLOSING: Duration = Duration::from_secs(2);

/// What closing may take in all when nobody waits for it.
const ENDING: Duration = Duration::from_secs(20);

pub(crate) struct Engine {
    runtime: Runtime,
    publishing: Link,
    consuming: Link,
    publisher: Publisher,
    subscriber: Subscriber,
    levels: Arc<Levels>,
    /// Attempts to connect.
    dials: TaskTracker,
    /// What closing waits for.
    lanes: Mutex<Vec<JoinHandle<()>>>,
    is_closed: AtomicBool,
    looks_for_strays: AtomicBool,
}

impl Engine {
    /// Starts the runtime. Connections are made when they are first needed.
    pub(crate) fn start(config: &Config) -> Result<Engine, BrokerError> {
        let addresses = config.addresses()?;
        let servers = addresses.iter().map(Address::shown).collect::<Vec<_>>().join(", ");
        let runtime = Runtime::start().map_err(|error| BrokerError::Other {
            message: "cannot start the threads of the broker's connections".into(),
            source: Some(error.into()),
        })?;
        let dials = TaskTracker::new();
        let link = |role: Role| {
            let link = Link::new(role, dials.clone());
            runtime.spawn(link.clone().keep_up(addresses.clone(), config.connection_name(role)))?;
            Ok::<Link, BrokerError>(link)
        };
        let (publishing, consuming) = (link(Role::Publish)?, link(Role::Consume)?);
        let levels = Arc::default();
        let (publisher, lanes) = Publisher::start(publishing.clone(), &levels, &servers, &runtime)?;
        let subscriber = Subscriber {
            link: consuming.clone(),
            declared: Arc::default(),
            strays: Arc::new(Strays::new(addresses, config.connection_name(Role::Sweep))),
            running: TaskTracker::new(),
            closing: CancellationToken::new(),
        };
        let (lanes, is_closed, looks_for_strays) = (Mutex::new(lanes), AtomicBool::new(false), AtomicBool::new(false));
        Ok(Engine {
            runtime,
            publishing,
            consuming,
            publisher,
            subscriber,
            levels,
            dials,
            lanes,
            is_closed,
            looks_for_strays,
        })
    }

    fn check_open(&self) -> Result<(), BrokerError> {
        if self.is_closed.load(Ordering::Acquire) { Err(BrokerError::Closed) } else { Ok(()) }
    }

    pub(crate) async fn declare(&self, spec: QueueSpec) -> Result<(), BrokerError> {
        self.check_open()?;
        check_name(&spec)?;
        let (link, declared) = (self.publishing.clone(), self.subscriber.declared.clone());
        let declare = async move {
            let session = link.session(PATIENCE).await?;
            answered(&session, spec.name(), topology::declare(&session, &spec)).await?;
            declared.remember(&spec);
            Ok(())
        };
        self.runtime.run(declare).await
    }

    /// Declares what delayed messages pass.
    pub(crate) async fn prepare_delays(&self) -> Result<(), BrokerError> {
        self.check_open()?;
        let (link, levels) = (self.publishing.clone(), self.levels.clone());
        let declare = async move {
            let session = link.session(PATIENCE).await?;
            answered(&session, "taskq.v1.delay", levels.declare(&session)).await
        };
        self.runtime.run(declare).await
    }

    pub(crate) async fn publish(&self, publish: Publish) -> Result<(), BrokerError> {
        self.check_open()?;
        self.publisher.publish(publish, &self.runtime).await
    }

    pub(crate) async fn publish_many(&self, publishes: Vec<Publish>) -> Vec<Result<(), BrokerError>> {
        if self.check_open().is_err() {
            return publishes.iter().map(|_| Err(BrokerError::Closed)).collect();
        }
        self.publisher.publish_many(publishes, &self.runtime).await
    }

    pub(crate) async fn consume(self: Arc<Self>, queue: String, prefetch: NonZeroU16) -> Result<Consumer, BrokerError> {
        self.check_open()?;
        error::check_queue_name(&queue)?;
        self.look_for_strays()?;
        let subscribing = subscribe(self.subscriber.clone(), queue, prefetch, PATIENCE, self.clone());
        self.runtime.run(subscribing).await
    }

    /// Begins to look for messages that had nowhere to go. Whoever only publishes leaves that to others.
    fn look_for_strays(self: &Arc<Self>) -> Result<(), BrokerError> {
        if !self.looks_for_strays.swap(true, Ordering::AcqRel) {
            let Subscriber { strays, closing, .. } = &self.subscriber;
            drop(self.runtime.spawn(strays.clone().keep_looking(Arc::downgrade(self), closing.clone()))?);
        }
        Ok(())
    }

    pub(crate) async fn inspect(&self, queue: String) -> Result<QueueInfo, BrokerError> {
        self.check_open()?;
        error::check_queue_name(&queue)?;
        // A publishing connection may be blocked; the other one never is.
        let link = if self.consuming.present().is_some() { self.consuming.clone() } else { self.publishing.clone() };
        let look = async move {
            let session = link.session(PATIENCE).await?;
            let seen = answered(&session, &queue, topology::look(&session, &queue)).await?;
            Ok(QueueInfo::new(seen.message_count().into(), None, seen.consumer_count().into()))
        };
        self.runtime.run(look).await
    }

    /// Closes everything; what is on its way gets a few seconds.
    pub(crate) async fn close(&self) -> Result<(), BrokerError> {
        if self.is_closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.runtime.spawn(self.ending())?.await.map_err(|_| BrokerError::other("closing the broker did not end well"))
    }

    fn ending(&self) -> impl Future<Output = ()> + Send + use<> {
        let lanes = std::mem::take(&mut *self.lanes.lock().unwrap_or_else(PoisonError::into_inner));
        let publishing = self.publisher.close(lanes);
        let (subscriber, publish_link, consume_link) =
            (self.subscriber.clone(), self.publishing.clone(), self.consuming.clone());
        async move {
            subscriber.closing.cancel();
            subscriber.running.close();
            let told = timeout(CLOSING, subscriber.running.wait());
            if tokio::join!(told, publishing).0.is_err() {
                tracing::warn!("some settlements were not told when the broker was closed; their messages come again");
            }
            tokio::join!(publish_link.close(), consume_link.close());
        }
    }
}

impl Drop for Engine {
    /// Closes the connections behind the back of whoever dropped the last handle.
    fn drop(&mut self) {
        let (ending, dials) = (self.ending(), self.dials.clone());
        dials.close();
        let ending = async move {
            ending.await;
            dials.wait().await;
        };
        self.runtime.end_after(ending, ENDING);
    }
}

/// RabbitMQ's names are AMQP short strings, and a delayed message's key has the queue's name in it.
fn check_name(spec: &QueueSpec) -> Result<(), BrokerError> {
    let name = if spec.is_dead_letters() { &spec.name()[..spec.name().len() - ".dead".len()] } else { spec.name() };
    QueueSpec::new(name)
        .check()
        .map_err(|reason| BrokerError::Unsupported { what: format!("a queue name that {reason}") })
}

/// What the server answers about a queue, if it does in time.
async fn answered<T>(
    session: &Session,
    queue: &str,
    asking: impl Future<Output = Result<T, lapin::Error>>,
) -> Result<T, BrokerError> {
    match timeout(ANSWER, session.guard(asking)).await {
        Ok(answer) => answer.map_err(|error| error::of_queue(&error, queue, &session.address)),
        Err(_) => Err(match &*session.line().borrow() {
            Line::Blocked { reason } => BrokerError::Blocked { reason: reason.clone() },
            _ => BrokerError::Unreachable { address: session.address.clone(), source: Some("no answer".into()) },
        }),
    }
}
