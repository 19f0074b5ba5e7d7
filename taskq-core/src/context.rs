//! What a task can know about its own run, and what it can take from the app.

use crate::{
    app::App,
    error::BoxError,
    id::TaskId,
    message::{Labels, Message},
    state::{State, StateMap},
};
use std::{
    fmt,
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::OwnedSemaphorePermit;

/// One run of a task, seen from inside: its id, its attempt, its labels, the app. Cheap to clone.
///
/// ```
/// # use taskq::TaskContext;
/// async fn work(ctx: TaskContext) {
///     println!("attempt {} of {}", ctx.attempt(), ctx.task_id());
/// }
/// ```
#[derive(Clone)]
pub struct TaskContext(Arc<Inner>);

/// There may be tens of thousands of these.
struct Inner {
    place: Arc<Place>,
    message: Arc<Message>,
    cancelled: AtomicBool,
    /// Of a plain `fn`, until it has begun.
    blocking_slot: Option<Box<Mutex<Option<OwnedSemaphorePermit>>>>,
}

/// Where tasks run.
pub(crate) struct Place {
    pub(crate) app: App,
    pub(crate) queue: Box<str>,
}

impl TaskContext {
    pub(crate) fn new(place: Arc<Place>, message: Arc<Message>, blocking_slot: Option<OwnedSemaphorePermit>) -> Self {
        let blocking_slot = blocking_slot.map(|slot| Box::new(Mutex::new(Some(slot))));
        let cancelled = AtomicBool::new(false);
        TaskContext(Arc::new(Inner { place, message, cancelled, blocking_slot }))
    }

    /// Outside any worker.
    pub(crate) fn outside(app: &App, message: Message) -> Self {
        let place = Place { app: app.clone(), queue: "".into() };
        TaskContext::new(Arc::new(place), Arc::new(message), None)
    }

    /// The context of a first attempt outside any worker, for calling a task's function in a unit test: with a new id,
    /// the name `detached`, and neither labels nor a queue.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::prelude::*;
    /// // A task's function, as it stands under `#[task]`:
    /// async fn greet(ctx: TaskContext, name: String) -> String {
    ///     format!("hello {name}, at attempt {}", ctx.attempt())
    /// }
    ///
    /// let app = InMemoryBroker::new().into_app();
    /// assert_eq!(greet(TaskContext::detached(&app), "Ada".into()).await, "hello Ada, at attempt 1");
    /// # Ok(()) }
    /// ```
    pub fn detached(app: &App) -> Self {
        let message = Message::new(TaskId::new(), "detached", Default::default(), Default::default());
        TaskContext::outside(app, message)
    }

    /// The app that runs this task.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::{BoxError, prelude::*};
    /// async fn work(ctx: TaskContext) -> Result<String, BoxError> {
    ///     let letters = ctx.app().dead_letters(ctx.queue()).count().await?;
    ///     Ok(format!("{letters} dead letters in {}", ctx.queue()))
    /// }
    /// # use taskq::{Run, Task, TaskConfig};
    /// # struct Work;
    /// # impl Task for Work { type Args = (); type Output = String; type Returns = String; const NAME: &'static str = "work"; const CONFIG: TaskConfig = TaskConfig::new(); }
    /// # impl Run for Work { async fn run(ctx: TaskContext, _: ()) -> Result<String, BoxError> { work(ctx).await } }
    /// # let app = InMemoryBroker::new().register::<Work>();
    /// # let handle = Call::<Work>::new(()).kiq().on(&app).await?;
    /// # assert_eq!(handle.wait_result().await?.into_value()?, "0 dead letters in taskq");
    /// # Ok(()) }
    /// ```
    pub fn app(&self) -> &App {
        &self.0.place.app
    }

    /// The id of this task, the same over all attempts.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::{BoxError, prelude::*};
    /// async fn work(ctx: TaskContext) -> Result<String, BoxError> {
    ///     // The same at every attempt: the other side can tell a repetition by it.
    ///     Ok(format!("Idempotency-Key: {}", ctx.task_id()))
    /// }
    /// # use taskq::{Run, Task, TaskConfig};
    /// # struct Work;
    /// # impl Task for Work { type Args = (); type Output = String; type Returns = String; const NAME: &'static str = "work"; const CONFIG: TaskConfig = TaskConfig::new(); }
    /// # impl Run for Work { async fn run(ctx: TaskContext, _: ()) -> Result<String, BoxError> { work(ctx).await } }
    /// # let app = InMemoryBroker::new().register::<Work>();
    /// # let handle = Call::<Work>::new(()).kiq().task_id("order-17").on(&app).await?;
    /// # assert_eq!(handle.wait_result().await?.into_value()?, "Idempotency-Key: order-17");
    /// # Ok(()) }
    /// ```
    pub fn task_id(&self) -> &TaskId {
        &self.0.message.id
    }

    /// The name of this task.
    ///
    /// ```
    /// use taskq::{BoxFuture, Next, Outcome, TaskContext};
    /// fn log<'a>(ctx: &'a TaskContext, next: Next<'a>) -> BoxFuture<'a, Outcome> {
    ///     println!("{} begins", ctx.task_name());
    ///     next.run(ctx)
    /// }
    /// # let app = taskq::BrokerExt::with_middleware(taskq::InMemoryBroker::new(), log);
    /// # assert_eq!(TaskContext::detached(&app).task_name(), "detached");
    /// ```
    pub fn task_name(&self) -> &str {
        &self.0.message.task
    }

    /// The number of this run, from 1.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::{BoxError, prelude::*};
    /// async fn work(ctx: TaskContext) -> Result<String, BoxError> {
    ///     let mirror = if ctx.attempt() == 1 { "a.example.org" } else { "b.example.org" };
    ///     Ok(format!("fetched from {mirror}"))
    /// }
    /// # use taskq::{Run, Task, TaskConfig};
    /// # struct Work;
    /// # impl Task for Work { type Args = (); type Output = String; type Returns = String; const NAME: &'static str = "work"; const CONFIG: TaskConfig = TaskConfig::new(); }
    /// # impl Run for Work { async fn run(ctx: TaskContext, _: ()) -> Result<String, BoxError> { work(ctx).await } }
    /// # let app = InMemoryBroker::new().register::<Work>();
    /// # let handle = Call::<Work>::new(()).kiq().on(&app).await?;
    /// # assert_eq!(handle.wait_result().await?.into_value()?, "fetched from a.example.org");
    /// # Ok(()) }
    /// ```
    pub fn attempt(&self) -> u32 {
        self.0.message.attempt
    }

    /// Whether this is the last run that `retry = N` allows.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::{BoxError, prelude::*};
    /// async fn work(ctx: TaskContext) -> Result<String, BoxError> {
    ///     match ctx.is_last_attempt() {
    ///         true => Ok(format!("a cheap answer, at attempt {}", ctx.attempt())),
    ///         false => Err("the model is busy".into()),
    ///     }
    /// }
    /// # use taskq::{Backoff, Run, Task, TaskConfig};
    /// # struct Work;
    /// # impl Task for Work { type Args = (); type Output = String; type Returns = String; const NAME: &'static str = "work"; const CONFIG: TaskConfig = TaskConfig::new().retry(2).backoff(Backoff::list(&[])); }
    /// # impl Run for Work { async fn run(ctx: TaskContext, _: ()) -> Result<String, BoxError> { work(ctx).await } }
    /// # let app = InMemoryBroker::new().register::<Work>();
    /// let handle = Call::<Work>::new(()).kiq().on(&app).await?; // `Work` has `retry = 2`
    /// assert_eq!(handle.wait_result().await?.into_value()?, "a cheap answer, at attempt 3");
    /// # Ok(()) }
    /// ```
    pub fn is_last_attempt(&self) -> bool {
        self.0.message.attempt > self.0.message.retry
    }

    /// The queue that this task came from.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::{BoxError, prelude::*};
    /// async fn work(ctx: TaskContext) -> Result<String, BoxError> {
    ///     Ok(format!("came by {}", ctx.queue()))
    /// }
    /// # use taskq::{Run, Task, TaskConfig};
    /// # struct Work;
    /// # impl Task for Work { type Args = (); type Output = String; type Returns = String; const NAME: &'static str = "work"; const CONFIG: TaskConfig = TaskConfig::new(); }
    /// # impl Run for Work { async fn run(ctx: TaskContext, _: ()) -> Result<String, BoxError> { work(ctx).await } }
    /// # let app = InMemoryBroker::new().register::<Work>();
    /// # let app = app.with_queue(QueueSpec::new("urgent"));
    /// let handle = Call::<Work>::new(()).kiq().queue("urgent").on(&app).await?;
    /// assert_eq!(handle.wait_result().await?.into_value()?, "came by urgent");
    /// # Ok(()) }
    /// ```
    pub fn queue(&self) -> &str {
        &self.0.place.queue
    }

    /// The labels that its sender gave.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::{BoxError, prelude::*};
    /// async fn work(ctx: TaskContext) -> Result<String, BoxError> {
    ///     let tenant = ctx.labels().get("tenant").ok_or_else(|| TaskError::permanent("no tenant"))?;
    ///     Ok(format!("for {tenant}"))
    /// }
    /// # use taskq::{Run, Task, TaskConfig};
    /// # struct Work;
    /// # impl Task for Work { type Args = (); type Output = String; type Returns = String; const NAME: &'static str = "work"; const CONFIG: TaskConfig = TaskConfig::new(); }
    /// # impl Run for Work { async fn run(ctx: TaskContext, _: ()) -> Result<String, BoxError> { work(ctx).await } }
    /// # let app = InMemoryBroker::new().register::<Work>();
    /// let handle = Call::<Work>::new(()).kiq().label("tenant", "acme").on(&app).await?;
    /// assert_eq!(handle.wait_result().await?.into_value()?, "for acme");
    /// # Ok(()) }
    /// ```
    pub fn labels(&self) -> &Labels {
        &self.0.message.labels
    }

    /// The whole message, as it was delivered.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::{BoxError, UnixMillis, prelude::*};
    /// async fn work(ctx: TaskContext) -> Result<String, BoxError> {
    ///     let waited = ctx.message().created.until(UnixMillis::now());
    ///     Ok(if waited.as_secs() < 60 { "fresh".into() } else { "stale".into() })
    /// }
    /// # use taskq::{Run, Task, TaskConfig};
    /// # struct Work;
    /// # impl Task for Work { type Args = (); type Output = String; type Returns = String; const NAME: &'static str = "work"; const CONFIG: TaskConfig = TaskConfig::new(); }
    /// # impl Run for Work { async fn run(ctx: TaskContext, _: ()) -> Result<String, BoxError> { work(ctx).await } }
    /// # let app = InMemoryBroker::new().register::<Work>();
    /// # let handle = Call::<Work>::new(()).kiq().on(&app).await?;
    /// # assert_eq!(handle.wait_result().await?.into_value()?, "fresh");
    /// # Ok(()) }
    /// ```
    pub fn message(&self) -> &Message {
        &self.0.message
    }

    /// Whether nobody waits for this run any more: it took longer than its time limit, or its worker stops and the
    /// shutdown timeout has ended. A plain `fn`, which cannot be stopped from outside, should look at this in its
    /// loops.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// # use std::time::Duration;
    /// use taskq::{BoxError, FailureKind, prelude::*};
    /// fn crunch(ctx: &TaskContext) -> Result<u64, BoxError> {
    ///     for _chunk in 0_u64.. {
    ///         if ctx.is_cancelled() {
    ///             return Err("out of time".into());
    ///         }
    /// #       std::thread::sleep(Duration::from_millis(1));
    ///     }
    ///     Ok(0)
    /// }
    /// # use taskq::{Run, Task, TaskConfig};
    /// # struct Crunch;
    /// # impl Task for Crunch { type Args = (); type Output = u64; type Returns = u64; const NAME: &'static str = "crunch"; const CONFIG: TaskConfig = TaskConfig::new().blocking().timeout(Duration::from_millis(50)); }
    /// # impl Run for Crunch { async fn run(ctx: TaskContext, _: ()) -> Result<u64, BoxError> { taskq::__private::blocking(ctx.clone(), move || crunch(&ctx), |ended| ended).await } }
    /// # let app = InMemoryBroker::new().register::<Crunch>();
    /// let handle = Call::<Crunch>::new(()).kiq().on(&app).await?; // `Crunch` has `timeout = "50ms"`
    /// let failure = handle.wait_result().await?.into_value().unwrap_err();
    /// assert_eq!(failure.kind, FailureKind::Timeout); // and the thread has come free
    /// # Ok(()) }
    /// ```
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Acquire)
    }

    /// The app's value of type `T`, for code that has no parameter `State<T>`, such as middleware.
    ///
    /// ```
    /// use taskq::{BoxFuture, Next, Outcome, TaskContext, prelude::*};
    /// #[derive(Debug)]
    /// struct Maintenance(bool);
    ///
    /// fn pause<'a>(ctx: &'a TaskContext, next: Next<'a>) -> BoxFuture<'a, Outcome> {
    ///     match ctx.state::<Maintenance>() {
    ///         Ok(maintenance) if maintenance.0.0 => {
    ///             Box::pin(async { Outcome::failed(TaskError::retry_in("closed", "5m")) })
    ///         }
    ///         _ => next.run(ctx),
    ///     }
    /// }
    ///
    /// let app = InMemoryBroker::new().with_middleware(pause);
    /// let missing = TaskContext::detached(&app).state::<Maintenance>().unwrap_err();
    /// assert!(missing.to_string().contains(".with_state("), "{missing}");
    /// ```
    ///
    /// # Errors
    /// There is none; the error says how to add it.
    pub fn state<T: Send + Sync + 'static>(&self) -> Result<State<T>, BoxError> {
        self.app().state().get()
    }

    pub(crate) fn message_arc(&self) -> &Arc<Message> {
        &self.0.message
    }

    pub(crate) fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Release);
    }

    pub(crate) fn take_blocking_slot(&self) -> Option<OwnedSemaphorePermit> {
        self.0.blocking_slot.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl fmt::Debug for TaskContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = &self.0.message;
        f.debug_struct("TaskContext")
            .field("id", &message.id)
            .field("task", &message.task)
            .field("attempt", &message.attempt)
            .finish_non_exhaustive()
    }
}

