//! One error type per boundary, and one that holds them all.

mod broker;
mod kiq;
mod result;
mod task;
mod worker;

pub use broker::BrokerError;
pub use kiq::{KiqError, KiqManyError};
pub use result::ResultError;
pub use task::TaskError;
pub(crate) use task::{Control, control_of};
pub use worker::WorkerError;

use crate::failure::TaskFailure;
use std::{error::Error as _, fmt, iter::successors};

/// An error of any kind, as handlers return it and `source()` keeps it.
///
/// ```
/// use taskq::BoxError;
/// async fn fetch(port: &str) -> Result<u16, BoxError> {
///     let port: u16 = port.parse()?; // any error turns into it
///     if port == 0 {
///         return Err("port 0 is none".into()); // and so does text
///     }
///     Ok(port)
/// }
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # assert_eq!(fetch("80").await.unwrap(), 80);
/// # assert!(fetch("0").await.is_err() && fetch("http").await.is_err());
/// # });
/// ```
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// `Result` with [`Error`] unless another is named.
///
/// ```
/// use taskq::{ResultError, TaskHandle};
/// async fn value(handle: TaskHandle<i64>) -> taskq::Result<i64> {
///     Ok(handle.wait_result().timeout("10s").await?.into_value()?)
/// }
/// async fn is_done(handle: TaskHandle<i64>) -> taskq::Result<bool, ResultError> {
///     Ok(handle.status().await?.is_final())
/// }
/// ```
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Whatever can go wrong with taskq: one variant per boundary, so that `?` works across all of them.
///
/// Its `Debug` is for people, since that is what a `main` that returns it prints: the text, and the causes below it.
/// `{:#?}` shows the variant and its fields.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> taskq::Result<()> {
/// use taskq::{Error, prelude::*};
/// # use taskq::{BoxError, Call, Run, Task, TaskConfig, TaskContext};
/// # struct Ping;
/// # impl Task for Ping { type Args = (); type Output = u32; type Returns = u32; const NAME: &'static str = "ping"; const CONFIG: TaskConfig = TaskConfig::new(); }
/// # impl Run for Ping { async fn run(ctx: TaskContext, _: ()) -> Result<u32, BoxError> { Ok(ctx.attempt()) } }
/// # fn ping() -> Call<Ping> { Call::new(()) }
/// async fn ping_and_wait(app: &App, queue: &str) -> taskq::Result<u32> {
///     Ok(ping.kiq().queue(queue).on(app).await?.wait_result().timeout("10s").await?.into_value()?)
/// }
///
/// let app = InMemoryBroker::new().register::<Ping>();
/// match ping_and_wait(&app, "nowhere").await {
///     Ok(attempt) => println!("answered at attempt {attempt}"),
///     Err(Error::Task(failure)) => println!("it ran and failed: {failure}"),
///     Err(Error::Result(error)) => println!("it was sent, its result is not known: {error}"),
///     Err(error) => assert!(matches!(error, Error::Kiq(_)), "it was not sent: {error}"),
/// }
/// # Ok(()) }
/// ```
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Handing a task over failed.
    #[error(transparent)]
    Kiq(#[from] KiqError),
    /// Handing several tasks over failed for some of them.
    #[error(transparent)]
    KiqMany(KiqManyError),
    /// The broker failed.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// Waiting for a result failed.
    #[error(transparent)]
    Result(#[from] ResultError),
    /// The task that was waited for failed.
    #[error(transparent)]
    Task(#[from] TaskFailure),
    /// The app or its worker could not start, or had to end.
    #[error(transparent)]
    Worker(#[from] WorkerError),
}

impl Error {
    fn inner(&self) -> (&'static str, &dyn fmt::Debug) {
        match self {
            Error::Kiq(error) => ("Kiq", error),
            Error::KiqMany(error) => ("KiqMany", error),
            Error::Broker(error) => ("Broker", error),
            Error::Result(error) => ("Result", error),
            Error::Task(failure) => ("Task", failure),
            Error::Worker(error) => ("Worker", error),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            let (variant, inner) = self.inner();
            return f.debug_tuple(variant).field(inner).finish();
        }
        write!(f, "{self}")?;
        let causes: Vec<String> = successors(self.source(), |&cause| cause.source()).map(ToString::to_string).collect();
        if !causes.is_empty() {
            write!(f, "\n\nCaused by:")?;
        }
        for (number, cause) in causes.iter().enumerate() {
            let cause = cause.replace('\n', "\n    ");
            match causes.len() {
                1 => write!(f, "\n    {cause}")?,
                _ => write!(f, "\n    {number}: {cause}")?,
            }
        }
        Ok(())
    }
}

impl<R> From<KiqManyError<R>> for Error {
    fn from(error: KiqManyError<R>) -> Self {
        Error::KiqMany(error.untyped())
    }
}
