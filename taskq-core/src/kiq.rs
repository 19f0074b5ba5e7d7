//! Handing a task to the broker: options first, then one confirmed publish.

use crate::{
    BoxFuture,
    app::{App, Current},
    broker::Origin,
    codec,
    defaults::MAX_BODY,
    error::KiqError,
    handle::TaskHandle,
    id::TaskId,
    message::{ContentType, Labels, Message},
    span::IntoSpan,
    submit::Submission,
    task::Task,
    trace::TraceContext,
};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

/// A task on its way to the broker. Options come before the first poll; awaiting it sends.
///
/// Resolves to a [`TaskHandle`] when the broker has confirmed the message, within the publish timeout (30 s, or
/// `.within(..)`), or to a [`KiqError`] that tells whether the task may have been sent. It is `Send + 'static + Unpin`,
/// so `tokio::spawn`, `JoinSet` and `try_join!` take it. Dropping it after its first poll leaves open whether the task
/// was sent.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> taskq::Result<()> {
/// # use taskq::{BrokerExt, InMemoryBroker};
/// # let app = InMemoryBroker::new().register::<Add>();
/// let handle = add(2, 3).kiq().label("tenant", "acme").expires("1h").on(&app).await?;
/// println!("sent as {}", handle.id());
/// # assert_eq!(handle.wait_result().await?.into_value()?, 5);
/// # Ok(()) }
/// ```
#[must_use = "a task is sent only when this is awaited"]
pub struct Kiq<T: Task> {
    state: State<T>,
}

enum State<T: Task> {
    Building { args: Option<T::Args>, options: Box<Options> },
    Sending(BoxFuture<'static, Result<TaskHandle<T::Output>, KiqError>>),
    Ended,
}

#[derive(Default)]
struct Options {
    app: Option<App>,
    queue: Option<String>,
    delay: Option<Duration>,
    expires: Option<Duration>,
    within: Option<Duration>,
    priority: Option<u8>,
    id: Option<TaskId>,
    labels: Labels,
    /// The first option whose value cannot be used, and why.
    invalid: Option<(&'static str, String)>,
}

impl<T: Task> Kiq<T> {
    pub(crate) fn new(args: Option<T::Args>) -> Self {
        Kiq { state: State::Building { args, options: Box::default() } }
    }

    /// Makes it ready to be sent together with others. One that was polled before is given back.
    pub(crate) fn prepare(self) -> Result<Result<Submission, KiqError>, Self> {
        match self.state {
            State::Building { args, options } => Ok(prepare::<T>(args, *options)),
            state => Err(Kiq { state }),
        }
    }

    /// Not to be run before this much time has passed: a [`Duration`] of any length, or text such as `"10m"`. Without
    /// it the task is due at once. Awaiting gives [`KiqError::Unsupported`] on a broker without delays, and
    /// [`KiqError::Invalid`] for text that is not a duration.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> taskq::Result<()> {
    /// # use taskq::{BrokerExt, InMemoryBroker};
    /// # use std::time::Duration;
    /// # let app = InMemoryBroker::new().register::<Add>();
    /// let began = tokio::time::Instant::now();
    /// let handle = add(2, 3).kiq().delay("10m").on(&app).await?;
    /// handle.wait_result().await?;
    /// assert!(began.elapsed() >= Duration::from_secs(600)); // at once where a test has paused time
    /// # Ok(()) }
    /// ```
    pub fn delay(self, delay: impl IntoSpan) -> Self {
        self.span("delay", delay, |options, delay| options.delay = Some(delay))
    }

    /// Not to be run later than this after now: it ends as expired instead. Counts from the submission, a delay
    /// included. Without it, the task's own `expires`; without that, never. Text that is not a duration is
    /// [`KiqError::Invalid`] when awaited, and so is one that is over when the delay is.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> taskq::Result<()> {
    /// # use taskq::{BrokerExt, InMemoryBroker, TaskStatus};
    /// # use std::time::Duration;
    /// let app = InMemoryBroker::new().without_worker().register::<Add>();
    /// let handle = add(2, 3).kiq().expires("1m").on(&app).await?;
    /// tokio::time::advance(Duration::from_secs(90)).await; // no worker meanwhile
    /// app.worker().run_until(handle.wait_result()).await?;
    /// assert_eq!(handle.status().await?, TaskStatus::Expired);
    /// # Ok(()) }
    /// ```
    pub fn expires(self, expires: impl IntoSpan) -> Self {
        self.span("expires", expires, |options, expires| options.expires = Some(expires))
    }

