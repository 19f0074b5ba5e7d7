//! The builder: what an app may be given.

use super::{App, Config, Live};
use crate::{
    broker::Broker,
    message::ContentType,
    middleware::{Middleware, SendMiddleware},
    observer::Observer,
    queue::QueueSpec,
    results::ResultBackend,
    span::IntoSpan,
    task::{Run, TaskDef},
};
use std::{panic::Location, sync::Arc, time::Duration};

impl App {
    fn with(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(Arc::make_mut(&mut self.config));
        self.live = Arc::new(Live::default());
        self
    }

    /// Keeps results in this backend, in place of the broker's own if it has one.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::{End, InMemoryResults, ResultBackend, prelude::*};
    /// # use taskq::{BoxError, Call, Run, Task, TaskConfig, TaskContext};
    /// # struct Ping;
    /// # impl Task for Ping { type Args = (); type Output = u32; type Returns = u32; const NAME: &'static str = "ping"; const CONFIG: TaskConfig = TaskConfig::new(); }
    /// # impl Run for Ping { async fn run(ctx: TaskContext, _: ()) -> Result<u32, BoxError> { Ok(ctx.attempt()) } }
    /// # fn ping() -> Call<Ping> { Call::new(()) }
    /// let results = InMemoryResults::new();
    /// let app = InMemoryBroker::new().register::<Ping>().with_result_backend(results.clone());
    /// let handle = ping.kiq().on(&app).await?;
    /// handle.wait_result().await?;
    /// let record = results.fetch(handle.id()).await?.unwrap();
    /// assert!(matches!(record.end, End::Done(_)));
    /// # Ok(()) }
    /// ```
    pub fn with_result_backend(self, results: impl ResultBackend) -> Self {
        self.with(|config| config.results = Some(Arc::new(results)))
    }

