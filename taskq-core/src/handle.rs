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
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> taskq::Result<()> {
/// # use taskq::{BrokerExt, InMemoryBroker, TaskHandle, TaskStatus};
/// # let app = InMemoryBroker::new().register::<Add>();
/// let handle = add(2, 3).kiq().on(&app).await?;
/// let id = handle.id().to_string(); // to be kept, and sent anywhere
///
/// let same = TaskHandle::<i64>::attach(&app, id);
/// assert_eq!(same.wait_result().timeout("10s").await?.into_value()?, 5);
/// assert_eq!(handle.status().await?, TaskStatus::Done);
/// # Ok(()) }
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

    /// The handle of a task that was submitted anywhere, by its id. Asks nobody: an id that was never used is one of a
    /// task that has not ended. `R` must be the task's value type, or waiting gives [`ResultError::Decode`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// # use taskq::{BrokerExt, InMemoryBroker, ResultError, TaskHandle};
    /// # let app = InMemoryBroker::new().register::<Add>();
    /// let id = add(2, 3).kiq().on(&app).await?.id().to_string();
    /// let sum = TaskHandle::<i64>::attach(&app, &id).wait_result().await?;
    /// assert_eq!(sum.into_value()?, 5);
    ///
    /// let error = TaskHandle::<Vec<String>>::attach(&app, &id).wait_result().await.unwrap_err();
    /// assert!(matches!(error, ResultError::Decode { .. }));
    /// # Ok(()) }
    /// ```
    pub fn attach(app: &App, id: impl Into<TaskId>) -> Self {
        TaskHandle::new(app.clone(), id.into(), true)
    }

    /// The same task with another value type, which is not checked before a result is read. Gives the handles of
    /// [`DeadLetters::replay`](crate::DeadLetters::replay) and [`KiqManyError::untyped`](crate::KiqManyError::untyped)
    /// their type again.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// # use taskq::{BrokerExt, InMemoryBroker, TaskHandle};
    /// # let app = InMemoryBroker::new().register::<Add>();
    /// let handle: TaskHandle<i64> = add(2, 3).kiq().on(&app).await?;
    /// let mut open: Vec<TaskHandle<()>> = vec![handle.typed()]; // handles of any tasks, side by side
    /// let sum = open.remove(0).typed::<i64>().wait_result().await?.into_value()?;
    /// assert_eq!(sum, 5);
    /// # Ok(()) }
    /// ```
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
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// # use taskq::{BrokerExt, InMemoryBroker, TaskId};
    /// # let app = InMemoryBroker::new().register::<Add>();
    /// let named = add(2, 3).kiq().task_id("invoice-17").on(&app).await?;
    /// assert_eq!(named.id(), &TaskId::from("invoice-17"));
    /// let other = add(2, 3).kiq().on(&app).await?;
    /// assert_eq!(other.id().as_str().len(), 32); // made by taskq
    /// # Ok(()) }
    /// ```
    pub fn id(&self) -> &TaskId {
        &self.id
    }

    /// Where the task stands. Without tracking it is `Pending` until the task ended, and stays so for a task that
    /// stores no result. Resolves when the result backend has answered, after one question, or two with tracking.
    /// Cancel safe.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// # use taskq::{BrokerExt, InMemoryBroker, TaskStatus};
    /// let app = InMemoryBroker::new().without_worker().with_tracking().register::<Add>();
    /// let handle = add(2, 3).kiq().on(&app).await?;
    /// assert_eq!(handle.status().await?, TaskStatus::Queued); // `Pending` without tracking
    ///
    /// app.worker().run_until(handle.wait_result()).await?;
    /// assert_eq!(handle.status().await?, TaskStatus::Done);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`ResultError::NoResult`] without a result backend; [`ResultError::Store`] when it cannot be asked;
    /// [`ResultError::Decode`] for a record that cannot be read.
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
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// # use taskq::{BrokerExt, FailureKind, InMemoryBroker};
    /// # let app = InMemoryBroker::new().register::<Add>();
    /// let sum = add(2, 3).kiq().on(&app).await?.wait_result().await?;
    /// assert_eq!(sum.into_value()?, 5);
    ///
    /// let too_large = add(i64::MAX, 1).kiq().on(&app).await?.wait_result().await?;
    /// assert_eq!(too_large.into_value().unwrap_err().kind, FailureKind::Error);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`ResultError::NoResult`], at once, without a result backend or for a task that stores no result;
    /// [`ResultError::Timeout`] and [`ResultError::Invalid`] with a limit; [`ResultError::Decode`] when the value is no
    /// `R` or the record cannot be read. A task that failed is not an error here: its failure is the [`TaskResult`].
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
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> taskq::Result<()> {
/// # use taskq::{BrokerExt, InMemoryBroker, ResultError};
/// # let app = InMemoryBroker::new().register::<Add>();
/// # let handle = add(2, 3).kiq().on(&app).await?;
/// match handle.wait_result().timeout("2s").await {
///     Ok(result) => assert_eq!(result.into_value()?, 5),
///     Err(ResultError::Timeout { .. }) => println!("it may still come: wait again"),
///     Err(error) => return Err(error.into()),
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
    /// Waits at most this long, then gives [`ResultError::Timeout`]. The task goes on. Without it there is no limit.
    /// Text that is not a duration gives [`ResultError::Invalid`] when the wait is awaited.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// # use taskq::{BrokerExt, InMemoryBroker, ResultError};
    /// let app = InMemoryBroker::new().without_worker().register::<Add>(); // nobody runs it
    /// let handle = add(2, 3).kiq().on(&app).await?;
    /// let error = handle.wait_result().timeout("20ms").await.unwrap_err();
    /// assert!(matches!(error, ResultError::Timeout { .. }));
    /// # Ok(()) }
    /// ```
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
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> taskq::Result<()> {
/// # use taskq::{BrokerExt, FailureKind, InMemoryBroker};
/// # let app = InMemoryBroker::new().register::<Add>();
/// # let handle = add(2, 3).kiq().on(&app).await?;
/// let result = handle.wait_result().await?;
/// println!("{:?} after {} runs, on {}", result.status(), result.attempts(), result.record().worker);
/// match result.into_value() {
///     Ok(sum) => assert_eq!(sum, 5),
///     Err(failure) if failure.kind == FailureKind::Timeout => println!("too slow"),
///     Err(failure) => println!("{failure}"),
/// }
/// # Ok(()) }
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
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// # use taskq::{BrokerExt, InMemoryBroker};
    /// # let app = InMemoryBroker::new().register::<Add>();
    /// let result = add(i64::MAX, 1).kiq().on(&app).await?.wait_result().await?;
    /// let failure = result.into_value().unwrap_err();
    /// assert_eq!(failure.to_string(), "task failed after 1 attempt (error): the sum is too large");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The task's failure: its kind, its text, the texts of its sources, the number of runs.
    pub fn into_value(self) -> Result<R, TaskFailure> {
        self.value
    }

    /// The value, or how the task failed, borrowed.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// # use taskq::{BrokerExt, InMemoryBroker};
    /// # let app = InMemoryBroker::new().register::<Add>();
    /// let result = add(2, 3).kiq().on(&app).await?.wait_result().await?;
    /// if let Ok(sum) = result.value() {
    ///     assert_eq!((*sum, result.attempts()), (5, 1)); // the result is still whole
    /// }
    /// # assert!(result.is_ok());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`TaskResult::into_value`].
    pub fn value(&self) -> Result<&R, &TaskFailure> {
        self.value.as_ref()
    }

    /// Whether the task returned a value.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// # use taskq::{BrokerExt, InMemoryBroker};
    /// # let app = InMemoryBroker::new().register::<Add>();
    /// let (small, large) = (add(2, 3).kiq().on(&app).await?, add(i64::MAX, 1).kiq().on(&app).await?);
    /// assert!(small.wait_result().await?.is_ok());
    /// assert!(!large.wait_result().await?.is_ok());
    /// # Ok(()) }
    /// ```
    pub fn is_ok(&self) -> bool {
        self.value.is_ok()
    }

    /// Whether the task failed, in whatever way: also when it was discarded, was cancelled or has expired.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// # use taskq::{BrokerExt, InMemoryBroker};
    /// # let app = InMemoryBroker::new().register::<Add>();
    /// let result = add(i64::MAX, 1).kiq().on(&app).await?.wait_result().await?;
    /// assert!(result.is_err()); // the task failed; the waiting did not
    /// # Ok(()) }
    /// ```
    pub fn is_err(&self) -> bool {
        self.value.is_err()
    }

    /// Where the task stands; always a final status.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// # use taskq::{BrokerExt, InMemoryBroker, TaskStatus};
    /// # let app = InMemoryBroker::new().register::<Add>();
    /// let result = add(i64::MAX, 1).kiq().on(&app).await?.wait_result().await?;
    /// assert_eq!(result.status(), TaskStatus::Failed);
    /// assert!(result.status().is_final());
    /// # Ok(()) }
    /// ```
    pub fn status(&self) -> TaskStatus {
        (&self.record.end).into()
    }

    /// How many runs there were: 1 for a task that succeeded at once, 0 for one that did not run.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> taskq::Result<()> {
    /// # use taskq::{BoxError, BrokerExt, Call, InMemoryBroker, Run, Task, TaskConfig, TaskContext};
    /// # struct Sync;
    /// # impl Run for Sync {
    /// #     async fn run(ctx: TaskContext, _: ()) -> Result<(), BoxError> {
    /// #         if ctx.is_last_attempt() { Ok(()) } else { Err("not yet".into()) }
    /// #     }
    /// # }
    /// # impl Task for Sync {
    /// #     type Args = ();
    /// #     type Output = ();
    /// #     type Returns = ();
    /// #     const NAME: &'static str = "sync";
    /// const CONFIG: TaskConfig = TaskConfig::new().retry(2); // and it fails twice
    /// # }
    /// # let app = InMemoryBroker::new().register::<Sync>();
    /// # let sync = || Call::<Sync>::new(());
    /// let result = sync().kiq().on(&app).await?.wait_result().await?;
    /// assert_eq!(result.attempts(), 3);
    /// # Ok(()) }
    /// ```
    pub fn attempts(&self) -> u32 {
        self.record.attempts
    }

    /// All that is kept: times, worker, round.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// # use taskq::{BrokerExt, InMemoryBroker};
    /// # let app = InMemoryBroker::new().register::<Add>();
    /// let result = add(2, 3).kiq().on(&app).await?.wait_result().await?;
    /// let record = result.record();
    /// assert_eq!((&*record.task, record.round), ("add", 0));
    /// assert!(record.started <= record.finished);
    /// # Ok(()) }
    /// ```
    pub fn record(&self) -> &ResultRecord {
        &self.record
    }
}
