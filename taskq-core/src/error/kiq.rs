//! What `kiq` says when a task could not be handed over.

use super::{BoxError, BrokerError, WorkerError};
use crate::{handle::TaskHandle, id::TaskId};
use std::fmt;

/// A task could not be handed to the broker.
///
/// Unless it is [`KiqError::Unknown`], the task was not taken and will not run.
///
/// ```
/// # use taskq::{Kiq, KiqError, Task};
/// # async fn example<T: Task>(kiq: Kiq<T>) -> Result<(), KiqError> {
/// match kiq.within("500ms").await {
///     Ok(handle) => println!("sent as {}", handle.id()),
///     Err(KiqError::QueueFull { queue, .. }) => println!("{queue} is full: come back later"),
///     Err(KiqError::Unknown { id, .. }) => println!("send it again with the id {id}"),
///     Err(error) if error.is_retryable() => println!("try again: {error}"),
///     Err(error) => return Err(error),
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KiqError {
    /// There is no app to send with.
    #[error(
        "there is no app to send task `{task}` with: call `app.startup().await` once, give `.on(&app)`, or run inside \
         `app.scope(..)`; behind `tokio::spawn`, use `taskq::spawn` or `.in_app(&app)`"
    )]
    NoApp {
        /// The task.
        task: String,
    },
    /// The app could not be started.
    #[error("the app could not be started, so task `{task}` was not sent")]
    Startup {
        /// The task.
        task: String,
        /// What went wrong.
        #[source]
        source: BoxError,
    },
    /// The arguments could not be encoded.
    #[error("the arguments of task `{task}` cannot be encoded")]
    Encode {
        /// The task.
        task: String,
        /// What went wrong.
        #[source]
        source: BoxError,
    },
    /// The encoded arguments are too large.
    #[error(
        "the arguments of task `{task}` have {size} bytes; the limit is {limit}: store them elsewhere and send a reference"
    )]
    TooLarge {
        /// The task.
        task: String,
        /// Their size, in bytes.
        size: usize,
        /// The largest size, in bytes.
        limit: usize,
    },
    /// An option's value cannot be used.
    #[error("option `{option}` of task `{task}`: {reason}")]
    Invalid {
        /// The task.
        task: String,
        /// The option.
        option: &'static str,
        /// What is wrong with its value.
        reason: String,
    },
    /// The broker, the queue or the result backend cannot do what the call asks for.
    #[error("task `{task}` asks for {what}")]
    Unsupported {
        /// The task.
        task: String,
        /// What was asked for, and what would provide it.
        what: String,
    },
    /// There is no such queue.
    #[error(
        "task `{task}` was sent to queue `{queue}`, which does not exist; declare it with \
         `.with_queue(QueueSpec::new(\"{queue}\"))`, or check its name"
    )]
    UnknownQueue {
        /// The task.
        task: String,
        /// The queue.
        queue: String,
    },
    /// The queue was full until the publish timeout.
    #[error("queue `{queue}` was full, so task `{task}` was not sent; let workers catch up, or raise its capacity")]
    QueueFull {
        /// The task.
        task: String,
        /// The queue.
        queue: String,
    },
    /// The broker refused to keep the message.
    #[error("the broker refused task `{task}` for queue `{queue}`; it was not stored")]
    Nacked {
        /// The task.
        task: String,
        /// The queue.
        queue: String,
    },
    /// The broker took no messages until the publish timeout.
    #[error("the broker takes no messages at present ({reason}), so task `{task}` was not sent")]
    Blocked {
        /// The task.
        task: String,
        /// What the server said.
        reason: String,
    },
    /// A send middleware said no.
    #[error("task `{task}` was refused: {reason}")]
    Refused {
        /// The task.
        task: String,
        /// What the middleware said.
        reason: String,
    },
    /// The task may have been taken or not. Submitting it again with the same id is safe with a result backend.
    #[error(
        "no confirmation came for task `{task}` ({id}): it may or may not have been sent; submit it again with `.task_id(\"{id}\")`"
    )]
    Unknown {
        /// The task.
        task: String,
        /// The id that was sent.
        id: TaskId,
    },
    /// Anything else that the broker says.
    #[error("task `{task}` was not sent")]
    Broker {
        /// The task.
        task: String,
        /// What the broker said.
        #[source]
        source: BrokerError,
    },
}

