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
/// use taskq_core::Outcome;
/// let outcome = Outcome::failed("the tenant has no quota left");
/// assert!(!outcome.is_done());
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
    /// The worker is stopping, or another worker has taken the run over; the task runs elsewhere.
    Interrupted,
}

impl Outcome {
    /// A failure with this error, for middleware that has something to say.
    pub fn failed(error: impl Into<BoxError>) -> Self {
        Outcome::Failed(error.into())
    }

    /// Whether the task returned a value.
    pub fn is_done(&self) -> bool {
        matches!(self, Outcome::Done(_))
    }
}

/// What was decided about a delivery. Observers see it.
///
/// ```
/// # use taskq_core::{Event, Verdict};
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
/// use taskq_core::{Verdict, WaitFor};
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
}
