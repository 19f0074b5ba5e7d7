//! What a task is: a name, types for its arguments and value, attributes, and (for workers) a body.

use crate::{
    BoxFuture,
    backoff::Backoff,
    context::TaskContext,
    error::BoxError,
    handler::{self, BoxHandler},
    state::StateMap,
};
use serde::{Serialize, de::DeserializeOwned};
use std::{any::TypeId, fmt, time::Duration};

/// A task as its senders know it: a name, arguments, a value. `#[task]` writes this; a stub for a task that lives in
/// another crate implements just this.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use taskq::{Call, Task, TaskConfig};
///
/// struct Resize;
///
/// #[derive(Serialize, Deserialize)]
/// struct ResizeArgs { path: String, width: u32 }
///
/// impl Task for Resize {
///     type Args = ResizeArgs;
///     type Output = u64;
///     type Returns = u64;
///     const NAME: &'static str = "images.resize";
///     const CONFIG: TaskConfig = TaskConfig::new().retry(3).queue("images");
/// }
///
/// let call: Call<Resize> = Call::new(ResizeArgs { path: "a.png".into(), width: 800 });
/// let _kiq = call.kiq().delay("5s");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a taskq task",
    note = "annotate the function with `#[taskq::task]`"
)]
pub trait Task: Sized + Send + Sync + 'static {
    /// The arguments: a map by name on the wire.
    type Args: Serialize + DeserializeOwned + Send + 'static;
    /// The value that a successful run gives.
    type Output: Serialize + DeserializeOwned + Send + 'static;
    /// What the plain call gives: the value, or a `Result` of it.
    type Returns: Send + 'static;
    /// The name on the wire.
    const NAME: &'static str;
    /// The attributes.
    const CONFIG: TaskConfig;
}

/// A task that workers can run. `#[task]` writes this; implementers write `async fn`.
///
/// ```
/// use taskq::{BoxError, Run, Task, TaskConfig, TaskContext};
///
/// struct Ping;
///
/// impl Task for Ping {
///     type Args = ();
///     type Output = String;
///     type Returns = String;
///     const NAME: &'static str = "ping";
///     const CONFIG: TaskConfig = TaskConfig::new();
/// }
///
/// impl Run for Ping {
///     async fn run(ctx: TaskContext, _: ()) -> Result<String, BoxError> {
///         Ok(format!("pong, at attempt {}", ctx.attempt()))
///     }
/// }
/// ```
pub trait Run: Task {
    /// One run. Resolves to the value, or to the error that the worker decides on. A worker drops the future at an
    /// `.await` when the time limit has passed or the worker has to stop; what must not be left half done belongs
    /// behind `tokio::spawn`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// # use taskq::{BoxError, BrokerExt, InMemoryBroker, Run, Task, TaskConfig, TaskContext};
    /// # struct Ping;
    /// # impl Task for Ping { type Args = (); type Output = String; type Returns = String; const NAME: &'static str = "ping"; const CONFIG: TaskConfig = TaskConfig::new().retry(3); }
    /// # impl Run for Ping {
    /// #     async fn run(ctx: TaskContext, _: ()) -> Result<String, BoxError> {
    /// #         Ok(format!("pong, at attempt {}", ctx.attempt()))
    /// #     }
    /// # }
    /// // In a unit test, without broker and worker:
    /// let ctx = TaskContext::detached(&InMemoryBroker::new().into_app());
    /// assert_eq!(Ping::run(ctx, ()).await.unwrap(), "pong, at attempt 1");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Whatever the task says; a [`TaskError`](crate::TaskError) tells the worker what to do with it.
    fn run(ctx: TaskContext, args: Self::Args)
    -> impl Future<Output = Result<Self::Output, BoxError>> + Send + 'static;

    /// Whether everything that the task takes from the app is there. Asked once, when a worker starts that consumes the
    /// task's queue, or an app that runs its tasks itself. By default nothing is needed.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// # use taskq::{BoxError, BrokerExt, InMemoryBroker, Run, StateMap, Task, TaskConfig, TaskContext, WorkerError};
    /// # struct Ping;
    /// # impl Task for Ping { type Args = (); type Output = String; type Returns = String; const NAME: &'static str = "ping"; const CONFIG: TaskConfig = TaskConfig::new().retry(3); }
    /// struct Smtp;
    ///
    /// impl Run for Ping {
    ///     fn check(state: &StateMap) -> Result<(), BoxError> {
    ///         state.get::<Smtp>().map(drop)
    ///     }
    /// #   async fn run(_: TaskContext, _: ()) -> Result<String, BoxError> { Ok("pong".into()) }
    ///     // ..
    /// }
    ///
    /// let app = InMemoryBroker::new().register::<Ping>();
    /// let error = app.worker().run_until(std::future::pending::<()>()).await.unwrap_err();
    /// assert!(matches!(error, WorkerError::MissingState { task, .. } if task == "ping"));
    ///
    /// let app = app.with_state(Smtp);
    /// app.worker().run_until(std::future::ready(())).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// What is missing, and how to add it; the worker ends with it as
    /// [`WorkerError::MissingState`](crate::WorkerError::MissingState).
    fn check(state: &StateMap) -> Result<(), BoxError> {
        let _ = state;
        Ok(())
    }
}