/// A parameter that comes from the worker, not from the sender: [`TaskContext`], [`State`], or a type of one's own that
/// is marked `#[inject]`.
///
/// ```
/// use taskq::{BoxError, FromContext, TaskContext};
///
/// struct Tenant(String);
///
/// impl FromContext for Tenant {
///     async fn from_context(ctx: &TaskContext) -> Result<Self, BoxError> {
///         Ok(Tenant(ctx.labels().get("tenant").ok_or("the label `tenant` is missing")?.clone()))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be injected into a task",
    note = "if this is an argument, mark the parameter `#[arg]`; if you meant taskq's own type, write `taskq::State<..>` or \
            `taskq::TaskContext` (another type of that name is in scope); otherwise implement `FromContext` for it"
)]
pub trait FromContext: Sized + Send {
    /// The value for one run. It is awaited before the task's body, within the time limit of the run, and dropped where
    /// it stands when that ends.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::{BoxError, FromContext, prelude::*};
    ///
    /// struct Smtp(&'static str);
    /// struct Mailer { host: &'static str, message_id: String }
    ///
    /// impl FromContext for Mailer {
    ///     async fn from_context(ctx: &TaskContext) -> Result<Self, BoxError> {
    ///         let smtp: State<Smtp> = ctx.state()?;
    ///         Ok(Mailer { host: smtp.0.0, message_id: format!("<{}@example.org>", ctx.task_id()) })
    ///     }
    /// }
    ///
    /// let app = InMemoryBroker::new().with_state(Smtp("smtp.example.org"));
    /// let mailer = Mailer::from_context(&TaskContext::detached(&app)).await.unwrap();
    /// assert_eq!((mailer.host, mailer.message_id.len()), ("smtp.example.org", 46));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The run counts as failed with this error.
    fn from_context(ctx: &TaskContext) -> impl Future<Output = Result<Self, BoxError>> + Send;

