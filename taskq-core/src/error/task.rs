//! What a handler may say about its own failure.

use super::BoxError;
use crate::span::IntoSpan;
use std::{error::Error, fmt, time::Duration};

/// A handler's error that says more than "it failed".
///
/// Any other error is retried as the task's attributes say. The mark is found through boxes, `anyhow` and
/// `.context(..)`.
///
/// ```
/// use taskq::TaskError;
///
/// async fn charge(cents: i64) -> Result<(), TaskError> {
///     if cents < 0 {
///         return Err(TaskError::permanent("a charge cannot be negative"));
///     }
///     Err(TaskError::retry_in("the bank is closed", "15m"))
/// }
/// ```
#[derive(Debug)]
pub struct TaskError {
    // Two layers: a wrapper such as anyhow hides the type of the outermost error from a downcast, but not its source's.
    control: ControlError,
}

/// What the worker is asked to do with this failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Control {
    Retry,
    Permanent,
    RetryIn(Duration),
    Discard,
}

#[derive(Debug)]
struct ControlError {
    control: Control,
    source: BoxError,
}

impl TaskError {
    /// No retry can help: the task fails now, with [`FailureKind::Permanent`](crate::FailureKind::Permanent), as if its
    /// retries were used up.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::{FailureKind, prelude::*};
    /// async fn work(_: TaskContext) -> Result<(), TaskError> {
    ///     Err(TaskError::permanent("there is no such customer"))
    /// }
    /// # use taskq::{BoxError, Run, Task, TaskConfig};
    /// # struct Work;
    /// # impl Task for Work { type Args = (); type Output = (); type Returns = (); const NAME: &'static str = "work"; const CONFIG: TaskConfig = TaskConfig::new().retry(3); }
    /// # impl Run for Work { async fn run(ctx: TaskContext, _: ()) -> Result<(), BoxError> { work(ctx).await.map_err(Into::into) } }
    /// # let broker = InMemoryBroker::new();
    /// # let app = broker.clone().register::<Work>();
    /// let result = Call::<Work>::new(()).kiq().on(&app).await?.wait_result().await?; // `Work` has `retry = 3`
    /// assert_eq!(result.attempts(), 1);
    /// assert_eq!(result.into_value().unwrap_err().kind, FailureKind::Permanent);
    /// # Ok(()) }
    /// ```
    pub fn permanent(error: impl Into<BoxError>) -> Self {
        TaskError::new(Control::Permanent, error)
    }

    /// The next run is due after `delay`, a [`Duration`] or text such as `"15m"`. How often stays `retry = N`.
    ///
    /// Text that is not a duration leaves the delay to the task's back-off, and is logged as an error.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// # tokio::time::pause();
    /// use std::time::Duration;
    /// use taskq::prelude::*;
    /// async fn work(ctx: TaskContext) -> Result<(), TaskError> {
    ///     match ctx.attempt() {
    ///         1 => Err(TaskError::retry_in("429 Too Many Requests", Duration::from_secs(90))),
    ///         _ => Ok(()),
    ///     }
    /// }
    /// # use taskq::{BoxError, Run, Task, TaskConfig};
    /// # struct Work;
    /// # impl Task for Work { type Args = (); type Output = (); type Returns = (); const NAME: &'static str = "work"; const CONFIG: TaskConfig = TaskConfig::new().retry(3); }
    /// # impl Run for Work { async fn run(ctx: TaskContext, _: ()) -> Result<(), BoxError> { work(ctx).await.map_err(Into::into) } }
    /// # let broker = InMemoryBroker::new();
    /// # let app = broker.clone().register::<Work>();
    /// let began = tokio::time::Instant::now();
    /// let result = Call::<Work>::new(()).kiq().on(&app).await?.wait_result().await?;
    /// assert!(result.is_ok() && began.elapsed() >= Duration::from_secs(90));
    /// # Ok(()) }
    /// ```
    pub fn retry_in(error: impl Into<BoxError>, delay: impl IntoSpan) -> Self {
        match delay.into_span() {
            Ok(delay) => TaskError::new(Control::RetryIn(delay), error),
            Err(reason) => {
                tracing::error!(reason, "the delay given to `retry_in` cannot be used; the task's back-off is");
                TaskError::new(Control::Retry, error)
            }
        }
    }

    /// The task is given up on without a dead letter: recorded as discarded.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::{TaskStatus, prelude::*};
    /// async fn work(_: TaskContext) -> Result<(), TaskError> {
    ///     Err(TaskError::discard("the order was cancelled meanwhile"))
    /// }
    /// # use taskq::{BoxError, Run, Task, TaskConfig};
    /// # struct Work;
    /// # impl Task for Work { type Args = (); type Output = (); type Returns = (); const NAME: &'static str = "work"; const CONFIG: TaskConfig = TaskConfig::new().retry(3); }
    /// # impl Run for Work { async fn run(ctx: TaskContext, _: ()) -> Result<(), BoxError> { work(ctx).await.map_err(Into::into) } }
    /// # let broker = InMemoryBroker::new();
    /// # let app = broker.clone().register::<Work>();
    /// let result = Call::<Work>::new(()).kiq().on(&app).await?.wait_result().await?;
    /// assert_eq!((result.status(), result.attempts()), (TaskStatus::Discarded, 1));
    /// assert!(broker.dead_letters("taskq").is_empty());
    /// # Ok(()) }
    /// ```
    pub fn discard(error: impl Into<BoxError>) -> Self {
        TaskError::new(Control::Discard, error)
    }

    fn new(control: Control, error: impl Into<BoxError>) -> Self {
        TaskError { control: ControlError { control, source: error.into() } }
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.control.fmt(f)
    }
}

impl Error for TaskError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.control)
    }
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

impl Error for ControlError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.source()
    }
}

/// The first mark along the chain of sources.
pub(crate) fn control_of(error: &(dyn Error + 'static)) -> Option<Control> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(marked) = error.downcast_ref::<TaskError>() {
            return Some(marked.control.control);
        }
        if let Some(marked) = error.downcast_ref::<ControlError>() {
            return Some(marked.control);
        }
        next = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Wrapper(BoxError);
    impl fmt::Display for Wrapper {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("while sending")
        }
    }
    impl Error for Wrapper {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&*self.0)
        }
    }

    #[test]
    fn the_mark_is_found_through_boxes_and_wrappers() {
        let boxed: BoxError = TaskError::permanent("no").into();
        assert_eq!(control_of(&*boxed), Some(Control::Permanent));
        let wrapped = Wrapper(Box::new(Wrapper(TaskError::discard("no").into())));
        assert_eq!(control_of(&wrapped), Some(Control::Discard));
        let plain: BoxError = "no".into();
        assert_eq!(control_of(&*plain), None);
    }
}