    /// Gives tasks a value to take as `State<T>`. One per type: a second one of a type replaces the first.
    ///
    /// ```
    /// use taskq::prelude::*;
    /// struct Sender(&'static str);
    /// let app = InMemoryBroker::new().into_app();
    /// let app = app.with_state(Sender("old@example.org")).with_state(Sender("new@example.org"));
    /// // In a task, a parameter `sender: State<Sender>` gives the same.
    /// let sender: State<Sender> = TaskContext::detached(&app).state().unwrap();
    /// assert_eq!(sender.0.0, "new@example.org");
    /// ```
    pub fn with_state<T: Send + Sync + 'static>(self, value: T) -> Self {
        self.with(|config| config.state.insert(value))
    }

    /// Declares a queue when the app starts, and consumes it in workers of this app that name no queues. A second one
    /// of a name replaces the first. The queues that registered tasks name need this only for options.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::prelude::*;
    /// let mail = QueueSpec::new("mail").priorities(10);
    /// let app = InMemoryBroker::new().into_app().with_queue(QueueSpec::new("mail")).with_queue(mail.clone());
    /// app.startup().await?;
    /// assert!(app.queues().contains(&mail) && !app.queues().contains(&QueueSpec::new("mail")));
    /// # Ok(()) }
    /// ```
    pub fn with_queue(self, queue: QueueSpec) -> Self {
        self.with(|config| {
            config.queues.retain(|there| there.name() != queue.name());
            config.queues.push(queue);
        })
    }

    /// The queue of tasks that name none, instead of `taskq`. Declared and consumed also if no registered task goes there.
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
    /// let app = InMemoryBroker::new().without_worker().register::<Ping>().with_default_queue("background");
    /// ping.kiq().on(&app).await?;
    /// assert_eq!(app.broker().inspect("background").await?.ready, 1);
    /// # Ok(()) }
    /// ```
    pub fn with_default_queue(self, name: impl Into<String>) -> Self {
        self.with(|config| config.default_queue = Some(name.into().into()))
    }

    /// Wraps every run. The first one added is outermost.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// # use std::time::Duration;
    /// use taskq::{BoxFuture, Next, Outcome, prelude::*};
    /// # use taskq::{BoxError, Run, Task, TaskConfig};
    /// # struct Ping;
    /// # impl Task for Ping { type Args = (); type Output = u32; type Returns = u32; const NAME: &'static str = "ping"; const CONFIG: TaskConfig = TaskConfig::new(); }
    /// # impl Run for Ping { async fn run(ctx: TaskContext, _: ()) -> Result<u32, BoxError> { Ok(ctx.attempt()) } }
    /// # fn ping() -> Call<Ping> { Call::new(()) }
    /// fn known_tenants_only<'a>(ctx: &'a TaskContext, next: Next<'a>) -> BoxFuture<'a, Outcome> {
    ///     match ctx.labels().contains_key("tenant") {
    ///         true => next.run(ctx),
    ///         false => Box::pin(async { Outcome::failed(TaskError::permanent("no tenant")) }),
    ///     }
    /// }
    ///
    /// let app = InMemoryBroker::new().register::<Ping>().with_middleware(known_tenants_only);
    /// let result = ping.kiq().on(&app).await?.wait_result().await?;
    /// assert_eq!(result.into_value().unwrap_err().message, "no tenant");
    /// # Ok(()) }
    /// ```
    pub fn with_middleware(self, middleware: impl Middleware) -> Self {
        self.with(|config| config.middleware.push(Arc::new(middleware)))
    }

    /// Wraps every submission. The first one added is outermost.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::{BoxFuture, KiqError, Message, SendNext, prelude::*};
    /// # use taskq::{BoxError, Run, Task, TaskConfig};
    /// # struct Ping;
    /// # impl Task for Ping { type Args = (); type Output = u32; type Returns = u32; const NAME: &'static str = "ping"; const CONFIG: TaskConfig = TaskConfig::new(); }
    /// # impl Run for Ping { async fn run(ctx: TaskContext, _: ()) -> Result<u32, BoxError> { Ok(ctx.attempt()) } }
    /// # fn ping() -> Call<Ping> { Call::new(()) }
    /// fn tenant_needed(message: Message, next: SendNext<'_>) -> BoxFuture<'_, Result<(), KiqError>> {
    ///     if message.labels.contains_key("tenant") {
    ///         return next.run(message);
    ///     }
    ///     Box::pin(async move { Err(KiqError::refused(message.task, "no tenant")) })
    /// }
    ///
    /// let app = InMemoryBroker::new().register::<Ping>().with_send_middleware(tenant_needed);
    /// assert!(matches!(ping.kiq().on(&app).await, Err(KiqError::Refused { .. })));
    /// ping.kiq().label("tenant", "acme").on(&app).await?;
    /// # Ok(()) }
    /// ```
    pub fn with_send_middleware(self, middleware: impl SendMiddleware) -> Self {
        self.with(|config| config.send_middleware.push(Arc::new(middleware)))
    }

    /// Tells `observer` of every event. All observers hear of it, in the order in which they were added.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use std::sync::{Arc, Mutex};
    /// use taskq::{Event, Observer, prelude::*};
    /// # use taskq::{BoxError, Call, Run, Task, TaskConfig, TaskContext};
    /// # struct Ping;
    /// # impl Task for Ping { type Args = (); type Output = u32; type Returns = u32; const NAME: &'static str = "ping"; const CONFIG: TaskConfig = TaskConfig::new(); }
    /// # impl Run for Ping { async fn run(ctx: TaskContext, _: ()) -> Result<u32, BoxError> { Ok(ctx.attempt()) } }
    /// # fn ping() -> Call<Ping> { Call::new(()) }
    /// #[derive(Clone, Default)]
    /// struct Log(Arc<Mutex<Vec<&'static str>>>);
    ///
    /// impl Observer for Log {
    ///     fn on(&self, event: &Event<'_>) {
    ///         self.0.lock().unwrap().push(match event {
    ///             Event::Published { .. } => "published",
    ///             Event::Settled { .. } => "settled",
    ///             _ => "between",
    ///         });
    ///     }
    /// }
    ///
    /// let (broker, log) = (InMemoryBroker::new(), Log::default());
    /// let app = broker.clone().register::<Ping>().with_observer(log.clone());
    /// ping.kiq().on(&app).await?;
    /// broker.wait_idle().await;
    /// assert_eq!(*log.0.lock().unwrap(), ["published", "between", "between", "settled"]);
    /// # Ok(()) }
    /// ```
    pub fn with_observer(self, observer: impl Observer) -> Self {
        self.with(|config| config.observers.push(Arc::new(observer)))
    }

    /// Writes the steps of every task to the result backend, at the cost of one write each, so that `status()` tells
    /// `Queued`, `Running` and `Retrying` apart. Off by default; `#[task(track)]` does so for one task. A result
    /// backend that does not track is an error at start.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::{TaskStatus, prelude::*};
    /// # use taskq::{BoxError, Call, Run, Task, TaskConfig, TaskContext};
    /// # struct Ping;
    /// # impl Task for Ping { type Args = (); type Output = u32; type Returns = u32; const NAME: &'static str = "ping"; const CONFIG: TaskConfig = TaskConfig::new(); }
    /// # impl Run for Ping { async fn run(ctx: TaskContext, _: ()) -> Result<u32, BoxError> { Ok(ctx.attempt()) } }
    /// # fn ping() -> Call<Ping> { Call::new(()) }
    /// let app = InMemoryBroker::new().without_worker().register::<Ping>().with_tracking();
    /// let handle = ping.kiq().on(&app).await?;
    /// assert_eq!(handle.status().await?, TaskStatus::Queued); // `Pending` without tracking
    /// # Ok(()) }
    /// ```
    pub fn with_tracking(self) -> Self {
        self.with(|config| config.tracks = true)
    }

    /// Encodes arguments and results as JSON instead of MessagePack. Workers read both.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::{ContentType, prelude::*};
    /// # use taskq::{BoxError, Call, Run, Task, TaskConfig, TaskContext};
    /// # struct Ping;
    /// # impl Task for Ping { type Args = (); type Output = u32; type Returns = u32; const NAME: &'static str = "ping"; const CONFIG: TaskConfig = TaskConfig::new(); }
    /// # impl Run for Ping { async fn run(ctx: TaskContext, _: ()) -> Result<u32, BoxError> { Ok(ctx.attempt()) } }
    /// # fn ping() -> Call<Ping> { Call::new(()) }
    /// let app = InMemoryBroker::new().register::<Ping>().with_json();
    /// let result = ping.kiq().on(&app).await?.wait_result().await?;
    /// assert_eq!(result.record().content_type, ContentType::Json);
    /// assert_eq!(result.into_value()?, 1);
    /// # Ok(()) }
    /// ```
    pub fn with_json(self) -> Self {
        self.with(|config| config.content_type = ContentType::Json)
    }

    /// How long results are kept, where a task does not say; 24 h by default. Text that is not a duration is an error
    /// at start.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::{TaskStatus, prelude::*};
    /// # use taskq::{BoxError, Call, Run, Task, TaskConfig, TaskContext};
    /// # struct Ping;
    /// # impl Task for Ping { type Args = (); type Output = u32; type Returns = u32; const NAME: &'static str = "ping"; const CONFIG: TaskConfig = TaskConfig::new(); }
    /// # impl Run for Ping { async fn run(ctx: TaskContext, _: ()) -> Result<u32, BoxError> { Ok(ctx.attempt()) } }
    /// # fn ping() -> Call<Ping> { Call::new(()) }
    /// # tokio::time::pause();
    /// let app = InMemoryBroker::new().register::<Ping>().with_result_ttl("7days");
    /// let handle = ping.kiq().on(&app).await?;
    /// handle.wait_result().await?;
    /// # tokio::time::advance(std::time::Duration::from_secs(6 * 24 * 3600)).await;
    /// // Six days later:
    /// assert_eq!(handle.status().await?, TaskStatus::Done);
    /// # tokio::time::advance(std::time::Duration::from_secs(2 * 24 * 3600)).await;
    /// // Eight days later:
    /// assert_eq!(handle.status().await?, TaskStatus::Pending);
    /// # Ok(()) }
    /// ```
    pub fn with_result_ttl(self, ttl: impl IntoSpan) -> Self {
        self.with_span("result_ttl", ttl, |config, ttl| config.result_ttl = ttl)
    }

    /// How long a result that the store does not take is held, and its message with it; 60 s by default. After that it is
    /// kept in the task's own queue, until the store takes it. The message of a run that failed is held for as long at most,
    /// until the store has noted that its retry is published. Text that is not a duration is an error at start.
    ///
    /// ```
    /// use taskq::{App, prelude::*};
    /// fn broker() -> App {
    ///     InMemoryBroker::new().with_result_patience("5m") // an absence of the store holds up its workers for as long
    /// }
    /// # assert_eq!(broker().default_queue(), "taskq");
    /// ```
    pub fn with_result_patience(self, patience: impl IntoSpan) -> Self {
        self.with_span("result_patience", patience, |config, patience| config.result_patience = patience)
    }

    /// How long a `kiq` may take in all, where a call does not say; 30 s by default. Text that is not a duration is an
    /// error at start.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::{KiqError, prelude::*};
    /// # use taskq::{BoxError, Call, Run, Task, TaskConfig, TaskContext};
    /// # struct Ping;
    /// # impl Task for Ping { type Args = (); type Output = u32; type Returns = u32; const NAME: &'static str = "ping"; const CONFIG: TaskConfig = TaskConfig::new(); }
    /// # impl Run for Ping { async fn run(ctx: TaskContext, _: ()) -> Result<u32, BoxError> { Ok(ctx.attempt()) } }
    /// # fn ping() -> Call<Ping> { Call::new(()) }
    /// # tokio::time::pause();
    /// let broker = InMemoryBroker::new().without_worker().capacity(1);
    /// let app = broker.register::<Ping>().with_publish_timeout("2s");
    /// ping.kiq().on(&app).await?;
    /// // Nobody takes the first one: after two seconds the second one gives up.
    /// assert!(matches!(ping.kiq().on(&app).await, Err(KiqError::QueueFull { .. })));
    /// # Ok(()) }
    /// ```
    pub fn with_publish_timeout(self, timeout: impl IntoSpan) -> Self {
        self.with_span("publish_timeout", timeout, |config, timeout| config.publish_timeout = timeout)
    }

    fn with_span(self, option: &str, span: impl IntoSpan, set: impl FnOnce(&mut Config, Duration)) -> Self {
        self.with(|config| match span.into_span() {
            Ok(span) => set(config, span),
            Err(reason) => config.invalid = Some(format!("{option}: {reason}")),
        })
    }

    /// Asks `source` for the `traceparent` of the present at every submission, for programs that have a tracer. Without
    /// it, or where it gives `None` or text that is no `traceparent`, a task that a task submits belongs to that task's
    /// trace, and any other begins a trace.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::{Message, SendNext, prelude::*};
    /// # use taskq::{BoxError, KiqError, Run, Task, TaskConfig};
    /// # struct Ping;
    /// # impl Task for Ping { type Args = (); type Output = Option<String>; type Returns = Option<String>; const NAME: &'static str = "ping"; const CONFIG: TaskConfig = TaskConfig::new(); }
    /// # impl Run for Ping { async fn run(ctx: TaskContext, _: ()) -> Result<Option<String>, BoxError> { Ok(ctx.message().traceparent.map(|trace| trace.to_string())) } }
    /// # fn traceparent_seen_by_the_task() -> Call<Ping> { Call::new(()) }
    /// # mod tracer { pub fn traceparent() -> Option<String> { Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()) } }
    /// let app = InMemoryBroker::new().register::<Ping>().with_trace_context(tracer::traceparent);
    /// let seen = traceparent_seen_by_the_task.kiq().on(&app).await?.wait_result().await?;
    /// assert_eq!(seen.into_value()?, tracer::traceparent());
    /// # Ok(()) }
    /// ```
    pub fn with_trace_context(self, source: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        self.with(|config| config.trace = Some(Arc::new(source)))
    }

    /// Registers a task that `#[task]` did not define. One task may be registered twice; another task of its name is an
    /// error at start.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::{BoxError, Run, Task, TaskConfig, prelude::*};
    ///
    /// struct Shout;
    ///
    /// impl Task for Shout {
    ///     type Args = String;
    ///     type Output = String;
    ///     type Returns = String;
    ///     const NAME: &'static str = "shout";
    ///     const CONFIG: TaskConfig = TaskConfig::new();
    /// }
    ///
    /// impl Run for Shout {
    ///     async fn run(_: TaskContext, text: String) -> Result<String, BoxError> {
    ///         Ok(text.to_uppercase())
    ///     }
    /// }
    ///
    /// let app = InMemoryBroker::new().into_app().register::<Shout>();
    /// let handle = Call::<Shout>::new("hey".into()).kiq().on(&app).await?;
    /// assert_eq!(handle.wait_result().await?.into_value()?, "HEY");
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn register<T: Run>(self) -> Self {
        let at = Location::caller();
        self.with(|config| config.tasks.push(TaskDef::of::<T>(at.file(), at.line())))
    }
}

