//! What the expansion of `#[task]` names.

pub use crate::{
    Ack, Backoff, BoxError, BoxFuture, Call, Direct, FromContext, Run, StateMap, Task, TaskConfig, TaskContext,
    TaskDef, TaskError,
};
pub use inventory;
pub use serde;

use crate::{app::Current, task::run_blocking};
use serde::{Serialize, de::DeserializeOwned};

/// What may be an argument of a task.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a task",
    label = "not serialisable",
    note = "derive `serde::Serialize` and `serde::Deserialize` for it; or mark the parameter `#[inject]` if it comes from the worker"
)]
pub trait TaskArg {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + 'static> TaskArg for T {}

/// Fails to compile, with a readable message, for a type that cannot travel.
pub const fn assert_arg<T: TaskArg>() {}

/// What may be the value of a task.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the value of a task",
    label = "not serialisable",
    note = "derive `serde::Serialize` and `serde::Deserialize` for it; or return `()`"
)]
pub trait TaskValue {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + 'static> TaskValue for T {}

/// Fails to compile, with a readable message, for a type that cannot travel.
pub const fn assert_value<T: TaskValue>() {}

/// A `Result`, under whatever name.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a `Result` whose error turns into a boxed error",
    note = "the error must implement `std::error::Error + Send + Sync`, or be a `String`, `&str`, `anyhow::Error` or boxed error"
)]
pub trait Fallible {
    /// The value.
    type Ok;
    /// The error.
    type Err;

    /// The value, or the error in a box.
    ///
    /// # Errors
    /// The error in a box.
    fn finish(self) -> Result<Self::Ok, BoxError>;

    /// The same; an error that `retryable` does not name is permanent.
    ///
    /// # Errors
    /// The error in a box, with its mark.
    fn finish_if(self, retryable: fn(&Self::Err) -> bool) -> Result<Self::Ok, BoxError>;
}

impl<T, E: Into<BoxError>> Fallible for Result<T, E> {
    type Ok = T;
    type Err = E;

    fn finish(self) -> Result<T, BoxError> {
        self.map_err(Into::into)
    }

    fn finish_if(self, retryable: fn(&E) -> bool) -> Result<T, BoxError> {
        self.map_err(|error| if retryable(&error) { error.into() } else { TaskError::permanent(error).into() })
    }
}

/// A return type that is not a `Result`. Ambiguous, and so a compile error, for a `Result` under another name.
pub trait PlainReturn<Marker> {
    /// Names the check.
    fn ok() {}
}

impl<T> PlainReturn<()> for T {}

/// Makes [`PlainReturn`] ambiguous for a `Result`.
#[derive(Debug)]
pub struct ThisIsAResult;

impl<T, E> PlainReturn<ThisIsAResult> for Result<T, E> {}

/// A plain `fn` of a worker: on the blocking pool, with `kiq` going to the worker's app.
///
/// # Errors
/// Its panic, or a runtime that stopped.
pub async fn blocking<R: Send + 'static>(
    ctx: TaskContext,
    body: impl FnOnce() -> R + Send + 'static,
) -> Result<R, BoxError> {
    let inside = ctx.clone();
    run_blocking(&ctx, move || Current::within_task_sync(&inside, body)).await
}

/// The plain call of a plain `fn`.
pub fn inline<R: Send + 'static>(body: impl FnOnce() -> R + Send + 'static) -> BoxFuture<'static, R> {
    Box::pin(async move { body() })
}
