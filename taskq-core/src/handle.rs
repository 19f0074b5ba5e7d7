//! What `kiq` returns: a way to the task's result, also from another process.

use crate::{
    BoxFuture,
    app::App,
    codec,
    error::ResultError,
    failure::TaskFailure,
    id::TaskId,
    record::{End, ResultRecord},
    results::ResultBackend,
    span::IntoSpan,
    status::TaskStatus,
};
use serde::de::DeserializeOwned;
use std::{
    any::type_name,
    fmt,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

/// A submitted task. Cheap to clone; may be waited on again, and may be dropped: the task runs all the same.
///
/// ```
/// # use taskq_core::{App, TaskHandle, TaskStatus};
/// # async fn example(app: App, handle: TaskHandle<i64>) -> taskq_core::Result<()> {
/// let id = handle.id().to_string(); // to be kept, and sent anywhere
/// let same = TaskHandle::<i64>::attach(&app, id);
/// if same.status().await? == TaskStatus::Pending {
///     println!("not done yet");
/// }
/// let sum: i64 = same.wait_result().timeout("10s").await?.into_value()?;
/// # let _ = sum; Ok(()) }
/// ```
pub struct TaskHandle<R> {
    app: App,
    id: TaskId,
    stores_result: bool,
    round: u32,
    result: PhantomData<fn() -> R>,
}

impl<R> TaskHandle<R> {
    pub(crate) fn new(app: App, id: TaskId, stores_result: bool) -> Self {
        TaskHandle { app, id, stores_result, round: 0, result: PhantomData }
    }

    pub(crate) fn of_round(self, round: u32) -> Self {
        TaskHandle { round, ..self }
    }

    /// The handle of a task that was submitted anywhere, by its id. `R` must be the task's value type.
    pub fn attach(app: &App, id: impl Into<TaskId>) -> Self {
        TaskHandle::new(app.clone(), id.into(), true)
    }

    /// The same task with another value type.
    pub fn typed<S>(self) -> TaskHandle<S> {
        TaskHandle {
            app: self.app,
            id: self.id,
            stores_result: self.stores_result,
            round: self.round,
            result: PhantomData,
        }
    }

    /// The task's id: keep it to [`TaskHandle::attach`] later.
    pub fn id(&self) -> &TaskId {
        &self.id
    }

    /// Where the task stands. Without tracking it is `Pending` until the task ended.
    ///
    /// # Errors
    /// [`ResultError::NoResult`] without a result backend; [`ResultError::Store`] when it cannot be asked.
    pub async fn status(&self) -> Result<TaskStatus, ResultError> {
        let results = self.backend()?;
        if let Some(record) = results.fetch(&self.id).await?
            && record.round >= self.round
        {
            return Ok((&record.end).into());
        }
        let step = if results.tracks() { results.step(&self.id).await? } else { None };
        Ok(step.map_or(TaskStatus::Pending, TaskStatus::from))
    }

    fn results(&self) -> Result<Arc<dyn ResultBackend>, ResultError> {
        if !self.stores_result {
            let reason = "the task has `store_result = false`".to_owned();
            return Err(ResultError::NoResult { id: self.id.clone(), reason });
        }
        self.backend()
    }

    fn backend(&self) -> Result<Arc<dyn ResultBackend>, ResultError> {
        let none = |reason: &str| ResultError::NoResult { id: self.id.clone(), reason: reason.into() };
        self.app
            .results()
            .cloned()
            .ok_or_else(|| none("the app has no result backend; add one with `.with_result_backend(..)`"))
    }
}

impl<R: DeserializeOwned + Send + 'static> TaskHandle<R> {
    /// Waits for the task's end. Resolves when it is recorded, pushed by the result backend; without `.timeout(..)`
    /// that may be never, for a task that no worker runs.
    ///
    /// The returned future borrows nothing; dropping it ends the wait and nothing else.
    pub fn wait_result(&self) -> WaitResult<R> {
        WaitResult { handle: self.clone(), limit: None, invalid: None, waiting: None }
    }

    async fn wait(self, limit: Option<Duration>) -> Result<TaskResult<R>, ResultError> {
        let results = self.results()?;
        // A handle may be attached by a process that has not sent anything yet.
        let wait = results.wait(&self.id, self.round);
        let record = match limit {
            None => wait.await?,
            Some(limit) => tokio::time::timeout(limit, wait)
                .await
                .map_err(|_| ResultError::Timeout { id: self.id.clone(), limit })??,
        };
        TaskResult::new(&self.id, record)
    }
}

