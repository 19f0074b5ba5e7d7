//! How a case ends.

use std::{fmt, time::Duration};

/// What a case gives: nothing if this part of the contract is kept.
///
/// It is what the tests of [`broker_suite!`](crate::broker_suite) and [`results_suite!`](crate::results_suite) return,
/// and what [`check_broker`](crate::check_broker) and [`check_results`](crate::check_results) give.
///
/// ```
/// use taskq_conformance::{CaseResult, NotPassed};
///
/// fn in_one_word(end: &CaseResult) -> &'static str {
///     match end {
///         Ok(()) => "kept",
///         Err(NotPassed::LeftOut(_)) => "left out",
///         Err(_) => "broken",
///     }
/// }
///
/// assert_eq!(in_one_word(&Ok(())), "kept");
/// ```
pub type CaseResult<T = ()> = Result<T, NotPassed>;

/// A case did not pass.
///
/// `Debug` is the same as `Display`: the test runner shows it where a test returns an error.
///
/// ```
/// use taskq_conformance::NotPassed;
///
/// let broken = NotPassed::Broken("message 3 came twice".into());
/// assert_eq!(format!("{broken:?}"), "the contract is broken: message 3 came twice");
/// let left_out = NotPassed::LeftOut("this broker has no delays".into());
/// assert_eq!(left_out.to_string(), "left out: this broker has no delays");
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotPassed {
    /// The contract is broken, in this way.
    Broken(String),
    /// The case was not run, for this reason: what is under test, or the harness, cannot do what it needs.
    LeftOut(String),
    /// There is no case of this name.
    Unknown(String),
}

impl NotPassed {
    pub(crate) fn silent(what: &str, patience: Duration) -> Self {
        NotPassed::Broken(format!("{what}: nothing happened within {patience:?}"))
    }
}

impl fmt::Display for NotPassed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotPassed::Broken(how) => write!(f, "the contract is broken: {how}"),
            NotPassed::LeftOut(why) => write!(f, "left out: {why}"),
            NotPassed::Unknown(name) => write!(f, "there is no case `{name}`"),
        }
    }
}

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

/// Ends the case as broken unless both are the same; a text says what they are.
macro_rules! ensure_eq {
    ($found:expr, $wanted:expr $(,)?) => {
        ensure_eq!($found, $wanted, "{}", stringify!($found))
    };
    ($found:expr, $wanted:expr, $($what:tt)+) => {
        match (&$found, &$wanted) {
            (found, wanted) => ensure!(found == wanted, "{}: {found:?}, and not {wanted:?}", format!($($what)+)),
        }
    };
}