/// A task whose plain call can run here, because nothing is injected. `#[task]` writes this.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use serde::{Deserialize, Serialize};
/// use taskq::{BoxFuture, Call, Direct, Task, TaskConfig};
///
/// struct Double;
///
/// #[derive(Serialize, Deserialize)]
/// struct DoubleArgs { n: i64 }
///
/// impl Task for Double {
///     type Args = DoubleArgs;
///     type Output = i64;
///     type Returns = i64;
///     const NAME: &'static str = "double";
///     const CONFIG: TaskConfig = TaskConfig::new();
/// }
///
/// impl Direct for Double {
///     fn run_direct(args: DoubleArgs) -> BoxFuture<'static, i64> {
///         Box::pin(async move { args.n * 2 })
///     }
/// }
///
/// assert_eq!(Call::<Double>::new(DoubleArgs { n: 21 }).await, 42); // no broker, no worker
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` takes injected parameters, so `.await` alone cannot run it",
    note = "call the plain function, `{Self}::inner(..)`, or hand it to the broker with `.kiq()`"
)]
pub trait Direct: Task {
    /// The function itself. Resolves to what it returns; dropping the future stops an async body at its next `.await`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # use taskq::{BoxFuture, Call, Direct, Task, TaskConfig};
    /// # struct Ping;
    /// # impl Task for Ping { type Args = (); type Output = String; type Returns = String; const NAME: &'static str = "ping"; const CONFIG: TaskConfig = TaskConfig::new().retry(3); }
    /// # impl Direct for Ping { fn run_direct(_: ()) -> BoxFuture<'static, String> { Box::pin(async { "pong".into() }) } }
    /// assert_eq!(Ping::run_direct(()).await, Call::<Ping>::new(()).await); // the same
    /// # }
    /// ```
    fn run_direct(args: Self::Args) -> BoxFuture<'static, Self::Returns>;
}

/// When a delivery is acknowledged.
///
/// ```
/// use taskq::{Ack, TaskConfig};
/// const CHARGE_ONCE: TaskConfig = TaskConfig::new().ack(Ack::OnReceive);
/// let survives_a_crash = |config: TaskConfig| match config.ack {
///     Ack::OnDone => true,
///     _ => false,
/// };
/// assert!(survives_a_crash(TaskConfig::new()) && !survives_a_crash(CHARGE_ONCE));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Ack {
    /// When the outcome is durable: the task runs again if its worker dies. The default.
    #[default]
    OnDone,
    /// Before the task runs: no attempt runs twice, and the task is lost if its worker dies.
    OnReceive,
}

/// How a body runs.
///
/// ```
/// use taskq::{Exec, TaskConfig};
/// assert_eq!(TaskConfig::new().exec, Exec::Async);
/// assert_eq!(TaskConfig::new().blocking().exec, Exec::Blocking);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Exec {
    /// As a future on the worker's runtime.
    #[default]
    Async,
    /// On a thread of the blocking pool; as many at once as the machine has cores. See [`TaskConfig::blocking`].
    Blocking,
}

/// A task's attributes. All that is not set has the default of [`defaults`](crate::defaults).
///
/// ```
/// use std::time::Duration;
/// use taskq::{Backoff, TaskConfig};
/// const CONFIG: TaskConfig =
///     TaskConfig::new().retry(3).timeout(Duration::from_secs(30)).backoff(Backoff::fixed(Duration::from_secs(5)));
/// assert_eq!(CONFIG.retry, 3);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct TaskConfig {
    /// Further runs after the first.
    pub retry: u32,
    /// Time limit of one run, if the task names one.
    pub timeout: Option<Duration>,
    /// Time between runs.
    pub backoff: Backoff,
    /// The queue, if the task names one.
    pub queue: Option<&'static str>,
    /// Not to be run later than this after its submission.
    pub expires: Option<Duration>,
    /// When a delivery is acknowledged.
    pub ack: Ack,
    /// How long the result is kept, if not as long as the app says.
    pub result_ttl: Option<Duration>,
    /// Whether a result is kept at all.
    pub store_result: bool,
    /// Whether giving up leaves a dead letter.
    pub dead_letter: bool,
    /// Whether the task's steps are written to the result backend.
    pub track: bool,
    /// How the body runs.
    pub exec: Exec,
}