    /// Whether the app has what this needs. Asked once, when a worker starts, and when an app starts that runs its
    /// tasks itself: that one refuses the `kiq` of the task. By default it is not known, and the answer is yes.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::{BoxError, FromContext, StateMap, WorkerError, prelude::*};
    ///
    /// struct Smtp(&'static str);
    /// struct Mailer;
    ///
    /// impl FromContext for Mailer {
    ///     async fn from_context(ctx: &TaskContext) -> Result<Self, BoxError> {
    ///         let _smtp: State<Smtp> = ctx.state()?;
    ///         Ok(Mailer)
    ///     }
    ///     fn check(state: &StateMap) -> Result<(), BoxError> {
    ///         state.get::<Smtp>().map(drop)
    ///     }
    /// }
    /// # use taskq::{Run, Task, TaskConfig};
    /// # struct SendMail;
    /// # impl Task for SendMail { type Args = (); type Output = (); type Returns = (); const NAME: &'static str = "mail.send"; const CONFIG: TaskConfig = TaskConfig::new(); }
    /// # impl Run for SendMail {
    /// #     async fn run(ctx: TaskContext, _: ()) -> Result<(), BoxError> { Mailer::from_context(&ctx).await.map(drop) }
    /// #     fn check(state: &StateMap) -> Result<(), BoxError> { Mailer::check(state) }
    /// # }
    /// // A worker whose app lacks it does not start:
    /// let app = InMemoryBroker::new().register::<SendMail>();
    /// let ended = app.worker().run_until(std::future::ready(())).await;
    /// assert!(matches!(ended, Err(WorkerError::MissingState { task, .. }) if task == "mail.send"));
    /// # app.with_state(Smtp("smtp.example.org")).worker().run_until(std::future::ready(())).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// What is missing, and how to add it.
    fn check(state: &StateMap) -> Result<(), BoxError> {
        let _ = state;
        Ok(())
    }
}

impl FromContext for TaskContext {
    async fn from_context(ctx: &TaskContext) -> Result<Self, BoxError> {
        Ok(ctx.clone())
    }
}

impl<T: Send + Sync + 'static> FromContext for State<T> {
    async fn from_context(ctx: &TaskContext) -> Result<Self, BoxError> {
        ctx.state()
    }

    fn check(state: &StateMap) -> Result<(), BoxError> {
        state.get::<T>().map(drop)
    }
}