impl KiqError {
    /// A send middleware's refusal: the task's name, and why it is not sent.
    ///
    /// ```
    /// use taskq::{BoxFuture, KiqError, Message, SendNext};
    /// fn office_hours(message: Message, _: SendNext<'_>) -> BoxFuture<'_, Result<(), KiqError>> {
    ///     Box::pin(async move { Err(KiqError::refused(message.task, "the office is closed")) })
    /// }
    /// # assert_eq!(KiqError::refused("ping", "the office is closed").to_string(), "task `ping` was refused: the office is closed");
    /// ```
    pub fn refused(task: impl Into<String>, reason: impl Into<String>) -> Self {
        KiqError::Refused { task: task.into(), reason: reason.into() }
    }

    /// Whether the same call may succeed later without anything being changed. After [`KiqError::Unknown`] it should be
    /// made with the same id, since the task may have been sent.
    ///
    /// ```
    /// use taskq::KiqError;
    /// let full = KiqError::QueueFull { task: "mail.send".into(), queue: "mail".into() };
    /// let unknown = KiqError::UnknownQueue { task: "mail.send".into(), queue: "mial".into() };
    /// assert!(full.is_retryable() && !unknown.is_retryable());
    /// ```
    pub fn is_retryable(&self) -> bool {
        match self {
            KiqError::QueueFull { .. }
            | KiqError::Nacked { .. }
            | KiqError::Blocked { .. }
            | KiqError::Unknown { .. } => true,
            KiqError::Broker { source, .. } => source.is_retryable(),
            KiqError::Startup { source, .. } => source.downcast_ref().is_some_and(WorkerError::is_retryable),
            _ => false,
        }
    }

    pub(crate) fn from_broker(task: &str, id: &TaskId, error: BrokerError) -> Self {
        let task = task.to_owned();
        match error {
            BrokerError::Unroutable { queue } => KiqError::UnknownQueue { task, queue },
            BrokerError::Full { queue } => KiqError::QueueFull { task, queue },
            BrokerError::Nacked { queue } => KiqError::Nacked { task, queue },
            BrokerError::Blocked { reason } => KiqError::Blocked { task, reason },
            BrokerError::Unconfirmed { .. } => KiqError::Unknown { task, id: id.clone().maybe_sent() },
            BrokerError::Unsupported { what } => KiqError::Unsupported { task, what },
            source => KiqError::Broker { task, source },
        }
    }
}

/// Some calls of a `kiq_many` could not be handed over. Nothing that was confirmed is hidden.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> taskq::Result<()> {
/// use taskq::{KiqError, prelude::*};
/// # use taskq::{BoxError, Run, Task, TaskConfig};
/// # struct Ping;
/// # impl Task for Ping { type Args = (); type Output = u32; type Returns = u32; const NAME: &'static str = "ping"; const CONFIG: TaskConfig = TaskConfig::new(); }
/// # impl Run for Ping { async fn run(ctx: TaskContext, _: ()) -> Result<u32, BoxError> { Ok(ctx.attempt()) } }
/// # fn ping() -> Call<Ping> { Call::new(()) }
/// # let app = InMemoryBroker::new().register::<Ping>();
/// let calls = [ping().kiq(), ping().kiq().queue("nowhere")];
/// let error = app.kiq_many(calls).await.unwrap_err();
/// for outcome in error.outcomes() {
///     match outcome {
///         Ok(handle) => println!("sent as {}", handle.id()),
///         Err(KiqError::UnknownQueue { queue, .. }) => println!("there is no queue {queue}"),
///         Err(error) => println!("not sent: {error}"),
///     }
/// }
/// # assert_eq!(error.failed(), 1);
/// # Ok(()) }
/// ```
pub struct KiqManyError<R = ()> {
    outcomes: Vec<Result<TaskHandle<R>, KiqError>>,
}

impl<R> KiqManyError<R> {
    pub(crate) fn new(outcomes: Vec<Result<TaskHandle<R>, KiqError>>) -> Self {
        KiqManyError { outcomes }
    }

    /// What became of each call, in order.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::prelude::*;
    /// # use taskq::{BoxError, Run, Task, TaskConfig};
    /// # struct Ping;
    /// # impl Task for Ping { type Args = (); type Output = u32; type Returns = u32; const NAME: &'static str = "ping"; const CONFIG: TaskConfig = TaskConfig::new(); }
    /// # impl Run for Ping { async fn run(ctx: TaskContext, _: ()) -> Result<u32, BoxError> { Ok(ctx.attempt()) } }
    /// # fn ping() -> Call<Ping> { Call::new(()) }
    /// # let app = InMemoryBroker::new().register::<Ping>();
    /// let calls = [ping().kiq(), ping().kiq().queue("nowhere")];
    /// let error = app.kiq_many(calls).await.unwrap_err();
    /// for (place, outcome) in error.outcomes().iter().enumerate() {
    ///     println!("call {place}: {}", if outcome.is_ok() { "sent" } else { "not sent" });
    /// }
    /// # assert!(error.outcomes()[0].is_ok() && error.outcomes()[1].is_err());
    /// # Ok(()) }
    /// ```
    pub fn outcomes(&self) -> &[Result<TaskHandle<R>, KiqError>] {
        &self.outcomes
    }

