//! What a task is: a name, types for its arguments and value, attributes, and (for workers) a body.

use crate::{
    BoxFuture, backoff::Backoff, codec, context::TaskContext, error::BoxError, message::ContentType, outcome::Outcome,
    panic::Panic, state::StateMap,
};
use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use std::{any::TypeId, fmt, time::Duration};

/// A task as its senders know it: a name, arguments, a value. `#[task]` writes this; a stub for a task that lives in
/// another crate implements just this.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use taskq_core::{Call, Task, TaskConfig};
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

/// A task that workers can run. `#[task]` writes this.
///
/// ```
/// use taskq_core::{BoxError, BoxFuture, Run, Task, TaskConfig, TaskContext};
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
///     fn run(ctx: TaskContext, _: ()) -> BoxFuture<'static, Result<String, BoxError>> {
///         Box::pin(async move { Ok(format!("pong, at attempt {}", ctx.attempt())) })
///     }
/// }
/// ```
pub trait Run: Task {
    /// One run. Resolves to the value, or to the error that the worker decides on.
    fn run(ctx: TaskContext, args: Self::Args) -> BoxFuture<'static, Result<Self::Output, BoxError>>;

    /// Whether everything that the task takes from the app is there. Asked once, when a worker starts.
    ///
    /// # Errors
    /// What is missing, and how to add it.
    fn check(state: &StateMap) -> Result<(), BoxError> {
        let _ = state;
        Ok(())
    }
}

/// A task whose plain call can run here, because nothing is injected.
#[diagnostic::on_unimplemented(
    message = "`{Self}` takes injected parameters, so `.await` alone cannot run it",
    note = "call the plain function, `{Self}::inner(..)`, or hand it to the broker with `.kiq()`"
)]
pub trait Direct: Task {
    /// The function itself.
    fn run_direct(args: Self::Args) -> BoxFuture<'static, Self::Returns>;
}

/// When a delivery is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Ack {
    /// When the outcome is durable: the task runs again if its worker dies. The default.
    #[default]
    OnDone,
    /// Before the task runs: it runs at most once, and is lost if its worker dies.
    OnReceive,
}

/// How a body runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Exec {
    /// As a future on the worker's runtime.
    #[default]
    Async,
    /// On a thread of the blocking pool; as many at once as the machine has cores.
    Blocking,
}

/// A task's attributes. All that is not set has the default of [`defaults`](crate::defaults).
///
/// ```
/// use std::time::Duration;
/// use taskq_core::{Backoff, TaskConfig};
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
    /// The defaults.
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

    /// Up to `retry` further runs after the first.
    pub const fn retry(mut self, retry: u32) -> Self {
        self.retry = retry;
        self
    }

    /// Time limit of one run.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Time between runs.
    pub const fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// The queue.
    pub const fn queue(mut self, queue: &'static str) -> Self {
        self.queue = Some(queue);
        self
    }

    /// Not to be run later than this after its submission.
    pub const fn expires(mut self, expires: Duration) -> Self {
        self.expires = Some(expires);
        self
    }

    /// When a delivery is acknowledged.
    pub const fn ack(mut self, ack: Ack) -> Self {
        self.ack = ack;
        self
    }

    /// How long the result is kept.
    pub const fn result_ttl(mut self, ttl: Duration) -> Self {
        self.result_ttl = Some(ttl);
        self
    }

    /// Whether a result is kept at all.
    pub const fn store_result(mut self, store: bool) -> Self {
        self.store_result = store;
        self
    }

    /// Whether giving up leaves a dead letter.
    pub const fn dead_letter(mut self, dead_letter: bool) -> Self {
        self.dead_letter = dead_letter;
        self
    }

    /// Whether the task's steps are written to the result backend.
    pub const fn track(mut self, track: bool) -> Self {
        self.track = track;
        self
    }

    /// Runs on the blocking pool.
    pub const fn blocking(mut self) -> Self {
        self.exec = Exec::Blocking;
        self
    }
}

/// Where a task is defined.
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
#[derive(Clone, Copy)]
pub struct TaskDef {
    /// The name on the wire.
    pub name: &'static str,
    /// The attributes.
    pub config: TaskConfig,
    /// Where it is defined.
    pub location: SourceLocation,
    pub(crate) run: fn(TaskContext, ContentType, Bytes) -> BoxFuture<'static, Outcome>,
    pub(crate) check: fn(&StateMap) -> Result<(), BoxError>,
    pub(crate) type_id: fn() -> TypeId,
}

inventory::collect!(TaskDef);

impl TaskDef {
    /// The definition of `T`.
    pub const fn of<T: Run>(file: &'static str, line: u32) -> Self {
        TaskDef {
            name: T::NAME,
            config: T::CONFIG,
            location: SourceLocation { file, line },
            run: run_erased::<T>,
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

/// Decode, run, encode.
fn run_erased<T: Run>(ctx: TaskContext, content_type: ContentType, body: Bytes) -> BoxFuture<'static, Outcome> {
    Box::pin(async move {
        let args: T::Args = match codec::decode(content_type, &body) {
            Ok(args) => args,
            Err(error) => return Outcome::Undecodable(format!("the arguments do not fit: {error}")),
        };
        drop(body);
        match T::run(ctx, args).await {
            Ok(value) => match codec::encode(content_type, &value) {
                Ok(bytes) => Outcome::Done(bytes),
                Err(error) => Outcome::Unstorable(format!("the value cannot be encoded: {error}")),
            },
            Err(error) => match error.downcast::<Panic>() {
                Ok(panic) => Outcome::Panicked(*panic),
                Err(error) => Outcome::Failed(error),
            },
        }
    })
}

/// Runs a plain function on the blocking pool. The slot that the worker took for it stays taken until it returns, even
/// if its caller has gone.
pub(crate) async fn run_blocking<R: Send + 'static>(
    ctx: &TaskContext,
    body: impl FnOnce() -> R + Send + 'static,
) -> Result<R, BoxError> {
    let slot = ctx.take_blocking_slot();
    let span = tracing::Span::current();
    let joined = tokio::task::spawn_blocking(move || {
        let _slot = slot;
        span.in_scope(|| crate::panic::catch(body))
    });
    match joined.await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(panic)) => Err(panic.into()),
        Err(_) => Err("the runtime stopped before the function ran".into()),
    }
}
