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
/// A call is a future (`Send`, `'static`, `Unpin`), so `tokio::spawn(add(1, 2))` works. Dropping it while it runs stops
/// an async body at its next `.await`.
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
    /// A call with these arguments.
    pub fn new(args: T::Args) -> Self {
        Call { state: State::Cold(args) }
    }

    /// Hands the task to the broker when the returned [`Kiq`] is awaited; options come before that.
    ///
    /// A call that was polled before has nothing left to hand over: its `Kiq` gives
    /// [`KiqError::Invalid`](crate::KiqError::Invalid).
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
pub trait IntoKiq {
    /// The task.
    type Task: Task;

    /// The submission, not yet begun.
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
