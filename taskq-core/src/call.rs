//! A task with its arguments: a cold value that can be run here or handed to the broker.

use crate::{
    BoxFuture,
    kiq::Kiq,
    task::{Direct, Task},
};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

/// A task with its arguments. Does nothing by itself: `.await` runs the function here, `.kiq()` hands it to the broker.
///
/// A call is a future (`Send`, `'static`, `Unpin`) that resolves to what the function returns, so
/// `tokio::spawn(add(1, 2))` works. Dropping it while it runs stops an async body at its next `.await`.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> taskq::Result<()> {
/// use taskq::prelude::*;
/// # use taskq::{BoxError, BoxFuture, Direct, Run, Task, TaskConfig};
/// # struct Add;
/// # impl Task for Add { type Args = (i64, i64); type Output = i64; type Returns = i64; const NAME: &'static str = "add"; const CONFIG: TaskConfig = TaskConfig::new(); }
/// # impl Run for Add { async fn run(_: TaskContext, (a, b): (i64, i64)) -> Result<i64, BoxError> { Ok(a + b) } }
/// # impl Direct for Add { fn run_direct((a, b): (i64, i64)) -> BoxFuture<'static, i64> { Box::pin(async move { a + b }) } }
/// # fn add(a: i64, b: i64) -> Call<Add> { Call::new((a, b)) }
/// let here: i64 = add(1, 2).await; // a plain call, without a broker
///
/// let app = InMemoryBroker::new().register::<Add>();
/// let handle = add(1, 2).kiq().on(&app).await?; // the same call, for a worker
/// assert_eq!(handle.wait_result().await?.into_value()?, here);
/// # Ok(()) }
/// ```
#[must_use = "a call does nothing until it is awaited (run here) or handed over with `.kiq()`"]
pub struct Call<T: Task> {
    state: State<T>,
}

enum State<T: Task> {
    Cold(T::Args),
    Running(BoxFuture<'static, T::Returns>),
    Ended,
}

impl<T: Task> Call<T> {
    /// A call with these arguments. `#[task]` makes this of the function's call; a task written by hand, and a stub for
    /// one of another crate, use it themselves.
    ///
    /// ```
    /// use taskq::{Call, Task, TaskConfig};
    ///
    /// struct Resize;
    ///
    /// impl Task for Resize {
    ///     type Args = (String, u32);
    ///     type Output = u64;
    ///     type Returns = u64;
    ///     const NAME: &'static str = "images.resize";
    ///     const CONFIG: TaskConfig = TaskConfig::new();
    /// }
    ///
    /// fn resize(path: &str, width: u32) -> Call<Resize> {
    ///     Call::new((path.to_owned(), width))
    /// }
    /// # assert_eq!(format!("{:?}", resize("a.png", 800)), "Call(images.resize)");
    /// ```
    pub fn new(args: T::Args) -> Self {
        Call { state: State::Cold(args) }
    }

    /// Hands the task to the broker when the returned [`Kiq`] is awaited; options come before that.
    ///
    /// A call that was polled before has nothing left to hand over: its `Kiq` gives
    /// [`KiqError::Invalid`](crate::KiqError::Invalid).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// # tokio::time::pause();
    /// use taskq::prelude::*;
    /// # use taskq::{BoxError, BoxFuture, Direct, Run, Task, TaskConfig};
    /// # struct Add;
    /// # impl Task for Add { type Args = (i64, i64); type Output = i64; type Returns = i64; const NAME: &'static str = "add"; const CONFIG: TaskConfig = TaskConfig::new(); }
    /// # impl Run for Add { async fn run(_: TaskContext, (a, b): (i64, i64)) -> Result<i64, BoxError> { Ok(a + b) } }
    /// # impl Direct for Add { fn run_direct((a, b): (i64, i64)) -> BoxFuture<'static, i64> { Box::pin(async move { a + b }) } }
    /// # fn add(a: i64, b: i64) -> Call<Add> { Call::new((a, b)) }
    /// let app = InMemoryBroker::new().register::<Add>();
    /// let call = add(2, 3); // to be kept, passed on, or collected into a list
    /// let handle = call.kiq().delay("5m").label("tenant", "acme").on(&app).await?;
    /// assert_eq!(handle.wait_result().await?.into_value()?, 5);
    /// # Ok(()) }
    /// ```
    pub fn kiq(self) -> Kiq<T> {
        match self.state {
            State::Cold(args) => Kiq::new(Some(args)),
            State::Running(_) | State::Ended => Kiq::new(None),
        }
    }
}

impl<T: Task> Unpin for Call<T> {}

impl<T: Direct> Future for Call<T> {
    type Output = T::Returns;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T::Returns> {
        let mut body = match std::mem::replace(&mut self.state, State::Ended) {
            State::Cold(args) => T::run_direct(args),
            State::Running(body) => body,
            State::Ended => return Poll::Pending,
        };
        let polled = body.as_mut().poll(cx);
        if polled.is_pending() {
            self.state = State::Running(body);
        }
        polled
    }
}

impl<T: Task> fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({})", T::NAME)
    }
}

