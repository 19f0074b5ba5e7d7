//! How a worker process ends: its exit code, and the line on stderr.

use crate::error::WorkerError;
use std::{
    error::Error,
    io::Write,
    process::{ExitCode, ExitStatus},
};

/// The codes that are documented with `taskq::worker::main!`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Exit {
    /// Stopped as asked.
    Stopped,
    /// Stopped as asked; running tasks were given back.
    GaveBack,
    /// The set-up is wrong, or the worker failed.
    Failed,
}

impl Exit {
    pub(super) const fn code(self) -> u8 {
        match self {
            Exit::Stopped => 0,
            Exit::Failed => 1,
            Exit::GaveBack => 3,
        }
    }

    /// The end of another process of this program. One that was killed gave its tasks back.
    pub(super) fn of_process(status: ExitStatus) -> Self {
        match status.code() {
            Some(0) => Exit::Stopped,
            Some(1 | 2) => Exit::Failed,
            _ => Exit::GaveBack,
        }
    }

    /// The end of a worker that ended with `outcome`; what went wrong goes to stderr.
    pub(super) fn of(outcome: Result<(), WorkerError>) -> Self {
        let Err(error) = outcome else { return Exit::Stopped };
        say_error(&error);
        match error {
            WorkerError::Abandoned { .. } => Exit::GaveBack,
            _ => Exit::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

/// Writes the error and its sources to stderr, on one line.
pub(super) fn say_error(error: &(dyn Error + 'static)) {
    // In one piece: other processes may write to the same place.
    let line = format!("error: {}\n", chain(error));
    // Nobody is left to hear of an error here.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// The error and its sources, on one line.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let part = source.to_string();
        // A wrapper often repeats what it wraps.
        if !text.ends_with(&part) {
            text = format!("{text}: {part}");
        }
        next = source.source();
    }
    text.replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::BrokerError;

    #[test]
    fn the_chain_is_one_line_without_repetition() {
        let refused: crate::BoxError = "connection refused\n(os error 111)".into();
        let broker = BrokerError::Unreachable { address: "localhost:5672".into(), source: Some(refused) };
        assert_eq!(
            chain(&WorkerError::Broker(broker)),
            "cannot reach the broker at localhost:5672; is it running, and is the address right?: connection refused (os error 111)"
        );
        let app = WorkerError::App(Box::new(WorkerError::NoTasks));
        assert_eq!(chain(&app), format!("the app could not be built: {}", WorkerError::NoTasks));
    }
}
