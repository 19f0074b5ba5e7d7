//! The in-memory broker: a real broker inside one process, for tests and for programs that need no other.

mod claims;
mod consumer;
mod expiring;
mod key;
mod queue;
mod results;

pub use results::InMemoryResults;

use crate::{
    BoxFuture,
    broker::{Broker, Capabilities, Origin, Publish, QueueInfo},
    clock::from_now,
    dead_letters::DeadLetter,
    defaults::{CONCURRENCY, MEMORY_CAPACITY},
    delivery::Consumer,
    error::BrokerError,
    queue::QueueSpec,
    results::ResultBackend,
};
use consumer::MemorySource;
use queue::{Entry, Queue};
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    num::{NonZeroU16, NonZeroUsize},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
};
use tokio::{runtime, sync::Notify, time::Instant};

/// A broker inside this process. Messages are bytes in queues: FIFO, prefetch, delays, priorities, dead letters and
/// bounded capacity are as on a server, and results come with it. An app on it runs its tasks by itself, each on the
/// runtime that submitted it, so that `tokio::time::pause` makes hours of back-off pass in milliseconds.
///
/// Cheap to clone: clones are the same broker. Nothing outlives the process. An app of its own wants a broker of its own:
/// where several apps share one, whichever runs tasks on this runtime runs all of them, with its own state and middleware.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use taskq::{BrokerExt, InMemoryBroker};
///
/// let broker = InMemoryBroker::new().concurrency(4).capacity(1_000);
/// let app = broker.clone().into_app();
/// app.scope(async { /* add.kiq(1, 2).await */ }).await;
/// broker.wait_idle().await;
/// assert!(broker.dead_letters("taskq").is_empty());
/// # }
/// ```
#[derive(Clone)]
pub struct InMemoryBroker {
    shared: Arc<Shared>,
    results: InMemoryResults,
}

struct Shared {
    state: Mutex<State>,
    /// Told whenever the last message has gone.
    idle: Notify,
}

struct State {
    settings: Settings,
    queues: BTreeMap<String, Queue>,
    next: u64,
    closed: bool,
}

struct Settings {
    capacity: usize,
    embedded: bool,
    concurrency: NonZeroUsize,
    queue_concurrency: HashMap<String, NonZeroUsize>,
}

impl Settings {
    fn limit_of(&self, queue: &str) -> Option<NonZeroUsize> {
        self.embedded.then(|| self.queue_concurrency.get(queue).copied().unwrap_or(self.concurrency))
    }
}

impl Default for InMemoryBroker {
    fn default() -> Self {
        InMemoryBroker::new()
    }
}

impl InMemoryBroker {
    /// A broker of its own, empty: capacity 10,000 per queue, 100 tasks of a queue at once.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// # use taskq::{BrokerExt, InMemoryBroker};
    /// let app = InMemoryBroker::new().register::<Add>();
    /// let handle = add(2, 3).kiq().on(&app).await?; // run here, without a worker being started
    /// assert_eq!(handle.wait_result().await?.into_value()?, 5);
    /// # Ok(()) }
    /// ```
    pub fn new() -> Self {
        let settings = Settings {
            capacity: MEMORY_CAPACITY,
            embedded: true,
            concurrency: NonZeroUsize::new(CONCURRENCY).unwrap_or(NonZeroUsize::MIN),
            queue_concurrency: HashMap::new(),
        };
        let state = State { settings, queues: BTreeMap::new(), next: 0, closed: false };
        let shared = Shared { state: Mutex::new(state), idle: Notify::new() };
        InMemoryBroker { shared: Arc::new(shared), results: InMemoryResults::default() }
    }

    /// How many messages a queue holds, waiting and running, before `kiq` waits for room, up to the publish timeout,
    /// and then gives `QueueFull`; 10,000 by default, and 0 counts as 1. A queue holds as many delayed ones beside
    /// them. A queue of dead letters keeps as many, and then forgets the oldest, with a warning in the log. Retries,
    /// delayed tasks that come due, and tasks that a running task submits do not wait.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// # use taskq::{BrokerExt, InMemoryBroker, KiqError};
    /// let app = InMemoryBroker::new().capacity(2).without_worker().with_publish_timeout("20ms").register::<Add>();
    /// add(1, 1).kiq().on(&app).await?;
    /// add(2, 2).kiq().on(&app).await?;
    /// let error = add(3, 3).kiq().on(&app).await.unwrap_err();
    /// assert!(matches!(error, KiqError::QueueFull { queue, .. } if queue == "taskq"));
    /// # Ok(()) }
    /// ```
    pub fn capacity(self, messages: usize) -> Self {
        self.shared.lock().settings.capacity = messages.max(1);
        self
    }