/// Something that can be handed to the broker: a [`Call`], or a [`Kiq`] with its options.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> taskq::Result<()> {
/// use taskq::{IntoKiq, Task, prelude::*};
/// # use taskq::{BoxError, BoxFuture, Direct, Run, TaskConfig};
/// # struct Add;
/// # impl Task for Add { type Args = (i64, i64); type Output = i64; type Returns = i64; const NAME: &'static str = "add"; const CONFIG: TaskConfig = TaskConfig::new(); }
/// # impl Run for Add { async fn run(_: TaskContext, (a, b): (i64, i64)) -> Result<i64, BoxError> { Ok(a + b) } }
/// # impl Direct for Add { fn run_direct((a, b): (i64, i64)) -> BoxFuture<'static, i64> { Box::pin(async move { a + b }) } }
/// # fn add(a: i64, b: i64) -> Call<Add> { Call::new((a, b)) }
/// /// Sends whatever it is given under the tenant's label.
/// async fn send_for<C: IntoKiq>(app: &App, tenant: &str, call: C) -> taskq::Result<String> {
///     let handle = call.into_kiq().label("tenant", tenant).on(app).await?;
///     Ok(format!("{} is {}", C::Task::NAME, handle.id()))
/// }
///
/// let app = InMemoryBroker::new().register::<Add>();
/// send_for(&app, "acme", add(1, 2)).await?;
/// let sent = send_for(&app, "acme", add(1, 2).kiq().task_id("sum-17")).await?;
/// assert_eq!(sent, "add is sum-17");
/// # Ok(()) }
/// ```
pub trait IntoKiq {
    /// The task.
    type Task: Task;

    /// The submission, not yet begun. A [`Kiq`] keeps the options that it has.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::prelude::*;
    /// # use taskq::{BoxError, BoxFuture, Direct, Run, Task, TaskConfig};
    /// # struct Add;
    /// # impl Task for Add { type Args = (i64, i64); type Output = i64; type Returns = i64; const NAME: &'static str = "add"; const CONFIG: TaskConfig = TaskConfig::new(); }
    /// # impl Run for Add { async fn run(_: TaskContext, (a, b): (i64, i64)) -> Result<i64, BoxError> { Ok(a + b) } }
    /// # impl Direct for Add { fn run_direct((a, b): (i64, i64)) -> BoxFuture<'static, i64> { Box::pin(async move { a + b }) } }
    /// # fn add(a: i64, b: i64) -> Call<Add> { Call::new((a, b)) }
    /// let app = InMemoryBroker::new().register::<Add>();
    /// let handle = add(1, 2).kiq().task_id("sum-17").into_kiq().on(&app).await?;
    /// assert_eq!(handle.id().as_str(), "sum-17");
    /// # Ok(()) }
    /// ```
    fn into_kiq(self) -> Kiq<Self::Task>;
}

impl<T: Task> IntoKiq for Call<T> {
    type Task = T;

    fn into_kiq(self) -> Kiq<T> {
        self.kiq()
    }
}

impl<T: Task> IntoKiq for Kiq<T> {
    type Task = T;

    fn into_kiq(self) -> Kiq<T> {
        self
    }
}
