//! Why a fault could not be made.

use std::fmt;

/// What these tools return.
pub type Result<T> = std::result::Result<T, Failure>;

/// A server did not start, or did not do what it was asked for: a text for people, with the end of the server's log.
///
/// `Debug` shows the same text, so that `unwrap()` in a test prints it as it is.
pub struct Failure(String);

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Failure(text.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Failure {}
