//! Panics of task bodies: caught, with message and location.

use futures_util::FutureExt;
use std::{
    any::Any,
    cell::RefCell,
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Once,
};

/// A task's panic.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> taskq::Result<()> {
/// # use taskq::{BoxError, BoxFuture, BrokerExt, Call, InMemoryBroker, Next, Outcome, Run, Task, TaskConfig, TaskContext};
/// # struct Print;
/// # impl Task for Print { type Args = (); type Output = (); type Returns = (); const NAME: &'static str = "print"; const CONFIG: TaskConfig = TaskConfig::new(); }
/// # impl Run for Print { async fn run(_: TaskContext, _: ()) -> Result<(), BoxError> { panic!("out of ink") } }
/// # let print = || Call::<Print>::new(());
/// fn explain<'a>(ctx: &'a TaskContext, next: Next<'a>) -> BoxFuture<'a, Outcome> {
///     Box::pin(async move {
///         match next.run(ctx).await {
///             Outcome::Panicked(panic) => Outcome::failed(format!("{} said: {}", ctx.task_name(), panic.message)),
///             other => other,
///         }
///     })
/// }
///
/// let app = InMemoryBroker::new().with_middleware(explain).register::<Print>();
/// let result = print().kiq().on(&app).await?.wait_result().await?;
/// assert_eq!(result.into_value().unwrap_err().message, "print said: out of ink");
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Panic {
    /// What it said.
    pub message: String,
    /// File, line and column, if known.
    pub location: Option<String>,
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.location {
            Some(location) => write!(f, "the task panicked at {location}: {}", self.message),
            None => write!(f, "the task panicked: {}", self.message),
        }
    }
}

impl std::error::Error for Panic {}

thread_local! {
    static LAST_LOCATION: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Notes where panics happen, in front of whatever hook is there. The payload that `catch_unwind` gives lacks that.
fn note_locations() {
    // A thread that unwinds must not touch the hook.
    if std::thread::panicking() {
        return;
    }
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            LAST_LOCATION.set(info.location().map(ToString::to_string));
            before(info);
        }));
    });
}

fn describe(payload: &(dyn Any + Send)) -> Panic {
    let message = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a value that is not text".to_owned());
    Panic { message, location: LAST_LOCATION.take() }
}

/// Runs `body`; its panic becomes an error.
pub(crate) fn catch<R>(body: impl FnOnce() -> R) -> Result<R, Panic> {
    note_locations();
    catch_unwind(AssertUnwindSafe(body)).map_err(|payload| describe(&*payload))
}

/// Drives `body`; a panic while it is polled becomes an error, and it is not polled again.
pub(crate) fn catch_async<F: Future>(body: F) -> impl Future<Output = Result<F::Output, Panic>> {
    note_locations();
    AssertUnwindSafe(body).catch_unwind().map(|ended| ended.map_err(|payload| describe(&*payload)))
}
