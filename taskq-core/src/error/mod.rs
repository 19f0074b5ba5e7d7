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

/// An error of any kind, as handlers return it and `source()` keeps it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// `Result` with [`Error`] unless another is named.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Whatever can go wrong with taskq: one variant per boundary, so that `?` works across all of them.
#[derive(Debug, thiserror::Error)]
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

impl<R> From<KiqManyError<R>> for Error {
    fn from(error: KiqManyError<R>) -> Self {
        Error::KiqMany(error.untyped())
    }
}
