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
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

/// One run of a task, seen from inside: its id, its attempt, its labels, the app. Cheap to clone.
///
/// ```
/// # use taskq_core::TaskContext;
/// async fn work(ctx: TaskContext) {
///     println!("attempt {} of {}", ctx.attempt(), ctx.task_id());
/// }
/// ```
#[derive(Clone)]
pub struct TaskContext(Arc<Inner>);

struct Inner {
    app: App,
    message: Arc<Message>,
    queue: Arc<str>,
    cancelled: CancellationToken,
    blocking_slot: Mutex<Option<OwnedSemaphorePermit>>,
}

impl TaskContext {
    pub(crate) fn new(
        app: App,
        message: Arc<Message>,
        queue: Arc<str>,
        blocking_slot: Option<OwnedSemaphorePermit>,
    ) -> Self {
        let cancelled = CancellationToken::new();
        TaskContext(Arc::new(Inner { app, message, queue, cancelled, blocking_slot: Mutex::new(blocking_slot) }))
    }

    /// The context of a first attempt outside any worker, for calling a task's function in a unit test.
    pub fn detached(app: &App) -> Self {
        let message = Message::new(TaskId::new(), "detached", Default::default(), Default::default());
        TaskContext::new(app.clone(), Arc::new(message), "".into(), None)
    }

    /// The app that runs this task.
    pub fn app(&self) -> &App {
        &self.0.app
    }

    /// The id of this task, the same over all attempts.
    pub fn task_id(&self) -> &TaskId {
        &self.0.message.id
    }

    /// The name of this task.
    pub fn task_name(&self) -> &str {
        &self.0.message.task
    }

    /// The number of this run, from 1.
    pub fn attempt(&self) -> u32 {
        self.0.message.attempt
    }

    /// Whether this is the last run that `retry = N` allows.
    pub fn is_last_attempt(&self) -> bool {
        self.0.message.attempt > self.0.message.retry
    }

    /// The queue that this task came from.
    pub fn queue(&self) -> &str {
        &self.0.queue
    }

    /// The labels that its sender gave.
    pub fn labels(&self) -> &Labels {
        &self.0.message.labels
    }

    /// The whole message.
    pub fn message(&self) -> &Message {
        &self.0.message
    }

    /// Whether nobody waits for this run any more: it timed out, or its worker is stopping. A plain `fn`, which cannot
    /// be stopped from outside, should look at this in its loops.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.is_cancelled()
    }

    /// The app's value of type `T`.
    ///
    /// # Errors
    /// There is none; the error says how to add it.
    pub fn state<T: Send + Sync + 'static>(&self) -> Result<State<T>, BoxError> {
        self.0.app.state().get()
    }

    pub(crate) fn cancel(&self) {
        self.0.cancelled.cancel();
    }

    pub(crate) fn take_blocking_slot(&self) -> Option<OwnedSemaphorePermit> {
        self.0.blocking_slot.lock().unwrap_or_else(PoisonError::into_inner).take()
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
/// use taskq_core::{BoxError, FromContext, TaskContext};
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
    /// The value for one run.
    ///
    /// # Errors
    /// The run counts as failed with this error.
    fn from_context(ctx: &TaskContext) -> impl Future<Output = Result<Self, BoxError>> + Send;

    /// Whether the app has what this needs. Asked once, when a worker starts.
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