    /// The same, by value.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::prelude::*;
    /// # use taskq::{BoxError, Run, Task, TaskConfig};
    /// # struct Ping;
    /// # impl Task for Ping { type Args = (); type Output = u32; type Returns = u32; const NAME: &'static str = "ping"; const CONFIG: TaskConfig = TaskConfig::new(); }
    /// # impl Run for Ping { async fn run(ctx: TaskContext, _: ()) -> Result<u32, BoxError> { Ok(ctx.attempt()) } }
    /// # fn ping() -> Call<Ping> { Call::new(()) }
    /// # let app = InMemoryBroker::new().register::<Ping>();
    /// let calls = [ping().kiq(), ping().kiq().queue("nowhere")];
    /// let error = app.kiq_many(calls).await.unwrap_err();
    /// for handle in error.into_outcomes().into_iter().flatten() {
    ///     assert_eq!(handle.wait_result().await?.into_value()?, 1); // what was sent runs all the same
    /// }
    /// # Ok(()) }
    /// ```
    pub fn into_outcomes(self) -> Vec<Result<TaskHandle<R>, KiqError>> {
        self.outcomes
    }

    /// How many calls were not handed over.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::prelude::*;
    /// # use taskq::{BoxError, Run, Task, TaskConfig};
    /// # struct Ping;
    /// # impl Task for Ping { type Args = (); type Output = u32; type Returns = u32; const NAME: &'static str = "ping"; const CONFIG: TaskConfig = TaskConfig::new(); }
    /// # impl Run for Ping { async fn run(ctx: TaskContext, _: ()) -> Result<u32, BoxError> { Ok(ctx.attempt()) } }
    /// # fn ping() -> Call<Ping> { Call::new(()) }
    /// # let app = InMemoryBroker::new().register::<Ping>();
    /// let calls = [ping().kiq(), ping().kiq().queue("nowhere")];
    /// let error = app.kiq_many(calls).await.unwrap_err();
    /// assert_eq!((error.failed(), error.outcomes().len()), (1, 2));
    /// assert_eq!(error.to_string(), "1 of 2 calls were not sent; `outcomes()` has one answer per call");
    /// # Ok(()) }
    /// ```
    pub fn failed(&self) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.is_err()).count()
    }

    fn first(&self) -> Option<&KiqError> {
        self.outcomes.iter().find_map(|outcome| outcome.as_ref().err())
    }

    /// The same without the result's type, which [`TaskHandle::typed`] gives back.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::{KiqManyError, prelude::*};
    /// # use taskq::{BoxError, Run, Task, TaskConfig};
    /// # struct Ping;
    /// # impl Task for Ping { type Args = (); type Output = u32; type Returns = u32; const NAME: &'static str = "ping"; const CONFIG: TaskConfig = TaskConfig::new(); }
    /// # impl Run for Ping { async fn run(ctx: TaskContext, _: ()) -> Result<u32, BoxError> { Ok(ctx.attempt()) } }
    /// # fn ping() -> Call<Ping> { Call::new(()) }
    /// # let app = InMemoryBroker::new().register::<Ping>();
    /// let calls = [ping().kiq(), ping().kiq().queue("nowhere")];
    /// let error: KiqManyError = app.kiq_many(calls).await.unwrap_err().untyped(); // as `?` does it
    /// for handle in error.into_outcomes().into_iter().flatten() {
    ///     let attempt: u32 = handle.typed().wait_result().await?.into_value()?;
    ///     assert_eq!(attempt, 1);
    /// }
    /// # Ok(()) }
    /// ```
    pub fn untyped(self) -> KiqManyError {
        let outcomes = self.outcomes.into_iter().map(|outcome| outcome.map(TaskHandle::typed));
        KiqManyError { outcomes: outcomes.collect() }
    }
}

impl<R> fmt::Debug for KiqManyError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KiqManyError")
            .field("failed", &self.failed())
            .field("of", &self.outcomes.len())
            .field("first", &self.first())
            .finish()
    }
}

impl<R> fmt::Display for KiqManyError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} calls were not sent; `outcomes()` has one answer per call",
            self.failed(),
            self.outcomes.len()
        )
    }
}

impl<R> std::error::Error for KiqManyError<R> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.first().map(|error| error as _)
    }
}
