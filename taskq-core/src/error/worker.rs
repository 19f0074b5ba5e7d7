//! Why an app or its worker does not start, or had to end.

use super::{BoxError, BrokerError, ResultError};

/// The app or its worker could not start, or could not end well. Wrong set-up is found before anything is consumed.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use taskq::{WorkerError, prelude::*};
/// # let app = InMemoryBroker::new().into_app();
/// # let stop = std::future::pending::<()>();
/// let code = match app.worker().run_until(stop).await {
///     Ok(()) => 0,
///     Err(WorkerError::Abandoned { in_flight }) => {
///         eprintln!("{in_flight} tasks were given back");
///         1
///     }
///     Err(error) => {
///         eprintln!("{error}"); // "no task is registered; .." for an app without tasks
///         2
///     }
/// };
/// # assert_eq!(code, 2);
/// # assert!(matches!(app.worker().run_until(std::future::pending::<()>()).await, Err(WorkerError::NoTasks)));
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// The function or static that gives the app failed.
    #[error("the app could not be built")]
    App(#[source] BoxError),
    /// Two tasks have one name.
    #[error(
        "two tasks are called `{name}`: at {first} and at {second}; give one of them another name with `#[task(name = \"..\")]`"
    )]
    DuplicateTask {
        /// The name.
        name: String,
        /// Where the one is defined.
        first: String,
        /// Where the other is defined.
        second: String,
    },
    /// No task is registered.
    #[error(
        "no task is registered; is the crate that defines them named anywhere? add `use my_tasks as _;`, or `app.register::<MyTask>()`"
    )]
    NoTasks,
    /// A task wants something from the app that is not there.
    #[error("task `{task}` (at {location}) cannot run: {reason}")]
    MissingState {
        /// The task.
        task: String,
        /// Where it is defined.
        location: String,
        /// What is missing, and how to add it.
        reason: String,
    },
    /// A name cannot be used.
    #[error("{what} {reason}")]
    Invalid {
        /// What has the name: a queue or a task.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Something is asked for that the broker or the result backend cannot do.
    #[error("{what}")]
    Unsupported {
        /// What is asked for, by whom, and what would provide it.
        what: String,
    },
    /// The broker failed.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The result backend failed.
    #[error(transparent)]
    Results(#[from] ResultError),
    /// Tasks were still running when the shutdown timeout ended; they were given back.
    #[error(
        "{in_flight} tasks were still running when the shutdown timeout ended; they were given back and will run again"
    )]
    Abandoned {
        /// How many.
        in_flight: usize,
    },
}

impl WorkerError {
    /// Whether the same start may succeed later without anything being changed: a server that cannot be reached at present.
    ///
    /// ```
    /// use taskq::{BrokerError, WorkerError};
    /// let down = BrokerError::Unreachable { address: "localhost:5672".into(), source: None };
    /// assert!(WorkerError::from(down).is_retryable() && !WorkerError::NoTasks.is_retryable());
    /// ```
    pub fn is_retryable(&self) -> bool {
        match self {
            WorkerError::Broker(error) => error.is_retryable(),
            WorkerError::Results(error) => error.is_retryable(),
            _ => false,
        }
    }
}
