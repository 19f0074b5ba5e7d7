//! Code around sending and around running: two onions.

use crate::{BoxFuture, context::TaskContext, error::KiqError, message::Message, outcome::Outcome};
use std::{fmt, sync::Arc};

/// Wraps every run of a task. The first one added is outermost; the handler, under its time limit and panic guard, is
/// innermost, so that a middleware sees every outcome.
///
/// ```
/// use taskq::{BoxFuture, Middleware, Next, Outcome, TaskContext};
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
    /// One run: `next.run(ctx)` goes on inward. Resolves to the outcome that the worker decides on, which need not be
    /// the one that came from within; a panic is an outcome too. A plain function of this form is a middleware.
    ///
    /// The future is dropped at an `.await` when the worker has to stop, and 5 s after the task's time limit.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::{BoxFuture, Next, Outcome, TaskContext};
    /// # use taskq::{BrokerExt, InMemoryBroker};
    ///
    /// fn only_for_acme<'a>(ctx: &'a TaskContext, next: Next<'a>) -> BoxFuture<'a, Outcome> {
    ///     match ctx.labels().get("tenant").map(String::as_str) {
    ///         Some("acme") => next.run(ctx),
    ///         _ => Box::pin(async { Outcome::failed("this worker is for acme") }), // the task does not run
    ///     }
    /// }
    ///
    /// let app = InMemoryBroker::new().with_middleware(only_for_acme).register::<Add>();
    /// let acme = add(2, 3).kiq().label("tenant", "acme").on(&app).await?;
    /// let nobody = add(2, 3).kiq().on(&app).await?;
    /// assert_eq!(acme.wait_result().await?.into_value()?, 5);
    /// assert_eq!(nobody.wait_result().await?.into_value().unwrap_err().message, "this worker is for acme");
    /// # Ok(()) }
    /// ```
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

/// The rest of the onion: the middleware further inward, and the task. It can be run once.
///
/// ```
/// use taskq::{BoxFuture, Next, Outcome, TaskContext};
///
/// fn log<'a>(ctx: &'a TaskContext, next: Next<'a>) -> BoxFuture<'a, Outcome> {
///     println!("{next:?} around {}", ctx.task_name()); // such as `Next(0 more)`
///     next.run(ctx)
/// }
/// # fn is_middleware(_: impl taskq::Middleware) {}
/// # is_middleware(log);
/// ```
pub struct Next<'a> {
    rest: &'a [Arc<dyn Middleware>],
    handler: Handler<'a>,
}

impl<'a> Next<'a> {
    pub(crate) fn new(rest: &'a [Arc<dyn Middleware>], handler: Handler<'a>) -> Self {
        Next { rest, handler }
    }

    /// Runs the rest: the next middleware, and in the end the task itself. Resolves to the outcome; dropping the future
    /// stops an async body at its next `.await`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// # use taskq::{BoxFuture, BrokerExt, InMemoryBroker, Next, Outcome, TaskContext};
    /// fn say_which<'a>(ctx: &'a TaskContext, next: Next<'a>) -> BoxFuture<'a, Outcome> {
    ///     Box::pin(async move {
    ///         match next.run(ctx).await {
    ///             Outcome::Done(value) => Outcome::Done(value),
    ///             other => Outcome::failed(format!("{} did not work: {other:?}", ctx.task_name())),
    ///         }
    ///     })
    /// }
    ///
    /// let app = InMemoryBroker::new().with_middleware(say_which).register::<Add>();
    /// let result = add(i64::MAX, 1).kiq().on(&app).await?.wait_result().await?;
    /// assert!(result.into_value().unwrap_err().message.starts_with("add did not work"));
    /// # Ok(()) }
    /// ```
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
/// use taskq::{BoxFuture, KiqError, Message, SendMiddleware, SendNext};
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
    /// One submission: `next.run(message)` goes on inward. Resolves to what the `kiq` gives. The message may be
    /// changed, but for its id. A plain function of this form is a middleware.
    ///
    /// The future is dropped when the `kiq` is, and half a second after the publish timeout, which the `kiq` then tells
    /// as [`KiqError::Unknown`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::{BoxFuture, KiqError, Message, SendNext};
    /// # use taskq::{BrokerExt, InMemoryBroker};
    ///
    /// fn needs_tenant<'a>(message: Message, next: SendNext<'a>) -> BoxFuture<'a, Result<(), KiqError>> {
    ///     match message.labels.contains_key("tenant") {
    ///         true => next.run(message),
    ///         false => Box::pin(async move { Err(KiqError::refused(message.task, "the label `tenant` is missing")) }),
    ///     }
    /// }
    ///
    /// let app = InMemoryBroker::new().with_send_middleware(needs_tenant).register::<Add>();
    /// add(2, 3).kiq().label("tenant", "acme").on(&app).await?;
    /// let error = add(2, 3).kiq().on(&app).await.unwrap_err();
    /// assert_eq!(error.to_string(), "task `add` was refused: the label `tenant` is missing");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// A refusal, as [`KiqError::refused`] makes it, or what came from within.
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

/// The rest of the onion: the send middleware further inward, and the publish. It can be run once.
///
/// ```
/// use taskq::{BoxFuture, KiqError, Message, SendNext};
///
/// fn log<'a>(message: Message, next: SendNext<'a>) -> BoxFuture<'a, Result<(), KiqError>> {
///     println!("{next:?} around {}", message.task); // such as `SendNext(0 more)`
///     next.run(message)
/// }
/// # fn is_middleware(_: impl taskq::SendMiddleware) {}
/// # is_middleware(log);
/// ```
pub struct SendNext<'a> {
    rest: &'a [Arc<dyn SendMiddleware>],
    sender: Sender<'a>,
}

impl<'a> SendNext<'a> {
    pub(crate) fn new(rest: &'a [Arc<dyn SendMiddleware>], sender: Sender<'a>) -> Self {
        SendNext { rest, sender }
    }

    /// Runs the rest: the next middleware, and in the end the publish. Resolves when the broker has confirmed. Dropping
    /// the future leaves open whether the task was sent.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// # use taskq::{BoxFuture, BrokerExt, InMemoryBroker, KiqError, Message, SendNext};
    /// fn count<'a>(mut message: Message, next: SendNext<'a>) -> BoxFuture<'a, Result<(), KiqError>> {
    ///     message.labels.insert("bytes".into(), message.body.len().to_string());
    ///     Box::pin(async move {
    ///         next.run(message).await?;
    ///         println!("the broker has it");
    ///         Ok(())
    ///     })
    /// }
    ///
    /// # let broker = InMemoryBroker::new();
    /// let app = broker.clone().with_send_middleware(count).register::<Add>();
    /// add(i64::MAX, 1).kiq().on(&app).await?;
    /// broker.wait_idle().await;
    /// let letter = &broker.dead_letters("taskq")[0];
    /// assert_eq!(letter.labels["bytes"], letter.body.len().to_string());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// What the broker or a middleware further inward said; [`KiqError::Invalid`] or [`KiqError::Unsupported`] for a
    /// message that a middleware has made one that cannot be sent.
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
