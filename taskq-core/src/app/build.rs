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

    /// Keeps results in this backend.
    pub fn with_result_backend(self, results: impl ResultBackend) -> Self {
        self.with(|config| config.results = Some(Arc::new(results)))
    }

    /// Gives tasks a value to take as `State<T>`. One per type: a second one of a type replaces the first.
    pub fn with_state<T: Send + Sync + 'static>(self, value: T) -> Self {
        self.with(|config| config.state.insert(value))
    }

    /// Declares a queue when the app starts. A second one of a name replaces the first.
    pub fn with_queue(self, queue: QueueSpec) -> Self {
        self.with(|config| {
            config.queues.retain(|there| there.name() != queue.name());
            config.queues.push(queue);
        })
    }

    /// The queue of tasks that name none, instead of `taskq`.
    pub fn with_default_queue(self, name: impl Into<String>) -> Self {
        self.with(|config| config.default_queue = name.into())
    }

    /// Wraps every run. The first one added is outermost.
    pub fn with_middleware(self, middleware: impl Middleware) -> Self {
        self.with(|config| config.middleware.push(Arc::new(middleware)))
    }

    /// Wraps every submission. The first one added is outermost.
    pub fn with_send_middleware(self, middleware: impl SendMiddleware) -> Self {
        self.with(|config| config.send_middleware.push(Arc::new(middleware)))
    }

    /// Tells `observer` of every event.
    pub fn with_observer(self, observer: impl Observer) -> Self {
        self.with(|config| config.observers.push(Arc::new(observer)))
    }

    /// Writes the steps of every task to the result backend, at the cost of one write each, so that `status()` tells
    /// `Queued`, `Running` and `Retrying` apart. `#[task(track)]` does so for one task.
    pub fn with_tracking(self) -> Self {
        self.with(|config| config.tracks = true)
    }

    /// Encodes arguments and results as JSON instead of MessagePack. Workers read both.
    pub fn with_json(self) -> Self {
        self.with(|config| config.content_type = ContentType::Json)
    }

    /// How long results are kept, where a task does not say; 24 h by default. Text that is not a duration is an error at
    /// start.
    pub fn with_result_ttl(self, ttl: impl IntoSpan) -> Self {
        self.with_span("result_ttl", ttl, |config, ttl| config.result_ttl = ttl)
    }

    /// How long a `kiq` may take in all, where a call does not say; 30 s by default. Text that is not a duration is an
    /// error at start.
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
    /// it, a task that a task submits belongs to that task's trace, and any other begins a trace.
    pub fn with_trace_context(self, source: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        self.with(|config| config.trace = Some(Arc::new(source)))
    }

    /// Registers a task that `#[task]` did not define.
    #[track_caller]
    pub fn register<T: Run>(self) -> Self {
        let at = Location::caller();
        self.with(|config| config.tasks.push(TaskDef::of::<T>(at.file(), at.line())))
    }
}

/// Makes every broker the beginning of an [`App`]. In the prelude.
///
/// ```
/// use taskq_core::{BrokerExt, InMemoryBroker, QueueSpec};
/// let app = InMemoryBroker::new().with_queue(QueueSpec::new("mail")).with_tracking();
/// assert_eq!(app.default_queue(), "taskq");
/// ```
pub trait BrokerExt: Broker + Sized {
    /// An app on this broker.
    fn into_app(self) -> App {
        App::new(self)
    }

    /// See [`App::with_result_backend`].
    fn with_result_backend(self, results: impl ResultBackend) -> App {
        App::new(self).with_result_backend(results)
    }

    /// See [`App::with_state`].
    fn with_state<T: Send + Sync + 'static>(self, value: T) -> App {
        App::new(self).with_state(value)
    }

    /// See [`App::with_queue`].
    fn with_queue(self, queue: QueueSpec) -> App {
        App::new(self).with_queue(queue)
    }

    /// See [`App::with_default_queue`].
    fn with_default_queue(self, name: impl Into<String>) -> App {
        App::new(self).with_default_queue(name)
    }

    /// See [`App::with_middleware`].
    fn with_middleware(self, middleware: impl Middleware) -> App {
        App::new(self).with_middleware(middleware)
    }

    /// See [`App::with_send_middleware`].
    fn with_send_middleware(self, middleware: impl SendMiddleware) -> App {
        App::new(self).with_send_middleware(middleware)
    }

    /// See [`App::with_observer`].
    fn with_observer(self, observer: impl Observer) -> App {
        App::new(self).with_observer(observer)
    }

    /// See [`App::with_tracking`].
    fn with_tracking(self) -> App {
        App::new(self).with_tracking()
    }

    /// See [`App::with_json`].
    fn with_json(self) -> App {
        App::new(self).with_json()
    }

    /// See [`App::with_result_ttl`].
    fn with_result_ttl(self, ttl: impl IntoSpan) -> App {
        App::new(self).with_result_ttl(ttl)
    }

    /// See [`App::with_publish_timeout`].
    fn with_publish_timeout(self, timeout: impl IntoSpan) -> App {
        App::new(self).with_publish_timeout(timeout)
    }

    /// See [`App::with_trace_context`].
    fn with_trace_context(self, source: impl Fn() -> Option<String> + Send + Sync + 'static) -> App {
        App::new(self).with_trace_context(source)
    }

    /// See [`App::register`].
    #[track_caller]
    fn register<T: Run>(self) -> App {
        App::new(self).register::<T>()
    }
}

impl<B: Broker> BrokerExt for B {}