/// Makes every broker the beginning of an [`App`]. In the prelude.
///
/// ```
/// use taskq::{BrokerExt, InMemoryBroker, QueueSpec};
/// let app = InMemoryBroker::new().with_queue(QueueSpec::new("mail")).with_tracking();
/// assert_eq!(app.default_queue(), "taskq");
/// ```
pub trait BrokerExt: Broker + Sized {
    /// An app on this broker, with all the defaults.
    ///
    /// ```
    /// use taskq::prelude::*;
    /// let app = InMemoryBroker::new().into_app();
    /// assert!(app.results().is_some(), "this broker brings results along");
    /// ```
    fn into_app(self) -> App {
        App::new(self)
    }

    /// See [`App::with_result_backend`].
    ///
    /// ```
    /// use taskq::{Broker, InMemoryResults, prelude::*};
    /// # fn on(broker: impl Broker) -> App {
    /// // Results in this process, whatever the broker.
    /// let app = broker.with_result_backend(InMemoryResults::new());
    /// # app }
    /// # assert!(on(InMemoryBroker::new()).results().is_some());
    /// ```
    fn with_result_backend(self, results: impl ResultBackend) -> App {
        App::new(self).with_result_backend(results)
    }

    /// See [`App::with_state`].
    ///
    /// ```
    /// use taskq::prelude::*;
    /// let app = InMemoryBroker::new().with_state(String::from("hello")).with_state(7_u32);
    /// assert_eq!((app.state().get::<String>().unwrap().as_str(), *app.state().get::<u32>().unwrap()), ("hello", 7));
    /// ```
    fn with_state<T: Send + Sync + 'static>(self, value: T) -> App {
        App::new(self).with_state(value)
    }

    /// See [`App::with_queue`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::prelude::*;
    /// let app = InMemoryBroker::new().with_queue(QueueSpec::new("mail")).with_queue(QueueSpec::new("images"));
    /// app.startup().await?;
    /// assert_eq!(app.broker().inspect("images").await?.ready, 0);
    /// # Ok(()) }
    /// ```
    fn with_queue(self, queue: QueueSpec) -> App {
        App::new(self).with_queue(queue)
    }

    /// See [`App::with_default_queue`].
    ///
    /// ```
    /// use taskq::prelude::*;
    /// assert_eq!(InMemoryBroker::new().with_default_queue("background").default_queue(), "background");
    /// ```
    fn with_default_queue(self, name: impl Into<String>) -> App {
        App::new(self).with_default_queue(name)
    }

    /// See [`App::with_middleware`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use std::sync::{Arc, atomic::{AtomicU32, Ordering}};
    /// use taskq::{BoxFuture, Middleware, Next, Outcome, prelude::*};
    /// # use taskq::{BoxError, Run, Task, TaskConfig};
    /// # struct Ping;
    /// # impl Task for Ping { type Args = (); type Output = u32; type Returns = u32; const NAME: &'static str = "ping"; const CONFIG: TaskConfig = TaskConfig::new(); }
    /// # impl Run for Ping { async fn run(ctx: TaskContext, _: ()) -> Result<u32, BoxError> { Ok(ctx.attempt()) } }
    /// # fn ping() -> Call<Ping> { Call::new(()) }
    /// struct Count(Arc<AtomicU32>);
    ///
    /// impl Middleware for Count {
    ///     fn call<'a>(&'a self, ctx: &'a TaskContext, next: Next<'a>) -> BoxFuture<'a, Outcome> {
    ///         self.0.fetch_add(1, Ordering::Relaxed);
    ///         next.run(ctx)
    ///     }
    /// }
    ///
    /// let runs = Arc::new(AtomicU32::new(0));
    /// let app = InMemoryBroker::new().with_middleware(Count(runs.clone())).register::<Ping>();
    /// ping.kiq().on(&app).await?.wait_result().await?;
    /// assert_eq!(runs.load(Ordering::Relaxed), 1);
    /// # Ok(()) }
    /// ```
    fn with_middleware(self, middleware: impl Middleware) -> App {
        App::new(self).with_middleware(middleware)
    }

    /// See [`App::with_send_middleware`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::{BoxFuture, KiqError, Message, SendNext, prelude::*};
    /// # use taskq::{BoxError, Run, Task, TaskConfig};
    /// # struct Ping;
    /// # impl Task for Ping { type Args = (); type Output = String; type Returns = String; const NAME: &'static str = "ping"; const CONFIG: TaskConfig = TaskConfig::new(); }
    /// # impl Run for Ping { async fn run(ctx: TaskContext, _: ()) -> Result<String, BoxError> { Ok(ctx.labels()["tenant"].clone()) } }
    /// # fn tenant_of_the_task() -> Call<Ping> { Call::new(()) }
    /// fn label(mut message: Message, next: SendNext<'_>) -> BoxFuture<'_, Result<(), KiqError>> {
    ///     message.labels.insert("tenant".into(), "acme".into());
    ///     next.run(message)
    /// }
    ///
    /// let app = InMemoryBroker::new().with_send_middleware(label).register::<Ping>();
    /// let tenant = tenant_of_the_task.kiq().on(&app).await?.wait_result().await?.into_value()?;
    /// assert_eq!(tenant, "acme");
    /// # Ok(()) }
    /// ```
    fn with_send_middleware(self, middleware: impl SendMiddleware) -> App {
        App::new(self).with_send_middleware(middleware)
    }

    /// See [`App::with_observer`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use std::sync::{Arc, atomic::{AtomicU32, Ordering}};
    /// use taskq::{Event, Observer, prelude::*};
    /// # use taskq::{BoxError, Call, Run, Task, TaskConfig, TaskContext};
    /// # struct Ping;
    /// # impl Task for Ping { type Args = (); type Output = u32; type Returns = u32; const NAME: &'static str = "ping"; const CONFIG: TaskConfig = TaskConfig::new(); }
    /// # impl Run for Ping { async fn run(ctx: TaskContext, _: ()) -> Result<u32, BoxError> { Ok(ctx.attempt()) } }
    /// # fn ping() -> Call<Ping> { Call::new(()) }
    /// #[derive(Clone, Default)]
    /// struct Sent(Arc<AtomicU32>);
    ///
    /// impl Observer for Sent {
    ///     fn on(&self, event: &Event<'_>) {
    ///         if let Event::Published { .. } = event {
    ///             self.0.fetch_add(1, Ordering::Relaxed);
    ///         }
    ///     }
    /// }
    ///
    /// let sent = Sent::default();
    /// let app = InMemoryBroker::new().with_observer(sent.clone()).register::<Ping>();
    /// app.kiq_many([ping(), ping()]).await?;
    /// assert_eq!(sent.0.load(Ordering::Relaxed), 2);
    /// # Ok(()) }
    /// ```
    fn with_observer(self, observer: impl Observer) -> App {
        App::new(self).with_observer(observer)
    }

    /// See [`App::with_tracking`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::{TaskStatus, prelude::*};
    /// # use taskq::{BoxError, Call, Run, Task, TaskConfig, TaskContext};
    /// # struct Ping;
    /// # impl Task for Ping { type Args = (); type Output = u32; type Returns = u32; const NAME: &'static str = "ping"; const CONFIG: TaskConfig = TaskConfig::new(); }
    /// # impl Run for Ping { async fn run(ctx: TaskContext, _: ()) -> Result<u32, BoxError> { Ok(ctx.attempt()) } }
    /// # fn ping() -> Call<Ping> { Call::new(()) }
    /// let app = InMemoryBroker::new().with_tracking().register::<Ping>();
    /// let handle = ping.kiq().delay("1h").on(&app).await?;
    /// assert_eq!(handle.status().await?, TaskStatus::Queued);
    /// # Ok(()) }
    /// ```
    fn with_tracking(self) -> App {
        App::new(self).with_tracking()
    }

    /// See [`App::with_json`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::{ContentType, prelude::*};
    /// # use taskq::{BoxError, Run, Task, TaskConfig};
    /// # struct Ping;
    /// # impl Task for Ping { type Args = (); type Output = String; type Returns = String; const NAME: &'static str = "ping"; const CONFIG: TaskConfig = TaskConfig::new(); }
    /// # impl Run for Ping { async fn run(ctx: TaskContext, _: ()) -> Result<String, BoxError> { Ok(ctx.message().content_type.as_str().into()) } }
    /// # fn content_type_of_the_task() -> Call<Ping> { Call::new(()) }
    /// let app = InMemoryBroker::new().with_json().register::<Ping>();
    /// let seen = content_type_of_the_task.kiq().on(&app).await?.wait_result().await?.into_value()?;
    /// assert_eq!(seen, "application/json");
    /// # Ok(()) }
    /// ```
    fn with_json(self) -> App {
        App::new(self).with_json()
    }

    /// See [`App::with_result_ttl`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::{WorkerError, prelude::*};
    /// let app = InMemoryBroker::new().with_result_ttl("1h 30m");
    /// app.startup().await?;
    /// let app = InMemoryBroker::new().with_result_ttl("a while");
    /// assert!(matches!(app.startup().await, Err(WorkerError::Invalid { .. })));
    /// # Ok(()) }
    /// ```
    fn with_result_ttl(self, ttl: impl IntoSpan) -> App {
        App::new(self).with_result_ttl(ttl)
    }

    /// See [`App::with_result_patience`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::{WorkerError, prelude::*};
    /// let app = InMemoryBroker::new().with_result_patience("for ever");
    /// assert!(matches!(app.startup().await, Err(WorkerError::Invalid { .. })));
    /// # Ok(()) }
    /// ```
    fn with_result_patience(self, patience: impl IntoSpan) -> App {
        App::new(self).with_result_patience(patience)
    }

    /// See [`App::with_publish_timeout`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use std::time::Duration;
    /// use taskq::prelude::*;
    /// # use taskq::{BoxError, Call, Run, Task, TaskConfig, TaskContext};
    /// # struct Ping;
    /// # impl Task for Ping { type Args = (); type Output = u32; type Returns = u32; const NAME: &'static str = "ping"; const CONFIG: TaskConfig = TaskConfig::new(); }
    /// # impl Run for Ping { async fn run(ctx: TaskContext, _: ()) -> Result<u32, BoxError> { Ok(ctx.attempt()) } }
    /// # fn ping() -> Call<Ping> { Call::new(()) }
    /// # tokio::time::pause();
    /// let app = InMemoryBroker::new().without_worker().capacity(1).with_publish_timeout("2s").register::<Ping>();
    /// ping.kiq().on(&app).await?;
    /// let began = tokio::time::Instant::now();
    /// assert!(ping.kiq().on(&app).await.is_err(), "the queue has no room");
    /// assert!(began.elapsed() < Duration::from_secs(3));
    /// # Ok(()) }
    /// ```
    fn with_publish_timeout(self, timeout: impl IntoSpan) -> App {
        App::new(self).with_publish_timeout(timeout)
    }

    /// See [`App::with_trace_context`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::{TraceContext, prelude::*};
    /// # use taskq::{BoxError, Run, Task, TaskConfig};
    /// # struct Ping;
    /// # impl Task for Ping { type Args = (); type Output = Option<String>; type Returns = Option<String>; const NAME: &'static str = "ping"; const CONFIG: TaskConfig = TaskConfig::new(); }
    /// # impl Run for Ping { async fn run(ctx: TaskContext, _: ()) -> Result<Option<String>, BoxError> { Ok(ctx.message().traceparent.map(|trace| trace.to_string())) } }
    /// # fn traceparent_seen_by_the_task() -> Call<Ping> { Call::new(()) }
    /// let request = TraceContext::fresh();
    /// let source = move || Some(request.child().to_string());
    /// let app = InMemoryBroker::new().with_trace_context(source).register::<Ping>();
    /// let seen = traceparent_seen_by_the_task.kiq().on(&app).await?.wait_result().await?.into_value()?.unwrap();
    /// assert_eq!(TraceContext::parse(&seen).unwrap().trace_id(), request.trace_id());
    /// # Ok(()) }
    /// ```
    fn with_trace_context(self, source: impl Fn() -> Option<String> + Send + Sync + 'static) -> App {
        App::new(self).with_trace_context(source)
    }

    /// See [`App::register`].
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
    /// let app = InMemoryBroker::new().register::<Ping>();
    /// assert_eq!(app.tasks()?[0].name, "ping");
    /// # Ok(()) }
    /// ```
    #[track_caller]
    fn register<T: Run>(self) -> App {
        App::new(self).register::<T>()
    }
}

impl<B: Broker> BrokerExt for B {}
