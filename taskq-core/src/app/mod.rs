//! The app: a broker, a result backend, state, middleware and queues under one cheap handle.

mod build;
mod current;
mod into_app;
mod many;
mod start;

pub use build::BrokerExt;
pub(crate) use current::Current;
pub use current::{InApp, spawn};
pub use into_app::IntoApp;

use crate::{
    broker::Broker,
    context::TaskContext,
    dead_letters::DeadLetters,
    defaults::{MAX_TASK_NAME, PUBLISH_TIMEOUT, QUEUE, RESULT_PATIENCE, RESULT_TTL},
    message::ContentType,
    middleware::{Middleware, SendMiddleware},
    observer::{Event, Observer},
    queue::QueueSpec,
    results::ResultBackend,
    state::StateMap,
    task::TaskDef,
    trace::TraceContext,
    worker::{Embedded, Worker},
};
use start::Started;
use std::{
    fmt,
    sync::{Arc, LazyLock, OnceLock, atomic::AtomicBool},
    time::Duration,
};
use tokio::sync::{OnceCell, Semaphore};

/// Everything that producers and workers of one application share. Cheap to clone: clones are the same app.
///
/// Building it does no I/O and never fails; [`App::startup`] connects, declares and checks. The `with_..` methods give
/// a new app, which has not started.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> taskq::Result<()> {
/// use taskq::{BrokerExt, InMemoryBroker, QueueSpec};
///
/// let app = InMemoryBroker::new().with_queue(QueueSpec::new("mail").priorities(10)).with_state(String::from("hello"));
/// app.startup().await?;
/// app.shutdown().await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct App {
    config: Arc<Config>,
    live: Arc<Live>,
}

/// What the user asked for.
#[derive(Clone)]
struct Config {
    broker: Arc<dyn Broker>,
    results: Option<Arc<dyn ResultBackend>>,
    state: StateMap,
    middleware: Vec<Arc<dyn Middleware>>,
    send_middleware: Vec<Arc<dyn SendMiddleware>>,
    observers: Vec<Arc<dyn Observer>>,
    queues: Vec<QueueSpec>,
    /// What it was named, if it was.
    default_queue: Option<Arc<str>>,
    tasks: Vec<TaskDef>,
    content_type: ContentType,
    result_ttl: Duration,
    result_patience: Duration,
    publish_timeout: Duration,
    tracks: bool,
    trace: Option<TraceSource>,
    /// An option whose value cannot be used, and why.
    invalid: Option<String>,
}

/// The queue of apps that name none.
static UNNAMED: LazyLock<Arc<str>> = LazyLock::new(|| QUEUE.into());

/// Gives the `traceparent` of the present, for programs that have a tracer.
type TraceSource = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// What came of it.
#[derive(Default)]
struct Live {
    started: OnceCell<Started>,
    /// Starting has come as far as the result store: the broker did its part.
    has_broker: AtomicBool,
    embedded: Embedded,
    cores: OnceLock<Arc<Semaphore>>,
}

impl App {
    /// An app on this broker, with the broker's own result backend if it has one. The same as
    /// [`BrokerExt::into_app`].
    ///
    /// ```
    /// use taskq::prelude::*;
    /// let app = App::new(InMemoryBroker::new());
    /// assert_eq!(app.default_queue(), "taskq");
    /// ```
    pub fn new(broker: impl Broker) -> Self {
        let results = broker.default_results();
        let config = Config {
            broker: Arc::new(broker),
            results,
            state: StateMap::default(),
            middleware: Vec::new(),
            send_middleware: Vec::new(),
            observers: Vec::new(),
            queues: Vec::new(),
            default_queue: None,
            tasks: Vec::new(),
            content_type: ContentType::MessagePack,
            result_ttl: RESULT_TTL,
            result_patience: RESULT_PATIENCE,
            publish_timeout: PUBLISH_TIMEOUT,
            tracks: false,
            trace: None,
            invalid: None,
        };
        App { config: Arc::new(config), live: Arc::default() }
    }

    /// The broker.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::prelude::*;
    /// let app = InMemoryBroker::new().with_queue(QueueSpec::new("mail"));
    /// app.startup().await?;
    /// let mail = app.broker().inspect("mail").await?;
    /// assert_eq!(mail.ready, 0);
    /// # Ok(()) }
    /// ```
    pub fn broker(&self) -> &Arc<dyn Broker> {
        &self.config.broker
    }