    /// How long sending may take in all, connecting and waiting for room included; 30 s unless the app says otherwise.
    /// Text that is not a duration is [`KiqError::Invalid`] when awaited.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// # use taskq::{BrokerExt, InMemoryBroker, KiqError};
    /// let app = InMemoryBroker::new().without_worker().capacity(1).register::<Add>();
    /// add(1, 1).kiq().on(&app).await?;
    /// let error = add(2, 3).kiq().within("20ms").on(&app).await.unwrap_err(); // instead of 30 s
    /// assert!(matches!(error, KiqError::QueueFull { .. }));
    /// # Ok(()) }
    /// ```
    pub fn within(self, within: impl IntoSpan) -> Self {
        self.span("within", within, |options, within| options.within = Some(within))
    }

    /// Another queue than the task's own. It must exist, or awaiting gives [`KiqError::UnknownQueue`]. A name that no
    /// queue can have is [`KiqError::Invalid`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// # use taskq::{BrokerExt, InMemoryBroker, KiqError, QueueSpec};
    /// let app = InMemoryBroker::new().with_queue(QueueSpec::new("urgent")).register::<Add>();
    /// let handle = add(2, 3).kiq().queue("urgent").on(&app).await?;
    /// assert_eq!(handle.wait_result().await?.into_value()?, 5);
    ///
    /// let error = add(2, 3).kiq().queue("urgnet").on(&app).await.unwrap_err();
    /// assert!(matches!(error, KiqError::UnknownQueue { queue, .. } if queue == "urgnet"));
    /// # Ok(()) }
    /// ```
    pub fn queue(self, queue: impl Into<String>) -> Self {
        self.option(|options| options.queue = Some(queue.into()))
    }

    /// Higher goes first, from 0, which is also the default. The queue must be declared with
    /// [`QueueSpec::priorities`](crate::QueueSpec::priorities), or awaiting gives [`KiqError::Unsupported`]; above its highest
    /// priority it gives [`KiqError::Invalid`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// # use taskq::{Broker, BrokerExt, Content, InMemoryBroker, QueueSpec};
    /// # use std::num::NonZeroU16;
    /// let mail = QueueSpec::new("mail").priorities(9);
    /// let app = InMemoryBroker::new().without_worker().with_queue(mail.clone()).register::<Add>();
    /// add(1, 1).kiq().queue("mail").on(&app).await?;
    /// add(2, 2).kiq().queue("mail").priority(9).on(&app).await?;
    ///
    /// let first = app.broker().consume(&mail, NonZeroU16::MIN).await?.next().await.unwrap();
    /// assert!(matches!(&first.content, Content::Task(task) if task.priority == Some(9)));
    /// # Ok(()) }
    /// ```
    pub fn priority(self, priority: u8) -> Self {
        self.option(|options| options.priority = Some(priority))
    }

    /// An id of the caller's choice: 1 to 128 bytes, see [`TaskId::check`]. While a result is kept under it, a second
    /// submission does not run again. Without it, taskq makes one.
    ///
    /// Awaiting gives [`KiqError::Unsupported`] without a result backend or for a task that stores no result, and
    /// [`KiqError::Invalid`] for an id that may not be used.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// # use std::sync::{Arc, atomic::{AtomicU32, Ordering}};
    /// # use taskq::{BrokerExt, Event, InMemoryBroker, Observer};
    /// # struct Runs(Arc<AtomicU32>);
    /// # impl Observer for Runs {
    /// #     fn on(&self, event: &Event<'_>) {
    /// #         if let Event::Started { .. } = event { self.0.fetch_add(1, Ordering::Relaxed); }
    /// #     }
    /// # }
    /// # let runs = Arc::new(AtomicU32::new(0));
    /// # let broker = InMemoryBroker::new();
    /// # let app = broker.clone().register::<Add>().with_observer(Runs(runs.clone()));
    /// for _ in 0..2 {
    ///     let handle = add(2, 3).kiq().task_id("invoice-17").on(&app).await?;
    ///     assert_eq!(handle.wait_result().await?.into_value()?, 5);
    /// }
    /// # broker.wait_idle().await;
    /// assert_eq!(runs.load(Ordering::Relaxed), 1);
    /// # Ok(()) }
    /// ```
    pub fn task_id(self, id: impl Into<TaskId>) -> Self {
        self.option(|options| options.id = Some(id.into()))
    }

    /// A note that travels with the task, over retries and to the dead letters; [`TaskContext::labels`] gives it to the
    /// task. A second one of a name replaces the first.
    ///
    /// A name has 1 to 255 bytes and does not start with `taskq-` or `x-`; all labels together have at most 32 KiB.
    /// Others are [`KiqError::Invalid`] when awaited.
    ///
    /// [`TaskContext::labels`]: crate::TaskContext::labels
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// # use taskq::{BrokerExt, InMemoryBroker};
    /// # let broker = InMemoryBroker::new();
    /// # let app = broker.clone().register::<Add>();
    /// add(i64::MAX, 1).kiq().label("tenant", "acme").on(&app).await?;
    /// broker.wait_idle().await;
    /// assert_eq!(broker.dead_letters("taskq")[0].labels["tenant"], "acme");
    /// # Ok(()) }
    /// ```
    pub fn label(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.option(|options| drop(options.labels.insert(name.into(), value.into())))
    }