    /// How many tasks of each queue run at once, over all that consume it; 100 by default. 1 runs them strictly one
    /// after another; 0 counts as 1. Says nothing after [`InMemoryBroker::without_worker`]: there the worker's own
    /// concurrency does.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> taskq::Result<()> {
    /// # use taskq::{BrokerExt, InMemoryBroker};
    /// # use std::time::Duration;
    /// let app = InMemoryBroker::new().concurrency(1).register::<Nap>();
    /// let began = tokio::time::Instant::now();
    /// let naps = app.kiq_many([nap(60), nap(60)]).await?;
    /// naps[1].wait_result().await?;
    /// assert!(began.elapsed() >= Duration::from_secs(120)); // one after the other
    /// # Ok(()) }
    /// ```
    pub fn concurrency(self, tasks: usize) -> Self {
        self.shared.lock().settings.concurrency = NonZeroUsize::new(tasks).unwrap_or(NonZeroUsize::MIN);
        self
    }

    /// How many tasks of one queue run at once, in place of [`InMemoryBroker::concurrency`]; 0 counts as 1.
    ///
    /// ```
    /// # use taskq::{Broker, InMemoryBroker};
    /// let broker = InMemoryBroker::new().concurrency(8).queue_concurrency("reports", 1);
    /// assert_eq!(broker.embedded_concurrency("reports").map(usize::from), Some(1));
    /// assert_eq!(broker.embedded_concurrency("mail").map(usize::from), Some(8));
    /// ```
    pub fn queue_concurrency(self, queue: impl Into<String>, tasks: usize) -> Self {
        let tasks = NonZeroUsize::new(tasks).unwrap_or(NonZeroUsize::MIN);
        self.shared.lock().settings.queue_concurrency.insert(queue.into(), tasks);
        self
    }

    /// Runs nothing by itself: messages wait for a worker (`app.worker()`), as on a server.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// # use taskq::{BrokerExt, InMemoryBroker, TaskStatus};
    /// let app = InMemoryBroker::new().without_worker().register::<Add>();
    /// let handle = add(2, 3).kiq().on(&app).await?;
    /// assert_eq!(app.broker().inspect("taskq").await?.ready, 1); // it waits
    ///
    /// app.worker().run_until(handle.wait_result()).await?;
    /// assert_eq!(handle.status().await?, TaskStatus::Done);
    /// # Ok(()) }
    /// ```
    pub fn without_worker(self) -> Self {
        self.shared.lock().settings.embedded = false;
        self
    }

    /// Resolves when no message is left: none waits, none is delayed, none runs. At once if there is none. Cancel safe.
    ///
    /// Never resolves while a message lies in a queue that nobody consumes.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// # use taskq::{BrokerExt, InMemoryBroker, TaskStatus};
    /// let broker = InMemoryBroker::new();
    /// let app = broker.clone().register::<Add>();
    /// let handles = app.kiq_many((0..100).map(|n| add(n, n))).await?;
    /// broker.wait_idle().await;
    /// for handle in handles {
    ///     assert_eq!(handle.status().await?, TaskStatus::Done);
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn wait_idle(&self) {
        loop {
            let idle = self.shared.idle.notified();
            if self.shared.lock().is_idle() {
                return;
            }
            idle.await;
        }
    }

    /// The dead letters of `queue`, oldest first, for a test to look at; none for a queue that does not exist. They
    /// stay where they are. [`App::dead_letters`](crate::App::dead_letters) also replays them.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// # use taskq::{BrokerExt, FailureKind, InMemoryBroker};
    /// let broker = InMemoryBroker::new();
    /// let app = broker.clone().register::<Add>();
    /// add(i64::MAX, 1).kiq().on(&app).await?;
    /// broker.wait_idle().await;
    ///
    /// let letters = broker.dead_letters("taskq");
    /// assert_eq!((letters.len(), letters[0].kind), (1, FailureKind::Error));
    /// assert_eq!(letters[0].error, "the sum is too large");
    /// # Ok(()) }
    /// ```
    pub fn dead_letters(&self, queue: &str) -> Vec<DeadLetter> {
        let name = QueueSpec::new(queue).dead_letter_name();
        let state = self.shared.lock();
        let Some(dead) = state.queues.get(&name) else { return Vec::new() };
        dead.waiting().map(|entry| DeadLetter::new(&entry.content, entry.epitaph.as_deref(), queue)).collect()
    }