    /// The result backend, if there is one.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::{TaskId, prelude::*};
    /// # use taskq::{BoxError, Call, Run, Task, TaskConfig, TaskContext};
    /// # struct Ping;
    /// # impl Task for Ping { type Args = (); type Output = u32; type Returns = u32; const NAME: &'static str = "ping"; const CONFIG: TaskConfig = TaskConfig::new(); }
    /// # impl Run for Ping { async fn run(ctx: TaskContext, _: ()) -> Result<u32, BoxError> { Ok(ctx.attempt()) } }
    /// # fn ping() -> Call<Ping> { Call::new(()) }
    /// let app = InMemoryBroker::new().register::<Ping>();
    /// ping.kiq().task_id("first").on(&app).await?.wait_result().await?;
    /// let results = app.results().unwrap();
    /// assert!(results.fetch(&TaskId::from("first")).await?.is_some());
    /// # Ok(()) }
    /// ```
    pub fn results(&self) -> Option<&Arc<dyn ResultBackend>> {
        self.config.results.as_ref()
    }

    /// The app's values, as [`App::with_state`] gave them.
    ///
    /// ```
    /// use taskq::prelude::*;
    /// struct Greeting(&'static str);
    /// let app = InMemoryBroker::new().with_state(Greeting("hello"));
    /// assert_eq!(app.state().get::<Greeting>().unwrap().0.0, "hello");
    /// ```
    pub fn state(&self) -> &StateMap {
        &self.config.state
    }

    /// A worker for this app, to be run with [`Worker::run_until`]. While it runs, the app of an in-memory broker runs
    /// no tasks by itself.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::prelude::*;
    /// # use taskq::{BoxError, Call, Run, Task, TaskConfig, TaskContext};
    /// # struct Ping;
    /// # impl Task for Ping { type Args = (); type Output = u32; type Returns = u32; const NAME: &'static str = "ping"; const CONFIG: TaskConfig = TaskConfig::new(); }
    /// # impl Run for Ping { async fn run(ctx: TaskContext, _: ()) -> Result<u32, BoxError> { Ok(ctx.attempt()) } }
    /// # fn ping() -> Call<Ping> { Call::new(()) }
    /// let app = InMemoryBroker::new().without_worker().register::<Ping>();
    /// let handle = ping.kiq().on(&app).await?;
    /// app.worker().concurrency(4).run_until(handle.wait_result()).await?;
    /// assert_eq!(app.broker().inspect("taskq").await?.ready, 0);
    /// # Ok(()) }
    /// ```
    pub fn worker(&self) -> Worker {
        Worker::new(self.clone())
    }

    /// The dead letters of `queue`: to be listed, shown and replayed.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::prelude::*;
    /// let app = InMemoryBroker::new().with_queue(QueueSpec::new("mail"));
    /// app.startup().await?;
    /// let letters = app.dead_letters("mail");
    /// assert_eq!(letters.count().await?, 0);
    /// # Ok(()) }
    /// ```
    pub fn dead_letters(&self, queue: impl Into<String>) -> DeadLetters {
        DeadLetters::new(self.clone(), queue.into())
    }

    /// The queue of tasks that name none: `taskq`, unless [`App::with_default_queue`] said otherwise.
    ///
    /// ```
    /// use taskq::prelude::*;
    /// let app = InMemoryBroker::new().into_app();
    /// assert_eq!(app.default_queue(), taskq::defaults::QUEUE);
    /// assert_eq!(app.with_default_queue("mail").default_queue(), "mail");
    /// ```
    pub fn default_queue(&self) -> &str {
        self.config.default_queue.as_deref().unwrap_or(QUEUE)
    }

    /// The queue that a call goes to which says no other.
    pub(crate) fn queue_for(&self, task: &crate::TaskConfig) -> Arc<str> {
        match (task.queue, &self.config.default_queue) {
            (Some(queue), _) => queue.into(),
            (None, Some(queue)) => queue.clone(),
            (None, None) => UNNAMED.clone(),
        }
    }