    /// The app to send with, instead of the one of the scope or of the process. With none of these, awaiting gives
    /// [`KiqError::NoApp`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// # use taskq::{Broker, BrokerExt, InMemoryBroker};
    /// let here = InMemoryBroker::new().register::<Add>();
    /// let there = InMemoryBroker::new().without_worker().register::<Add>();
    /// here.scope(add(2, 3).kiq().on(&there)).await?;
    /// assert_eq!(there.broker().inspect("taskq").await?.ready, 1);
    /// # Ok(()) }
    /// ```
    pub fn on(self, app: &App) -> Self {
        self.option(|options| options.app = Some(app.clone()))
    }

    fn option(mut self, set: impl FnOnce(&mut Options)) -> Self {
        if let State::Building { options, .. } = &mut self.state {
            set(options);
        }
        self
    }

    fn span(self, name: &'static str, span: impl IntoSpan, set: impl FnOnce(&mut Options, Duration)) -> Self {
        self.option(|options| match span.into_span() {
            Ok(span) => set(options, span),
            Err(reason) => drop(options.invalid.get_or_insert((name, reason))),
        })
    }
}

impl<T: Task> Unpin for Kiq<T> {}

impl<T: Task> Future for Kiq<T> {
    type Output = Result<TaskHandle<T::Output>, KiqError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut sending = match std::mem::replace(&mut self.state, State::Ended) {
            State::Building { args, options } => Box::pin(send::<T>(args, *options)),
            State::Sending(sending) => sending,
            State::Ended => return Poll::Pending,
        };
        let polled = sending.as_mut().poll(cx);
        if polled.is_pending() {
            self.state = State::Sending(sending);
        }
        polled
    }
}

impl<T: Task> fmt::Debug for Kiq<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kiq({})", T::NAME)
    }
}

async fn send<T: Task>(args: Option<T::Args>, options: Options) -> Result<TaskHandle<T::Output>, KiqError> {
    let submission = prepare::<T>(args, options)?;
    submission.send().await?;
    Ok(submission.into_handle::<T>())
}

fn prepare<T: Task>(args: Option<T::Args>, mut options: Options) -> Result<Submission, KiqError> {
    let invalid = |option, reason| KiqError::Invalid { task: T::NAME.into(), option, reason };
    if let Some((option, reason)) = options.invalid.take() {
        return Err(invalid(option, reason));
    }
    let args = args.ok_or_else(|| invalid("kiq", "the call was awaited before, so its arguments are gone".into()))?;
    let current = Current::get();
    let app = match options.app.take().or_else(|| current.as_ref().map(|current| current.app().clone())) {
        Some(app) => app,
        None => App::process_default().ok_or_else(|| KiqError::NoApp { task: T::NAME.into() })?,
    };

    let body = encode::<T>(app.content_type(), &args)?;
    drop(args);
    let parent = current.as_ref().and_then(Current::task);
    let mut message = Message::new(options.id.clone().unwrap_or_default(), T::NAME, app.content_type(), body);
    message.retry = T::CONFIG.retry;
    message.check = options.id.is_some();
    message.republished = message.id.is_maybe_sent();
    message.track = T::CONFIG.track || app.tracks();
    message.priority = options.priority;
    message.labels = std::mem::take(&mut options.labels);
    message.eta = options.delay.map(|delay| message.created + delay);
    message.expires = options.expires.or(T::CONFIG.expires).map(|expires| message.created + expires);
    message.root = parent.map_or_else(|| message.id.clone(), |task| task.message().root.clone());
    message.traceparent = Some(app.trace_context(parent).unwrap_or_else(TraceContext::fresh));

    if message.check && !T::CONFIG.store_result {
        let what = "an id of its own (`task_id`), which needs a stored result (the task has `store_result = false`)";
        return Err(KiqError::Unsupported { task: T::NAME.into(), what: what.into() });
    }
    let submission = Submission {
        queue: options.queue.map_or_else(|| app.queue_for(&T::CONFIG), Into::into),
        within: options.within.unwrap_or_else(|| app.publish_timeout()),
        origin: if parent.is_some() { Origin::Task } else { Origin::Caller },
        message: Arc::new(message),
        app,
    };
    submission.check()?;
    Ok(submission)
}

fn encode<T: Task>(content_type: ContentType, args: &T::Args) -> Result<bytes::Bytes, KiqError> {
    let body = codec::encode(content_type, args).map_err(|source| KiqError::Encode { task: T::NAME.into(), source })?;
    match body.len() {
        size if size > MAX_BODY => Err(KiqError::TooLarge { task: T::NAME.into(), size, limit: MAX_BODY }),
        _ => Ok(body),
    }
}