impl TaskConfig {
    /// The defaults: no retries, the worker's time limit, the app's queue, and a stored result.
    ///
    /// ```
    /// use taskq::{Ack, TaskConfig};
    /// const CONFIG: TaskConfig = TaskConfig::new();
    /// assert_eq!((CONFIG.retry, CONFIG.timeout, CONFIG.queue), (0, None, None));
    /// assert_eq!((CONFIG.ack, CONFIG.store_result, CONFIG.dead_letter), (Ack::OnDone, true, true));
    /// ```
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        TaskConfig {
            retry: 0,
            timeout: None,
            backoff: Backoff::DEFAULT,
            queue: None,
            expires: None,
            ack: Ack::OnDone,
            result_ttl: None,
            store_result: true,
            dead_letter: true,
            track: false,
            exec: Exec::Async,
        }
    }

    /// Up to `retry` further runs after the first, when a run fails, panics or takes too long; 0 by default. Needs a
    /// broker with delays.
    ///
    /// ```
    /// use taskq::TaskConfig;
    /// const CONFIG: TaskConfig = TaskConfig::new().retry(3); // four runs at most
    /// assert_eq!(CONFIG.retry, 3);
    /// ```
    pub const fn retry(mut self, retry: u32) -> Self {
        self.retry = retry;
        self
    }

    /// Time limit of one run; by default the worker's, which is 25 min. The run then counts as failed.
    ///
    /// ```
    /// use std::time::Duration;
    /// use taskq::TaskConfig;
    /// const CONFIG: TaskConfig = TaskConfig::new().timeout(Duration::from_secs(30));
    /// assert_eq!(CONFIG.timeout, Some(Duration::from_secs(30)));
    /// ```
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Time between runs; by default 1 s, then twice as long each time, up to 1 h.
    ///
    /// ```
    /// use std::time::Duration;
    /// use taskq::{Backoff, TaskConfig};
    /// const CONFIG: TaskConfig = TaskConfig::new().retry(2).backoff(Backoff::fixed(Duration::from_secs(90)));
    /// assert_eq!(CONFIG.backoff.delay(1), Duration::from_secs(90)); // before jitter
    /// ```
    pub const fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// The queue, unless a call says otherwise; by default the app's, which is `taskq`. An app that has the task
    /// declares it.
    ///
    /// ```
    /// use taskq::TaskConfig;
    /// const CONFIG: TaskConfig = TaskConfig::new().queue("mail");
    /// assert_eq!(CONFIG.queue, Some("mail"));
    /// ```
    pub const fn queue(mut self, queue: &'static str) -> Self {
        self.queue = Some(queue);
        self
    }

    /// Not to be run later than this after its submission, unless a call says otherwise; by default a task never
    /// expires.
    ///
    /// ```
    /// use std::time::Duration;
    /// use taskq::TaskConfig;
    /// const CONFIG: TaskConfig = TaskConfig::new().expires(Duration::from_secs(3600));
    /// assert_eq!(CONFIG.expires, Some(Duration::from_secs(3600)));
    /// ```
    pub const fn expires(mut self, expires: Duration) -> Self {
        self.expires = Some(expires);
        self
    }

    /// When a delivery is acknowledged: [`Ack::OnDone`] by default.
    ///
    /// ```
    /// use taskq::{Ack, TaskConfig};
    /// const CONFIG: TaskConfig = TaskConfig::new().ack(Ack::OnReceive);
    /// assert_eq!(CONFIG.ack, Ack::OnReceive);
    /// ```
    pub const fn ack(mut self, ack: Ack) -> Self {
        self.ack = ack;
        self
    }

    /// How long the result is kept; by default as long as the app says, which is 24 h. Needs a result backend.
    ///
    /// ```
    /// use std::time::Duration;
    /// use taskq::TaskConfig;
    /// const CONFIG: TaskConfig = TaskConfig::new().result_ttl(Duration::from_secs(600));
    /// assert_eq!(CONFIG.result_ttl, Some(Duration::from_secs(600)));
    /// ```
    pub const fn result_ttl(mut self, ttl: Duration) -> Self {
        self.result_ttl = Some(ttl);
        self
    }

    /// Whether a result is kept at all; `true` by default.
    ///
    /// ```
    /// use taskq::TaskConfig;
    /// const CONFIG: TaskConfig = TaskConfig::new().store_result(false); // `wait_result` gives `NoResult` at once
    /// assert!(!CONFIG.store_result);
    /// ```
    pub const fn store_result(mut self, store: bool) -> Self {
        self.store_result = store;
        self
    }

    /// Whether giving up leaves a dead letter; `true` by default. Without it the task ends as discarded.
    ///
    /// ```
    /// use taskq::TaskConfig;
    /// const CONFIG: TaskConfig = TaskConfig::new().retry(2).dead_letter(false); // gone after three runs
    /// assert!(!CONFIG.dead_letter);
    /// ```
    pub const fn dead_letter(mut self, dead_letter: bool) -> Self {
        self.dead_letter = dead_letter;
        self
    }

    /// Whether the task's steps are written to the result backend, at the cost of one write each; by default only where
    /// the app says `with_tracking`. Needs a result backend that tracks.
    ///
    /// ```
    /// use taskq::TaskConfig;
    /// const CONFIG: TaskConfig = TaskConfig::new().track(true);
    /// assert!(CONFIG.track);
    /// ```
    pub const fn track(mut self, track: bool) -> Self {
        self.track = track;
        self
    }

    /// Declares that the body blocks a thread: a worker runs as many such tasks at once as the machine has cores.
    /// `#[task]` says so for a plain `fn`, which it puts on the blocking pool; a [`Run`] written by hand does that
    /// itself.
    ///
    /// ```
    /// # use taskq::{BoxError, Exec, Run, Task, TaskConfig, TaskContext};
    /// # struct Resize;
    /// # impl Task for Resize {
    /// #     type Args = ();
    /// #     type Output = u64;
    /// #     type Returns = u64;
    /// #     const NAME: &'static str = "resize";
    /// const CONFIG: TaskConfig = TaskConfig::new().blocking();
    /// # }
    /// # fn resize() -> u64 { 800 }
    ///
    /// impl Run for Resize {
    ///     async fn run(_: TaskContext, _: ()) -> Result<u64, BoxError> {
    ///         Ok(tokio::task::spawn_blocking(resize).await?)
    ///     }
    /// }
    /// # assert_eq!(Resize::CONFIG.exec, Exec::Blocking);
    /// ```
    pub const fn blocking(mut self) -> Self {
        self.exec = Exec::Blocking;
        self
    }
}