    /// The queue that `task` goes to, unless a call says otherwise.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::{BoxError, Run, Task, TaskConfig, prelude::*};
    /// # struct Resize;
    /// # impl Task for Resize { type Args = (); type Output = (); type Returns = (); const NAME: &'static str = "images.resize"; const CONFIG: TaskConfig = TaskConfig::new().queue("images"); }
    /// # impl Run for Resize { async fn run(_: TaskContext, _: ()) -> Result<(), BoxError> { Ok(()) } }
    /// # struct Ping;
    /// # impl Task for Ping { type Args = (); type Output = (); type Returns = (); const NAME: &'static str = "ping"; const CONFIG: TaskConfig = TaskConfig::new(); }
    /// # impl Run for Ping { async fn run(_: TaskContext, _: ()) -> Result<(), BoxError> { Ok(()) } }
    /// // `Resize` is a task of `#[task(queue = "images")]`, `Ping` names no queue.
    /// let app = InMemoryBroker::new().register::<Resize>().register::<Ping>();
    /// let tasks = app.tasks()?;
    /// let queues: Vec<_> = tasks.iter().map(|task| (task.name, app.queue_of(task))).collect();
    /// assert_eq!(queues, [("images.resize", "images"), ("ping", "taskq")]);
    /// # Ok(()) }
    /// ```
    pub fn queue_of(&self, task: &TaskDef) -> &str {
        task.config.queue.unwrap_or_else(|| self.default_queue())
    }

    /// The queue as this app declares it: by `with_queue`, or as the plain queue of a registered task.
    pub(crate) fn queue_spec(&self, name: &str) -> Option<&QueueSpec> {
        self.config.queues.iter().find(|spec| spec.name() == name)
    }

    pub(crate) fn middleware(&self) -> &[Arc<dyn Middleware>] {
        &self.config.middleware
    }

    pub(crate) fn send_middleware(&self) -> &[Arc<dyn SendMiddleware>] {
        &self.config.send_middleware
    }

    pub(crate) fn content_type(&self) -> ContentType {
        self.config.content_type
    }

    pub(crate) fn result_ttl(&self) -> Duration {
        self.config.result_ttl
    }

    pub(crate) fn result_patience(&self) -> Duration {
        self.config.result_patience
    }

    pub(crate) fn publish_timeout(&self) -> Duration {
        self.config.publish_timeout
    }

    pub(crate) fn tracks(&self) -> bool {
        self.config.tracks
    }

    pub(crate) fn embedded(&self) -> &Embedded {
        &self.live.embedded
    }

    /// One permit per plain `fn` that may run at once, in all workers of the app: one of them may end while another begins.
    pub(crate) fn cores(&self) -> Arc<Semaphore> {
        let cores = || Arc::new(Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)));
        self.live.cores.get_or_init(cores).clone()
    }

    /// The trace that a submission from here belongs to: the running task's, or the program's own.
    pub(crate) fn trace_context(&self, task: Option<&TaskContext>) -> Option<TraceContext> {
        let own = self.config.trace.as_ref().and_then(|trace| trace()).and_then(|text| TraceContext::parse(&text));
        let running = || task.and_then(|task| task.message().traceparent);
        own.or_else(|| running().map(TraceContext::child))
    }

    pub(crate) fn check_task_name(&self, name: &str) -> Result<(), String> {
        match name.len() {
            1..=MAX_TASK_NAME if !name.contains(char::is_control) => Ok(()),
            1..=MAX_TASK_NAME => Err(format!("{name:?} contains a control character")),
            size => Err(format!("the task's name has {size} bytes; 1 to {MAX_TASK_NAME} are allowed")),
        }
    }

    pub(crate) fn is_observed(&self) -> bool {
        !self.config.observers.is_empty()
    }

    /// Tells the observers. A panic in one of them stays there.
    pub(crate) fn observe(&self, event: &Event<'_>) {
        for observer in &self.config.observers {
            if let Err(panic) = crate::panic::catch(|| observer.on(event)) {
                tracing::error!(%panic, "an observer panicked");
            }
        }
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("queues", &self.config.queues)
            .field("default_queue", &self.default_queue())
            .field("results", &self.config.results.is_some())
            .field("started", &self.live.started.initialized())
            .finish_non_exhaustive()
    }
}