    /// Puts the message into its queue, or says that there is no room.
    fn try_publish(&self, message: &mut Option<Publish>) -> Result<Published, BrokerError> {
        let mut state = self.shared.lock();
        if state.closed {
            return Err(BrokerError::Closed);
        }
        let capacity = state.settings.capacity;
        let key = state.next;
        let Some(queue) = message.as_ref().and_then(|message| state.queues.get_mut(&*message.queue)) else {
            let queue = message.take().map(|message| message.queue.to_string()).unwrap_or_default();
            return Err(BrokerError::Unroutable { queue });
        };
        let due = message.as_ref().and_then(|message| message.delay).map(after);
        let waits = message.as_ref().is_some_and(|message| message.origin == Origin::Caller);
        if waits && !queue.has_room(capacity, due.is_some()) {
            return Ok(Published::Full(queue.room(due.is_some())));
        }
        let Some(publish) = message.take() else { return Ok(Published::Taken) };
        let home = runtime::Handle::try_current().ok().map(|runtime| runtime.id());
        let wakers = queue.put(key, Entry::new(publish.content, publish.epitaph, home), due, capacity);
        state.next += 1;
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        Ok(Published::Taken)
    }

    async fn publish_when_there_is_room(&self, message: Publish) -> Result<(), BrokerError> {
        let (within, queue) = (message.within, message.queue.clone());
        let mut message = Some(message);
        let mut deadline = None;
        loop {
            let room = match self.try_publish(&mut message)? {
                Published::Taken => return Ok(()),
                Published::Full(room) => room,
            };
            let deadline = *deadline.get_or_insert_with(|| from_now(within));
            let mut freed = std::pin::pin!(room.notified());
            freed.as_mut().enable();
            // Room may have come free before we listened.
            if let Published::Taken = self.try_publish(&mut message)? {
                return Ok(());
            }
            if tokio::time::timeout_at(deadline, freed).await.is_err() {
                return Err(BrokerError::Full { queue: queue.to_string() });
            }
        }
    }
}

enum Published {
    Taken,
    Full(Arc<Notify>),
}

/// Instants on the wire are whole milliseconds: one more, so that an `eta` has passed when its message comes.
fn after(delay: std::time::Duration) -> Instant {
    from_now(delay) + std::time::Duration::from_millis(1)
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_idle(&self) -> bool {
        self.queues.values().all(Queue::is_idle)
    }

    fn declare(&mut self, spec: &QueueSpec) -> Result<(), BrokerError> {
        if self.closed {
            return Err(BrokerError::Closed);
        }
        match self.queues.get(spec.name()) {
            Some(there) => there.check_same(spec)?,
            None => drop(self.queues.insert(spec.name().to_owned(), Queue::new(spec.clone()))),
        }
        let dead = spec.dead_letters();
        if !spec.is_dead_letters() {
            self.queues.entry(dead.name().to_owned()).or_insert_with(|| Queue::new(dead));
        }
        Ok(())
    }

    fn existing(&mut self, queue: &str) -> Result<&mut Queue, BrokerError> {
        if self.closed {
            return Err(BrokerError::Closed);
        }
        self.queues.get_mut(queue).ok_or_else(|| BrokerError::Unroutable { queue: queue.to_owned() })
    }
}

impl Broker for InMemoryBroker {
    fn capabilities(&self) -> Capabilities {
        Capabilities::none().with_delay().with_priorities()
    }

    fn declare<'a>(&'a self, queue: &'a QueueSpec) -> BoxFuture<'a, Result<(), BrokerError>> {
        Box::pin(async move { self.shared.lock().declare(queue) })
    }

    fn publish(&self, message: Publish) -> BoxFuture<'_, Result<(), BrokerError>> {
        Box::pin(self.publish_when_there_is_room(message))
    }

    fn consume<'a>(
        &'a self,
        queue: &'a QueueSpec,
        prefetch: NonZeroU16,
    ) -> BoxFuture<'a, Result<Consumer, BrokerError>> {
        Box::pin(async move {
            let source = MemorySource::start(&self.shared, queue.name(), prefetch)?;
            Ok(Consumer::new(source))
        })
    }

    fn inspect<'a>(&'a self, queue: &'a str) -> BoxFuture<'a, Result<QueueInfo, BrokerError>> {
        Box::pin(async move { Ok(self.shared.lock().existing(queue)?.inspect()) })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), BrokerError>> {
        Box::pin(async move {
            let mut state = self.shared.lock();
            state.closed = true;
            state.queues.values_mut().for_each(Queue::close);
            Ok(())
        })
    }

    fn default_results(&self) -> Option<Arc<dyn ResultBackend>> {
        Some(Arc::new(self.results.clone()))
    }

    fn embedded_concurrency(&self, queue: &str) -> Option<NonZeroUsize> {
        self.shared.lock().settings.limit_of(queue)
    }
}

impl fmt::Debug for InMemoryBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.lock();
        f.debug_struct("InMemoryBroker").field("queues", &state.queues.keys()).field("closed", &state.closed).finish()
    }
}
