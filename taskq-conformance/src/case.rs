//! How a case ends.

use std::{fmt, time::Duration};

/// What a case gives: nothing if the broker keeps this part of its contract.
pub type CaseResult<T = ()> = Result<T, NotPassed>;

/// A case did not pass.
#[derive(Clone, PartialEq, Eq)]
pub enum NotPassed {
    /// The broker breaks its contract, in this way.
    Broken(String),
    /// The case was not run, for this reason: the broker or the harness cannot do what it needs.
    LeftOut(String),
}

impl NotPassed {
    pub(crate) fn silent(what: &str, patience: Duration) -> Self {
        NotPassed::Broken(format!("{what}: nothing happened within {patience:?}"))
    }
}

impl fmt::Display for NotPassed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotPassed::Broken(how) => write!(f, "the broker breaks its contract: {how}"),
            NotPassed::LeftOut(why) => write!(f, "left out: {why}"),
        }
    }
}

/// The same as `Display`: the test runner shows it where a test returns an error.
impl fmt::Debug for NotPassed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for NotPassed {}

/// Ends the case as broken, with this text, unless the condition holds.
macro_rules! ensure {
    ($holds:expr, $($text:tt)+) => {
        if !$holds {
            return Err($crate::NotPassed::Broken(format!($($text)+)));
        }
    };
}