impl<R> Clone for TaskHandle<R> {
    fn clone(&self) -> Self {
        TaskHandle::new(self.app.clone(), self.id.clone(), self.stores_result).of_round(self.round)
    }
}

impl<R> fmt::Debug for TaskHandle<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskHandle").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A wait for a task's end. See [`TaskHandle::wait_result`]. Dropping it ends the wait and nothing else.
///
/// ```
/// # use taskq_core::{ResultError, TaskHandle};
/// # async fn example(handle: TaskHandle<i64>) -> Result<(), ResultError> {
/// match handle.wait_result().timeout("2s").await {
///     Ok(result) => println!("{:?}", result.into_value()),
///     Err(ResultError::Timeout { .. }) => println!("it may still come: wait again"),
///     Err(error) => return Err(error),
/// }
/// # Ok(()) }
/// ```
#[must_use = "nothing waits until this is awaited"]
pub struct WaitResult<R> {
    handle: TaskHandle<R>,
    limit: Option<Duration>,
    invalid: Option<String>,
    waiting: Option<BoxFuture<'static, Result<TaskResult<R>, ResultError>>>,
}

impl<R> WaitResult<R> {
    /// Waits at most this long, then gives [`ResultError::Timeout`]. The task goes on.
    pub fn timeout(mut self, limit: impl IntoSpan) -> Self {
        match limit.into_span() {
            Ok(limit) => self.limit = Some(limit),
            Err(reason) => self.invalid = Some(reason),
        }
        self
    }
}

impl<R> Unpin for WaitResult<R> {}

impl<R: DeserializeOwned + Send + 'static> Future for WaitResult<R> {
    type Output = Result<TaskResult<R>, ResultError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(reason) = self.invalid.take() {
            return Poll::Ready(Err(ResultError::Invalid { id: self.handle.id.clone(), reason }));
        }
        let mut waiting = match self.waiting.take() {
            Some(waiting) => waiting,
            None => Box::pin(self.handle.clone().wait(self.limit)),
        };
        let polled = waiting.as_mut().poll(cx);
        if polled.is_pending() {
            self.waiting = Some(waiting);
        }
        polled
    }
}

impl<R> fmt::Debug for WaitResult<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitResult").field("id", &self.handle.id).field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// How a task ended: its value, or its failure.
///
/// ```
/// # use taskq_core::{FailureKind, TaskResult};
/// # fn example(result: TaskResult<i64>) {
/// println!("{:?} after {} runs, on {}", result.status(), result.attempts(), result.record().worker);
/// match result.into_value() {
///     Ok(sum) => println!("{sum}"),
///     Err(failure) if failure.kind == FailureKind::Timeout => println!("too slow"),
///     Err(failure) => println!("{failure}"),
/// }
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct TaskResult<R> {
    value: Result<R, TaskFailure>,
    record: ResultRecord,
}

impl<R: DeserializeOwned> TaskResult<R> {
    fn new(id: &TaskId, record: ResultRecord) -> Result<Self, ResultError> {
        let value = match &record.end {
            End::Done(value) => Ok(codec::decode(record.content_type, value)
                .map_err(|source| ResultError::Decode { id: id.clone(), wanted: type_name::<R>(), source })?),
            _ => Err(record
                .failure()
                .unwrap_or_else(|| TaskFailure::new(crate::FailureKind::Unknown, "", record.attempts))),
        };
        Ok(TaskResult { value, record })
    }
}

impl<R> TaskResult<R> {
    /// The value, or how the task failed.
    ///
    /// # Errors
    /// The task's failure: its kind, its text, the texts of its sources, the number of runs.
    pub fn into_value(self) -> Result<R, TaskFailure> {
        self.value
    }

    /// The value, or how the task failed, borrowed.
    ///
    /// # Errors
    /// As [`TaskResult::into_value`].
    pub fn value(&self) -> Result<&R, &TaskFailure> {
        self.value.as_ref()
    }

    /// Whether the task returned a value.
    pub fn is_ok(&self) -> bool {
        self.value.is_ok()
    }

    /// Whether the task failed.
    pub fn is_err(&self) -> bool {
        self.value.is_err()
    }

    /// Where the task stands; always a final status.
    pub fn status(&self) -> TaskStatus {
        (&self.record.end).into()
    }

    /// How many runs there were.
    pub fn attempts(&self) -> u32 {
        self.record.attempts
    }

    /// All that is kept: times, worker, round.
    pub fn record(&self) -> &ResultRecord {
        &self.record
    }
}
