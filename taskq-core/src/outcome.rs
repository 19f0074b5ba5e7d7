//! The two words before a settlement: what happened, and what was decided.

use crate::{
    error::BoxError,
    failure::TaskFailure,
    panic::Panic,
    record::{End, ResultRecord},
};
use bytes::Bytes;
use std::time::Duration;

/// What happened when a task ran. Every middleware sees it.
///
/// ```
/// use taskq::{BoxFuture, Next, Outcome, TaskContext};
///
/// fn log<'a>(ctx: &'a TaskContext, next: Next<'a>) -> BoxFuture<'a, Outcome> {
///     Box::pin(async move {
///         let outcome = next.run(ctx).await;
///         match &outcome {
///             Outcome::Done(value) => println!("{} gave {} bytes", ctx.task_name(), value.len()),
///             Outcome::Failed(error) => println!("{} failed: {error}", ctx.task_name()),
///             Outcome::TimedOut(limit) => println!("{} took longer than {limit:?}", ctx.task_name()),
///             other => println!("{}: {other:?}", ctx.task_name()),
///         }
///         outcome
///     })
/// }
/// # fn is_middleware(_: impl taskq::Middleware) {}
/// # is_middleware(log);
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// The task returned this value, encoded like its arguments.
    Done(Bytes),
    /// The task returned an error.
    Failed(BoxError),
    /// The run took longer than this and was stopped.
    TimedOut(Duration),
    /// The task panicked.
    Panicked(Panic),
    /// The arguments could not be read; the task did not run.
    Undecodable(String),
    /// The task returned a value that cannot be stored; it did its work.
    Unstorable(String),
    /// The worker is stopping, or another worker has taken the run over; the task runs elsewhere. Observers see it; a
    /// middleware's future is dropped instead.
    Interrupted,
}

impl Outcome {
    /// A failure with this error, for middleware that has something to say. It is retried like a task's own error, and
    /// a [`TaskError`](crate::TaskError) says as much here as there.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::{BoxFuture, FailureKind, Next, Outcome, TaskContext, TaskError};
    /// # use taskq::{BrokerExt, InMemoryBroker};
    ///
    /// fn closed<'a>(_: &'a TaskContext, _: Next<'a>) -> BoxFuture<'a, Outcome> {
    ///     Box::pin(async { Outcome::failed(TaskError::permanent("closed for today")) })
    /// }
    ///
    /// let app = InMemoryBroker::new().with_middleware(closed).register::<Add>();
    /// let result = add(2, 3).kiq().on(&app).await?.wait_result().await?;
    /// assert_eq!(result.into_value().unwrap_err().kind, FailureKind::Permanent);
    /// # Ok(()) }
    /// ```
    pub fn failed(error: impl Into<BoxError>) -> Self {
        Outcome::Failed(error.into())
    }

    /// Whether the task returned a value.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use std::time::Duration;
    /// use taskq::Outcome;
    /// assert!(Outcome::Done(Bytes::from_static(b"5")).is_done());
    /// assert!(!Outcome::TimedOut(Duration::from_secs(30)).is_done());
    /// ```
    pub fn is_done(&self) -> bool {
        matches!(self, Outcome::Done(_))
    }
}

/// What was decided about a delivery. Observers see it.
///
/// ```
/// # use taskq::{Event, Verdict};
/// # fn example(event: &Event<'_>) {
/// if let Event::Finished { message, verdict: Verdict::Retry { delay, failure }, .. } = event {
///     println!("{} runs again in {delay:?}: {failure}", message.id);
/// }
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Verdict {
    /// It ended: record this end.
    Finish(End),
    /// It gave up: record the failure and leave a dead letter.
    DeadLetter(TaskFailure),
    /// It runs again as the next attempt, after this delay.
    Retry {
        /// Time until the next run.
        delay: Duration,
        /// What went wrong this time.
        failure: TaskFailure,
    },
    /// It waits for this long as the same attempt.
    Wait {
        /// Time until it is looked at again.
        delay: Duration,
        /// What it waits for.
        until: WaitFor,
    },
    /// It had ended before: what follows that end is done again.
    Repeat(Box<ResultRecord>),
    /// All that follows its run was done before: the broker may forget it.
    Forget,
    /// It goes back to its queue as it is.
    GiveBack,
}

/// What a task waits for that may not run yet.
///
/// ```
/// use taskq::{Verdict, WaitFor};
/// let verdict = Verdict::Wait { delay: std::time::Duration::from_secs(30), until: WaitFor::NewerWorker };
/// assert!(matches!(verdict, Verdict::Wait { until: WaitFor::NewerWorker, .. }));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitFor {
    /// The instant that its sender asked for.
    Eta,
    /// A worker that knows its name.
    NewerWorker,
    /// The end of its run in another worker.
    OtherWorker,
    /// The result store, which does not answer.
    Store,
}
