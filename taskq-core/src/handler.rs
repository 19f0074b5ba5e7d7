//! A task's function as a worker carries it out: arguments decoded, value encoded, types erased.

use crate::{codec, context::TaskContext, error::BoxError, outcome::Outcome, panic::Panic, task::Run};
use pin_project_lite::pin_project;
use std::{
    future::ready,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll},
};

pub(crate) type BoxHandler = Pin<Box<dyn Handler>>;

/// One call of a task's function. There may be tens of thousands at a time, so it keeps nothing that whoever polls it has too.
pub(crate) trait Handler: Send {
    /// Not to be called again once it is ready.
    fn poll_in(self: Pin<&mut Self>, ctx: &TaskContext, cx: &mut Context<'_>) -> Poll<Outcome>;
}

impl<F: Future<Output = Outcome> + Send> Handler for F {
    fn poll_in(self: Pin<&mut Self>, _ctx: &TaskContext, cx: &mut Context<'_>) -> Poll<Outcome> {
        self.poll(cx)
    }
}

pin_project! {
    struct Called<T, F> {
        #[pin]
        function: F,
        task: PhantomData<fn() -> T>,
    }
}

impl<T: Run, F: Future<Output = Result<T::Output, BoxError>> + Send> Handler for Called<T, F> {
    fn poll_in(self: Pin<&mut Self>, ctx: &TaskContext, cx: &mut Context<'_>) -> Poll<Outcome> {
        self.project().function.poll(cx).map(|returned| outcome_of::<T>(returned, ctx))
    }
}

/// Decodes the arguments, and calls the function with them.
pub(crate) fn call<T: Run>(ctx: &TaskContext) -> BoxHandler {
    match codec::decode(ctx.message().content_type, &ctx.message().body) {
        Ok(args) => Box::pin(Called::<T, _> { function: T::run(ctx.clone(), args), task: PhantomData }),
        Err(error) => Box::pin(ready(Outcome::Undecodable(format!("the arguments do not fit: {error}")))),
    }
}

fn outcome_of<T: Run>(returned: Result<T::Output, BoxError>, ctx: &TaskContext) -> Outcome {
    match returned {
        Ok(value) => match codec::encode(ctx.message().content_type, &value) {
            Ok(bytes) => Outcome::Done(bytes),
            Err(error) => Outcome::Unstorable(format!("the value cannot be encoded: {error}")),
        },
        Err(error) => match error.downcast::<Panic>() {
            Ok(panic) => Outcome::Panicked(*panic),
            Err(error) => Outcome::Failed(error),
        },
    }
}

/// Runs a plain function on the blocking pool. The slot that the worker took for it stays taken until it returns, even
/// if its caller has gone.
pub(crate) async fn call_blocking<R: Send + 'static>(
    ctx: &TaskContext,
    body: impl FnOnce() -> R + Send + 'static,
) -> Result<R, BoxError> {
    let slot = ctx.take_blocking_slot();
    let span = tracing::Span::current();
    let joined = tokio::task::spawn_blocking(move || {
        let _slot = slot;
        span.in_scope(|| crate::panic::catch(body))
    });
    match joined.await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(panic)) => Err(panic.into()),
        Err(_) => Err("the runtime stopped before the function ran".into()),
    }
}
