//! What can go wrong between here and Redis, by what to do about it.

use crate::address::Address;
use redis::{ErrorKind, RedisError, ServerErrorKind};
use std::{fmt, io};
use taskq_core::ResultError;

/// Why there is no answer.
#[derive(Debug, Clone)]
pub(crate) enum Trouble {
    /// The server refuses this user, or what this user wants. It does not mend itself.
    Refused(String),
    /// The server is away, starting, or not to be written to: another try on a new connection may help.
    Away(RedisError),
    /// The server answers that it cannot.
    Failed(RedisError),
}

impl Trouble {
    pub(crate) fn no_answer() -> Self {
        Trouble::Away(io::Error::new(io::ErrorKind::TimedOut, "timed out: no answer").into())
    }

    pub(crate) fn closed() -> Self {
        Trouble::Away(io::Error::new(io::ErrorKind::NotConnected, "the result backend was closed").into())
    }

    /// What a refused handshake means: with few exceptions it is the user's set-up.
    pub(crate) fn of_handshake(error: RedisError) -> Self {
        match Trouble::from(error) {
            Trouble::Failed(error) if error.to_string().contains("max number of clients") => Trouble::Away(error),
            Trouble::Failed(error) => Trouble::Refused(said(&error)),
            trouble => trouble,
        }
    }

    /// Whether it would be the same with other keys and fewer of them. What takes too long may be too much.
    pub(crate) fn is_of_the_server(&self) -> bool {
        match self {
            Trouble::Refused(_) => true,
            Trouble::Away(error) => !error.is_timeout(),
            Trouble::Failed(_) => false,
        }
    }

    pub(crate) fn into_error(self, address: &Address) -> ResultError {
        match self {
            Trouble::Refused(reason) => ResultError::SetUp {
                reason: format!(
                    "the Redis at {address} refuses this user: {reason}; check user, password, database and permissions"
                ),
            },
            Trouble::Away(error) | Trouble::Failed(error) => {
                ResultError::Store { address: address.to_string(), source: Box::new(error) }
            }
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Refused(reason) => f.write_str(reason),
            Trouble::Away(error) | Trouble::Failed(error) => error.fmt(f),
        }
    }
}

impl From<RedisError> for Trouble {
    fn from(error: RedisError) -> Self {
        use ServerErrorKind as S;
        let error = first_of(error);
        match error.kind() {
            ErrorKind::AuthenticationFailed | ErrorKind::Server(S::NoPerm) => Trouble::Refused(said(&error)),
            _ if matches!(error.code(), Some("NOAUTH" | "WRONGPASS")) => Trouble::Refused(said(&error)),
            ErrorKind::Io
            | ErrorKind::Parse
            | ErrorKind::ClusterConnectionNotFound
            | ErrorKind::Server(
                S::BusyLoading | S::MasterDown | S::ReadOnly | S::TryAgain | S::ClusterDown | S::Moved | S::Ask,
            ) => Trouble::Away(error),
            _ => Trouble::Failed(error),
        }
    }
}

/// What the server said to the first command of a pipeline that it refused; the pipeline's own error does not tell.
fn first_of(error: RedisError) -> RedisError {
    let first = error.clone().into_server_errors().and_then(|errors| errors.first().cloned());
    first.map_or(error, |(_, first)| first.into())
}

fn said(error: &RedisError) -> String {
    let code = error.code().unwrap_or_default();
    let detail = error.detail().unwrap_or_else(|| error.category());
    format!("{code} {detail}").trim().to_owned()
}
