//! What waiting for a result says when there is none to give.

use super::BoxError;
use crate::id::TaskId;
use std::time::Duration;

/// A result could not be had. A task that failed is not such an error: its failure is its result.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> taskq::Result<()> {
/// use taskq::{ResultError, prelude::*};
/// # let app = InMemoryBroker::new().into_app();
/// let handle: TaskHandle<i64> = TaskHandle::attach(&app, "order-17");
/// match handle.wait_result().timeout("20ms").await {
///     Ok(result) => println!("{:?}", result.into_value()),
///     Err(ResultError::Timeout { limit, .. }) => println!("nothing within {limit:?}: ask again later"),
///     Err(error) => return Err(error.into()),
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResultError {
    /// There will be no result: the task stores none, or the app has no result backend.
    #[error("there is no result of task {id} to wait for: {reason}")]
    NoResult {
        /// The task.
        id: TaskId,
        /// Why not.
        reason: String,
    },
    /// The result did not come in time; the task goes on, and its result can be waited for again.
    #[error("no result of task {id} within {limit:?}; it may still come")]
    Timeout {
        /// The task.
        id: TaskId,
        /// How long was waited.
        limit: Duration,
    },
    /// The limit given to `timeout` cannot be used.
    #[error("the limit for task {id} cannot be used: {reason}")]
    Invalid {
        /// The task.
        id: TaskId,
        /// What is wrong with it.
        reason: String,
    },
    /// The stored result is not of the expected type, or was written by a newer version.
    #[error("the result of task {id} cannot be read as `{wanted}`")]
    Decode {
        /// The task.
        id: TaskId,
        /// The type that was wanted.
        wanted: &'static str,
        /// What went wrong.
        #[source]
        source: BoxError,
    },
    /// The result store failed.
    #[error("the result store at {address} failed")]
    Store {
        /// Host and port, without secrets.
        address: String,
        /// What went wrong.
        #[source]
        source: BoxError,
    },
    /// The result store's address cannot be used as it is written, or it refuses this user.
    #[error("the result store is not usable: {reason}")]
    SetUp {
        /// What is wrong, without secrets.
        reason: String,
    },
}

impl ResultError {
    /// Whether the same call may succeed later without anything being changed.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::prelude::*;
    /// # let app = InMemoryBroker::new().into_app();
    /// let handle: TaskHandle<i64> = TaskHandle::attach(&app, "order-17");
    /// let timeout = handle.wait_result().timeout("20ms").await.unwrap_err();
    /// let wrong_limit = handle.wait_result().timeout("a while").await.unwrap_err();
    /// assert!(timeout.is_retryable() && !wrong_limit.is_retryable());
    /// # Ok(()) }
    /// ```
    pub fn is_retryable(&self) -> bool {
        matches!(self, ResultError::Timeout { .. } | ResultError::Store { .. })
    }
}