/// Where a task is defined.
///
/// ```
/// use taskq::SourceLocation;
/// let location = SourceLocation { file: "src/mail.rs", line: 12 };
/// assert_eq!(location.to_string(), "src/mail.rs:12"); // as editors and terminals take it
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceLocation {
    /// The file.
    pub file: &'static str,
    /// The line, from 1.
    pub line: u32,
}

impl fmt::Display for SourceLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// A task with its types erased: the seam between typed tasks and a worker without type parameters.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> taskq::Result<()> {
/// # use taskq::{BrokerExt, InMemoryBroker};
/// let app = InMemoryBroker::new().register::<Nap>().register::<Add>();
/// for def in app.tasks()? {
///     println!("{} on {}, {} retries, from {}", def.name, app.queue_of(&def), def.config.retry, def.location);
/// }
/// # let names: Vec<_> = app.tasks()?.iter().map(|def| def.name).collect();
/// # assert_eq!(names, ["add", "nap"]);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy)]
pub struct TaskDef {
    /// The name on the wire.
    pub name: &'static str,
    /// The attributes.
    pub config: TaskConfig,
    /// Where it is defined.
    pub location: SourceLocation,
    pub(crate) call: fn(&TaskContext) -> BoxHandler,
    pub(crate) check: fn(&StateMap) -> Result<(), BoxError>,
    pub(crate) type_id: fn() -> TypeId,
}

inventory::collect!(TaskDef);

impl TaskDef {
    /// The definition of `T`, at this place of the source. [`App::register`](crate::App::register) makes one of its
    /// caller's place.
    ///
    /// ```
    /// # use taskq::{BoxError, Run, Task, TaskConfig, TaskContext, TaskDef};
    /// # struct Ping;
    /// # impl Task for Ping { type Args = (); type Output = String; type Returns = String; const NAME: &'static str = "ping"; const CONFIG: TaskConfig = TaskConfig::new().retry(3); }
    /// # impl Run for Ping { async fn run(_: TaskContext, _: ()) -> Result<String, BoxError> { Ok("pong".into()) } }
    /// const PING: TaskDef = TaskDef::of::<Ping>(file!(), line!());
    /// assert_eq!((PING.name, PING.config.retry), ("ping", 3));
    /// ```
    pub const fn of<T: Run>(file: &'static str, line: u32) -> Self {
        TaskDef {
            name: T::NAME,
            config: T::CONFIG,
            location: SourceLocation { file, line },
            call: handler::call::<T>,
            check: T::check,
            type_id: TypeId::of::<T>,
        }
    }
}

impl fmt::Debug for TaskDef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskDef").field("name", &self.name).field("location", &self.location).finish_non_exhaustive()
    }
}
