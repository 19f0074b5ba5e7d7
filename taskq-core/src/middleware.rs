//! Code around sending and around running: two onions.

use crate::{BoxFuture, context::TaskContext, error::KiqError, message::Message, outcome::Outcome};
use std::{fmt, sync::Arc};

/// Wraps every run of a task. The first one added is outermost; the handler, under its time limit and panic guard, is
/// innermost, so that a middleware sees every outcome.
///
/// ```
/// use taskq_core::{BoxFuture, Middleware, Next, Outcome, TaskContext};
///
/// struct Timing;
///
/// impl Middleware for Timing {
///     fn call<'a>(&'a self, ctx: &'a TaskContext, next: Next<'a>) -> BoxFuture<'a, Outcome> {
///         Box::pin(async move {
///             let began = std::time::Instant::now();
///             let outcome = next.run(ctx).await;
///             println!("{} took {:?}", ctx.task_name(), began.elapsed());
///             outcome
///         })
///     }
/// }
/// ```
pub trait Middleware: Send + Sync + 'static {
    /// One run: `next.run(ctx)` goes on inward.
    fn call<'a>(&'a self, ctx: &'a TaskContext, next: Next<'a>) -> BoxFuture<'a, Outcome>;
}

impl<F> Middleware for F
where
    F: for<'a> Fn(&'a TaskContext, Next<'a>) -> BoxFuture<'a, Outcome> + Send + Sync + 'static,
{
    fn call<'a>(&'a self, ctx: &'a TaskContext, next: Next<'a>) -> BoxFuture<'a, Outcome> {
        self(ctx, next)
    }
}

/// The handler at the core of the onion.
pub(crate) type Handler<'a> = &'a (dyn Fn(&'a TaskContext) -> BoxFuture<'a, Outcome> + Send + Sync);

/// The rest of the onion.
pub struct Next<'a> {
    rest: &'a [Arc<dyn Middleware>],
    handler: Handler<'a>,
}

impl<'a> Next<'a> {
    pub(crate) fn new(rest: &'a [Arc<dyn Middleware>], handler: Handler<'a>) -> Self {
        Next { rest, handler }
    }

    /// Runs the rest: the next middleware, and in the end the task itself.
    pub fn run(self, ctx: &'a TaskContext) -> BoxFuture<'a, Outcome> {
        match self.rest.split_first() {
            Some((first, rest)) => first.call(ctx, Next { rest, handler: self.handler }),
            None => (self.handler)(ctx),
        }
    }
}

impl fmt::Debug for Next<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Next({} more)", self.rest.len())
    }
}

/// Wraps every submission. The first one added is outermost; publishing is innermost.
///
/// ```
/// use taskq_core::{BoxFuture, KiqError, Message, SendMiddleware, SendNext};
///
/// struct Tenant;
///
/// impl SendMiddleware for Tenant {
///     fn call<'a>(&'a self, mut message: Message, next: SendNext<'a>) -> BoxFuture<'a, Result<(), KiqError>> {
///         message.labels.insert("tenant".into(), "acme".into());
///         next.run(message)
///     }
/// }
/// ```
pub trait SendMiddleware: Send + Sync + 'static {
    /// One submission: `next.run(message)` goes on inward.
    fn call<'a>(&'a self, message: Message, next: SendNext<'a>) -> BoxFuture<'a, Result<(), KiqError>>;
}

impl<F> SendMiddleware for F
where
    F: for<'a> Fn(Message, SendNext<'a>) -> BoxFuture<'a, Result<(), KiqError>> + Send + Sync + 'static,
{
    fn call<'a>(&'a self, message: Message, next: SendNext<'a>) -> BoxFuture<'a, Result<(), KiqError>> {
        self(message, next)
    }
}

/// Publishing, at the core of the onion.
pub(crate) type Sender<'a> = &'a (dyn Fn(Message) -> BoxFuture<'a, Result<(), KiqError>> + Send + Sync);

/// The rest of the onion.
pub struct SendNext<'a> {
    rest: &'a [Arc<dyn SendMiddleware>],
    sender: Sender<'a>,
}

impl<'a> SendNext<'a> {
    pub(crate) fn new(rest: &'a [Arc<dyn SendMiddleware>], sender: Sender<'a>) -> Self {
        SendNext { rest, sender }
    }

    /// Runs the rest: the next middleware, and in the end the publish. Resolves when the broker has confirmed.
    pub fn run(self, message: Message) -> BoxFuture<'a, Result<(), KiqError>> {
        match self.rest.split_first() {
            Some((first, rest)) => first.call(message, SendNext { rest, sender: self.sender }),
            None => (self.sender)(message),
        }
    }
}

impl fmt::Debug for SendNext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SendNext({} more)", self.rest.len())
    }
}
