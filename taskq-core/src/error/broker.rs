//! What a broker says when it cannot.

use super::BoxError;

/// A broker could not do what it was asked.
///
/// The text names the thing and says what to do; [`std::error::Error::source`] keeps the cause.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), taskq::BrokerError> {
/// use taskq::{Broker, BrokerError, QueueSpec, prelude::*};
/// # let broker = InMemoryBroker::new();
/// match broker.declare(&QueueSpec::new("mail")).await {
///     Ok(()) => println!("the queue is there"),
///     Err(BrokerError::Mismatch { queue, argument, .. }) => println!("{queue} is there with another {argument}"),
///     Err(error) if error.is_retryable() => println!("try again: {error}"),
///     Err(error) => return Err(error),
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// No connection could be made. Trying again may help.
    #[error("cannot reach the broker at {address}; is it running, and is the address right?")]
    Unreachable {
        /// Host and port, without secrets.
        address: String,
        /// What went wrong.
        #[source]
        source: Option<BoxError>,
    },
    /// The connection's address cannot be used as it is written.
    #[error("the broker's address is not usable: {reason}")]
    Address {
        /// What is wrong with it, without secrets.
        reason: String,
    },
    /// The broker was closed in this process.
    #[error("the broker is closed: its app was shut down; build a new one")]
    Closed,
    /// The server refuses this user.
    #[error("the broker at {address} refuses this user: {reason}; check user, password, virtual host and permissions")]
    Denied {
        /// Host and port, without secrets.
        address: String,
        /// What the server said.
        reason: String,
    },
    /// A queue or exchange exists with other arguments than the wanted ones.
    #[error(
        "`{queue}` exists with other arguments: {argument} is {found}, and {wanted} is wanted; declare it in the same way, use \
         `QueueSpec::existing()`, or delete it once it is empty"
    )]
    Mismatch {
        /// The queue or exchange.
        queue: String,
        /// The argument that differs.
        argument: String,
        /// What this process asked for.
        wanted: String,
        /// What the server has.
        found: String,
    },
    /// No queue of that name took the message.
    #[error(
        "there is no queue `{queue}`; declare it with `.with_queue(QueueSpec::new(\"{queue}\"))`, or check its name"
    )]
    Unroutable {
        /// The queue that was named.
        queue: String,
    },
    /// The queue has no room, and none came free in time.
    #[error("queue `{queue}` is full; let workers catch up, or raise its capacity")]
    Full {
        /// The queue.
        queue: String,
    },
    /// The server took the message and then refused to keep it.
    #[error("the broker refused the message for queue `{queue}`; it was not stored")]
    Nacked {
        /// The queue.
        queue: String,
    },
    /// The server takes no messages at present, such as at a memory or disk alarm.
    #[error("the broker takes no messages at present: {reason}")]
    Blocked {
        /// What the server said.
        reason: String,
    },
    /// The message may have been taken or not: its confirmation did not come.
    #[error("the broker did not confirm the message for queue `{queue}` in time; it may or may not have been stored")]
    Unconfirmed {
        /// The queue.
        queue: String,
    },
    /// This broker cannot do that.
    #[error("this broker cannot do that: {what}")]
    Unsupported {
        /// What was asked for.
        what: String,
    },
    /// Anything else.
    #[error("{message}")]
    Other {
        /// What happened, and what to do.
        message: String,
        /// What went wrong.
        #[source]
        source: Option<BoxError>,
    },
}

impl BrokerError {
    /// Whether the same call may succeed later without anything being changed.
    ///
    /// ```
    /// use taskq::BrokerError;
    /// let full = BrokerError::Full { queue: "mail".into() };
    /// assert!(full.is_retryable() && !BrokerError::Closed.is_retryable());
    /// ```
    pub fn is_retryable(&self) -> bool {
        match self {
            BrokerError::Unreachable { .. }
            | BrokerError::Full { .. }
            | BrokerError::Nacked { .. }
            | BrokerError::Blocked { .. }
            | BrokerError::Unconfirmed { .. }
            | BrokerError::Other { .. } => true,
            BrokerError::Address { .. }
            | BrokerError::Closed
            | BrokerError::Denied { .. }
            | BrokerError::Mismatch { .. }
            | BrokerError::Unroutable { .. }
            | BrokerError::Unsupported { .. } => false,
        }
    }

    /// An error that no other variant describes, without a source. It counts as one that may pass.
    ///
    /// ```
    /// use taskq::BrokerError;
    /// let error = BrokerError::other("the disk of the queue's file is full; make room");
    /// assert!(matches!(error, BrokerError::Other { source: None, .. }));
    /// assert_eq!(error.to_string(), "the disk of the queue's file is full; make room");
    /// ```
    pub fn other(message: impl Into<String>) -> Self {
        BrokerError::Other { message: message.into(), source: None }
    }
}
