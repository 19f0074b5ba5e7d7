//! What the expansion of `#[task]` names.

pub use crate::{
    Ack, Backoff, BoxError, BoxFuture, Call, Direct, FromContext, Run, StateMap, Task, TaskConfig, TaskContext,
    TaskDef, TaskError,
};
pub use inventory;
pub use serde;
pub use serde_bytes;

use crate::{app::Current, defaults::MAX_TASK_NAME, handler::call_blocking};
use pin_project_lite::pin_project;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll},
};

/// What may be an argument of a task.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a task",
    label = "not serialisable",
    note = "derive `serde::Serialize` and `serde::Deserialize` for it; or mark the parameter `#[inject]` if it comes from the worker"
)]
pub trait TaskArg {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + 'static> TaskArg for T {}

/// What may stand behind `&` in a task's arguments.
#[diagnostic::on_unimplemented(
    message = "`&{Self}` cannot be an argument of a task",
    label = "not cloneable and serialisable",
    note = "an argument is owned on its way to the worker: derive `Clone`, `serde::Serialize` and `serde::Deserialize` for it; or \
            mark the parameter `#[inject]` if it comes from the worker"
)]
pub trait BorrowedArg {}

#[diagnostic::do_not_recommend]
impl<T: ToOwned<Owned: TaskArg> + ?Sized> BorrowedArg for T {}

/// What may be left out with `#[arg(default)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no default value",
    label = "not `Default`",
    note = "implement `Default` for it, or name the value: `#[arg(default = ..)]`"
)]
pub trait DefaultArg {}

#[diagnostic::do_not_recommend]
impl<T: Default> DefaultArg for T {}

/// What may be the value of a task.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the value of a task",
    label = "not serialisable",
    note = "derive `serde::Serialize` and `serde::Deserialize` for it; or return `()`"
)]
pub trait TaskValue {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + 'static> TaskValue for T {}

/// Fails to compile, with a readable message, for a type that cannot travel. Checked where it is named, which is before
/// the compiler looks into any function.
#[derive(Debug)]
pub struct Arg<T: TaskArg>(PhantomData<T>);

/// The same for what stands behind `&`.
#[derive(Debug)]
pub struct Borrowed<T: BorrowedArg + ?Sized>(PhantomData<T>);

/// The same for what may be left out.
#[derive(Debug)]
pub struct Defaulted<T: DefaultArg>(PhantomData<T>);

/// The same for a task's value.
#[derive(Debug)]
pub struct Value<T: TaskValue>(PhantomData<T>);

/// A `Result`, under whatever name.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a `Result` whose error turns into a boxed error",
    note = "implement `std::error::Error` for the error (which must be `Send + Sync`), or use a `String`, `anyhow::Error` or \
            `taskq::TaskError`"
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

#[diagnostic::do_not_recommend]
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

/// Tells, for a type that is known, whether it is a `Result` under whatever name: the inherent constant goes before the
/// trait's.
#[derive(Debug)]
pub struct ReturnType<T>(PhantomData<T>);

impl<T, E> ReturnType<Result<T, E>> {
    /// It is.
    pub const IS_A_RESULT: bool = true;
}

/// The other half of [`ReturnType`].
pub trait NotAResult {
    /// It is not.
    const IS_A_RESULT: bool = false;
}

impl<T> NotAResult for ReturnType<T> {}

/// Fails to compile, with a readable message, for a `Result` that the macro took for a plain value.
pub const fn assert_not_a_result(is_a_result: bool) {
    assert!(
        !is_a_result,
        "this return type is a `Result` under another name, whose errors would be stored as values: write `#[task(fallible)]`"
    );
}

/// Fails to compile, with a readable message, for a name that a message cannot carry.
pub const fn assert_name(name: &str) {
    assert!(
        name.len() <= MAX_TASK_NAME,
        "the task's path has more than 255 bytes, too many for a name on the wire: write `#[task(name = \"..\")]`"
    );
}

/// What a worker runs of an `async fn`. (Neither an `async` block, which would keep the arguments twice, nor `map`, which keeps whether
/// it has ended.)
pub fn finished<R, T>(
    body: impl Future<Output = R>,
    finish: impl Fn(R) -> Result<T, BoxError>,
) -> impl Future<Output = Result<T, BoxError>> {
    Finished { body, finish }
}

pin_project! {
    struct Finished<F, M> {
        #[pin]
        body: F,
        finish: M,
    }
}

impl<F: Future, T, M: Fn(F::Output) -> Result<T, BoxError>> Future for Finished<F, M> {
    type Output = Result<T, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        this.body.poll(cx).map(this.finish)
    }
}

/// A plain `fn` of a worker: on the blocking pool, with `kiq` going to the worker's app.
///
/// # Errors
/// Its panic, a runtime that stopped, or what `finish` says.
pub async fn blocking<R: Send + 'static, T>(
    ctx: TaskContext,
    body: impl FnOnce() -> R + Send + 'static,
    finish: impl FnOnce(R) -> Result<T, BoxError> + Send + 'static,
) -> Result<T, BoxError> {
    let inside = ctx.clone();
    finish(call_blocking(&ctx, move || Current::within_task(&inside, body)).await?)
}

/// The plain call of a plain `fn`.
pub fn inline<R: Send + 'static>(body: impl FnOnce() -> R + Send + 'static) -> BoxFuture<'static, R> {
    Box::pin(async move { body() })
}
